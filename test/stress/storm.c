/* SPDX-License-Identifier: MIT */
/*
 * Storm: every thread allocates, frees and resizes everybody's blocks.
 *
 * Goal: whoever frees or resizes a block, and in whatever order, contents stay
 * whole.  Method: a table of slots, each a marked block or empty.  A thread
 * swaps something into a slot and owns what came out: it checks all of it,
 * then frees it, resizes it and puts it back, or moves it elsewhere.
 */
#include "stress.h"

enum { SLOTS = 1024, THREADS = 4 };

static _Atomic(struct marked *) slots[SLOTS];
static atomic_size_t operations;

struct task {
    size_t count;
    uint64_t seed;
};

/* Acquire and release pair with the same swap in another thread: who gets a
 * block sees all that was written into it. */
static struct marked *swap(size_t slot, struct marked *block)
{
    return atomic_exchange_explicit(&slots[slot], block, memory_order_acq_rel);
}

static struct marked *resized(struct marked *block, struct dice *dice)
{
    const size_t old = block->size;
    const uint64_t seed = block->seed;
    size_t size = dice_below(dice, 2) == 0
                      ? marked_size(dice)
                      : old / 2 + dice_below(dice, old + 1);
    size = size < sizeof *block ? sizeof *block : size;
    size = size > MIB ? MIB : size;
    block = (struct marked *)subject_realloc(block, size);
    EXPECT_THAT(block != NULL, "%zu to %zu", old, size);
    EXPECT_EQUAL(block->size, old);
    EXPECT_EQUAL(block->seed, seed);
    const size_t kept = old < size ? old : size;
    EXPECT_CONTENTS(block + 1, kept - sizeof *block, seed);
    mark(block, size, dice_next(dice));
    return block;
}

static void finish(struct marked *block, struct dice *dice)
{
    if (block == NULL)
        return;
    marked_check(block);
    switch (dice_below(dice, 8)) {
    case 0:
    case 1:
        block = swap(dice_below(dice, SLOTS), resized(block, dice));
        if (block != NULL)
            marked_free(block);
        return;
    case 2:
        block = swap(dice_below(dice, SLOTS), block);
        if (block != NULL)
            marked_free(block);
        return;
    case 3:
        subject_free_sized(block, block->size);
        return;
    default:
        subject_free(block);
        return;
    }
}

static void *work(void *argument)
{
    const struct task *task = (const struct task *)argument;
    struct dice dice = {task->seed};
    for (size_t i = 0; i < task->count; i++) {
        struct marked *block = NULL;
        if (dice_below(&dice, 8) != 0)
            block = marked_take(marked_size(&dice), dice_next(&dice));
        finish(swap(dice_below(&dice, SLOTS), block), &dice);
        /* Something of its own as well: the thread's quick path. */
        marked_free(marked_take(dice_below(&dice, 200), i));
    }
    atomic_fetch_add(&operations, task->count);
    return NULL;
}

int main(int argc, char **argv)
{
    struct crew crew = {.count = 0};
    struct task tasks[THREADS];
    test_begin("storm", argc, argv);
    const size_t count = test.ops != 0 ? test.ops : test_scaled(80000, 16);
    for (unsigned round = 0; test_more(round, 3); round++) {
        for (size_t i = 0; i < THREADS; i++) {
            tasks[i].count = count;
            tasks[i].seed = mixed(test.seed + round * 100 + i);
            crew_add(&crew, work, &tasks[i]);
        }
        crew_join(&crew);
        subject_audit();
        for (size_t i = 0; i < SLOTS; i++) {
            struct marked *left = swap(i, NULL);
            if (left != NULL)
                marked_free(left);
        }
        subject_audit();
    }
    return test_passed("%zu operations in %d threads",
                       atomic_load(&operations), THREADS);
}
