/* SPDX-License-Identifier: MIT */
/*
 * malloc alone: goal and method.
 *
 * Every size must give a block that is the caller's own: aligned, writable to
 * its last byte, apart from all others, and unchanged until it is freed.  The
 * sweep keeps a ring of blocks alive, so that two that overlap spoil each
 * other's contents.  What cannot be given is refused with ENOMEM.
 */
#include "../expect.h"

enum { RING = 16 };

struct held {
    unsigned char *ptr;
    size_t size;
    uint64_t seed;
    bool sparse;
};

static struct held ring[RING];
static size_t sweep_count;

static void let_go(struct held *held)
{
    if (held->ptr == NULL)
        return;
    if (held->sparse)
        EXPECT_SPARSE(held->ptr, held->size, held->size, held->seed);
    else
        EXPECT_CONTENTS(held->ptr, held->size, held->seed);
    subject_free(held->ptr);
    held->ptr = NULL;
}

static void expect_natural_alignment(void *ptr, size_t size)
{
    EXPECT_ALIGNED(ptr, subject_natural_alignment(ptr, size));
}

static void hold(size_t size)
{
    struct held *held = &ring[sweep_count % RING];
    let_go(held);
    held->ptr = (unsigned char *)subject_malloc(size);
    EXPECT_THAT(held->ptr != NULL, "malloc(%zu)", size);
    expect_natural_alignment(held->ptr, size);
    held->size = size;
    held->seed = mixed(test.seed + sweep_count);
    held->sparse = size > 128 * KIB;
    if (held->sparse)
        sparse_fill(held->ptr, size, held->seed);
    else
        contents_fill(held->ptr, size, held->seed);
    sweep_count++;
}

static void let_all_go(void)
{
    for (size_t i = 0; i < RING; i++)
        let_go(&ring[i]);
}

static void size_zero_is_unique_and_freeable(void)
{
    enum { COUNT = 500 };
    void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = subject_malloc(0);
        EXPECT(blocks[i] != NULL);
        EXPECT_ALIGNED(blocks[i], 8);
        for (size_t j = 0; j < i; j++)
            EXPECT(blocks[j] != blocks[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        subject_free(blocks[i]);
}

static void what_cannot_be_is_refused(void)
{
    const size_t half = (size_t)PTRDIFF_MAX;
    const size_t sizes[] = {half + 1, half + 4096, SIZE_MAX - 65536,
                            SIZE_MAX - 4096, SIZE_MAX - 16, SIZE_MAX - 1,
                            SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        EXPECT_THAT(subject_malloc(sizes[i]) == NULL, "%zu", sizes[i]);
        EXPECT_EQUAL(errno, ENOMEM);
    }
    /* Legal to ask for, but more than any address space has. */
    for (size_t back = 0; back < 65536; back += 4095) {
        errno = 0;
        EXPECT_THAT(subject_malloc(half - back) == NULL, "%zu", half - back);
        EXPECT_EQUAL(errno, ENOMEM);
    }
    void *after = subject_malloc(100);
    EXPECT(after != NULL);
    subject_free(after);
}

static void every_small_size(void)
{
    const size_t fine = test_scaled(2048, 8);
    for (size_t size = 0; size <= fine; size++)
        hold(size);
    for (size_t size = fine; size <= 70000; size += test_scaled(17, 17) * 17)
        hold(size);
    for (size_t size = 70000; size > 61; size -= 61)
        hold(size);
    let_all_go();
}

static void every_page_boundary(void)
{
    const size_t step = SUBJECT_SANITIZED ? 16 : 1;
    for (size_t pages = 1; pages <= 5 * MIB / 4096; pages += step) {
        hold(pages * 4096 - 1);
        hold(pages * 4096);
        hold(pages * 4096 + 1);
    }
    const size_t edges[] = {64 * KIB, 128 * KIB, 2 * MIB, 4 * MIB, 32 * MIB};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (size_t off = 0; off <= 32; off++)
            hold(edges[i] + off - 16);
    let_all_go();
}

/* Blocks of one size, all alive at once, are apart from each other. */
static void many_of_one_size(void)
{
    const size_t sizes[] = {1, 8, 16, 24, 48, 100, 512, 1025, 4000, 20000,
                            60000, 66000, 300000};
    void **blocks = (void **)test_map(20000 * sizeof(void *));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t size = sizes[i];
        size_t count = 16 * MIB / size;
        const size_t most = test_scaled(20000, 8);
        count = count > most ? most : count;
        for (size_t j = 0; j < count; j++) {
            blocks[j] = subject_malloc(size);
            EXPECT(blocks[j] != NULL);
            contents_fill(blocks[j], size, mixed(j));
        }
        for (size_t j = 0; j < count; j++)
            EXPECT_CONTENTS(blocks[j], size, mixed(j));
        for (size_t j = 0; j < count; j++)
            subject_free(blocks[j * 7919 % count]);
        subject_audit();
    }
    munmap(blocks, 20000 * sizeof(void *));
}

int main(int argc, char **argv)
{
    test_begin("malloc_test", argc, argv);
    size_zero_is_unique_and_freeable();
    what_cannot_be_is_refused();
    every_small_size();
    subject_audit();
    every_page_boundary();
    subject_audit();
    many_of_one_size();
    return test_passed("%zu sizes swept", sweep_count);
}
