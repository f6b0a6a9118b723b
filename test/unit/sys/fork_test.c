/* SPDX-License-Identifier: MIT */
/*
 * Goal: every child knows that it is one, once, however it came to be (F1 to
 * F3), and takes what a vanished thread held. Method: fork(), _Fork() and the
 * bare system call, beside a thread that holds a lock; grandchildren; threads
 * that all notice at once; and a kernel that grants no page for the word.
 */
#include "unit/sys/step.h"

#include <pthread.h>
#include <unistd.h>

#include "sys/lock.h"

enum { THREADS = 4, TURNS = 200 };

static struct {
    struct lock lock;
    _Atomic bool held;
    _Atomic bool let_go;
    _Atomic uint32_t noticed;
    pthread_barrier_t barrier;
    int hooked;
    uint32_t hooked_in;
} shared;

/* -- three ways to be a child -- */

static pid_t by_fork(void)
{
    return fork();
}

static pid_t by_bare_fork(void)
{
    return _Fork();
}

static pid_t by_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t (*const ways[])(void) = { by_fork, by_bare_fork, by_clone };

/* Do it in a child that came this way; its wait status. */
static int child_of(pid_t (*way)(void), void (*work)(void))
{
    (void)fflush(NULL);
    return unit_in_child(way(), work);
}

/* -- beside a thread that holds a lock -- */

static void *hold(void *argument)
{
    lock_take(&shared.lock);
    store_relaxed(&shared.held, true);
    while (!load_relaxed(&shared.let_go))
        (void)usleep(1000);
    lock_give(&shared.lock);
    return argument;
}

static pthread_t holder;

static int begin(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof shared);
    if (pthread_create(&holder, NULL, hold, NULL) != 0)
        return -1;
    while (!load_relaxed(&shared.held))
        (void)usleep(1000);
    fork_mind();
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    fork_set_child_hook(NULL);
    store_relaxed(&shared.let_go, true);
    return pthread_join(holder, NULL);
}

static uint32_t parents_generation;

static void take_the_lock(void)
{
    lock_take(&shared.lock);
    EXPECT(lock_is_broken(&shared.lock));
    EXPECT(!lock_try(&shared.lock));
    lock_mend(&shared.lock);
    lock_give(&shared.lock);
    EXPECT(shared.lock.word == 0);
    EXPECT(fork_generation() == parents_generation + 1);    /* F2 */
}

static void a_child_takes_what_a_vanished_thread_held(void **state)
{
    (void)state;
    parents_generation = fork_generation();
    for (size_t i = 0; i < UNIT_COUNT(ways); i++)
        assert_int_equal(child_of(ways[i], take_the_lock), 0);
    assert_int_equal(fork_generation(), parents_generation);
    assert_false(fork_noticed());
}

/* Nobody takes a lock in the generation of the parent. */
static void take_another_first(void)
{
    static struct lock other;
    EXPECT(lock_try(&other));
    EXPECT(fork_generation() == parents_generation + 1);
    EXPECT(!lock_is_broken(&other));
    EXPECT(!lock_try(&other));
    lock_give(&other);
    EXPECT(lock_try(&shared.lock));
    EXPECT(lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
}

static void the_first_lock_of_a_child_is_of_its_generation(void **state)
{
    (void)state;
    parents_generation = fork_generation();
    for (size_t i = 0; i < UNIT_COUNT(ways); i++)
        assert_int_equal(child_of(ways[i], take_another_first), 0);
}

/* -- who is told -- */

static void hook(void)
{
    shared.hooked++;
    shared.hooked_in = fork_generation();
}

static void be_told_by_the_hook(void)
{
    EXPECT(shared.hooked == 1);                             /* F3 */
    EXPECT(shared.hooked_in == parents_generation + 1);
    EXPECT(!fork_noticed());                                /* F3 */
    EXPECT(fork_generation() == parents_generation + 1);
}

static void notice(void)
{
    EXPECT(shared.hooked == 0);
    EXPECT(fork_noticed());                                 /* F3 */
    EXPECT(!fork_noticed());
    EXPECT(fork_generation() == parents_generation + 1);
    EXPECT(shared.hooked == 0);
}

/* Locks look after the generation; they do not swallow the news. */
static void notice_after_a_lock(void)
{
    take_the_lock();
    notice();
}

static void each_child_is_told_once(void **state)
{
    (void)state;
    parents_generation = fork_generation();
    fork_set_child_hook(hook);
    assert_int_equal(child_of(by_fork, be_told_by_the_hook), 0);
    assert_int_equal(child_of(by_bare_fork, notice), 0);
    assert_int_equal(child_of(by_clone, notice), 0);
    assert_int_equal(child_of(by_bare_fork, notice_after_a_lock), 0);
    assert_int_equal(child_of(by_clone, notice_after_a_lock), 0);
    assert_int_equal(shared.hooked, 0);
    assert_false(fork_noticed());
}

static void have_children(void)
{
    (void)fork_noticed();
    parents_generation = fork_generation();
    shared.hooked = 0;
    EXPECT(child_of(by_fork, be_told_by_the_hook) == 0);
    EXPECT(child_of(by_bare_fork, notice) == 0);
    EXPECT(child_of(by_clone, notice_after_a_lock) == 0);
    EXPECT(fork_generation() == parents_generation);
}

static void grandchildren_are_told_too(void **state)
{
    (void)state;
    fork_set_child_hook(hook);
    for (size_t i = 0; i < UNIT_COUNT(ways); i++)
        assert_int_equal(child_of(ways[i], have_children), 0);
}

/* A child that has children before it notices anything itself. */
static void have_children_unaware(void)
{
    const uint32_t before = fork_generation();
    EXPECT(child_of(by_clone, take_the_lock) == 0);
    EXPECT(fork_generation() == before);
    take_the_lock();
}

static void a_child_need_not_notice_before_its_own(void **state)
{
    (void)state;
    parents_generation = fork_generation();
    assert_int_equal(child_of(by_bare_fork, have_children_unaware), 0);
}

/* -- all at once -- */

static void *notice_together(void *argument)
{
    (void)pthread_barrier_wait(&shared.barrier);
    fork_check();
    const uint32_t generation = fork_generation();
    if (generation != parents_generation + 1)
        return &shared;
    if (fork_noticed())
        add_relaxed(&shared.noticed, 1);
    return fork_generation() == generation ? argument : &shared;
}

static void have_threads_that_notice(void)
{
    pthread_t threads[THREADS];
    EXPECT(pthread_barrier_init(&shared.barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, notice_together, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = &shared;
        EXPECT(pthread_join(threads[i], &failed) == 0);
        EXPECT(failed == NULL);                             /* F2 */
    }
    EXPECT(load_relaxed(&shared.noticed) == 1);             /* F3 */
}

static void one_of_many_threads_notices(void **state)
{
    (void)state;
    parents_generation = fork_generation();
    for (int i = 0; i < TURNS; i++)
        assert_int_equal(child_of(by_bare_fork, have_threads_that_notice), 0);
}

/* -- without the word -- */

static void be_deaf(void)
{
    EXPECT(!fork_noticed());
    EXPECT(fork_generation() == 0);
}

/* This process has minded nothing yet; the kernel grants no page. */
static void be_refused_the_word(void)
{
    EXPECT(!load_relaxed(&fork_state.minded));
    unit_fail_all(1u << SYS_WIPED);
    EXPECT(begin(NULL) == 0);
    EXPECT(load_relaxed(&fork_state.minded));
    EXPECT(unit_fail_none() > 0);
    EXPECT(!fork_noticed());
    fork_set_child_hook(hook);
    EXPECT(child_of(by_fork, be_told_by_the_hook) == 0);
    EXPECT(child_of(by_fork, take_the_lock) == 0);
    EXPECT(child_of(by_bare_fork, be_deaf) == 0);
    EXPECT(child_of(by_clone, be_deaf) == 0);
}

/* The first test: after it, this process minds. */
static void a_refused_word_breaks_nothing(void **state)
{
    (void)state;
    assert_int_equal(child_of(by_fork, be_refused_the_word), 0);
}

/* A child of the only thread: nothing vanished, nothing was done. */
static void know_nothing(void)
{
    lock_take(&shared.lock);
    EXPECT(!lock_is_broken(&shared.lock));
    lock_give(&shared.lock);
    EXPECT(fork_generation() == 0);
    EXPECT(!fork_noticed());
    EXPECT(!load_relaxed(&fork_state.minded));
}

static void one_thread_pays_nothing(void **state)
{
    (void)state;
    unit_count_calls(1u << SYS_WIPED);
    know_nothing();
    for (size_t i = 0; i < UNIT_COUNT(ways); i++)
        assert_int_equal(child_of(ways[i], know_nothing), 0);
    assert_int_equal(unit_fail_none(), 0);
}

/* -- cut short -- */

static struct lock cut_locks[2];

static void mind_and_lock(void)
{
    fork_mind_slow();
    lock_take(&cut_locks[0]);
    lock_take(&cut_locks[1]);
    lock_give(&cut_locks[1]);
    lock_give(&cut_locks[0]);
}

static uint64_t cut_sum(void)
{
    const uint64_t sum = step_add(0, &fork_state, sizeof fork_state);
    const uint64_t words[] = { cut_locks[0].word, cut_locks[1].word,
        cut_locks[0].broken, cut_locks[1].broken,
        *load_relaxed(&fork_state.word) };
    return step_add(sum, words, sizeof words);
}

/* What is held here was held by one who vanished. */
static void take_both(void)
{
    for (int i = 0; i < 2; i++) {
        const bool held = load_relaxed(&cut_locks[i].word) != 0;
        lock_take(&cut_locks[i]);
        EXPECT(lock_is_broken(&cut_locks[i]) == held);      /* L3 */
        EXPECT(!lock_try(&cut_locks[i]));
        lock_mend(&cut_locks[i]);
    }
    for (int i = 2; i-- > 0;)
        lock_give(&cut_locks[i]);
}

static void mind_locks_step_by_step(void)
{
    const struct step step = { mind_and_lock, take_both, cut_sum };
    cut_locks[1].rank = LOCK_COUNT - 1;
    EXPECT(!load_relaxed(&fork_state.minded));
    EXPECT(step_run(&step) > 6);
    take_both();
}

/* In a child of this process, which has minded nothing yet. */
static void nobody_waits_for_one_who_vanished_at_any_instruction(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    assert_int_equal(child_of(by_fork, mind_locks_step_by_step), 0);
}

/* -- threads -- */

static void *ask_who_is_first(void *argument)
{
    *(bool *)argument = sys_is_first_thread();
    return NULL;
}

static void know_the_first_thread(void)
{
    EXPECT(sys_is_first_thread());
    bool first = true;
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, ask_who_is_first, &first) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(!first);
}

static void *have_a_child(void *argument)
{
    *(int *)argument = child_of(by_fork, know_the_first_thread);
    return NULL;
}

static void the_first_thread_of_a_child_is_the_survivor(void **state)
{
    (void)state;
    know_the_first_thread();
    int status = -1;
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, have_a_child, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_pays_nothing),
        cmocka_unit_test(a_refused_word_breaks_nothing),
        cmocka_unit_test(
            nobody_waits_for_one_who_vanished_at_any_instruction),
        cmocka_unit_test_setup_teardown(
            a_child_takes_what_a_vanished_thread_held, begin, end),
        cmocka_unit_test_setup_teardown(
            the_first_lock_of_a_child_is_of_its_generation, begin, end),
        cmocka_unit_test_setup_teardown(each_child_is_told_once, begin, end),
        cmocka_unit_test_setup_teardown(grandchildren_are_told_too, begin,
            end),
        cmocka_unit_test_setup_teardown(
            a_child_need_not_notice_before_its_own, begin, end),
        cmocka_unit_test_setup_teardown(one_of_many_threads_notices, begin,
            end),
        cmocka_unit_test(the_first_thread_of_a_child_is_the_survivor),
    };
    /* Which does not support children of processes with threads. */
    if (SUBJECT_TSAN)
        return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
