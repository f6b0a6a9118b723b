/* SPDX-License-Identifier: MIT */
/*
 * steps - how many instructions malloc and free execute when they hit.
 *
 * Goal    a number that is the same on every run and every x86-64 machine,
 *         so that a budget can be held exactly.
 * Method  this program traces a second copy of itself. The copy warms the
 *         allocator up and announces each measured call by an int3 with the
 *         function's address in rax. From there the tracer lets it take
 *         single steps, and counts from the function's first instruction to
 *         the ret that gives the stack back. Thus neither the PLT nor the
 *         call is counted. The median of CALLS calls is printed, so a
 *         refill among them does not show.
 *
 *         What is freed goes into the hand while there is room there, and
 *         then into its slab. malloc_trim empties the hand and ends the room;
 *         the next refill makes room for ROOM_LEAST blocks at least, and
 *         none for more than ROOM_MOST. Now and then a free without room
 *         looks whether there is some after all, which does not show either.
 *
 * Prints  "malloc SIZE COUNT", "free SIZE COUNT" (into the hand) and
 *         "free-slab SIZE COUNT", a line each. Ends with 77 where tracing is
 *         not allowed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CALLS = 15,
    ROOM_LEAST = 4,
    ROOM_MOST = 256,
    KEPT = 3,            /* calls of a round: less than the room */
    ROUNDS = CALLS / KEPT,
    WARM_ROUNDS = 60,
    STEPS_MAX = 3000,    /* more is a slow path; it is left to run */
    CANNOT_TRACE = 77,
};

static const size_t sizes[] = {
    8, 16, 100, 256, 400, 1000, 2000, 6000, 20000, 60000,
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* -- the traced copy -- */

/* Through variables, so that no call is optimised away. */
static void *(*volatile call_malloc)(size_t) = malloc;
static void (*volatile call_free)(void *) = free;

static void announce(uintptr_t function)
{
    __asm__ volatile("int3" : : "a"(function) : "memory");
}

static void *announced_malloc(size_t size)
{
    announce((uintptr_t)call_malloc);
    return call_malloc(size);
}

static void announced_free(void *block)
{
    announce((uintptr_t)call_free);
    call_free(block);
}

static void warm_up(size_t size)
{
    void *blocks[CALLS];
    for (int round = 0; round < WARM_ROUNDS; round++) {
        for (int i = 0; i < CALLS; i++)
            blocks[i] = call_malloc(size);
        for (int i = 0; i < CALLS; i++)
            call_free(blocks[i]);
    }
}

/* One stays, so that there always is a slab. */
static void calls_in_hand(size_t size)
{
    void *blocks[ROOM_LEAST];
    malloc_trim(0);
    for (int i = 0; i < ROOM_LEAST; i++)
        blocks[i] = call_malloc(size);
    for (int i = 0; i < KEPT; i++)
        announced_free(blocks[i]);
    for (int i = 0; i < KEPT; i++)
        blocks[i] = announced_malloc(size);
    for (int i = 0; i < KEPT; i++)
        call_free(blocks[i]);
}

static void calls_into_the_slab(size_t size)
{
    static void *blocks[ROOM_MOST + CALLS];
    malloc_trim(0);
    for (int i = 0; i < ROOM_MOST + CALLS; i++)
        blocks[i] = call_malloc(size);
    for (int i = 0; i < ROOM_MOST; i++)
        call_free(blocks[i]);
    for (int i = ROOM_MOST; i < ROOM_MOST + CALLS; i++)
        announced_free(blocks[i]);
}

static void measured_calls(size_t size)
{
    warm_up(size);
    for (int round = 0; round < ROUNDS; round++)
        calls_in_hand(size);
    calls_into_the_slab(size);
}

static int traced_main(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return CANNOT_TRACE;
    raise(SIGSTOP);
    for (int i = 0; i < SIZES; i++)
        measured_calls(sizes[i]);
    return 0;
}

/* -- the tracer -- */

static pid_t traced;

static void give_up(const char *why, int status)
{
    fprintf(stderr, "steps: %s (status %x)\n", why, (unsigned)status);
    kill(traced, SIGKILL);
    exit(WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRACE
         ? CANNOT_TRACE : 1);
}

static struct user_regs_struct wait_stopped(int wanted_signal)
{
    struct user_regs_struct registers;
    int status = 0;
    if (waitpid(traced, &status, 0) != traced)
        give_up("the traced copy is gone", status);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != wanted_signal)
        give_up("the traced copy did not stop as it should", status);
    if (ptrace(PTRACE_GETREGS, traced, NULL, &registers) != 0)
        give_up("no registers", status);
    return registers;
}

static struct user_regs_struct resume(enum __ptrace_request how)
{
    if (ptrace(how, traced, NULL, NULL) != 0)
        give_up("cannot resume", 0);
    return wait_stopped(SIGTRAP);
}

/* Instructions of the next announced call, its ret included. */
static long count_call(void)
{
    struct user_regs_struct at = resume(PTRACE_CONT);
    const unsigned long long function = at.rax;
    for (int i = 0; at.rip != function; i++) {
        if (i == STEPS_MAX)
            give_up("the announced call did not come", 0);
        at = resume(PTRACE_SINGLESTEP);
    }
    const unsigned long long entry_stack = at.rsp;
    long count = 0;
    while (at.rsp <= entry_stack && count < STEPS_MAX) {
        at = resume(PTRACE_SINGLESTEP);
        count++;
    }
    return count;
}

static int by_value(const void *left, const void *right)
{
    const long a = *(const long *)left;
    const long b = *(const long *)right;
    return (a > b) - (a < b);
}

static void print_median(const char *call, size_t size, long *counts)
{
    qsort(counts, CALLS, sizeof *counts, by_value);
    printf("%s %zu %ld\n", call, size, counts[CALLS / 2]);
}

/* In the order in which the copy announces its calls. */
static void count_calls(size_t size)
{
    long taken[CALLS], kept[CALLS], given[CALLS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < KEPT; i++)
            kept[round * KEPT + i] = count_call();
        for (int i = 0; i < KEPT; i++)
            taken[round * KEPT + i] = count_call();
    }
    for (int i = 0; i < CALLS; i++)
        given[i] = count_call();
    print_median("malloc", size, taken);
    print_median("free", size, kept);
    print_median("free-slab", size, given);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return traced_main();
    traced = fork();
    if (traced == 0) {
        execl("/proc/self/exe", argv[0], "traced", (char *)NULL);
        _exit(1);
    }
    wait_stopped(SIGSTOP);
    for (int i = 0; i < SIZES; i++)
        count_calls(sizes[i]);
    kill(traced, SIGKILL);
    return 0;
}
