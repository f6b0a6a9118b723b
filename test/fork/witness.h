/* SPDX-License-Identifier: MIT */
/*
 * witness - says where a thread stood and where a process died, in lines of
 * source.
 *
 * Owns     the handlers of deadly signals, which write down where they hit.
 * Used by  torture.c.
 * Never    allocates, in any process: the victim may stand inside a lock.
 */
#ifndef FORK_WITNESS_H
#define FORK_WITNESS_H

#include "step.h"

#include <sys/uio.h>
#include <sys/wait.h>

enum { DIED = 99, FRAMES = 12, STACK_WORDS = 400 };

struct death {
    int signal;
    pid_t process;
    uintptr_t address;
    uintptr_t frames[FRAMES];
};

/* The last one, in memory that all processes share; set it first. */
static struct death *death;

__attribute__((format(printf, 1, 2)))
static inline void say(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        _exit(2);
}

static inline bool is_after_call(uintptr_t address)
{
    const unsigned char *at = (const unsigned char *)address;
    return step_is_inside(address - 8) && step_is_inside(address)
           && (at[-5] == 0xe8 || at[-2] == 0xff || at[-3] == 0xff
               || at[-6] == 0xff);
}

/* The instruction, and what on the stack looks like a way back to callers. */
static inline void frames_read(uintptr_t *frames, const ucontext_t *at)
{
    const greg_t *registers = at->uc_mcontext.gregs;
    uintptr_t stack[STACK_WORDS];
    const struct iovec here = {stack, sizeof stack};
    const struct iovec there = {(void *)registers[REG_RSP], sizeof stack};
    memset(frames, 0, FRAMES * sizeof *frames);
    frames[0] = (uintptr_t)registers[REG_RIP];
    /* The system knows where the stack ends. */
    const ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    const size_t words = got > 0 ? (size_t)got / sizeof *stack : 0;
    for (size_t count = 1, i = 0; i < words && count < FRAMES; i++) {
        if (is_after_call(stack[i]))
            frames[count++] = stack[i] - 1;
    }
}

/* Lines of source for addresses in the library, on stderr. */
static inline void frames_print(const char *title, const uintptr_t *frames)
{
    char file[4096];
    char numbers[FRAMES][20];
    char *arguments[FRAMES + 8] = {
        (char *)"addr2line", (char *)"-fips", (char *)"-e", file,
    };
    const ssize_t length = readlink(step.file, file, sizeof file - 1);
    if (length > 0)
        file[length] = '\0';
    else
        snprintf(file, sizeof file, "%s", step.file);
    say("  %s, innermost first (%s):\n", title, file);
    for (size_t i = 0; i < FRAMES && frames[i] != 0; i++) {
        snprintf(numbers[i], sizeof numbers[i], "0x%zx",
                 (size_t)(frames[i] - step.base));
        arguments[i + 4] = numbers[i];
    }
    const pid_t child = fork();
    if (child == 0) {
        char *nothing[] = {NULL};
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execve("/usr/bin/addr2line", arguments, nothing);
        for (size_t i = 4; arguments[i] != NULL; i++)
            say("%s\n", arguments[i]);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static inline void note_death(int number, siginfo_t *info, void *context)
{
    death->signal = number;
    death->process = getpid();
    death->address = (uintptr_t)info->si_addr;
    frames_read(death->frames, (const ucontext_t *)context);
    _exit(DIED);
}

static inline void watch_deaths(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
                                  SIGALRM};
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = note_death;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        EXPECT_EQUAL(sigaction(signals[i], &action, NULL), 0);
}

static inline void print_death(const char *who)
{
    char title[200];
    snprintf(title, sizeof title, "%s: %s (address %#zx) at", who,
             death->signal == SIGALRM ? "hung" : strsignal(death->signal),
             (size_t)death->address);
    frames_print(title, death->frames);
}

#endif
