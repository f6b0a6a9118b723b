/* SPDX-License-Identifier: MIT */
/*
 * aligned_alloc, posix_memalign, memalign, valloc, pvalloc: goal and method.
 *
 * Every power of two from 1 to 1 GiB is crossed with sizes from 0 to over
 * 4 MiB; each block is aligned, writable, apart from its neighbours, and can
 * be freed or resized like any other.  Alignments that are no powers of two
 * are refused as POSIX and C say.
 */
#include "../expect.h"

static size_t crossed;

static void *ask(unsigned how, size_t alignment, size_t size)
{
    if (how == 0)
        return subject_aligned_alloc(alignment, size);
    if (how == 1)
        return subject_memalign(alignment, size);
    void *block = NULL;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    errno = EXDEV;
    EXPECT_EQUAL(subject_posix_memalign(&block, alignment, size), 0);
    EXPECT_EQUAL(errno, EXDEV);
    return block;
}

static void let_go(unsigned how, void *block, size_t alignment, size_t size)
{
    const uint64_t seed = alignment ^ size;
    if (how == 0) {
        subject_free(block);
    } else if (how == 1) {
        subject_free_aligned_sized(block, alignment, size);
    } else {
        block = subject_realloc(block, size + size / 2 + 1);
        EXPECT_THAT(block != NULL, "from %zu aligned to %zu", size, alignment);
        EXPECT_SPARSE(block, size, size, seed);
        block = subject_realloc(block, size / 2 + 1);
        EXPECT_THAT(block != NULL, "from %zu aligned to %zu", size, alignment);
        EXPECT_SPARSE(block, size, size / 2, seed);
        subject_free(block);
    }
}

static void cross(size_t alignment, size_t size)
{
    enum { EACH = 3 };
    void *blocks[EACH * 3];
    /* free_aligned_sized belongs to aligned_alloc, so `how` pairs a way to
     * allocate with a way to free that is allowed for it. */
    const size_t count = alignment > MIB || size > MIB ? 3 : EACH * 3;
    for (size_t i = 0; i < count; i++) {
        const unsigned how = (unsigned)i % 3;
        blocks[i] = ask(how == 1 ? 0 : how == 0 ? 1 : 2, alignment, size);
        EXPECT_THAT(blocks[i] != NULL, "%zu bytes at %zu", size, alignment);
        EXPECT_ALIGNED(blocks[i], alignment);
        EXPECT_THAT(subject_usable_size(blocks[i]) >= size,
                    "%zu bytes at %zu", size, alignment);
        sparse_fill(blocks[i], size, alignment ^ size);
        for (size_t j = 0; j < i; j++)
            EXPECT_THAT(blocks[i] != blocks[j], "%zu bytes at %zu", size,
                        alignment);
    }
    for (size_t i = 0; i < count; i++)
        EXPECT_SPARSE(blocks[i], size, size, alignment ^ size);
    for (size_t i = 0; i < count; i++)
        let_go((unsigned)i % 3, blocks[i], alignment, size);
    crossed++;
}

static void every_alignment_and_size(void)
{
    const size_t sizes[] = {0,         1,        7,         8,
                            16,        17,       24,        100,
                            255,       1000,     4095,      4096,
                            4097,      10000,    40000,     65535,
                            65536,     65537,    100000,    1 * MIB,
                            2 * MIB,   4 * MIB,  4 * MIB + 1, 5 * MIB + 17};
    for (size_t alignment = 1; alignment <= GIB; alignment *= 2)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            cross(alignment, sizes[i]);
}

static void bad_alignments_are_refused(void)
{
    const size_t bad[] = {0, 3, 5, 6, 7, 12, 24, 48, 100, 4095, 4097, 6144,
                          SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 2};
    void *const untouched = &crossed;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *out = untouched;
        errno = EXDEV;
        EXPECT_EQUAL(subject_posix_memalign(&out, bad[i], 100), EINVAL);
        EXPECT(out == untouched);
        EXPECT_EQUAL(errno, EXDEV);
        if (!subject_is_ashlar())
            continue; /* glibc 2.36 rounds up, others keep errno */
        errno = 0;
        EXPECT_THAT(subject_aligned_alloc(bad[i], 100) == NULL, "%zu", bad[i]);
        EXPECT_EQUAL(errno, EINVAL);
    }
    for (size_t small = 1; small < sizeof(void *); small *= 2) {
        void *out = untouched;
        errno = EXDEV;
        EXPECT_EQUAL(subject_posix_memalign(&out, small, 100), EINVAL);
        EXPECT(out == untouched);
        EXPECT_EQUAL(errno, EXDEV);
    }
}

static void sizes_that_cannot_be_are_refused(void)
{
    const size_t half = (size_t)PTRDIFF_MAX;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 64, half + 1, half,
                            half - 4096};
    const size_t alignments[] = {8, 16, 4096, 2 * MIB, GIB};
    void *const untouched = &crossed;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof alignments / sizeof *alignments; j++) {
            const size_t alignment = alignments[j];
            void *out = untouched;
            errno = EXDEV;
            EXPECT_EQUAL(subject_posix_memalign(&out, alignment, sizes[i]),
                         ENOMEM);
            EXPECT(out == untouched);
            if (subject_is_ashlar())
                EXPECT_EQUAL(errno, EXDEV);
            errno = 0;
            EXPECT(subject_aligned_alloc(alignment, sizes[i]) == NULL);
            EXPECT_EQUAL(errno, ENOMEM);
            errno = 0;
            EXPECT(subject_memalign(alignment, sizes[i]) == NULL);
            if (subject_is_ashlar())
                EXPECT_EQUAL(errno, ENOMEM);
        }
    }
    /* An alignment that no address but zero has. */
    void *out = untouched;
    EXPECT_EQUAL(
        subject_posix_memalign(&out, (size_t)1 << 63, (size_t)1), ENOMEM);
    EXPECT(out == untouched);
}

static void pages(void)
{
    const size_t page = page_bytes();
    const size_t sizes[] = {0, 1, 100, page - 1, page, page + 1, 3 * page + 5,
                            64 * KIB, 5 * MIB + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* jemalloc 5.3 does not page-align what is empty. */
        if (sizes[i] == 0 && !subject_is_ashlar())
            continue;
        void *block = subject_valloc(sizes[i]);
        EXPECT_THAT(block != NULL, "valloc(%zu)", sizes[i]);
        EXPECT_ALIGNED(block, page);
        memset(block, 1, sizes[i]);
        void *other = subject_valloc(sizes[i]);
        EXPECT(other != NULL && other != block);
        subject_free(other);
        subject_free(block);
        if (!subject_serves("pvalloc"))
            continue;
        block = subject_pvalloc(sizes[i]);
        EXPECT_THAT(block != NULL, "pvalloc(%zu)", sizes[i]);
        EXPECT_ALIGNED(block, page);
        const size_t whole = (sizes[i] + page - 1) / page * page;
        EXPECT_THAT(subject_usable_size(block) >= whole, "pvalloc(%zu)",
                    sizes[i]);
        memset(block, 1, whole);
        subject_free(block);
    }
    EXPECT(!subject_is_ashlar() || subject_serves("pvalloc"));
    const size_t huge[] = {SIZE_MAX, SIZE_MAX - page + 2, SIZE_MAX - page,
                           (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        errno = 0;
        EXPECT_THAT(subject_valloc(huge[i]) == NULL, "%zu", huge[i]);
        if (subject_is_ashlar())
            EXPECT_EQUAL(errno, ENOMEM);
        if (!subject_serves("pvalloc"))
            continue;
        errno = 0;
        EXPECT_THAT(subject_pvalloc(huge[i]) == NULL, "%zu", huge[i]);
        EXPECT_EQUAL(errno, ENOMEM);
    }
}

/* memalign refuses like aligned_alloc; C libraries round up instead. */
static void memalign_is_strict_here(void)
{
    const size_t bad[] = {0, 3, 24, 4097, SIZE_MAX};
    if (!subject_is_ashlar())
        return;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        EXPECT_THAT(subject_memalign(bad[i], 100) == NULL, "%zu", bad[i]);
        EXPECT_EQUAL(errno, EINVAL);
    }
}

int main(int argc, char **argv)
{
    test_begin("aligned_test", argc, argv);
    bad_alignments_are_refused();
    memalign_is_strict_here();
    sizes_that_cannot_be_are_refused();
    every_alignment_and_size();
    subject_audit();
    pages();
    subject_audit();
    return test_passed("%zu alignments by sizes", crossed);
}
