/* SPDX-License-Identifier: MIT */
/*
 * Goal: a lock excludes, puts to sleep and wakes (L1), survives the loss of
 * its holder in fork, and in debug builds refuses the wrong order (L2).
 * Method: threads that count without atomics, words looked at in every state,
 * a real fork while another thread holds the lock, and every pair of ranks.
 * Where a fork is only pretended, the generation is raised.
 */
#include "unit/sys/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "sys/lock.h"

enum { HELD = 1, WAITERS = 2, FLAGS = 3, THREADS = 4, TURNS = 50000 };

static struct {
    struct lock lock;
    uint64_t count;             /* under the lock */
    _Atomic uint32_t arrived;
    _Atomic bool let_go;
} shared;

static int begin(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof shared);
    return 0;
}

static uint32_t word_now(void)
{
    return load_relaxed(&shared.lock.word);
}

/* As if this process were a child of itself. */
static void forget_all(void)
{
    add_relaxed(&fork_state.generation, 1);
}

static void sleep_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static void word_says_held_and_free(void **state)
{
    (void)state;
    assert_int_equal(word_now(), 0);                        /* L1 */
    lock_take(&shared.lock);
    assert_int_equal(word_now() & FLAGS, HELD);             /* L1 */
    lock_give(&shared.lock);
    assert_int_equal(word_now(), 0);                        /* L1 */
}

static void try_takes_only_what_is_free(void **state)
{
    (void)state;
    assert_true(lock_try(&shared.lock));
    assert_false(lock_try(&shared.lock));
    assert_int_equal(word_now() & FLAGS, HELD);
    lock_give(&shared.lock);
    assert_true(lock_try(&shared.lock));
    lock_give(&shared.lock);
}

static void *count_turns(void *argument)
{
    const uintptr_t by_trying = (uintptr_t)argument & 1;
    for (int i = 0; i < TURNS; i++) {
        if (!by_trying || !lock_try(&shared.lock))
            lock_take(&shared.lock);
        shared.count++;
        lock_give(&shared.lock);
    }
    return NULL;
}

static void threads_exclude_each_other(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, count_turns, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.count, THREADS * TURNS);
    assert_int_equal(word_now(), 0);
}

static void *pass_through(void *argument)
{
    add_relaxed(&shared.arrived, 1);
    lock_take(&shared.lock);
    shared.count++;
    sleep_ms(1);
    lock_give(&shared.lock);
    return argument;
}

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Waiters announce themselves, sleep, and are woken one after another. */
static void waiters_sleep_and_are_all_woken(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    lock_take(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, pass_through, NULL), 0);
    while (load_relaxed(&shared.arrived) < THREADS || !(word_now() & WAITERS))
        sleep_ms(1);
    sleep_ms(20);
    const double before = cpu_seconds();
    sleep_ms(50);
    assert_true(cpu_seconds() - before < 0.025);
    assert_int_equal(shared.count, 0);
    assert_int_equal(word_now() & FLAGS, HELD | WAITERS);   /* L1 */

    lock_give(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.count, THREADS);
    assert_int_equal(word_now(), 0);
}

static void keeps_errno(void **state)
{
    (void)state;
    errno = 77;
    lock_take(&shared.lock);
    /* A wait that ends at once, because the word is another. */
    sys_wait(&shared.lock.word, ~word_now());
    lock_give(&shared.lock);
    sys_wake_one(&shared.lock.word);
    assert_int_equal(errno, 77);
}

/* -- fork -- */

static void *take_and_vanish(void *argument)
{
    lock_take(&shared.lock);
    return argument;
}

static void what_a_vanished_thread_held_is_free_again(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take_and_vanish, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    const uint32_t stale = word_now();
    assert_false(lock_try(&shared.lock));

    forget_all();
    assert_true(lock_try(&shared.lock));
    assert_int_equal(word_now() & FLAGS, HELD);
    assert_true((word_now() & ~(uint32_t)FLAGS)
        != (stale & ~(uint32_t)FLAGS));                     /* L1 */
    assert_false(lock_try(&shared.lock));
    lock_give(&shared.lock);
    assert_int_equal(word_now(), 0);
}

/* Whoever takes over learns it, until somebody says that all is well. */
static void a_lock_taken_over_is_broken_until_mended(void **state)
{
    (void)state;
    lock_take(&shared.lock);
    assert_false(lock_is_broken(&shared.lock));
    forget_all();
    lock_take(&shared.lock);
    assert_true(lock_is_broken(&shared.lock));              /* L3 */
    lock_give(&shared.lock);
    assert_true(lock_try(&shared.lock));
    assert_true(lock_is_broken(&shared.lock));              /* L3 */
    lock_mend(&shared.lock);
    assert_false(lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
    lock_take(&shared.lock);
    assert_false(lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
    forget_all();
    lock_take(&shared.lock);
    assert_false(lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
}

/* One that vanishes while it mends leaves the lock broken. */
static void mending_that_is_cut_short_is_begun_again(void **state)
{
    (void)state;
    lock_take(&shared.lock);
    forget_all();
    lock_take(&shared.lock);
    lock_mend(&shared.lock);
    forget_all();
    lock_take(&shared.lock);
    assert_true(lock_is_broken(&shared.lock));              /* L3 */
    lock_mend(&shared.lock);
    lock_give(&shared.lock);
}

static void forgetting_leaves_free_locks_free(void **state)
{
    (void)state;
    forget_all();
    assert_int_equal(word_now(), 0);
    lock_take(&shared.lock);
    lock_give(&shared.lock);
    assert_int_equal(word_now(), 0);
}

/* A stale word that says somebody waits is as free as any other. */
static void stale_waiters_are_forgotten_too(void **state)
{
    (void)state;
    lock_take(&shared.lock);
    store_relaxed(&shared.lock.word, word_now() | WAITERS);
    forget_all();
    lock_take(&shared.lock);
    assert_false(lock_try(&shared.lock));
    lock_give(&shared.lock);
    assert_int_equal(word_now(), 0);
}

static void *hold_until_let_go(void *argument)
{
    lock_take(&shared.lock);
    add_relaxed(&shared.arrived, 1);
    while (!load_relaxed(&shared.let_go))
        sleep_ms(1);
    lock_give(&shared.lock);
    return argument;
}

static void take_all_in_a_child(void *argument)
{
    (void)argument;
    lock_take(&shared.lock);
    EXPECT(!lock_try(&shared.lock));
    EXPECT(lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
    EXPECT(word_now() == 0);
}

static void a_child_of_fork_takes_what_another_thread_held(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, hold_until_let_go, NULL), 0);
    while (load_relaxed(&shared.arrived) == 0)
        sleep_ms(1);
    unit_expect_success((struct unit_work){ take_all_in_a_child, NULL });
    /* In this process nothing changed. */
    assert_false(lock_try(&shared.lock));
    store_relaxed(&shared.let_go, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(lock_try(&shared.lock));
    lock_give(&shared.lock);
}

/* -- order -- */

static struct lock ranked[LOCK_COUNT];

static void rank_all(void)
{
    for (int i = 0; i < LOCK_COUNT; i++)
        ranked[i] = (struct lock){ .rank = (enum lock_rank)i };
}

struct order {
    int held;
    int wanted;
    struct lock other;          /* of the rank that is wanted */
};

static void take_two(void *argument)
{
    struct order *order = argument;
    lock_take(&ranked[order->held]);
    lock_take(&order->other);
    lock_give(&order->other);
    lock_give(&ranked[order->held]);
    /* With nothing held, the order begins anew. */
    lock_take(&ranked[0]);
    lock_give(&ranked[0]);
}

static void only_the_order_of_the_table_is_allowed(void **state)
{
    (void)state;
    rank_all();
    for (int held = 0; held < LOCK_COUNT; held++) {
        for (int wanted = 0; wanted < LOCK_COUNT; wanted++) {
            struct order order = { held, wanted,
                { .rank = (enum lock_rank)wanted } };
            const struct unit_work work = { take_two, &order };
            if (wanted > held)
                unit_expect_success(work);
            else
                unit_expect_panic(work, "lock_held");       /* L2 */
        }
    }
}

static void all_ranks_can_be_held_at_once(void **state)
{
    (void)state;
    rank_all();
    for (int i = 0; i < LOCK_COUNT; i++)
        lock_take(&ranked[i]);
    for (int i = 0; i < LOCK_COUNT; i++)
        lock_give(&ranked[i]);
    lock_take(&ranked[0]);
    lock_give(&ranked[0]);
}

static void forgetting_also_forgets_the_order(void **state)
{
    (void)state;
    rank_all();
    for (int i = 0; i < LOCK_COUNT; i++)
        lock_take(&ranked[i]);
    forget_all();
    for (int i = 0; i < LOCK_COUNT; i++)
        lock_take(&ranked[i]);
    for (int i = 0; i < LOCK_COUNT; i++)
        lock_give(&ranked[i]);
}

/* -- counts -- */

static void *take_once(void *unused)
{
    lock_take(&shared.lock);
    lock_give(&shared.lock);
    return unused;
}

static void takers_and_changes_of_taker_are_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        (void)take_once(NULL);
    assert_true(lock_try(&shared.lock));
    assert_false(lock_try(&shared.lock));
    lock_give(&shared.lock);
    struct lock_counts counts = lock_read_counts(&shared.lock);
    assert_int_equal(counts.num_ops, 6);
    assert_int_equal(counts.num_owner_switch, 1);
    assert_int_equal(counts.num_wait + counts.num_spin_acq, 0);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, take_once, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    (void)take_once(NULL);
    counts = lock_read_counts(&shared.lock);
    assert_int_equal(counts.num_ops, 8);
    assert_int_equal(counts.num_owner_switch, 3);
    lock_take(&shared.lock);
    lock_reset_counts(&shared.lock);
    lock_give(&shared.lock);
    counts = lock_read_counts(&shared.lock);
    assert_int_equal(counts.num_ops + counts.num_owner_switch, 0);
}

static void sleepers_and_their_times_are_counted(void **state)
{
    (void)state;
    enum { SLEEP_MS = 30 };
    pthread_t other[THREADS];
    lock_take(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&other[i], NULL, take_once, NULL), 0);
    while (load_relaxed(&shared.lock.asleep) < THREADS)
        sleep_ms(1);
    sleep_ms(SLEEP_MS);
    lock_give(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(other[i], NULL), 0);
    const struct lock_counts counts = lock_read_counts(&shared.lock);
    assert_int_equal(counts.num_ops, THREADS + 1);
    assert_int_equal(counts.num_wait, THREADS);
    assert_int_equal(counts.max_num_thds, THREADS);
    assert_true(counts.max_wait_time >= SLEEP_MS * 1000000);
    assert_true(counts.total_wait_time >= counts.max_wait_time);
    assert_true(counts.total_wait_time <= THREADS * counts.max_wait_time);
    assert_int_equal(load_relaxed(&shared.lock.asleep), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(word_says_held_and_free, begin),
        cmocka_unit_test_setup(try_takes_only_what_is_free, begin),
        cmocka_unit_test_setup(threads_exclude_each_other, begin),
        cmocka_unit_test_setup(waiters_sleep_and_are_all_woken, begin),
        cmocka_unit_test_setup(keeps_errno, begin),
        cmocka_unit_test_setup(what_a_vanished_thread_held_is_free_again,
            begin),
        cmocka_unit_test_setup(a_lock_taken_over_is_broken_until_mended,
            begin),
        cmocka_unit_test_setup(mending_that_is_cut_short_is_begun_again,
            begin),
        cmocka_unit_test_setup(forgetting_leaves_free_locks_free, begin),
        cmocka_unit_test_setup(stale_waiters_are_forgotten_too, begin),
        cmocka_unit_test_setup(
            a_child_of_fork_takes_what_another_thread_held, begin),
        cmocka_unit_test_setup(takers_and_changes_of_taker_are_counted, begin),
        cmocka_unit_test_setup(sleepers_and_their_times_are_counted, begin),
        cmocka_unit_test(only_the_order_of_the_table_is_allowed),
        cmocka_unit_test(all_ranks_can_be_held_at_once),
        cmocka_unit_test(forgetting_also_forgets_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
