/* SPDX-License-Identifier: MIT */
/*
 * reclaim - what threads left that a fork made vanish.
 *
 * Owns     the order of things in a child: the survivor says that its heap is
 *          its own, collects what the others had in hand, and later, when
 *          somebody needs memory, their slabs are taken apart and let go of.
 * Used by  thread.c, heap.c, alloc.c (to notice), api/start.c (the hook).
 * Never    trusts a count of a vanished thread: lists are walked. Does next to
 *          nothing in a child that only runs another program.
 *
 * See docs/design/ownership.md, "What vanishes".
 *
 * Tests    test/unit/heap/{reclaim,survivor,reap}_test.c
 *          test/stress/fork.c  test/fork
 */
#ifndef HEAP_RECLAIM_H
#define HEAP_RECLAIM_H

#include "heap/heap.h"

/* The hook of fork(), in the child, on the survivor. */
void reclaim_on_fork(void);

COLD void reclaim_slow(struct arena *arena);

/* Is this a child in which nothing has been done yet? Then do it. No lock may
 * be held. */
static inline void reclaim_check(struct arena *arena)
{
    fork_check();
    if (UNLIKELY(load_relaxed(&arena->generation) != fork_generation()))
        reclaim_slow(arena);
}

/* A heap whose owner is gone, and whose caller owns it now: what that had in
 * hand, as far as it can be found, back to its slabs. */
void reclaim_hands(struct heap *heap);

/* The calling thread's heap, or one that it has claimed, after a fork: it is
 * owned in this generation; */
void reclaim_survive(struct heap *heap);

/* and what freers that vanished had not announced is collected. */
void reclaim_own(struct heap *heap);

#endif
