/* SPDX-License-Identifier: MIT */
/*
 * Threads that end without a word, by the bare system call, against life.h and
 * arena.h: their heaps are found by whoever looks, and those of threads that
 * live are left alone.
 */
#include "reclaim_bench.h"

/* -- no word at the end -- */

static void *end_without_a_word(void *argument)
{
    const bool in_hand = *(bool *)argument;
    fill_slabs();
    scene.heap = thread.own;
    /* What is in hand goes with the thread's own data, or may. */
    if (!in_hand)
        thread_flush();
    (void)syscall(SYS_exit, 0);
    return NULL;
}

enum finder { BY_PURGE, BY_TICK, BY_REFILL, FINDERS };

struct end {
    enum finder finder;
    size_t size;
    bool in_hand;
};

static int reap(void *argument)
{
    struct end *end = argument;
    scene.cls = class_of(end->size);
    CHILD_EXPECT(API(malloc)(1) != NULL);
    thread_run(end_without_a_word, &end->in_hand);
    CHILD_EXPECT(!is_orphan(scene.heap) && scene.heap != thread.own);
    store_relaxed(&arena_main.swept_ms, 0);
    if (end->finder == BY_PURGE)
        arena_purge(&arena_main);
    else if (end->finder == BY_TICK)
        arena_tick(&arena_main);
    for (int i = 0; end->finder == BY_REFILL && i < 3000; i++)
        CHILD_EXPECT(API(malloc)(3000) != NULL);
    CHILD_EXPECT(is_orphan(scene.heap));
    CHILD_EXPECT(is_in_no_hand(scene.heap));
    API(audit_all)();
    expect_contents();
    if (end->finder == BY_REFILL)
        return 0;
    for (size_t i = 0; i < scene.count; i++)
        API(free)(scene.held[i]);
    (void)API(malloc_trim)(0);
    API(audit_all)();
    /* The survivor's one block. */
    if (!end->in_hand)
        CHILD_EXPECT(arena_main.pool.taken_bytes == SLICE_BYTES);
    return 0;
}

static void a_thread_that_ended_without_a_word_is_found(void **state)
{
    (void)state;
    for (enum finder finder = BY_PURGE; finder < FINDERS; finder++) {
        for (int how = 0; how < 4; how++) {
            struct end end = { finder, how & 1 ? 64 : 2048, how & 2 };
            child_passes(reap, &end);
        }
    }
}

/* One that lives is left alone, whoever asks and how often. */
static int reap_the_living(void *argument)
{
    (void)argument;
    begin_life(class_of(64));
    arena_purge(&arena_main);
    const size_t taken = arena_main.pool.taken_bytes;
    for (int i = 0; i < 10; i++) {
        store_relaxed(&arena_main.swept_ms, 0);
        arena_tick(&arena_main);
        arena_purge(&arena_main);
        CHILD_EXPECT(!is_orphan(scene.heap));
    }
    CHILD_EXPECT(arena_main.pool.taken_bytes == taken);
    CHILD_EXPECT(slab_heap(scene.slab[FULL_ONE]) == scene.heap);
    API(audit_all)();
    return 0;
}

static void one_that_lives_is_left_alone(void **state)
{
    (void)state;
    child_passes(reap_the_living, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_ended_without_a_word_is_found),
        cmocka_unit_test(one_that_lives_is_left_alone),
    };
    return cmocka_run_group_tests_name("reap", tests, NULL, NULL);
}
