/* SPDX-License-Identifier: MIT */
/*
 * dive - what the tests of stacks share: chains of frames made by hand,
 * functions that have frame pointers whatever the compiler is told, threads,
 * and what has to work with the unwinder and without it.
 */
#ifndef LEDGER_DIVE_H
#define LEDGER_DIVE_H

#include "unit/sys/unit.h"

#include <pthread.h>
#include <sys/time.h>

#include "ledger/stack.h"
#include "table/option.h"

enum { LINKS = 100, DEEP = 10000 };

struct link {
    const void *above;
    void *pc;
};

/* -- frames made by hand -- */

static inline void *code_of(size_t i)
{
    return (void *)(uintptr_t)(0x500000 + i);
}

/* A chain that ends with its last link. */
static inline void chain_make(struct link *links, size_t count)
{
    for (size_t i = 0; i < count; i++)
        links[i] = (struct link){ &links[i + 1], code_of(i) };
    links[count - 1].above = NULL;
}

static inline void expect_chain(const struct link *first, unsigned expected)
{
    void *pc[2 * LINKS];
    const unsigned count = stack_take(first, pc, 2 * LINKS);
    EXPECT_EQUAL(count, expected);
    for (unsigned i = 0; i < count; i++)
        EXPECT(pc[i] == code_of(i));
}

/* -- threads -- */

static inline void in_thread(void *(*work)(void *), void *argument)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, work, argument) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
}

/* -- real frames -- */

/* A function that says so has a frame pointer, whatever the compiler is told,
 * and calls nothing as its last act. */
#define FRAMED()                                                  \
    const struct link *const framed = __builtin_frame_address(0); \
    __asm__ volatile("" : : "r"(framed))
#define FRAMED_END() __asm__ volatile("" : : "r"(framed) : "memory")

struct dive {
    void (*bottom)(const struct dive *dive);
    unsigned depth;
    unsigned count;             /* of stack_take() */
    unsigned pc_max;
    void **pc;
};

static NOINLINE void dive(const struct dive *with, unsigned depth)
{
    FRAMED();
    if (depth == 0)
        with->bottom(with);
    else
        dive(with, depth - 1);
    FRAMED_END();
}

static NOINLINE void take_here(const struct dive *with)
{
    FRAMED();
    ((struct dive *)(uintptr_t)with)->count =
        stack_take(framed, with->pc, with->pc_max);
    FRAMED_END();
}

static inline void *dive_deep(void *argument)
{
    static void *pc[STACK_DEPTH_MAX + 1];
    option_now.prof_bt_max = STACK_DEPTH_MAX + 1;
    struct dive with = { take_here, DEEP, 0, STACK_DEPTH_MAX + 1, pc };
    dive(&with, with.depth);
    option_now.prof_bt_max = STACK_DEPTH_USUAL;
    EXPECT_EQUAL(with.count, STACK_DEPTH_MAX);
    for (unsigned i = 2; i < with.count; i++)
        EXPECT(pc[i] == pc[1]);
    EXPECT(pc[0] != pc[1]);
    return argument;
}

static inline void is_cut_where_it_is_deep(void **state)
{
    (void)state;
    (void)dive_deep(NULL);
    in_thread(dive_deep, NULL);
}

/* How much of a stack is written to, at most. */
static inline size_t stack_bytes_used(void *(*work)(void *), size_t bytes)
{
    pthread_attr_t attributes;
    pthread_t thread;
    char *stack = test_map(bytes);
    EXPECT(pthread_attr_init(&attributes) == 0);
    EXPECT(pthread_attr_setstack(&attributes, stack, bytes) == 0);
    EXPECT(pthread_create(&thread, &attributes, work, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    size_t unused = 0;
    while (unused < bytes && stack[unused] == 0)
        unused++;
    EXPECT(munmap(stack, bytes) == 0);
    return bytes - unused;
}

static inline void *dive_a_little(void *argument)
{
    static void *pc[STACK_DEPTH_USUAL];
    struct dive with = { take_here, 8, 0, STACK_DEPTH_USUAL, pc };
    dive(&with, with.depth);
    EXPECT(with.count >= 10);
    return argument;
}

static inline void dive_in_child(void *argument)
{
    (void)dive_a_little(argument);
    in_thread(dive_a_little, argument);
}

static inline void works_in_a_child(void **state)
{
    (void)state;
    unit_expect_success((struct unit_work){ dive_in_child, NULL });
}

static inline void *do_nothing(void *argument)
{
    return argument;
}

/* No more of the smallest stack than this. */
static inline void expect_little_stack(size_t most)
{
    enum { LEAST = 16 * 1024 };
    if (SUBJECT_SANITIZED)
        skip();
    const size_t before = stack_bytes_used(do_nothing, LEAST);
    const size_t bytes = stack_bytes_used(dive_a_little, LEAST) - before;
    print_message("%zu bytes of stack\n", bytes);
    assert_in_range(bytes, 1, most);
}

/* -- signals -- */

static volatile sig_atomic_t signals;

static inline void dive_in_handler(int signal)
{
    (void)signal;
    (void)dive_a_little(NULL);
    signals++;
}

/* Signals on a stack of their own, while stacks are walked that grow: what is
 * known of the thread's stack changes all the time. */
static inline void *walk_among_signals(void *argument)
{
    enum { SIGNALS = 200, SIGNAL_BYTES = 256 * 1024 };
    const stack_t other = { test_map(SIGNAL_BYTES), 0, SIGNAL_BYTES };
    const struct itimerval often = { { 0, 500 }, { 0, 500 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = dive_in_handler,
        .sa_flags = SA_ONSTACK };
    EXPECT(sigaltstack(&other, NULL) == 0);
    EXPECT(sigaction(SIGPROF, &action, NULL) == 0);
    EXPECT(setitimer(ITIMER_PROF, &often, NULL) == 0);
    for (unsigned i = 0; signals < SIGNALS; i++) {
        void *pc[40];
        struct dive with = { take_here, i % 2000, 0, 40, pc };
        dive(&with, with.depth);
        EXPECT(with.count >= (with.depth < 38 ? with.depth : 40));
        for (unsigned r = 2; r < with.count && r < with.depth; r++)
            EXPECT(pc[r] == pc[1]);
    }
    EXPECT(setitimer(ITIMER_PROF, &never, NULL) == 0);
    return argument;
}

static inline void walk_in_child(void *argument)
{
    in_thread(walk_among_signals, argument);
}

static inline void signals_may_interrupt_it(void **state)
{
    (void)state;
    if (SUBJECT_SANITIZED)      /* they hold signals back */
        skip();
    unit_expect_success((struct unit_work){ walk_in_child, NULL });
}

#endif
