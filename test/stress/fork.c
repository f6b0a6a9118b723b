/* SPDX-License-Identifier: MIT */
/*
 * Fork: a child gets a heap that works, whatever other threads were doing.
 *
 * Goal: in the child every block of the parent is whole and can be freed or
 * resized, new ones can be allocated, threads can be started, and nothing
 * waits for a thread that does not exist there; the parent goes on as if
 * nothing had happened.  Method: first a process with one thread, then one
 * whose four threads allocate and free all the time, also each other's
 * blocks, forks again and again.  A child that hangs is ended by its alarm.
 * Not for the thread sanitizer, which does not support it.
 */
#include "stress.h"

#include <signal.h>
#include <sys/wait.h>

enum { OWN = 200, THREADS = 4, SHARED = 256, CHILD_SECONDS = 20 };

static struct marked *own[OWN];
static _Atomic(struct marked *) shared[SHARED];
static atomic_bool stop;
static atomic_size_t churned;

static struct marked *swap(size_t slot, struct marked *block)
{
    return atomic_exchange_explicit(&shared[slot], block,
                                    memory_order_acq_rel);
}

static size_t fork_size(struct dice *dice)
{
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
        if (++count % 200 == 0)
            usleep(1000);
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

static unsigned with_threads(unsigned forks)
{
    struct crew crew = {.count = 0};
    atomic_store(&stop, false);
    for (size_t i = 0; i < THREADS; i++)
        crew_add(&crew, churner, (void *)(uintptr_t)(test.seed * 100 + i));
    for (unsigned i = 0; i < forks; i++) {
        fork_once(i);
        if (i % 16 == 0)
            fork_in_fork();
        marked_check(own[i % OWN]);
    }
    atomic_store(&stop, true);
    crew_join(&crew);
    for (size_t i = 0; i < SHARED; i++) {
        struct marked *block = swap(i, NULL);
        if (block != NULL)
            marked_free(block);
    }
    return forks;
}

int main(int argc, char **argv)
{
    unsigned forks = 0;
    test_begin("fork", argc, argv);
    if (SUBJECT_TSAN)
        return test_skipped("forking with threads is not supported there");
    own_fill(test.seed);
    const unsigned each = test.ops != 0 ? (unsigned)test.ops
                                        : test_scaled(200, 5);
    for (unsigned round = 0; test_more(round, 1); round++) {
        for (unsigned i = 0; i < each / 4; i++)
            fork_once(i);
        fork_in_fork();
        subject_audit();
        forks += each / 4 + with_threads(each);
        subject_audit();
    }
    own_free();
    subject_audit();
    EXPECT(atomic_load(&churned) > forks);
    return test_passed("%u forks, %zu blocks beside them", forks,
                       atomic_load(&churned));
}
