/* SPDX-License-Identifier: MIT */
/*
 * mallocx, rallocx, xallocx, sallocx, dallocx, sdallocx, nallocx: goal and
 * method.
 *
 * Each rule of the contract (include/jemalloc/jemalloc.h) is tried at every
 * class and at the largest sizes: alignments by sizes by zeroing, on memory
 * that was dirtied before; chains of resizes that must end at the size that
 * nallocx foretold; what cannot be met, which changes nothing and leaves errno
 * alone; and the one mistake that ends the process, in a child.
 */
#include "../expect.h"

#include <jemalloc/jemalloc.h>
#include <signal.h>
#include <sys/wait.h>

#if !SUBJECT_PREFIXED
#pragma weak mallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak sallocx
#pragma weak dallocx
#pragma weak sdallocx
#pragma weak nallocx
#endif

#define BYTES_MAX ((size_t)0x7000000000000000)

static size_t tried;

/* -- the calls, each with errno watched -- */

static void *take(size_t size, int flags)
{
    errno = EXDEV;
    void *block =
        subject_hide(SUBJECT_NAME(mallocx)(subject_hide_size(size), flags));
    EXPECT_EQUAL(errno, EXDEV);
    return block;
}

static void *resize(void *block, size_t size, int flags)
{
    errno = EXDEV;
    block = subject_hide(SUBJECT_NAME(rallocx)(subject_hide(block),
                                               subject_hide_size(size), flags));
    EXPECT_EQUAL(errno, EXDEV);
    return block;
}

static size_t resize_here(void *block, size_t size, size_t extra, int flags)
{
    errno = EXDEV;
    const size_t bytes = SUBJECT_NAME(xallocx)(
        subject_hide(block), subject_hide_size(size), extra, flags);
    EXPECT_EQUAL(errno, EXDEV);
    return bytes;
}

static void give(void *block, int flags)
{
    errno = EXDEV;
    SUBJECT_NAME(dallocx)(subject_hide(block), flags);
    EXPECT_EQUAL(errno, EXDEV);
}

static void give_sized(void *block, size_t size, int flags)
{
    errno = EXDEV;
    SUBJECT_NAME(sdallocx)(subject_hide(block), size, flags);
    EXPECT_EQUAL(errno, EXDEV);
}

static size_t usable(void *block)
{
    return SUBJECT_NAME(sallocx)(subject_hide(block), 0);
}

static size_t foretold(size_t size, int flags)
{
    return SUBJECT_NAME(nallocx)(subject_hide_size(size), flags);
}

/* -- taking -- */

static const size_t sizes[] = {
    0,      1,      8,        16,       17,        100,     128,
    129,    1000,   1024,     1025,     2000,      4096,    4097,
    14336,  14337,  16384,    40000,    65535,     65536,   65537,
    100000, 262144, 1 * MIB,  2 * MIB + 1, 4 * MIB, 5 * MIB + 17, 33 * MIB,
};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void give_somehow(void *block, size_t size, int flags)
{
    switch (tried++ % 4) {
    case 0: give(block, 0); break;
    case 1: give(block, flags); break;
    case 2: give_sized(block, size, flags); break;
    default: subject_free(block);
    }
}

static void take_and_check(size_t size, int flags, size_t alignment)
{
    const size_t bytes = foretold(size, flags);
    EXPECT_THAT(bytes >= size && bytes != 0, "nallocx(%zu, %x)", size,
                (unsigned)flags);
    /* Leave something behind that zeroing has to remove. */
    void *block = take(size, flags);
    EXPECT_THAT(block != NULL, "mallocx(%zu, %x)", size, (unsigned)flags);
    EXPECT_EQUAL(usable(block), bytes);
    sparse_fill(block, bytes, size);
    EXPECT_SPARSE(block, bytes, bytes, size);
    give_somehow(block, size, flags);

    block = take(size, flags);
    EXPECT(block != NULL);
    EXPECT_ALIGNED(block, alignment);
    EXPECT_EQUAL(usable(block), bytes);
    EXPECT_EQUAL(subject_usable_size(block), bytes);
    if ((flags & MALLOCX_ZERO) != 0)
        EXPECT_ZERO(block, bytes);
    give_somehow(block, size, flags);
}

static void every_alignment_and_size(void)
{
    /* jemalloc leaves size 0 open. */
    const size_t first = subject_is_ashlar() ? 0 : 1;
    for (int log2 = 0; log2 <= 24; log2++) {
        for (size_t i = first; i < SIZES; i++) {
            if (SUBJECT_SANITIZED && sizes[i] > MIB && log2 % 4 != 0)
                continue;
            const int align = MALLOCX_LG_ALIGN(log2);
            const size_t alignment = (size_t)1 << log2;
            EXPECT_EQUAL(align, MALLOCX_ALIGN(alignment));
            take_and_check(sizes[i], align, alignment);
            take_and_check(sizes[i], align | MALLOCX_ZERO, alignment);
            take_and_check(sizes[i], align | MALLOCX_TCACHE_NONE, alignment);
        }
    }
    for (size_t size = 1; size <= 20000; size += size / 64 + 1)
        take_and_check(size, MALLOCX_ZERO, 1);
}

/* What malloc gives is of the same sizes. */
static void the_same_sizes_as_malloc(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *block = subject_malloc(sizes[i]);
        EXPECT_EQUAL(subject_usable_size(block), foretold(sizes[i], 0));
        EXPECT_EQUAL(usable(block), foretold(sizes[i], 0));
        give(block, 0);
    }
}

static void null_is_no_object(void)
{
    give(NULL, 0);
    give(NULL, MALLOCX_TCACHE_NONE);
    give_sized(NULL, 8, 0);
    give_sized(NULL, 100, MALLOCX_ALIGN(64));
    EXPECT_EQUAL(usable(NULL), 0);
    EXPECT_EQUAL(resize_here(NULL, 100, 0, 0), 0);
    void *block = take(8, 0);
    EXPECT(block != NULL);
    give(block, 0);
    block = resize(NULL, 1000, MALLOCX_ZERO);
    EXPECT(block != NULL);
    EXPECT_ZERO(block, 1000);
    give(block, 0);
}

/* -- what cannot be met -- */

static void sizes_that_cannot_be(void)
{
    const size_t over[] = {BYTES_MAX + 1, (size_t)PTRDIFF_MAX,
                           (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};
    const int flags[] = {0, MALLOCX_ZERO, MALLOCX_ALIGN(4096),
                         MALLOCX_LG_ALIGN(62), MALLOCX_ARENA(0)};
    char *block = (char *)take(300, 0);
    contents_fill(block, 300, 9);
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
            EXPECT_THAT(take(over[i], flags[j]) == NULL, "%zx %x", over[i],
                        (unsigned)flags[j]);
            EXPECT_EQUAL(foretold(over[i], flags[j]), 0);
            EXPECT(resize(block, over[i], flags[j]) == NULL);
            EXPECT_EQUAL(resize_here(block, over[i], 0, 0), usable(block));
            EXPECT_EQUAL(resize_here(block, 300, over[i], 0), usable(block));
        }
    }
    /* As large as can be named, and more than there is. */
    EXPECT_EQUAL(foretold(BYTES_MAX, 0), BYTES_MAX);
    EXPECT(take(BYTES_MAX, 0) == NULL);
    EXPECT(resize(block, BYTES_MAX, 0) == NULL);
    EXPECT_EQUAL(foretold(1, MALLOCX_LG_ALIGN(63)), 0);
    EXPECT(take(1, MALLOCX_LG_ALIGN(63)) == NULL);
    EXPECT(take(1, MALLOCX_ALIGN(0)) == NULL);
    EXPECT(take(1, MALLOCX_LG_ALIGN(62)) == NULL);
    EXPECT(resize(block, 300, MALLOCX_LG_ALIGN(63)) == NULL);
    EXPECT_CONTENTS(block, 300, 9);
    give(block, 0);
}

static void arenas_that_are_not_there(void)
{
    const unsigned arenas[] = {3000, 4094};
    void *block = take(100, MALLOCX_ARENA(0));
    EXPECT(block != NULL);
    for (size_t i = 0; i < 2; i++) {
        const int flags = MALLOCX_ARENA(arenas[i]);
        EXPECT(take(100, flags) == NULL);
        EXPECT(take(100, flags | MALLOCX_TCACHE_NONE) == NULL);
        EXPECT(take(5 * MIB, flags) == NULL);
        EXPECT(resize(block, 10000, flags) == NULL);
        /* Nothing is needed from it. */
        EXPECT(resize(block, 101, flags) == block);
        EXPECT_EQUAL(resize_here(block, 101, 0, flags), usable(block));
    }
    give(block, MALLOCX_ARENA(3000));
}

/* -- resizing -- */

static void resize_and_check(void **block, size_t *size, size_t wanted,
                             int flags)
{
    const size_t kept = *size < wanted ? *size : wanted;
    const size_t old_bytes = usable(*block);
    const size_t bytes = foretold(wanted, flags);
    sparse_fill(*block, *size, 3);
    void *moved = resize(*block, wanted, flags);
    EXPECT_THAT(moved != NULL, "from %zu to %zu", *size, wanted);
    EXPECT_THAT(usable(moved) == bytes, "from %zu to %zu: %zu, not %zu", *size,
                wanted, usable(moved), bytes);
    EXPECT_ALIGNED(moved, (size_t)1 << (flags & 63));
    EXPECT_SPARSE(moved, *size, kept, 3);
    if ((flags & MALLOCX_ZERO) != 0 && bytes > old_bytes)
        EXPECT_ZERO((char *)moved + old_bytes, bytes - old_bytes);
    *block = moved;
    *size = wanted;
    tried++;
}

static void chains_of_resizes(int flags)
{
    size_t size = 1;
    void *block = take(size, flags);
    for (size_t i = 1; i < SIZES; i++)
        resize_and_check(&block, &size, sizes[i], flags);
    for (size_t i = SIZES; i-- > 1;)
        resize_and_check(&block, &size, sizes[i], flags);
    for (size_t i = 0; i < SIZES; i++)
        resize_and_check(&block, &size, sizes[i * 11 % (SIZES - 1) + 1],
                         flags);
    give(block, flags & ~MALLOCX_ZERO);
}

/* Up one class, and back to it: there is nothing between. */
static void one_class_at_a_time(void)
{
    size_t size = 1;
    void *block = take(size, 0);
    while (usable(block) < 300000)
        resize_and_check(&block, &size, usable(block) + 1, 0);
    while (size > 4096)
        resize_and_check(&block, &size, size - 4096, 0);
    give(block, 0);
}

/* The same usable size, aligned as asked: the same address, whatever else. */
static void what_fits_stays(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *block = take(sizes[i], 0);
        const size_t bytes = usable(block);
        EXPECT(resize(block, bytes, 0) == block);
        EXPECT(resize(block, bytes, MALLOCX_TCACHE_NONE) == block);
        EXPECT(resize(block, bytes, MALLOCX_ARENA(0)) == block);
        EXPECT(resize(block, bytes, MALLOCX_ZERO) == block);
        give(block, 0);
    }
}

static void resized_to_an_alignment(void)
{
    for (int log2 = 5; log2 <= 22; log2++) {
        for (size_t i = 1; i < SIZES; i += 3) {
            size_t size = sizes[i];
            void *block = take(size, 0);
            resize_and_check(&block, &size, size, MALLOCX_LG_ALIGN(log2));
            resize_and_check(&block, &size, size + 5000,
                             MALLOCX_LG_ALIGN(log2) | MALLOCX_ZERO);
            give_sized(block, size, MALLOCX_LG_ALIGN(log2));
        }
    }
}

/* -- in place -- */

static void small_ones_stay_in_their_class(void)
{
    for (size_t size = 1; size <= 60000; size += size / 5 + 1) {
        void *block = take(size, 0);
        const size_t bytes = usable(block);
        contents_fill(block, size, 4);
        EXPECT_EQUAL(resize_here(block, bytes, 0, 0), bytes);
        EXPECT_EQUAL(resize_here(block, 1, bytes - 1, 0), bytes);
        EXPECT_EQUAL(resize_here(block, bytes + 1, 0, 0), bytes);
        EXPECT_EQUAL(resize_here(block, 1, 0, 0), bytes);
        EXPECT_EQUAL(resize_here(block, 0, 0, 0), bytes);
        EXPECT_EQUAL(resize_here(block, bytes, SIZE_MAX, 0), bytes);
        EXPECT_CONTENTS(block, size, 4);
        give(block, 0);
    }
}

/* Whatever comes back is what the object then has. */
static void large_ones_as_there_is_room(size_t size)
{
    void *block = take(size, 0);
    size_t bytes = usable(block);
    sparse_fill(block, bytes, 6);

    size_t now = resize_here(block, bytes / 2 + 1, 0, 0);
    EXPECT_EQUAL(now, usable(block));
    EXPECT_THAT(now >= bytes / 2 + 1 && now <= bytes, "%zu of %zu", now, bytes);
    EXPECT_SPARSE(block, bytes, bytes / 2, 6);

    memset((char *)block + bytes / 2 + 1, 0xee, now - bytes / 2 - 1);
    const size_t old_bytes = now;
    now = resize_here(block, bytes / 2 + 1, bytes, MALLOCX_ZERO);
    EXPECT_EQUAL(now, usable(block));
    EXPECT_THAT(now >= bytes / 2 + 1, "%zu of %zu", now, bytes);
    EXPECT_AT_MOST(now, foretold(bytes / 2 + 1 + bytes, 0));
    EXPECT_SPARSE(block, bytes, bytes / 2, 6);
    if (now > old_bytes)
        EXPECT_ZERO((char *)block + old_bytes, now - old_bytes);

    /* Nothing lies so high in memory that all of this follows it. */
    bytes = now;
    now = resize_here(block, bytes, SIZE_MAX, 0);
    EXPECT_EQUAL(now, usable(block));
    EXPECT_THAT(now >= bytes, "%zu of %zu", now, bytes);
    now = resize_here(block, (size_t)1 << 50, 0, 0);
    EXPECT_EQUAL(now, usable(block));
    EXPECT_AT_MOST(now, (size_t)1 << 49);
    give(block, 0);
}

static void in_place_keeps_alignment(void)
{
    void *blocks[64];
    size_t misaligned = 0;
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = take(200000, 0);
        const size_t bytes = usable(blocks[i]);
        if ((uintptr_t)blocks[i] % (32 * MIB) == 0)
            continue;
        EXPECT_EQUAL(resize_here(blocks[i], bytes / 2, 0,
                                 MALLOCX_ALIGN(32 * MIB)), bytes);
        misaligned++;
    }
    EXPECT(misaligned > 0);
    for (size_t i = 0; i < 64; i++)
        give(blocks[i], 0);
}

/* -- the one mistake that ends the process -- */

static void expect_invalid_cache(unsigned id, const char *message)
{
    int ends[2];
    char said[512] = "";
    int status;
    EXPECT_EQUAL(pipe(ends), 0);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[1]);
        subject_hide(SUBJECT_NAME(mallocx)(100, MALLOCX_TCACHE(id)));
        _exit(0);
    }
    close(ends[1]);
    const ssize_t length = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(length > 0 && strcmp(said, message) == 0, "said: %s", said);
    EXPECT_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                "ended with %x", (unsigned)status);
}

/* -- the bits, which programs have compiled in -- */

_Static_assert(MALLOCX_LG_ALIGN(12) == 12, "bits 0 to 5");
_Static_assert(MALLOCX_ZERO == 0x40, "bit 6");
_Static_assert(MALLOCX_TCACHE(0) == 0x200, "bits 8 to 19");
_Static_assert(MALLOCX_TCACHE_NONE == 0x100, "bits 8 to 19");
_Static_assert(MALLOCX_TCACHE(4093) == 0xfff00, "bits 8 to 19");
_Static_assert(MALLOCX_ARENA(0) == 0x100000, "bits 20 to 31");
_Static_assert(MALLOCX_ARENA(4094) == -0x100000, "bits 20 to 31");
_Static_assert(MALLOCX_ALIGN(4096) == 12, "of a constant");
_Static_assert(MALLOCX_ALIGN(48) == 4, "the lowest bit");
_Static_assert(MALLOCX_ALIGN((size_t)1 << 63) == 63, "the highest bit");

static bool is_served(void)
{
    return subject_serves("mallocx") && subject_serves("nallocx");
}

int main(int argc, char **argv)
{
    test_begin("allocx_test", argc, argv);
    EXPECT(!subject_is_ashlar() || is_served());
    if (!is_served())
        return test_skipped("the allocator has no mallocx");
    if (subject_is_ashlar())
        null_is_no_object();
    every_alignment_and_size();
    the_same_sizes_as_malloc();
    subject_audit();
    sizes_that_cannot_be();
    arenas_that_are_not_there();
    chains_of_resizes(0);
    chains_of_resizes(MALLOCX_ZERO);
    chains_of_resizes(MALLOCX_ALIGN(64) | MALLOCX_ZERO);
    chains_of_resizes(MALLOCX_TCACHE_NONE);
    chains_of_resizes(MALLOCX_ARENA(0) | MALLOCX_ZERO);
    subject_audit();
    one_class_at_a_time();
    what_fits_stays();
    resized_to_an_alignment();
    small_ones_stay_in_their_class();
    for (size_t size = 70000; size < 80 * MIB; size *= 3)
        large_ones_as_there_is_room(size);
    in_place_keeps_alignment();
    subject_audit();
    expect_invalid_cache(3000, "<jemalloc>: invalid tcache id (3000).\n");
    expect_invalid_cache(4093, "<jemalloc>: invalid tcache id (4093).\n");
    return test_passed("%zu sizes, alignments and steps", tried);
}
