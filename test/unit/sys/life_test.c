/* SPDX-License-Identifier: MIT */
/*
 * Goal: a thread that ends by the bare system call is found lost by exactly
 * one asker; one that lives, ended in order, or vanished in fork never is
 * (V1 V2). Method: each kind of end, a thousand threads of all kinds with
 * askers at work all the time, and a second life in children of fork, _Fork
 * and the bare system call.
 */
#include "unit/sys/unit.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

enum { MANY = 1000, ASKERS = 2, ROUNDS = 20 };

enum ending { BY_RETURN, BY_RETURN_UNTOLD, BY_CALL, BY_CALL_TOLD, ENDINGS };

/* One thread's life, as the test sees it. */
struct being {
    struct sys_life life;
    enum ending ending;
    pthread_t thread;
    _Atomic bool begun;
    _Atomic bool may_end;
    _Atomic uint32_t lost;
};

static void sleep_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

/* The sanitizers' runtime does not survive a thread that ends by the bare
 * call; there it returns instead, which nobody tells us either. */
static void come_to_an_end(struct being *being)
{
    if (being->ending == BY_RETURN || being->ending == BY_CALL_TOLD)
        life_end(&being->life);
    if (!SUBJECT_SANITIZED
        && (being->ending == BY_CALL || being->ending == BY_CALL_TOLD))
        (void)syscall(SYS_exit, 0);
}

static void *live(void *argument)
{
    struct being *being = argument;
    EXPECT(life_begin(&being->life));
    /* pairs with wait_for() */
    store_release(&being->begun, true);
    while (!load_relaxed(&being->may_end))
        sleep_ms(1);
    come_to_an_end(being);
    return NULL;
}

static void start(struct being *being)
{
    store_relaxed(&being->begun, false);
    store_relaxed(&being->may_end, false);
    EXPECT(pthread_create(&being->thread, NULL, live, being) == 0);
    /* pairs with live() */
    while (!load_acquire(&being->begun))
        sleep_ms(1);
}

static void stop(struct being *being)
{
    store_relaxed(&being->may_end, true);
    EXPECT(pthread_join(being->thread, NULL) == 0);
}

static bool is_lost_by(enum ending ending)
{
    return ending == BY_RETURN_UNTOLD || ending == BY_CALL;
}

static void only_a_thread_that_did_not_tell_is_lost(void **state)
{
    (void)state;
    static struct being being;
    assert_false(life_lost(&being.life));
    for (int i = 0; i < 2 * ENDINGS; i++) {
        being.ending = (enum ending)(i % ENDINGS);
        start(&being);
        assert_false(life_lost(&being.life));
        stop(&being);
        assert_int_equal(life_lost(&being.life), is_lost_by(being.ending));
        assert_false(life_lost(&being.life));               /* V2 */
        assert_int_equal(being.life.word, 0);               /* V1 */
    }
}

/* Who moves in before anybody asked is as good a tenant as any. */
static void a_new_life_may_follow_a_lost_one_at_once(void **state)
{
    (void)state;
    static struct being being = { .ending = BY_CALL };
    for (int i = 0; i < 3; i++) {
        start(&being);
        stop(&being);
        being.life.word = 0;
    }
    start(&being);
    assert_false(life_lost(&being.life));
    stop(&being);
    assert_true(life_lost(&being.life));
}

static void one_thread_may_live_in_several(void **state)
{
    (void)state;
    static struct sys_life lives[3];
    for (int i = 0; i < ROUNDS; i++) {
        for (size_t l = 0; l < UNIT_COUNT(lives); l++)
            assert_true(life_begin(&lives[l]));
        for (size_t l = 0; l < UNIT_COUNT(lives); l++)
            assert_false(life_lost(&lives[l]));
        life_end(&lives[1]);
        life_end(&lives[0]);
        life_end(&lives[2]);
        life_end(&lives[2]);
    }
    for (size_t l = 0; l < UNIT_COUNT(lives); l++)
        assert_false(life_lost(&lives[l]));
}

/* -- many -- */

static struct {
    struct being beings[MANY];
    _Atomic bool enough;
} many;

static void ask_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        if (life_lost(&many.beings[i].life))
            add_relaxed(&many.beings[i].lost, 1);
    }
}

static void *go_on_asking(void *argument)
{
    while (!load_relaxed(&many.enough))
        ask_all();
    return argument;
}

static void *begin_and_end(void *argument)
{
    struct being *being = argument;
    EXPECT(life_begin(&being->life));
    come_to_an_end(being);
    return NULL;
}

static void each_of_many_is_lost_once_or_never(void **state)
{
    (void)state;
    pthread_t askers[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(
            pthread_create(&askers[i], NULL, go_on_asking, NULL), 0);
    for (size_t i = 0; i < MANY; i++) {
        struct being *being = &many.beings[i];
        being->ending = (enum ending)(i % ENDINGS);
        assert_int_equal(pthread_create(&being->thread, NULL, begin_and_end,
            being), 0);
        if (i >= 100)
            assert_int_equal(pthread_join(being[-100].thread, NULL), 0);
    }
    for (size_t i = MANY - 100; i < MANY; i++)
        assert_int_equal(pthread_join(many.beings[i].thread, NULL), 0);
    store_relaxed(&many.enough, true);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_join(askers[i], NULL), 0);
    ask_all();
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(many.beings[i].lost,
            is_lost_by(many.beings[i].ending));             /* V2 */
}

/* -- fork -- */

static struct {
    struct sys_life mine;
    struct being other;
} forked;

/* libc's list of what this thread holds is whole: robust mutexes can be taken
 * and given in any order. */
static void use_robust_mutexes(void)
{
    pthread_mutexattr_t kind;
    EXPECT(pthread_mutexattr_init(&kind) == 0);
    EXPECT(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
    pthread_mutex_t mutexes[3];
    for (int i = 0; i < 3; i++)
        EXPECT(pthread_mutex_init(&mutexes[i], &kind) == 0);
    for (int i = 0; i < 3; i++)
        EXPECT(pthread_mutex_lock(&mutexes[i]) == 0);
    EXPECT(pthread_mutex_unlock(&mutexes[1]) == 0);
    EXPECT(pthread_mutex_unlock(&mutexes[2]) == 0);
    EXPECT(pthread_mutex_unlock(&mutexes[0]) == 0);
}

static void live_again(void)
{
    fork_check();
    /* What the parent's threads left is for those who know of forks. */
    EXPECT(!life_lost(&forked.mine));
    EXPECT(!life_lost(&forked.other.life));
    use_robust_mutexes();
    EXPECT(life_begin(&forked.mine));
    EXPECT(!life_lost(&forked.mine));
    use_robust_mutexes();
    life_end(&forked.mine);
    use_robust_mutexes();
    EXPECT(life_begin(&forked.mine));
    use_robust_mutexes();

    /* The vanished thread's goes to others. */
    forked.other.ending = BY_CALL;
    start(&forked.other);
    EXPECT(!life_lost(&forked.other.life));
    EXPECT(!life_lost(&forked.mine));
    stop(&forked.other);
    EXPECT(life_lost(&forked.other.life));
    EXPECT(!life_lost(&forked.other.life));
    life_end(&forked.mine);
}

/* After a bare clone, libc does not know that the thread is another. */
static void live_unwatched(void)
{
    fork_check();
    EXPECT(!life_lost(&forked.mine));
    EXPECT(!life_begin(&forked.mine));
    EXPECT(!life_lost(&forked.mine));
    EXPECT(!life_lost(&forked.other.life));
    life_end(&forked.mine);
    use_robust_mutexes();
}

static void a_survivor_of_fork_lives_again(void **state)
{
    (void)state;
    /* Which does not support children of processes with threads. */
    if (SUBJECT_TSAN)
        skip();
    start(&forked.other);
    fork_mind();
    assert_true(life_begin(&forked.mine));
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(unit_in_child(fork(), live_again), 0);
        assert_int_equal(unit_in_child(_Fork(), live_again), 0);
        assert_int_equal(unit_in_child((pid_t)syscall(SYS_clone, SIGCHLD, NULL,
            NULL, NULL, NULL), live_unwatched), 0);
    }
    assert_false(life_lost(&forked.mine));
    assert_false(life_lost(&forked.other.life));
    life_end(&forked.mine);
    stop(&forked.other);
    use_robust_mutexes();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_thread_that_did_not_tell_is_lost),
        cmocka_unit_test(a_new_life_may_follow_a_lost_one_at_once),
        cmocka_unit_test(one_thread_may_live_in_several),
        cmocka_unit_test(each_of_many_is_lost_once_or_never),
        cmocka_unit_test(a_survivor_of_fork_lives_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
