/* SPDX-License-Identifier: MIT */
/*
 * thread - what a thread has in hand.
 *
 * Owns     the thread-local data: who the thread is to the page map, its
 *          heap, and its shelves.
 * Used by  fast.h, api/.
 * Never    is needed: a thread without a heap (too early, too late, or out of
 *          memory) is served by the arena's shared heap.
 *
 * Life     UNBORN -> ALIVE  thread_heap(), at the first slow path
 *          ALIVE  -> DEAD   thread_death(), from the thread's exit call;
 *                           frees and allocations still work afterwards
 *
 * Holds    T1  self is the address of heap while ALIVE, else no heap's
 *          T2  shelf[g] holds blocks of the class of 8 * g bytes; all empty
 *              unless ALIVE
 *
 * `self` starts as OWNER_UNBORN and not as 0, for 0 is what the map says of
 * memory that is nobody's. ld.so may call us before it has copied the initial
 * value: then self is 0, and no valid pointer's owner word is.
 *
 * Tests    test/unit/heap/thread_test.c  test/stress/churn.c
 */
#ifndef HEAP_THREAD_H
#define HEAP_THREAD_H

#include "heap/heap.h"

enum { SHELF_STEP_BYTES = 8, SHELF_BYTES_MAX = 256 };
enum { SHELF_COUNT = SHELF_BYTES_MAX / SHELF_STEP_BYTES + 1 };

enum thread_stage { THREAD_UNBORN, THREAD_ALIVE, THREAD_DEAD };

struct thread {
    struct block *shelf[SHELF_COUNT];
    struct heap *heap;          /* NULL unless ALIVE */
    uintptr_t self;
    uint8_t stage;
};
_Static_assert(sizeof(struct thread) <= 320, "dlopen needs little TLS");

extern THREAD_LOCAL struct thread thread;

static ALWAYS_INLINE size_t shelf_of(size_t size)
{
    return (size + SHELF_STEP_BYTES - 1) / SHELF_STEP_BYTES;
}

/* The calling thread's heap, born now if need be; NULL: it has none. */
struct heap *thread_heap(void);

/* Blocks in hand back to their slabs; then heap_tidy() and chill_all(). */
void thread_flush(void);

/* A block of the thread's own heap brought its slab's countdown to 0. */
NOINLINE void thread_event(struct slab *slab);

#endif
