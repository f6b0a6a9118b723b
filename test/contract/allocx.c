/* SPDX-License-Identifier: MIT */
/*
 * allocx - the rules of mallocx, rallocx, xallocx, sallocx, dallocx, sdallocx.
 *
 * Goal: what each does with its flags, and at its limits.  Method: a line for
 * each rule; sizes are judged by what was asked for, for the classes above 64
 * KiB are not those of 5.3.0.
 */
#include "contract.h"

enum { UNTOUCHED = 777 };

static size_t hidden(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static bool is_filled(const unsigned char *ptr, int byte, size_t size)
{
    return size == 0
           || (ptr[0] == byte && memcmp(ptr, ptr + 1, size - 1) == 0);
}

/* -- mallocx -- */

static void refused(void)
{
    static const struct {
        const char *what;
        size_t size;
        int flags;
    } calls[] = {
        {"SIZE_MAX", SIZE_MAX, 0},
        {"PTRDIFF_MAX + 1", (size_t)PTRDIFF_MAX + 1, 0},
        {"SIZE_MAX - 4096, align 4096", SIZE_MAX - 4096, MALLOCX_LG_ALIGN(12)},
        {"7 EiB", 0x7000000000000000, 0},
        {"7 EiB, zero", 0x7000000000000000, MALLOCX_ZERO},
        {"7 EiB, no cache", 0x7000000000000000, MALLOCX_TCACHE_NONE},
        {"1, align 2^62", 1, MALLOCX_LG_ALIGN(62)},
        {"2^62, align 2^62", (size_t)1 << 62, MALLOCX_LG_ALIGN(62)},
        {"1, align 2^63", 1, MALLOCX_LG_ALIGN(63)},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char what[80];
        snprintf(what, sizeof what, "mallocx(%s)", calls[i].what);
        errno = UNTOUCHED;
        void *ptr = mallocx(hidden(calls[i].size), calls[i].flags);
        say(what, "%s, errno %s", ptr == NULL ? "NULL" : "a block",
            error_name(errno));
        snprintf(what, sizeof what, "rallocx(p, %s)", calls[i].what);
        unsigned char *old = mallocx(100, 0);
        memset(old, 5, 100);
        errno = UNTOUCHED;
        ptr = rallocx(old, hidden(calls[i].size), calls[i].flags);
        say(what, "%s, errno %s, old intact %s",
            ptr == NULL ? "NULL" : "a block", error_name(errno),
            yes_no(is_filled(old, 5, 100)));
        dallocx(old, 0);
        snprintf(what, sizeof what, "nallocx(%s)", calls[i].what);
        say(what, "%s", nallocx(hidden(calls[i].size), calls[i].flags) == 0
                            ? "0"
                            : "a size");
    }
}

/* Dirties memory and asks for it again, zeroed. */
static void zeroed(void)
{
    size_t wrong = 0;
    for (size_t size = 1; size <= 8 * MIB; size = size * 3 + 1) {
        for (int lg = 0; lg <= 14; lg += 7) {
            const int flags = MALLOCX_LG_ALIGN(lg) | MALLOCX_ZERO;
            unsigned char *ptr = mallocx(size, flags);
            const size_t whole = sallocx(ptr, 0);
            wrong += !is_filled(ptr, 0, whole) || whole != nallocx(size, flags);
            memset(ptr, 0xff, whole);
            sdallocx(ptr, size, flags);
        }
    }
    say("MALLOCX_ZERO: blocks not zero", "%zu", wrong);
}

static void caches_and_arenas(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    say("arenas.create", "%s",
        error_name(mallctl("arenas.create", &arena, &bytes, NULL, 0)));
    const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    size_t wrong = 0;
    for (size_t size = 1; size <= 16 * MIB; size = size * 2 + 1) {
        void *ptr = mallocx(size, flags);
        unsigned of = 12345;
        size_t of_bytes = sizeof of;
        mallctl("arenas.lookup", &of, &of_bytes, &ptr, sizeof ptr);
        wrong += of != arena || sallocx(ptr, 0) != nallocx(size, flags);
        /* The arena in the flags of dallocx is not looked at. */
        dallocx(ptr, MALLOCX_TCACHE_NONE | MALLOCX_ARENA(0));
    }
    say("blocks not of the arena asked for", "%zu", wrong);
    const unsigned narenas = read_unsigned("arenas.narenas");
    say("mallocx in arena narenas", "%s",
        mallocx(10, MALLOCX_ARENA(narenas) | MALLOCX_TCACHE_NONE) == NULL
            ? "NULL"
            : "a block");
}

/* -- rallocx -- */

static void resized(void)
{
    size_t lost = 0;
    size_t not_zero = 0;
    size_t crooked = 0;
    for (size_t from = 1; from <= 2 * MIB; from = from * 3 + 7) {
        for (size_t to = 1; to <= 4 * MIB; to = to * 5 + 3) {
            const int flags = MALLOCX_ZERO | MALLOCX_LG_ALIGN(from % 3 * 5);
            unsigned char *ptr = mallocx(from, flags);
            const size_t whole = sallocx(ptr, 0);
            const size_t kept = whole < to ? whole : to;
            memset(ptr, 0x5a, whole);
            ptr = rallocx(ptr, to, flags);
            lost += !is_filled(ptr, 0x5a, kept);
            if (sallocx(ptr, 0) > whole)
                not_zero += !is_filled(ptr + whole, 0, to > whole ? to - whole
                                                                  : 0);
            crooked += (uintptr_t)ptr % ((size_t)1 << (from % 3 * 5)) != 0;
            dallocx(ptr, 0);
        }
    }
    say("rallocx", "lost %zu, not zeroed %zu, crooked %zu", lost, not_zero,
        crooked);
    void *ptr = mallocx(100, 0);
    say("rallocx to the same class stays", "%s",
        yes_no(rallocx(ptr, 101, 0) == ptr));
    say("and with an arena and no cache", "%s",
        yes_no(rallocx(ptr, 102, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE)
               == ptr));
    dallocx(ptr, 0);
}

/* -- xallocx -- */

/* How a size is to what was asked for. */
static const char *against(size_t got, size_t old, size_t size, size_t extra)
{
    return got == old                      ? "as it was"
           : got < size                    ? "less than asked"
           : size + extra < size           ? "grown"
           : got <= nallocx(size + extra, 0) ? "as asked"
                                           : "more than asked";
}

static void in_place(void)
{
    static const struct {
        size_t from, to, extra;
    } calls[] = {
        {1, 1, 0}, {1, 8, 0}, {1, 4096, 0}, {100, 50, 0}, {100, 112, 0},
        {100, 113, 0}, {100, 100, 1000}, {100, 100, SIZE_MAX - 100},
        {100, 101, SIZE_MAX - 101}, {100, SIZE_MAX, 0}, {100, 100, 12},
        {14000, 14336, 0}, {14000, 10000, 0}, {14000, 0x7000000000000000, 0},
        {14000, 14000, 0x7000000000000000}, {100, 0, 0}, {100, 0, 50},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *ptr = mallocx(calls[i].from, 0);
        const size_t old = sallocx(ptr, 0);
        const size_t got = xallocx(ptr, hidden(calls[i].to),
                                   hidden(calls[i].extra), 0);
        char what[96];
        snprintf(what, sizeof what, "xallocx of %zu to %zu, extra %zu",
                 calls[i].from, calls[i].to, calls[i].extra);
        say(what, "%s, sallocx agrees %s",
            against(got, old, calls[i].to, calls[i].extra),
            yes_no(got == sallocx(ptr, 0)));
        dallocx(ptr, 0);
    }
}

/* Large: what shrinks in place always does; growing may fail. */
static void large_in_place(void)
{
    size_t crossing = 0;
    size_t wrong = 0;
    size_t spoiled = 0;
    for (size_t from = 256 * KIB; from <= 32 * MIB; from *= 2) {
        unsigned char *ptr = mallocx(from, 0);
        memset(ptr, 3, from);
        const size_t less = xallocx(ptr, from / 2, 0, 0);
        wrong += less != nallocx(from / 2, 0) || less != sallocx(ptr, 0);
        spoiled += !is_filled(ptr, 3, from / 2);
        const size_t back = xallocx(ptr, from, 0, MALLOCX_ZERO);
        wrong += back != less && back != nallocx(from, 0);
        spoiled += !is_filled(ptr, 3, from / 2);
        if (back > less)
            spoiled += !is_filled(ptr + less, 0, from - less);
        const size_t extra = xallocx(ptr, from / 2, from, 0);
        wrong += extra < less || extra != sallocx(ptr, 0);
        crossing += xallocx(ptr, 100, 0, 0) < from / 2;
        dallocx(ptr, 0);
    }
    say("large xallocx", "wrong sizes %zu, spoiled %zu", wrong, spoiled);
    say("large to small by xallocx", "%zu", crossing);
}

static void in_place_aligned(void)
{
    void *ptr = mallocx(100, 0);
    const size_t old = sallocx(ptr, 0);
    size_t moved = 0;
    for (int lg = 0; lg < 20; lg++)
        moved += xallocx(ptr, 200, 0, MALLOCX_LG_ALIGN(lg)) != old;
    say("xallocx of a small block with any alignment", "%zu changed", moved);
    dallocx(ptr, 0);
    const int flags = MALLOCX_ALIGN(1 << 21);
    ptr = mallocx(4 * MIB, flags);
    say("xallocx keeps alignment", "%s",
        yes_no(xallocx(ptr, 2 * MIB, 0, flags) == nallocx(2 * MIB, 0)));
    sdallocx(ptr, 2 * MIB, flags);
}

/* -- sdallocx -- */

static void sized(void)
{
    size_t blocks = 0;
    for (size_t size = 1; size <= 4 * MIB; size += size / 3 + 1) {
        for (int lg = 0; lg <= 16; lg += 4) {
            const int flags = MALLOCX_LG_ALIGN(lg);
            void *ptr = mallocx(size, flags);
            const size_t whole = sallocx(ptr, flags);
            memset(ptr, 1, whole);
            /* What was asked for, what was given, and what lies between. */
            const size_t said = blocks % 3 == 0   ? size
                                : blocks % 3 == 1 ? whole
                                                  : (size + whole) / 2;
            sdallocx(ptr, said, flags);
            blocks++;
        }
    }
    say("sdallocx", "%zu blocks", blocks);
}

int main(void)
{
    refused();
    zeroed();
    caches_and_arenas();
    resized();
    in_place();
    large_in_place();
    in_place_aligned();
    sized();
    return 0;
}
