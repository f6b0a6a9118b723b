/* SPDX-License-Identifier: MIT */
/*
 * The life of a thread against thread.h: before its first request, at its
 * birth, at its death, after it, and where no exit call can be had. Each test
 * runs its thread to the end; what the thread saw is judged afterwards.
 */
#include "bench.h"

struct seen {
    bool unborn;                /* nothing in hand before the first request */
    bool alive;
    bool birth_by_free;         /* a free made a heap */
    bool empty_after_death;
    bool dead;
    bool after_death_shared;    /* served by the shared heap */
    bool contents_after_death;
    int destructor_calls;
    struct heap *heap;
    void *block[4];
};

static bool nothing_in_hand(void)
{
    return hands_are_empty() && thread.heap == NULL && thread.own == NULL
        && thread.self == OWNER_UNBORN;
}

/* T2: every shelf's blocks are of the shelf's class. */
static bool shelves_hold_their_class(void)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (struct block *at = thread.shelf[cls]; at; at = at->next) {
            const struct heap_place place = heap_find(at);
            if (place.owner != thread.self
                || slab_of(place.extent)->cls != cls)
                return false;
        }
    }
    return true;
}

static void *be_born(void *argument)
{
    struct seen *seen = argument;
    seen->unborn = nothing_in_hand() && thread.stage == THREAD_UNBORN;
    API(free)(NULL);
    seen->birth_by_free = thread.heap != NULL;
    for (size_t size = 1; size <= CLASS_BYTES_MAX; size += size / 8 + 1)
        API(free)(API(malloc)(size));
    seen->heap = thread.heap;
    seen->alive = thread.stage == THREAD_ALIVE && thread.heap != NULL
        && thread.self == (uintptr_t)thread.heap
        && thread.own == thread.heap && !is_orphan(thread.heap)
        && thread.heap->thread == &thread && shelves_hold_their_class();
    return NULL;
}

static void a_thread_is_born_by_its_first_request(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    thread_run(be_born, &seen);
    assert_true(seen.unborn);
    assert_false(seen.birth_by_free);
    assert_true(seen.alive);
    assert_true(is_orphan(seen.heap));
    assert_null(seen.heap->thread);
    API(audit_all)();
}

static void *use_and_leave(void *argument)
{
    struct seen *seen = argument;
    for (int i = 0; i < 2000; i++)
        API(free)(API(malloc)((size_t)i % 700 + 1));
    API(free)(API(malloc)(200 * KiB));
    seen->heap = thread.heap;
    return NULL;
}

static void a_dead_thread_leaves_nothing_in_hand(void **state)
{
    (void)state;
    (void)API(malloc_trim)(0);
    const size_t taken = arena_main.pool.taken_bytes;
    struct seen seen = { 0 };
    thread_run(use_and_leave, &seen);
    /* What is in its chains anybody can take, and the pool knows of it. */
    const struct kept *kept = &seen.heap->kept;
    assert_int_equal(arena_main.pool.taken_bytes, taken + chain_bytes(kept));
    assert_int_equal(arena_main.pool.leased_bytes,
        load_relaxed(&kept->lease_bytes));
    assert_true(chain_bytes(kept) <= load_relaxed(&kept->lease_bytes));
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        assert_null(seen.heap->bin[cls].shelf);
        assert_int_equal(seen.heap->bin[cls].handed,
            seen.heap->bin[cls].folded);
    }
    assert_int_equal(seen.heap->kept.hand_slices, 0);
    assert_true(is_orphan(seen.heap));
    API(audit_all)();
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, taken);
    assert_int_equal(arena_main.pool.leased_bytes, 0);
}

/* -- after death -- */

static pthread_key_t late_key;

/* Called again and again until our own exit call has come: the C library
 * repeats the round a few times while a key has a value. */
static void late_destructor(void *argument)
{
    struct seen *seen = argument;
    seen->destructor_calls++;
    if (thread.stage != THREAD_DEAD) {
        if (seen->destructor_calls < PTHREAD_DESTRUCTOR_ITERATIONS)
            (void)pthread_setspecific(late_key, seen);
        return;
    }
    seen->dead = true;
    seen->empty_after_death = nothing_in_hand();
    static const size_t sizes[4] = { 40, 5000, 100 * KiB, 5 * MiB };
    seen->contents_after_death = true;
    for (int i = 0; i < 4; i++) {
        /* What the living thread left is freed, something new is taken. */
        API(free)(seen->block[i]);
        seen->block[i] = API(calloc)(1, sizes[i]);
        if (seen->block[i] == NULL)
            seen->contents_after_death = false;
        else
            memset(seen->block[i], i + 1, sizes[i]);
        API(free)(API(malloc)(sizes[i]));
    }
    seen->block[0] = API(realloc)(seen->block[0], 30);
    seen->after_death_shared =
        owner_of(seen->block[0]) == (uintptr_t)arena_main.shared
        && owner_of(seen->block[1]) == (uintptr_t)arena_main.shared;
    /* Still dead: no second birth, for nobody would see its end. */
    seen->empty_after_death &= nothing_in_hand()
        && thread.stage == THREAD_DEAD;
}

static void *live_and_return_late(void *argument)
{
    struct seen *seen = argument;
    (void)pthread_setspecific(late_key, seen);
    seen->block[0] = API(malloc)(100);
    seen->block[1] = API(malloc)(60000);
    seen->block[2] = API(malloc)(300 * KiB);
    seen->block[3] = API(malloc)(9 * MiB);
    return NULL;
}

static void a_dead_thread_still_allocates_and_frees(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    struct seen seen = { 0 };
    thread_run(live_and_return_late, &seen);
    assert_true(seen.dead);
    assert_true(seen.empty_after_death);
    assert_true(seen.contents_after_death);
    assert_true(seen.after_death_shared);
    assert_int_equal(((char *)seen.block[0])[29], 1);
    assert_int_equal(((char *)seen.block[3])[5 * MiB - 1], 4);
    for (int i = 0; i < 4; i++)
        API(free)(seen.block[i]);
    API(audit_all)();
    (void)API(malloc_trim)(0);
    API(audit_all)();
    assert_int_equal(pthread_key_delete(late_key), 0);
}

/* -- no exit call -- */

static int thread_without_exit_call(void *argument)
{
    (void)argument;
    fail_calls(1u << SYS_THREAD_EXIT);
    struct seen seen = { 0 };
    thread_run(be_born, &seen);
    CHILD_EXPECT(load_relaxed(&sys_fault.calls) == 1);
    CHILD_EXPECT(seen.alive);
    /* Nobody was told that it ended: its heap is nobody else's. */
    CHILD_EXPECT(!is_orphan(seen.heap));
    CHILD_EXPECT(API(malloc)(10) != NULL);
    CHILD_EXPECT(thread.heap != seen.heap);
    API(audit_all)();
    /* The kernel knows, and a purge asks. */
    (void)API(malloc_trim)(0);
    CHILD_EXPECT(is_orphan(seen.heap));
    API(audit_all)();
    return 0;
}

static void without_an_exit_call_the_heap_stays_until_a_purge(void **state)
{
    (void)state;
    child_passes(thread_without_exit_call, NULL);
}

/* No memory for a heap: the shared one serves, and later requests try anew. */
static int thread_without_heap(void *argument)
{
    (void)argument;
    void *early = arena_take_shared(&arena_main, 0);
    CHILD_EXPECT(early != NULL);
    fail_calls(1u << SYS_RESERVE);
    while (meta_take(64) != NULL)
        continue;
    char *block = API(malloc)(50);
    CHILD_EXPECT(block != NULL);
    CHILD_EXPECT(thread.heap == NULL && thread.stage == THREAD_UNBORN);
    CHILD_EXPECT(owner_of(block) == (uintptr_t)arena_main.shared);
    memset(block, 1, 50);
    API(free)(block);
    char *run = API(malloc)(100 * KiB);
    CHILD_EXPECT(run != NULL && owner_of(run) == OWNER_RUN);
    API(free)(run);
    API(audit_all)();
    fail_no_calls();
    block = API(malloc)(50);
    CHILD_EXPECT(thread.heap != NULL);
    CHILD_EXPECT(owner_of(block) == (uintptr_t)thread.heap);
    API(free)(block);
    API(free)(early);
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void without_a_heap_the_shared_one_serves(void **state)
{
    (void)state;
    child_passes(thread_without_heap, NULL);
}

/* ld.so may call before it has set up thread-local data: self is 0 then. */
static int thread_before_its_data(void *argument)
{
    (void)argument;
    thread.self = 0;
    char *block = API(malloc)(50);
    CHILD_EXPECT(block != NULL);
    CHILD_EXPECT(thread.heap == NULL && thread.self == 0);
    API(free)(block);
    CHILD_EXPECT(API(realloc)(NULL, 200) != NULL);
    thread.self = OWNER_UNBORN;
    CHILD_EXPECT(API(malloc)(50) != NULL && thread.heap != NULL);
    API(audit_all)();
    return 0;
}

static void before_its_data_is_set_up_a_thread_is_served(void **state)
{
    (void)state;
    child_passes(thread_before_its_data, NULL);
}

/* -- very many threads -- */

enum { CROWD = 20, CROWD_BLOCKS = 4 };

struct crowd {
    pthread_barrier_t all_there;
    pthread_mutex_t turn;
    int shared;                 /* of the first blocks of the last thread */
    int born;
};

static void *join_crowd(void *argument)
{
    struct crowd *crowd = argument;
    void *block[CROWD_BLOCKS];
    (void)pthread_mutex_lock(&crowd->turn);
    const bool last = ++crowd->born == CROWD;
    int shared = 0;
    for (int i = 0; i < CROWD_BLOCKS; i++) {
        block[i] = API(malloc)(700);
        memset(block[i], 1, 700);
        const bool of_all = owner_of(block[i]) == (uintptr_t)arena_main.shared;
        /* The first are shared, and none after one that is not. */
        shared += of_all && shared == i;
    }
    if (last)
        crowd->shared = shared;
    (void)pthread_mutex_unlock(&crowd->turn);
    (void)pthread_barrier_wait(&crowd->all_there);
    for (int i = 0; i < CROWD_BLOCKS; i++)
        API(free)(block[i]);
    return NULL;
}

static int gather(void *argument)
{
    (void)argument;
    static struct crowd crowd = { .turn = PTHREAD_MUTEX_INITIALIZER };
    CHILD_EXPECT(pthread_barrier_init(&crowd.all_there, NULL, CROWD) == 0);
    pthread_t threads[CROWD];
    threads_begin(threads, CROWD, join_crowd, &crowd);
    threads_end(threads, CROWD);
    CHILD_EXPECT(crowd.shared == 2);
    /* All have ended: one more is one of few, and on its own. */
    crowd.born = CROWD - 1;
    CHILD_EXPECT(pthread_barrier_init(&crowd.all_there, NULL, 1) == 0);
    thread_run(join_crowd, &crowd);
    CHILD_EXPECT(crowd.shared == 0);
    API(audit_all)();
    return 0;
}

static void of_very_many_threads_each_shares_its_first_blocks(void **state)
{
    (void)state;
    child_passes(gather, NULL);
}

static void a_flush_empties_the_shelves(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 60000; size += size / 2 + 1)
        API(free)(API(malloc)(size));
    thread_flush();
    assert_non_null(thread.heap);
    assert_true(hands_are_empty());
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        assert_null(thread.heap->bin[cls].shelf);
    assert_int_equal(thread.heap->kept.hand_slices, 0);
    API(audit_all)();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            without_an_exit_call_the_heap_stays_until_a_purge),
        cmocka_unit_test(without_a_heap_the_shared_one_serves),
        cmocka_unit_test(before_its_data_is_set_up_a_thread_is_served),
        cmocka_unit_test(a_thread_is_born_by_its_first_request),
        cmocka_unit_test(a_dead_thread_leaves_nothing_in_hand),
        cmocka_unit_test(a_dead_thread_still_allocates_and_frees),
        cmocka_unit_test(a_flush_empties_the_shelves),
        cmocka_unit_test(of_very_many_threads_each_shares_its_first_blocks),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
