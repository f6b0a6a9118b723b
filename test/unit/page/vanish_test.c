/* SPDX-License-Identifier: MIT */
/*
 * Goal: as prefix_test, where a thread really vanishes: with the hook of fork,
 * and without. Method: random operations on a pool in a second thread while
 * this one forks, at instants that the machine chooses; each child closes the
 * books (books.h).
 */
#include "unit/page/books.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FORKS = 200 };

static _Atomic bool enough;

static void live_resize(struct held *held, struct dice *dice)
{
    struct extent *extent = held->extent;
    const size_t slices = dice_between(dice, 1, 12);
    held->extent = NULL;
    if (extent->region == NULL)
        (void)!pool_remap(extent, slices * SLICE_BYTES);
    else if (slices < extent->slices)
        pool_shrink(extent, slices);
    else if (slices == extent->slices || !pool_grow(extent, slices))
        extent->touched = extent->slices;
    if (extent->region != NULL)
        extent->bytes = extent->slices * SLICE_BYTES;
    fill(held, extent, dice_next(dice));
}

static void live_step(struct held *held, struct dice *dice)
{
    struct extent *extent = held->extent;
    if (extent == NULL) {
        const size_t slices = dice_between(dice, 1, 8);
        extent = dice_below(dice, 4) != 0 ? pool_take(&pool, slices, 1)
            : pool_map(&pool, slices * SLICE_BYTES, 1);
        if (extent != NULL)
            fill(held, extent, dice_next(dice));
    } else if (dice_below(dice, 3) == 0) {
        live_resize(held, dice);
    } else {
        held->extent = NULL;
        if (extent->region != NULL)
            pool_give(extent);
        else
            pool_unmap(extent);
    }
}

static void *live_at_random(void *argument)
{
    struct dice dice = { 5 };
    while (!load_relaxed(&enough)) {
        const int i = (int)dice_below(&dice, HELD);
        store_relaxed(&books.busy, i);
        COMPILER_BARRIER();
        live_step(&books.held[i], &dice);
        COMPILER_BARRIER();
        store_relaxed(&books.busy, -1);
        if (dice_below(&dice, 100) == 0)
            pool_purge(&pool);
        if (dice_below(&dice, 100) == 0)
            pool_set_dirty_decay_ms(&pool, dice_below(&dice, 2) ? -1 : 0);
    }
    return argument;
}

static pid_t child_of(bool bare)
{
    return bare ? (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)
        : fork();
}

/* The hook would have raised the generation already. */
static void check_after(bool bare)
{
    EXPECT(fork_is_told() != bare);
    if (!bare)
        EXPECT(fork_generation() == 1);
    check();
}

static void vanish_at_random(void **state)
{
    (void)state;
    struct dice dice = { 6 };
    books.lost_slices_max = 20;
    store_relaxed(&enough, false);
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, live_at_random, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        for (size_t wait = dice_below(&dice, 3000); wait > 0; wait--)
            COMPILER_BARRIER();
        const bool bare = dice_below(&dice, 2) != 0;
        const pid_t child = child_of(bare);
        if (child == 0) {
            (void)alarm(UNIT_CHILD_SECONDS);
            check_after(bare);
            _exit(0);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    store_relaxed(&enough, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pool_audit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(vanish_at_random, begin, end),
    };
    /* Which does not support children of processes with threads. */
    if (SUBJECT_TSAN)
        return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
