/* SPDX-License-Identifier: MIT */
/*
 * free, free_sized, free_aligned_sized: goal and method.
 *
 * NULL is accepted by all three.  errno is the caller's: whatever it held
 * before is there after, also when a large block goes back to the system.
 * Blocks may be freed late: by atexit handlers and by destructors of
 * thread-specific data.  A block that was freed is used again: freeing in any
 * order does not make the process grow.
 */
#include "../expect.h"

#include <pthread.h>

enum { LATE = 64 };

static void *late_blocks[LATE];
static pthread_key_t late_key;

static void null_is_accepted(void)
{
    const size_t sizes[] = {0, 1, 8, 100, 65536, 5 * MIB, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = EXDEV;
        subject_free(NULL);
        subject_free_sized(NULL, sizes[i]);
        subject_free_aligned_sized(NULL, 16, sizes[i]);
        subject_free_aligned_sized(NULL, 4096, sizes[i]);
        EXPECT_EQUAL(errno, EXDEV);
    }
    /* NULL was not taken for a block. */
    for (size_t i = 0; i < 100; i++) {
        late_blocks[0] = subject_malloc(8);
        EXPECT(late_blocks[0] != NULL);
        subject_free(late_blocks[0]);
    }
}

static void errno_is_kept(void)
{
    const size_t sizes[] = {0,         1,           48,      1000,   33000,
                            64 * KIB,  64 * KIB + 1, 200000,  1 * MIB,
                            4 * MIB - 1, 4 * MIB + 1, 5 * MIB, 40 * MIB,
                            100 * MIB};
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const size_t size = sizes[i];
            void *first = subject_malloc(size);
            void *second = subject_malloc(size);
            void *third = subject_aligned_alloc(64, size);
            EXPECT(first != NULL && second != NULL && third != NULL);
            sparse_fill(first, size, 1);
            sparse_fill(second, size, 2);
            sparse_fill(third, size, 3);
            errno = -123456;
            subject_free(first);
            EXPECT_EQUAL(errno, -123456);
            subject_free_sized(second, size);
            EXPECT_EQUAL(errno, -123456);
            subject_free_aligned_sized(third, 64, size);
            EXPECT_EQUAL(errno, -123456);
            errno = 0;
            subject_free(subject_malloc(size));
            subject_free_sized(subject_malloc(size), size);
            EXPECT_EQUAL(errno, 0);
        }
    }
}

/* Frees in order, backwards, shuffled and by halves: memory is used again. */
static void any_order_is_reused(void)
{
    enum { COUNT = 4000 };
    void **blocks = (void **)test_map(COUNT * sizeof(void *));
    const size_t sizes[] = {16, 80, 700, 3000};
    const unsigned rounds = test_scaled(40, 8);
    const size_t before = resident_bytes();
    for (unsigned round = 0; round < rounds; round++) {
        const size_t size = sizes[round % 4];
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = subject_malloc(size);
            EXPECT(blocks[i] != NULL);
            contents_fill(blocks[i], size, i);
        }
        for (size_t i = 0; i < COUNT; i++) {
            const size_t which = round % 3 == 0   ? i
                                 : round % 3 == 1 ? COUNT - 1 - i
                                                  : i * 1999 % COUNT;
            EXPECT_CONTENTS(blocks[which], size, which);
            subject_free(blocks[which]);
        }
    }
    /* Live at most 12 MB; without reuse it would be 150 MB. */
    if (!SUBJECT_SANITIZED)
        EXPECT_AT_MOST(resident_bytes(), before + 50 * MIB);
    munmap(blocks, COUNT * sizeof(void *));
}

static void destructor(void *value)
{
    void **blocks = (void **)value;
    for (size_t i = 0; i < LATE; i++) {
        EXPECT_CONTENTS(blocks[i], 10 * i, i);
        errno = EXDEV;
        subject_free(blocks[i]);
        EXPECT_EQUAL(errno, EXDEV);
    }
    subject_free(blocks);
}

static void *dies_with_blocks(void *unused)
{
    void **blocks = (void **)subject_malloc(LATE * sizeof(void *));
    EXPECT(blocks != NULL);
    for (size_t i = 0; i < LATE; i++) {
        blocks[i] = subject_malloc(10 * i);
        EXPECT(blocks[i] != NULL);
        contents_fill(blocks[i], 10 * i, i);
    }
    EXPECT_EQUAL(pthread_setspecific(late_key, blocks), 0);
    return unused;
}

static void freed_by_destructors(void)
{
    EXPECT_EQUAL(pthread_key_create(&late_key, destructor), 0);
    for (unsigned round = 0; round < test_scaled(200, 4); round++) {
        pthread_t thread;
        EXPECT_EQUAL(pthread_create(&thread, NULL, dies_with_blocks, NULL), 0);
        EXPECT_EQUAL(pthread_join(thread, NULL), 0);
    }
    EXPECT_EQUAL(pthread_key_delete(late_key), 0);
}

static void at_exit(void)
{
    for (size_t i = 0; i < LATE; i++) {
        EXPECT_CONTENTS(late_blocks[i], i * i * 30, i);
        errno = EXDEV;
        subject_free(late_blocks[i]);
        EXPECT_EQUAL(errno, EXDEV);
    }
    void *block = subject_malloc(5 * MIB);
    EXPECT(block != NULL);
    subject_free(block);
}

int main(int argc, char **argv)
{
    test_begin("free_test", argc, argv);
    EXPECT(!subject_is_ashlar() || subject_has_sized_free());
    null_is_accepted();
    errno_is_kept();
    any_order_is_reused();
    freed_by_destructors();
    subject_audit();
    for (size_t i = 0; i < LATE; i++) {
        late_blocks[i] = subject_malloc(i * i * 30);
        EXPECT(late_blocks[i] != NULL);
        contents_fill(late_blocks[i], i * i * 30, i);
    }
    EXPECT_EQUAL(atexit(at_exit), 0);
    return test_passed("errno kept to 100 MiB, freed late");
}
