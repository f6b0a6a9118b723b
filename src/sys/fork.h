/* SPDX-License-Identifier: MIT */
/*
 * fork - the generation of the process: how many forks led to it.
 *
 * Owns     the generation, and how a child learns that it is one: by a
 *          handler after fork(); after _Fork and clone, which run none, by a
 *          word that reads 0 in every child, because the kernel wipes its
 *          page there.
 * Used by  lock.c, life.c, linux.c; heap/, for what vanished threads left.
 * Never    takes a lock, waits, or looks at anything before a second thread
 *          exists: in a child of the only thread nothing has vanished.
 *
 * In a child only the thread that forked exists. All others vanished at any
 * instruction: of each, the child sees a prefix of its stores in program
 * order. So what is shared has to be sound after every prefix, and what says
 * "busy" has to say in which generation. Where the order of two stores
 * matters for that, COMPILER_BARRIER() stands between them.
 *
 * Holds    F1  *word is 0: the kernel wiped it, this is a child that knows
 *              nothing; or generation << 1 | told
 *          F2  nobody acts in a generation before *word says so: who finds
 *              the word ahead of the generation raises that first
 *          F3  in each child either the hook is called or fork_noticed() is
 *              true, once, if another thread existed before
 *
 * Tests    test/unit/sys/fork_test.c
 */
#ifndef SYS_FORK_H
#define SYS_FORK_H

#include "util/atomic.h"
#include "util/compiler.h"

/* The bit of the word that says: what there is to do in this child is done,
 * or somebody has been told to. */
enum { FORK_TOLD = 1 };

struct fork_state {
    /* any thread, atomically */
    _Atomic uint32_t generation;
    _Atomic bool minded;        /* a fork from now on will be noticed */
    _Atomic uint32_t *_Atomic word;
    void (*_Atomic hook)(void);
};
extern struct fork_state fork_state;

static inline uint32_t fork_generation(void)
{
    return load_relaxed(&fork_state.generation);
}

bool sys_single_threaded(void);     /* sys.h */
COLD void fork_mind_slow(void);

/* Before the first thing that a fork could cut in two is begun beside a
 * second thread: from now on children notice. */
static inline void fork_mind(void)
{
    if (UNLIKELY(!load_relaxed(&fork_state.minded))
        && !sys_single_threaded())
        fork_mind_slow();
}

/* Does the word say that there is nothing to do? */
static inline bool fork_is_told(void)
{
    /* pairs with fork_open_word() */
    return load_relaxed(load_acquire(&fork_state.word)) & FORK_TOLD;
}

COLD void fork_catch_up(void);

/* See to it that the generation is that of this process. */
static inline void fork_check(void)
{
    if (UNLIKELY(!fork_is_told()))
        fork_catch_up();
}

COLD bool fork_notice(void);

/* This process is a child that no handler told: true once, to one caller. */
static inline bool fork_noticed(void)
{
    return UNLIKELY(!fork_is_told()) && fork_notice();
}

/* Call this in every child of fork(), with the generation raised. */
void fork_set_child_hook(void (*hook)(void));

/* The handler of fork(), in the child. */
void fork_child(void);

#endif
