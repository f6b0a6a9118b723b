/* SPDX-License-Identifier: MIT */
/*
 * step - vanish at every instruction.
 *
 * step_run() does something one machine instruction at a time. Whenever an
 * instruction has changed the memory that is watched, or was a system call, a
 * child is made by the bare system call: there the thread that was at work has
 * vanished, so to speak, in the middle of it, and `check` looks at what it
 * left. So every prefix of the work is tried, not the ones that a race hits.
 *
 * Only on x86-64, and not under sanitizers, whose handlers come too late.
 */
#ifndef SYS_STEP_H
#define SYS_STEP_H

#include "unit/sys/unit.h"

#include <sys/syscall.h>
#include <ucontext.h>

#if defined(__x86_64__) && !SUBJECT_SANITIZED
#define STEP_CAN 1
#else
#define STEP_CAN 0
#endif

enum { STEP_TRAP_FLAG = 0x100 };

struct step {
    void (*work)(void);
    void (*check)(void);        /* in each child; uses EXPECT() */
    uint64_t (*sum)(void);      /* of the memory that is watched */
};

static struct {
    const struct step *step;
    volatile bool on;
    bool was_call;              /* the next instruction is a system call */
    uint64_t sum;
    size_t steps;
    size_t children;
    int status;                 /* of the first child that failed */
} step_state;

/* For `sum`: what came before, and these bytes, a multiple of 8. */
static inline uint64_t step_add(uint64_t sum, const void *start, size_t bytes)
{
    const uint64_t *words = start;
    for (size_t i = 0; i < bytes / 8; i++)
        sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15u + (sum >> 29);
    return sum;
}

static inline void step_fork(void)
{
    const long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        (void)alarm(UNIT_CHILD_SECONDS);
        step_state.step->check();
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid((pid_t)child, &status, 0) != child)
        status = -1;
    step_state.status = status;
    step_state.children++;
}

#if STEP_CAN
static void step_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!step_state.on) {
        registers[REG_EFL] &= ~STEP_TRAP_FLAG;
        return;
    }
    registers[REG_EFL] |= STEP_TRAP_FLAG;
    const unsigned char *next = (const unsigned char *)registers[REG_RIP];
    const uint64_t sum = step_state.step->sum();
    if (step_state.status == 0 && (sum != step_state.sum
            || step_state.was_call))
        step_fork();
    step_state.sum = sum;
    step_state.was_call = next[0] == 0x0f && next[1] == 0x05;
    step_state.steps++;
}
#endif

/* The work, with a check after each instruction that matters; the number of
 * children, or 0 if one of them failed (and said why on stderr). */
static inline size_t step_run(const struct step *step)
{
    memset(&step_state, 0, sizeof step_state);
    step_state.step = step;
#if STEP_CAN
    struct sigaction before;
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = step_trap;
    if (sigaction(SIGTRAP, &action, &before) != 0)
        return 0;
    step_state.sum = step->sum();
    step_state.on = true;
    (void)raise(SIGTRAP);
    step->work();
    step_state.on = false;
    /* Here the last trap clears the flag. */
    (void)sigaction(SIGTRAP, &before, NULL);
#endif
    if (step_state.status != 0)
        print_error("child %zu, at step %zu: status %x\n",
            step_state.children, step_state.steps,
            (unsigned)step_state.status);
    return step_state.status == 0 ? step_state.children : 0;
}

#endif
