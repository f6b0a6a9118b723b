/* SPDX-License-Identifier: MIT */
/*
 * calloc: goal and method.
 *
 * Its memory is zero whatever lay there before.  Each size is first used and
 * soiled through malloc, realloc and aligned_alloc, all blocks of a batch at
 * once so that the same places come back, then read through calloc.  Products
 * that overflow are refused.  Large blocks fresh from the system cost no
 * resident memory until they are touched.
 */
#include "../expect.h"

enum { BATCH = 8 };

static size_t batch_of(size_t size)
{
    return size > 2 * MIB ? 2 : BATCH;
}

static void soil(void *ptr, size_t size)
{
    memset(ptr, 0xa5, size);
    subject_hide(ptr);
}

static void soil_and_free(void **blocks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        EXPECT_THAT(blocks[i] != NULL, "%zu bytes", size);
        soil(blocks[i], subject_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        subject_free(blocks[i]);
}

static void expect_zeroed(size_t size)
{
    void *blocks[BATCH];
    const size_t count = batch_of(size);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = i % 2 == 0 ? subject_calloc(1, size)
                               : subject_calloc(size, 1);
        EXPECT_THAT(blocks[i] != NULL, "calloc of %zu", size);
        EXPECT_ZERO(blocks[i], size);
    }
    soil_and_free(blocks, count, size);
}

static void zero_after(size_t size)
{
    void *blocks[BATCH];
    const size_t count = batch_of(size);
    for (size_t i = 0; i < count; i++)
        blocks[i] = subject_malloc(size);
    soil_and_free(blocks, count, size);
    expect_zeroed(size);

    /* Grown, soiled, shrunk: what realloc gives back is dirty too. */
    for (size_t i = 0; i < count; i++) {
        blocks[i] = subject_realloc(subject_malloc(size / 2 + 1), size + 1);
        EXPECT(blocks[i] != NULL);
        soil(blocks[i], size + 1);
        blocks[i] = subject_realloc(blocks[i], size / 3 + 1);
    }
    expect_zeroed(size);
    expect_zeroed(size - size / 3);
    soil_and_free(blocks, count, size / 3 + 1);
    expect_zeroed(size);

    for (size_t i = 0; i < count; i++)
        blocks[i] = subject_aligned_alloc(i % 2 == 0 ? 4096 : 256, size);
    soil_and_free(blocks, count, size);
    expect_zeroed(size);
}

static void zero_at_every_size(void)
{
    for (size_t size = 1; size <= 1100; size += SUBJECT_SANITIZED ? 9 : 1)
        zero_after(size);
    for (size_t size = 1100; size <= 70000;
         size += size / (SUBJECT_SANITIZED ? 8 : 32))
        zero_after(size);
    const size_t large[] = {64 * KIB - 1, 64 * KIB,  64 * KIB + 1, 100 * KIB,
                            1 * MIB,      4 * MIB,   5 * MIB};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        zero_after(large[i]);
    zero_after(65 * MIB);
}

/* A large block is soiled, freed and its memory cut into small ones. */
static void zero_across_sizes(void)
{
    const size_t sizes[] = {16, 200, 3000, 17000, 60000, 200000, 1 * MIB};
    void **blocks = (void **)test_map(5000 * sizeof(void *));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *large = subject_malloc(6 * MIB);
        EXPECT(large != NULL);
        soil(large, 6 * MIB);
        subject_free(large);
        size_t count = 6 * MIB / sizes[i];
        count = count > 5000 ? 5000 : count;
        for (size_t j = 0; j < count; j++) {
            blocks[j] = subject_calloc(sizes[i] / 8, 8);
            EXPECT(blocks[j] != NULL);
            EXPECT_ZERO(blocks[j], sizes[i]);
            soil(blocks[j], sizes[i]);
        }
        for (size_t j = 0; j < count; j++)
            subject_free(blocks[j]);
        large = subject_calloc(1, 6 * MIB);
        EXPECT(large != NULL);
        EXPECT_ZERO(large, 6 * MIB);
        subject_free(large);
    }
    munmap(blocks, 5000 * sizeof(void *));
}

static void overflow_is_refused(void)
{
    const size_t half = (size_t)1 << 32;
    const size_t pairs[][2] = {
        {SIZE_MAX, SIZE_MAX}, {SIZE_MAX, 2},
        {2, SIZE_MAX},        {half, half},
        {half + 1, half},     {SIZE_MAX / 2 + 1, 2},
        {3, SIZE_MAX / 3 + 1}, {(size_t)PTRDIFF_MAX + 1, 1},
        {1, SIZE_MAX},        {(size_t)PTRDIFF_MAX, 1},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = 0;
        EXPECT_THAT(subject_calloc(pairs[i][0], pairs[i][1]) == NULL,
                    "calloc(%zu, %zu)", pairs[i][0], pairs[i][1]);
        EXPECT_EQUAL(errno, ENOMEM);
    }
}

static void nothing_is_still_unique(void)
{
    void *blocks[4] = {subject_calloc(0, 0), subject_calloc(0, 8),
                       subject_calloc(8, 0), subject_calloc(SIZE_MAX, 0)};
    for (size_t i = 0; i < 4; i++) {
        EXPECT_THAT(blocks[i] != NULL, "pair %zu", i);
        for (size_t j = 0; j < i; j++)
            EXPECT(blocks[i] != blocks[j]);
    }
    for (size_t i = 0; i < 4; i++)
        subject_free(blocks[i]);
}

static void fresh_memory_is_not_touched(void)
{
    if (SUBJECT_SANITIZED)
        return;
    subject_free(subject_malloc(1));
    const size_t before = resident_bytes();
    unsigned char *block = (unsigned char *)subject_calloc(65, MIB);
    EXPECT(block != NULL);
    EXPECT_AT_MOST(resident_bytes(), before + 1 * MIB);
    EXPECT_EQUAL(block[0], 0);
    EXPECT_EQUAL(block[33 * MIB + 7], 0);
    EXPECT_EQUAL(block[65 * MIB - 1], 0);
    subject_free(block);
}

int main(int argc, char **argv)
{
    test_begin("calloc_test", argc, argv);
    /* First, while nothing has been soiled. */
    fresh_memory_is_not_touched();
    overflow_is_refused();
    nothing_is_still_unique();
    zero_at_every_size();
    subject_audit();
    zero_across_sizes();
    subject_audit();
    return test_passed("zero at all sizes to 65 MiB");
}
