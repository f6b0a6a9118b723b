/* SPDX-License-Identifier: MIT */
/*
 * Fork: a child gets a heap that works, whatever other threads were doing.
 *
 * Goal: in the child every block of the parent is whole and can be freed or
 * resized, new ones can be allocated, threads can be started, and nothing
 * waits for a thread that does not exist there; the parent goes on as if
 * nothing had happened.  Method: first a process with one thread, then one
 * whose four threads allocate and free all the time, also each other's
 * blocks, forks again and again, and its children do much.  Then storms of 8
 * and 64 such threads, and of threads that start and end, in which two fork
 * at once, by fork(), _Fork() and the bare system call; their children do
 * little: --ops 10000 is a storm of 10,000 forks.  A child that hangs is
 * ended by its alarm.  Not for the thread sanitizer, which does not support
 * it.
 */
#include "stress.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { OWN = 200, THREADS = 4, SHARED = 256, CHILD_SECONDS = 20 };
enum { STORMS = 2, STORM_FORKERS = 2 };
static const unsigned storm_threads[STORMS] = {8, 64};

static struct marked *own[OWN];
static _Atomic(struct marked *) shared[SHARED];
static atomic_bool stop;
static atomic_size_t churned;
static unsigned storm_forks;
static bool every_way;
static bool stormy;
static unsigned pause_us = 1000;

static struct marked *swap(size_t slot, struct marked *block)
{
    return atomic_exchange_explicit(&shared[slot], block,
                                    memory_order_acq_rel);
}

/* Little, for a fork has both sides pay for each page that they touch. */
static size_t fork_size(struct dice *dice)
{
    if (stormy)
        return dice_below(dice, 40) == 0 ? dice_below(dice, 100 * KIB)
                                         : dice_below(dice, 6) * 50;
    if (dice_below(dice, 150) == 0)
        return dice_between(dice, 70 * KIB, 5 * MIB / 4);
    return dice_below(dice, dice_below(dice, 12) == 0 ? 20000 : 500);
}

static void own_fill(uint64_t seed)
{
    struct dice dice = {seed};
    for (size_t i = 0; i < OWN; i++)
        own[i] = marked_take(fork_size(&dice), dice_next(&dice));
}

static void own_free(void)
{
    for (size_t i = 0; i < OWN; i++)
        marked_free(own[i * 7 % OWN]);
}

static void *child_thread(void *argument)
{
    struct dice dice = {(uint64_t)(uintptr_t)argument};
    for (size_t i = 0; i < 200; i++)
        marked_free(marked_take(fork_size(&dice), dice_next(&dice)));
    return NULL;
}

/* What a child does with what it inherited. */
static void child_life(unsigned number)
{
    struct dice dice = {mixed(test.seed + number)};
    struct crew crew = {.count = 0};
    alarm(CHILD_SECONDS);
    for (size_t i = 0; i < OWN; i += 3) {
        const size_t size = own[i]->size;
        const uint64_t seed = own[i]->seed;
        marked_check(own[i]);
        own[i] = (struct marked *)subject_realloc(own[i], size * 2);
        EXPECT(own[i] != NULL);
        EXPECT_CONTENTS(own[i] + 1, size - sizeof *own[i], seed);
        mark(own[i], size * 2 > 2 * MIB ? size : size * 2, seed);
    }
    /* A thread's birth allocates from AddressSanitizer's own malloc, which
     * hangs in a child if another thread was inside it at the fork. */
    if (number % 10 == 0 && !SUBJECT_ASAN) {
        crew_add(&crew, child_thread, (void *)(uintptr_t)number);
        crew_add(&crew, child_thread, (void *)(uintptr_t)(number + 1));
    }
    own_free();
    own_fill(dice_next(&dice));
    if (number % 5 == 0)
        subject_trim(0);
    own_free();
    crew_join(&crew);
}

static void fork_once(unsigned number)
{
    int status;
    const pid_t child = fork();
    EXPECT_THAT(child >= 0, "fork %u, errno %d", number, errno);
    if (child == 0) {
        child_life(number);
        /* Now and then the long way out, through atexit handlers. */
        if (number % 4 == 0)
            exit(0);
        _exit(0);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM,
                "child %u hung", number);
    EXPECT_THAT(status == 0, "child %u ended with status %x", number,
                (unsigned)status);
}

static void *churner(void *argument)
{
    struct dice dice = {mixed((uint64_t)(uintptr_t)argument)};
    size_t count = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct marked *block = marked_take(fork_size(&dice),
                                           dice_next(&dice));
        block = swap(dice_below(&dice, SHARED), block);
        if (block != NULL)
            marked_free(block);
        /* A pause now and then, so that the children get a processor. */
        if (++count % (stormy ? 16 : 200) == 0)
            usleep(pause_us);
    }
    atomic_fetch_add(&churned, count);
    return NULL;
}

/* Children of children: the second generation of every lock. */
static void fork_in_fork(void)
{
    int status;
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        alarm(CHILD_SECONDS);
        marked_free(marked_take(100, 1));
        fork_once(3);
        child_life(5);
        _exit(0);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(status == 0, "status %x", (unsigned)status);
}

static void shared_free(void)
{
    for (size_t i = 0; i < SHARED; i++) {
        struct marked *block = swap(i, NULL);
        if (block != NULL)
            marked_free(block);
    }
}

static struct marked *left_by_child;

/* The child of vfork() works on its parent's heap: no fork to be noticed. */
static void vfork_once(size_t number)
{
    int status;
    const pid_t child = vfork();
    EXPECT(child >= 0);
    if (child == 0) {
        left_by_child = marked_take(number * number * 40, number);
        marked_free(marked_take(number * 100, number));
        _exit(0);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(status == 0, "status %x", (unsigned)status);
    marked_free(left_by_child);
}

static unsigned with_threads(unsigned forks)
{
    struct crew crew = {.count = 0};
    atomic_store(&stop, false);
    for (size_t i = 0; i < THREADS; i++)
        crew_add(&crew, churner, (void *)(uintptr_t)(test.seed * 100 + i));
    for (size_t i = 0; i < 50; i++)
        vfork_once(i);
    for (unsigned i = 0; i < forks; i++) {
        fork_once(i);
        if (i % 16 == 0)
            fork_in_fork();
        marked_check(own[i % OWN]);
    }
    atomic_store(&stop, true);
    crew_join(&crew);
    shared_free();
    return forks;
}

/* -- storms -- */

/* A short life: what it leaves in the slots outlives it. */
static void *mayfly(void *argument)
{
    struct dice dice = {mixed((uint64_t)(uintptr_t)argument)};
    for (size_t i = 0; i < 60; i++) {
        struct marked *block = marked_take(fork_size(&dice),
                                           dice_next(&dice));
        block = swap(dice_below(&dice, SHARED), block);
        if (block != NULL)
            marked_free(block);
    }
    atomic_fetch_add(&churned, 60);
    return NULL;
}

static void *mayfly_keeper(void *argument)
{
    uint64_t number = (uint64_t)(uintptr_t)argument << 32;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct crew crew = {.count = 0};
        crew_add(&crew, mayfly, (void *)(uintptr_t)number++);
        crew_join(&crew);
        usleep(1000);
    }
    return NULL;
}

/* Other allocators hear of fork() only, at best. */
static pid_t fork_somehow(unsigned number)
{
    switch (every_way ? number % 3 : 0) {
    case 0: return fork();
    case 1: return _Fork();
    default: return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    }
}

/* A block found in a slot is whole: its last writer has put it there. */
static void storm_child(unsigned number)
{
    struct dice dice = {mixed(test.seed + number)};
    struct crew crew = {.count = 0};
    alarm(CHILD_SECONDS);
    if (number % 24 == 0 && !SUBJECT_ASAN)
        crew_add(&crew, child_thread, (void *)(uintptr_t)number);
    for (size_t i = 0; i < 50; i++) {
        struct marked *block = swap(dice_below(&dice, SHARED), NULL);
        if (block != NULL)
            marked_free(block);
        marked_free(marked_take(fork_size(&dice), i));
    }
    crew_join(&crew);
    if (number % 8 == 1)
        subject_trim(0);
    if (number % 8 < 2)
        subject_audit();
}

static void *storm_forker(void *argument)
{
    const unsigned from = (unsigned)(uintptr_t)argument;
    for (unsigned number = from; number < storm_forks;
         number += STORM_FORKERS) {
        int status;
        const pid_t child = fork_somehow(number / STORM_FORKERS);
        EXPECT_THAT(child >= 0, "fork %u, errno %d", number, errno);
        if (child == 0) {
            storm_child(number);
            _exit(0);
        }
        EXPECT_EQUAL(waitpid(child, &status, 0), child);
        EXPECT_THAT(status == 0, "child %u ended with status %x%s", number,
                    (unsigned)status, status == SIGALRM ? ", it hung" : "");
        marked_free(marked_take(number % 1000, number));
    }
    return NULL;
}

static unsigned storm(unsigned threads, unsigned forks)
{
    struct crew crew = {.count = 0};
    struct crew forkers = {.count = 0};
    atomic_store(&stop, false);
    stormy = true;
    storm_forks = forks;
    pause_us = threads * 300;
    for (size_t i = 0; i < threads; i++)
        crew_add(&crew, i % 8 == 7 ? mayfly_keeper : churner,
                 (void *)(uintptr_t)(test.seed * 100 + i));
    for (size_t i = 0; i < STORM_FORKERS; i++)
        crew_add(&forkers, storm_forker, (void *)(uintptr_t)i);
    crew_join(&forkers);
    atomic_store(&stop, true);
    crew_join(&crew);
    subject_audit();
    shared_free();
    subject_audit();
    stormy = false;
    return forks;
}

int main(int argc, char **argv)
{
    unsigned forks = 0;
    test_begin("fork", argc, argv);
    if (SUBJECT_TSAN)
        return test_skipped("forking with threads is not supported there");
    every_way = subject_is_ashlar();
    own_fill(test.seed);
    const unsigned each = test_scaled(60, 5);
    const unsigned storms = test.ops != 0 ? (unsigned)test.ops
                                          : test_scaled(160, 10);
    for (unsigned round = 0; test_more(round, 1); round++) {
        for (unsigned i = 0; i < each / 4; i++)
            fork_once(i);
        fork_in_fork();
        subject_audit();
        forks += each / 4 + with_threads(each);
        subject_audit();
        for (size_t i = 0; i < STORMS; i++)
            forks += storm(storm_threads[i], storms / STORMS);
    }
    own_free();
    subject_audit();
    EXPECT(atomic_load(&churned) > forks);
    return test_passed("%u forks, %zu blocks beside them", forks,
                       atomic_load(&churned));
}
