/* SPDX-License-Identifier: MIT */
/*
 * steps - how many instructions malloc and free execute when they hit, and
 * the functions that take their place with flags.
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
 *         "free-slab SIZE COUNT", a line each; then mallocx, dallocx, sdallocx
 *         alike, with no flags. Ends with 77 where tracing is not allowed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
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

/* Which functions are measured together: each gives what the first takes. */
enum family { PLAIN, WITH_FLAGS, WITH_SIZE, FAMILIES };
static const struct { const char *take, *give; } names[FAMILIES] = {
    { "malloc", "free" },
    { "mallocx", "dallocx" },
    { NULL, "sdallocx" },       /* mallocx again, which has its lines */
};

/* -- the traced copy -- */

/* Through variables, so that no call is optimised away. */
static void *(*volatile call_malloc)(size_t) = malloc;
static void (*volatile call_free)(void *) = free;
static void *(*volatile call_mallocx)(size_t, int);
static void (*volatile call_dallocx)(void *, int);
static void (*volatile call_sdallocx)(void *, size_t, int);

static enum family family;

static void find_functions(void)
{
    call_mallocx = (void *(*)(size_t, int))dlsym(RTLD_DEFAULT, "mallocx");
    call_dallocx = (void (*)(void *, int))dlsym(RTLD_DEFAULT, "dallocx");
    call_sdallocx =
        (void (*)(void *, size_t, int))dlsym(RTLD_DEFAULT, "sdallocx");
}

static void *take(size_t size)
{
    return family == PLAIN ? call_malloc(size) : call_mallocx(size, 0);
}

static void give(void *block, size_t size)
{
    if (family == PLAIN)
        call_free(block);
    else if (family == WITH_FLAGS)
        call_dallocx(block, 0);
    else
        call_sdallocx(block, size, 0);
}

static void announce(uintptr_t function)
{
    __asm__ volatile("int3" : : "a"(function) : "memory");
}

static void *announced_take(size_t size)
{
    announce(family == PLAIN ? (uintptr_t)call_malloc
             : (uintptr_t)call_mallocx);
    return take(size);
}

static void announced_give(void *block, size_t size)
{
    announce(family == PLAIN ? (uintptr_t)call_free
             : family == WITH_FLAGS ? (uintptr_t)call_dallocx
             : (uintptr_t)call_sdallocx);
    give(block, size);
}

static void warm_up(size_t size)
{
    void *blocks[CALLS];
    for (int round = 0; round < WARM_ROUNDS; round++) {
        for (int i = 0; i < CALLS; i++)
            blocks[i] = take(size);
        for (int i = 0; i < CALLS; i++)
            give(blocks[i], size);
    }
}

/* One stays, so that there always is a slab. */
static void calls_in_hand(size_t size)
{
    void *blocks[ROOM_LEAST];
    malloc_trim(0);
    for (int i = 0; i < ROOM_LEAST; i++)
        blocks[i] = take(size);
    for (int i = 0; i < KEPT; i++)
        announced_give(blocks[i], size);
    for (int i = 0; i < KEPT; i++)
        blocks[i] = announced_take(size);
    for (int i = 0; i < KEPT; i++)
        give(blocks[i], size);
}

static void calls_into_the_slab(size_t size)
{
    static void *blocks[ROOM_MOST + CALLS];
    malloc_trim(0);
    for (int i = 0; i < ROOM_MOST + CALLS; i++)
        blocks[i] = take(size);
    for (int i = 0; i < ROOM_MOST; i++)
        give(blocks[i], size);
    for (int i = ROOM_MOST; i < ROOM_MOST + CALLS; i++)
        announced_give(blocks[i], size);
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
    find_functions();
    if (call_mallocx == NULL || call_dallocx == NULL || call_sdallocx == NULL)
        return 1;
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

static void print_median(const char *call, const char *how, size_t size,
    long *counts)
{
    qsort(counts, CALLS, sizeof *counts, by_value);
    if (call != NULL)
        printf("%s%s %zu %ld\n", call, how, size, counts[CALLS / 2]);
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
    print_median(names[family].take, "", size, taken);
    print_median(names[family].give, "", size, kept);
    print_median(names[family].give, "-slab", size, given);
}

/* Each family in a process of its own: what was in hand before would show. */
static void count_family(char *self)
{
    char argument[] = { (char)('0' + family), 0 };
    traced = fork();
    if (traced == 0) {
        execl("/proc/self/exe", self, argument, (char *)NULL);
        _exit(1);
    }
    wait_stopped(SIGSTOP);
    for (int i = 0; i < SIZES; i++)
        count_calls(sizes[i]);
    kill(traced, SIGKILL);
    waitpid(traced, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        family = (enum family)(argv[1][0] - '0');
        return traced_main();
    }
    for (family = PLAIN; family < FAMILIES; family++)
        count_family(argv[0]);
    return 0;
}
