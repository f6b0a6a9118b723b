/* SPDX-License-Identifier: MIT */
/*
 * sizes - nallocx over all sizes and alignments, beside what mallocx gives.
 *
 * Goal: clients compute with these sizes (Valkey even derives the bins), so
 * they are the same up to 64 KiB, and keep the rules above.  Method: up to 64
 * KiB each range of requests with one size is a line; above, rules are tried
 * over many sizes.  Alignments: one line for each, with a size from every
 * doubling.
 */
#include "contract.h"

static void say_ranges(void)
{
    size_t first = 1;
    for (size_t size = 1; size <= 64 * KIB; size++) {
        const size_t got = nallocx(size, 0);
        if (nallocx(size + 1, 0) == got && size < 64 * KIB)
            continue;
        char what[64];
        snprintf(what, sizeof what, "nallocx(%zu..%zu)", first, size);
        say(what, "%zu", got);
        first = size + 1;
    }
}

/* A size, and one less and one more, of every step between two powers. */
static void each_size(size_t from, size_t to, void (*visit)(size_t))
{
    for (size_t power = from; power < to; power *= 2) {
        for (size_t step = 0; step < 16; step++) {
            const size_t size = power + power / 16 * step;
            visit(size - 1);
            visit(size);
            visit(size + 1);
        }
    }
}

static struct {
    size_t smaller;       /* less than was asked for */
    size_t differs;       /* mallocx gives another size than nallocx says */
    size_t not_fixed;     /* nallocx(nallocx(n)) != nallocx(n) */
    size_t wasteful;      /* more than a quarter above */
    size_t falls;         /* less than for a smaller size */
    size_t last;
} broken;

static void visit(size_t size)
{
    const size_t got = nallocx(size, 0);
    broken.smaller += got < size;
    broken.not_fixed += nallocx(got, 0) != got;
    broken.wasteful += got - size > size / 4 + 4096;
    broken.falls += size > 1 && got < broken.last && size > broken.last;
    broken.last = got;
    void *ptr = mallocx(size, 0);
    if (ptr == NULL)
        return;
    broken.differs += sallocx(ptr, 0) != got || malloc_usable_size(ptr) != got;
    dallocx(ptr, 0);
}

static void say_rules(const char *range, size_t from, size_t to)
{
    memset(&broken, 0, sizeof broken);
    each_size(from, to, visit);
    char what[64];
    snprintf(what, sizeof what, "rules broken for %s", range);
    say(what, "smaller %zu, differs %zu, not fixed %zu, wasteful %zu, "
        "falls %zu", broken.smaller, broken.differs, broken.not_fixed,
        broken.wasteful, broken.falls);
}

static void say_limits(void)
{
    static const struct {
        const char *what;
        size_t size;
    } sizes[] = {
        {"2^47", (size_t)1 << 47}, {"2^62", (size_t)1 << 62},
        {"7 EiB", 0x7000000000000000}, {"7 EiB + 1", 0x7000000000000001},
        {"PTRDIFF_MAX", PTRDIFF_MAX}, {"SIZE_MAX", SIZE_MAX},
        {"SIZE_MAX - 4096", SIZE_MAX - 4096},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char what[64];
        const size_t got = nallocx(sizes[i].size, 0);
        snprintf(what, sizeof what, "nallocx(%s)", sizes[i].what);
        say(what, "%s", got == 0                ? "0"
                        : got == sizes[i].size  ? "itself"
                        : got > sizes[i].size   ? "more"
                                                : "less");
        snprintf(what, sizeof what, "nallocx(%s, align 4096)", sizes[i].what);
        say(what, "%s",
            nallocx(sizes[i].size, MALLOCX_ALIGN(4096)) == 0 ? "0" : "more");
        snprintf(what, sizeof what, "mallocx(%s)", sizes[i].what);
        say(what, "%s", mallocx(sizes[i].size, 0) == NULL ? "NULL" : "a block");
    }
}

/* Small sizes at small alignments have their exact sizes compared. */
static void say_alignment(int lg)
{
    const size_t align = (size_t)1 << lg;
    size_t wrong = 0;
    size_t crooked = 0;
    for (size_t size = 1; size <= 16 * MIB; size = size * 2 + 1) {
        const size_t got = nallocx(size, MALLOCX_LG_ALIGN(lg));
        char what[64];
        if (lg <= 12 && size <= 16 * KIB) {
            snprintf(what, sizeof what, "nallocx(%zu, align %zu)", size, align);
            say(what, "%zu", got);
        }
        void *ptr = mallocx(size, MALLOCX_LG_ALIGN(lg));
        if (ptr == NULL)
            continue;
        wrong += got < size || sallocx(ptr, 0) != got;
        crooked += ((uintptr_t)ptr & (align - 1)) != 0;
        sdallocx(ptr, size, MALLOCX_LG_ALIGN(lg));
    }
    char what[64];
    snprintf(what, sizeof what, "align 2^%d", lg);
    say(what, "wrong sizes %zu, crooked %zu", wrong, crooked);
}

int main(void)
{
    say_ranges();
    say_rules("1 byte to 64 KiB", 2, 64 * KIB);
    say_rules("64 KiB to 64 MiB", 64 * KIB, 64 * MIB);
    say_limits();
    for (int lg = 0; lg <= 26; lg++)
        say_alignment(lg);
    for (int lg = 40; lg < 64; lg += 4) {
        char what[64];
        snprintf(what, sizeof what, "nallocx(1, align 2^%d)", lg);
        say(what, "%s", nallocx(1, MALLOCX_LG_ALIGN(lg)) == 0 ? "0" : "more");
    }
    say("nallocx(100, every flag)", "%zu",
        nallocx(100, MALLOCX_ZERO | MALLOCX_TCACHE_NONE | MALLOCX_ARENA(0)));
    say("MALLOCX_ALIGN(48) is 16", "%s",
        yes_no(nallocx(1, MALLOCX_ALIGN(48)) == nallocx(1, MALLOCX_ALIGN(16))));
    return 0;
}
