/* SPDX-License-Identifier: MIT */
/*
 * realloc and reallocarray: goal and method.
 *
 * What a block held is kept up to the smaller of the two sizes, between any
 * two sizes: all pairs of the sizes around class boundaries up to 128 KiB,
 * chosen pairs up to 80 MiB, and long chains.  A refusal leaves the block as
 * it was.  realloc(NULL, n) is malloc(n); realloc(p, 0) frees and returns
 * NULL without a word in errno.
 */
#include "../expect.h"

enum { SIZES_MAX = 256 };

static size_t sizes[SIZES_MAX];
static size_t sizes_count;
static size_t moves;

/* 2^k and its neighbours, and the three sizes between two powers where
 * four-per-doubling classes end. */
static void choose_sizes(size_t limit)
{
    sizes_count = 0;
    for (size_t power = 8; power <= limit; power *= 2) {
        sizes[sizes_count++] = power - 1;
        sizes[sizes_count++] = power;
        sizes[sizes_count++] = power + 1;
        for (size_t quarter = 5; quarter <= 7; quarter++) {
            sizes[sizes_count++] = power / 4 * quarter;
            if (!SUBJECT_SANITIZED)
                sizes[sizes_count++] = power / 4 * quarter + 1;
        }
    }
}

static void resize_small(size_t from, size_t to)
{
    const uint64_t seed = mixed(from * 1000003 + to);
    void *block = subject_malloc(from);
    EXPECT(block != NULL);
    contents_fill(block, from, seed);
    void *neighbour = subject_malloc(from);
    EXPECT(neighbour != NULL);
    contents_fill(neighbour, from, ~seed);
    block = subject_realloc(block, to);
    EXPECT_THAT(block != NULL, "realloc from %zu to %zu", from, to);
    EXPECT_ALIGNED(block, subject_natural_alignment(block, to));
    EXPECT_THAT(subject_usable_size(block) >= to, "%zu to %zu", from, to);
    EXPECT_CONTENTS(block, from < to ? from : to, seed);
    contents_fill(block, to, seed + 1);
    EXPECT_CONTENTS(neighbour, from, ~seed);
    EXPECT_CONTENTS(block, to, seed + 1);
    subject_free(neighbour);
    subject_free(block);
    moves++;
}

static void all_pairs_of_small_sizes(void)
{
    choose_sizes(SUBJECT_SANITIZED ? 16 * KIB : 128 * KIB);
    for (size_t i = 0; i < sizes_count; i++)
        for (size_t j = 0; j < sizes_count; j++)
            resize_small(sizes[i], sizes[j]);
}

static void pairs_of_large_sizes(void)
{
    const size_t large[] = {1,           40000,       64 * KIB,  64 * KIB + 1,
                            100 * KIB,   1 * MIB,     2 * MIB - 1,
                            4 * MIB - 1, 4 * MIB + 1, 5 * MIB,   33 * MIB,
                            80 * MIB};
    const size_t count = sizeof large / sizeof *large;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const uint64_t seed = mixed(i * count + j);
            const size_t kept = large[i] < large[j] ? large[i] : large[j];
            void *block = subject_malloc(large[i]);
            EXPECT(block != NULL);
            sparse_fill(block, large[i], seed);
            block = subject_realloc(block, large[j]);
            EXPECT_THAT(block != NULL, "%zu to %zu", large[i], large[j]);
            EXPECT_SPARSE(block, large[i], kept, seed);
            sparse_fill(block, large[j], seed);
            EXPECT_SPARSE(block, large[j], large[j], seed);
            subject_free(block);
            moves++;
        }
    }
}

/* A block that grows and shrinks all its life, beside another that does the
 * same, so that growing in place meets an occupied neighbour. */
static void chains(void)
{
    size_t held[2] = {1, 1};
    void *blocks[2] = {subject_malloc(1), subject_malloc(1)};
    EXPECT(blocks[0] != NULL && blocks[1] != NULL);
    sparse_fill(blocks[0], 1, 0);
    sparse_fill(blocks[1], 1, 1);
    bool growing = true;
    for (size_t step = 0; growing || held[step % 2] > 1; step++) {
        const size_t who = step % 2;
        const size_t old = held[who];
        const size_t size = growing ? old + old / 7 + 1 : old - old / 7 - 1;
        blocks[who] = subject_realloc(blocks[who], size);
        EXPECT_THAT(blocks[who] != NULL, "%zu to %zu", old, size);
        EXPECT_SPARSE(blocks[who], old, old < size ? old : size, who);
        sparse_fill(blocks[who], size, who);
        held[who] = size;
        if (size > 80 * MIB)
            growing = false;
        moves++;
    }
    subject_free(blocks[0]);
    subject_free(blocks[1]);
}

static void one_byte_at_a_time(void)
{
    const size_t limit = test_scaled(20000, 4);
    unsigned char *block = NULL;
    for (size_t size = 1; size <= limit; size++) {
        block = (unsigned char *)subject_realloc(block, size);
        EXPECT(block != NULL);
        block[size - 1] = (unsigned char)(size * 31);
    }
    for (size_t size = limit; size >= 1; size--) {
        EXPECT_EQUAL(block[size - 1], (unsigned char)(size * 31));
        if (size > 1)
            block = (unsigned char *)subject_realloc(block, size - 1);
        EXPECT(block != NULL);
    }
    subject_free(block);
}

static void null_and_zero(void)
{
    void *block = subject_realloc(NULL, 100);
    EXPECT(block != NULL);
    contents_fill(block, 100, 1);
    errno = EXDEV;
    EXPECT(subject_realloc(block, 0) == NULL);
    EXPECT_EQUAL(errno, EXDEV);

    block = subject_realloc(NULL, 0);
    EXPECT(block != NULL);
    EXPECT(subject_realloc(block, 0) == NULL);

    /* It really frees: 20 GiB in turn, never two at once. */
    for (size_t i = 0; i < 2500; i++) {
        block = subject_malloc(8 * MIB);
        EXPECT(block != NULL);
        EXPECT(subject_realloc(block, 0) == NULL);
    }
    for (size_t i = 0; i < test_scaled(1000000, 20); i++) {
        block = subject_malloc(2000);
        EXPECT(block != NULL);
        memset(block, 1, 2000);
        EXPECT(subject_realloc(block, 0) == NULL);
    }
    if (!SUBJECT_SANITIZED)
        EXPECT_AT_MOST(resident_bytes(), 400 * MIB);
}

static void a_refusal_leaves_the_block(void)
{
    const size_t starts[] = {1, 100, 5000, 65536, 300000, 5 * MIB};
    const size_t huge[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
                           SIZE_MAX - 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        void *block = subject_malloc(starts[i]);
        EXPECT(block != NULL);
        contents_fill(block, starts[i], i);
        for (size_t j = 0; j < sizeof huge / sizeof *huge; j++) {
            errno = 0;
            EXPECT_THAT(subject_realloc(block, huge[j]) == NULL,
                        "from %zu to %zu", starts[i], huge[j]);
            EXPECT_EQUAL(errno, ENOMEM);
            EXPECT_CONTENTS(block, starts[i], i);
        }
        errno = 0;
        EXPECT(subject_reallocarray(block, SIZE_MAX / 2, 3) == NULL);
        EXPECT_EQUAL(errno, ENOMEM);
        EXPECT_CONTENTS(block, starts[i], i);
        block = subject_realloc(block, starts[i] + 10);
        EXPECT(block != NULL);
        EXPECT_CONTENTS(block, starts[i], i);
        subject_free(block);
    }
    errno = 0;
    EXPECT(subject_realloc(NULL, SIZE_MAX) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
}

static void arrays(void)
{
    const size_t half = (size_t)1 << 32;
    const size_t pairs[][2] = {{half, half},
                               {half * 2, half / 2},
                               {SIZE_MAX, 2},
                               {2, SIZE_MAX},
                               {SIZE_MAX, SIZE_MAX},
                               {3, SIZE_MAX / 3 + 1},
                               {(size_t)PTRDIFF_MAX + 1, 1}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = 0;
        EXPECT_THAT(
            subject_reallocarray(NULL, pairs[i][0], pairs[i][1]) == NULL,
            "reallocarray(NULL, %zu, %zu)", pairs[i][0], pairs[i][1]);
        EXPECT_EQUAL(errno, ENOMEM);
    }
    void *block = subject_reallocarray(NULL, 10, 12);
    EXPECT(block != NULL);
    contents_fill(block, 120, 5);
    block = subject_reallocarray(block, 1000, 12);
    EXPECT(block != NULL);
    EXPECT_CONTENTS(block, 120, 5);
    contents_fill(block, 12000, 6);
    block = subject_reallocarray(block, 12, 30);
    EXPECT(block != NULL);
    EXPECT_CONTENTS(block, 360, 6);
    errno = EXDEV;
    EXPECT(subject_reallocarray(block, 0, 12) == NULL);
    EXPECT_EQUAL(errno, EXDEV);
    block = subject_reallocarray(NULL, 12, 0);
    EXPECT(block != NULL);
    EXPECT(subject_reallocarray(block, 12, 0) == NULL);
}

int main(int argc, char **argv)
{
    test_begin("realloc_test", argc, argv);
    null_and_zero();
    a_refusal_leaves_the_block();
    arrays();
    all_pairs_of_small_sizes();
    subject_audit();
    pairs_of_large_sizes();
    subject_audit();
    chains();
    one_byte_at_a_time();
    subject_audit();
    return test_passed("%zu pairs and steps", moves);
}
