/* SPDX-License-Identifier: MIT */
/*
 * Churn: threads are born and die holding blocks that others free.
 *
 * Goal: what a dead thread left is found, can be freed by anybody, and is used
 * again: thousands of threads cost no more than the few that live at once.
 * Method: each short thread fills some shared slots, frees what it finds
 * there (mostly of threads that are dead), and leaves with work still to do in
 * its destructors: those of C++ thread_local objects, which come first, and
 * those of thread-specific data, in several rounds, both allocating anew.
 */
#include "stress.h"

enum { SLOTS = 512, AT_ONCE = 8, BLOCKS = 24 };

/* What a compiler calls for a thread_local object with a destructor. */
int __cxa_thread_atexit_impl(void (*function)(void *), void *object,
                             void *library);
extern void *__dso_handle;

static _Atomic(struct marked *) slots[SLOTS];
static pthread_key_t key;
static atomic_size_t rounds_of_destructors;

static struct marked *swap(size_t slot, struct marked *block)
{
    return atomic_exchange_explicit(&slots[slot], block, memory_order_acq_rel);
}

static void leave(size_t slot, struct marked *block)
{
    block = swap(slot, block);
    if (block != NULL)
        marked_free(block);
}

static size_t churn_size(struct dice *dice)
{
    if (dice_below(dice, 100) == 0)
        return dice_between(dice, 60 * KIB, 80 * KIB);
    return dice_below(dice, dice_below(dice, 10) == 0 ? 10000 : 600);
}

/* The value is a block whose seed says how many rounds are to come. */
static void key_destructor(void *value)
{
    struct marked *block = (struct marked *)value;
    const uint64_t rounds = block->seed % DESTRUCTOR_ROUNDS;
    const size_t size = block->size;
    atomic_fetch_add_explicit(&rounds_of_destructors, 1, memory_order_relaxed);
    leave(size % SLOTS, block);
    if (rounds != 0) {
        struct marked *next = marked_take(size + 40, rounds - 1);
        EXPECT_EQUAL(pthread_setspecific(key, next), 0);
    }
}

static void object_destructor(void *object)
{
    struct marked *block = (struct marked *)object;
    struct marked *another = marked_take(block->size + 1, block->seed + 1);
    marked_free(block);
    leave(another->size % SLOTS, another);
}

static void *short_life(void *argument)
{
    struct dice dice = {mixed((uint64_t)(uintptr_t)argument)};
    for (size_t i = 0; i < BLOCKS; i++) {
        struct marked *block = marked_take(churn_size(&dice),
                                           dice_next(&dice));
        leave(dice_below(&dice, SLOTS), block);
    }
    if (dice_below(&dice, 2) == 0) {
        struct marked *value = marked_take(dice_below(&dice, 4000),
                                           dice_next(&dice));
        EXPECT_EQUAL(pthread_setspecific(key, value), 0);
    }
    if (dice_below(&dice, 2) == 0) {
        struct marked *object = marked_take(dice_below(&dice, 4000),
                                            dice_next(&dice));
        EXPECT_EQUAL(__cxa_thread_atexit_impl(object_destructor, object,
                                              &__dso_handle), 0);
    }
    return NULL;
}

/* A thread that only frees. */
static void *only_frees(void *argument)
{
    struct dice dice = {mixed((uint64_t)(uintptr_t)argument)};
    for (size_t i = 0; i < BLOCKS; i++)
        leave(dice_below(&dice, SLOTS), NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    struct crew crew = {.count = 0};
    size_t born = 0;
    test_begin("churn", argc, argv);
    EXPECT_EQUAL(pthread_key_create(&key, key_destructor), 0);
    const unsigned waves = test.ops != 0 ? (unsigned)test.ops
                                         : test_scaled(750, 6);
    for (unsigned wave = 0; test_more(wave, waves); wave++) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            const uintptr_t seed = (uintptr_t)(test.seed * 1000000 + born++);
            crew_add(&crew, i == 7 ? only_frees : short_life, (void *)seed);
        }
        crew_join(&crew);
        if (wave % 64 == 0)
            subject_audit();
    }
    for (size_t i = 0; i < SLOTS; i++)
        leave(i, NULL);
    subject_audit();
    EXPECT(atomic_load(&rounds_of_destructors) > born / 2);
    /* At most about 2 MB live at once, and eight stacks; a heap leaked by
     * each of thousands of threads would be hundreds, and slabs that nobody
     * finds again are tens. */
    const size_t peak = peak_resident_bytes();
    if (!SUBJECT_SANITIZED)
        EXPECT_AT_MOST(peak, subject_is_ashlar() ? 20 * MIB : 48 * MIB);
    return test_passed("%zu threads, peak resident %zu KiB", born, peak / KIB);
}
