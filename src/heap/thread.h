/* SPDX-License-Identifier: MIT */
/*
 * thread - thread-local data, and the life of a thread.
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
 * A thread of the second tier (option hardening) has its heap in `own` alone:
 * self is nobody's, heap NULL and every shelf empty, so that each of its calls
 * ends in the slow path, where there is time for more checks.
 *
 * Holds    T1  self is the address of heap, and heap == own, in the first
 *              tier while ALIVE; else self is no heap's and heap is NULL
 *          T2  shelf[c] holds blocks of class c; all are empty and without
 *              room unless ALIVE in the first tier
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

enum thread_stage { THREAD_UNBORN, THREAD_ALIVE, THREAD_DEAD };

struct thread {
    struct block *shelf[CLASS_COUNT];
    int16_t room[CLASS_COUNT];  /* for so many freed ones more, see hand.h */
    struct heap *heap;          /* own, for the fast path */
    uintptr_t self;
    struct heap *own;           /* NULL unless ALIVE */
    uint32_t given_bytes;       /* to other owners' slabs, see proxy.h */
    uint32_t look_bytes;        /* when to look next */
    bool busy;                  /* working in own; see thread_enter() */
    uint8_t stage;
};
_Static_assert(sizeof(struct thread) <= 512, "dlopen needs little TLS");

extern THREAD_LOCAL struct thread thread;

COLD void thread_wait(struct heap *heap, bool began);

/*
 * Around all work in the bins and slabs of the thread's own heap, which another
 * thread may do in its stead while it sleeps (proxy.h). That one takes the
 * lock, has every thread pass a barrier, and then looks at busy; so here the
 * compiler alone must keep the order.
 */
static ALWAYS_INLINE void thread_enter(struct heap *heap)
{
    const bool began = thread.busy;
    thread.busy = true;
    COMPILER_BARRIER();
    if (UNLIKELY(lock_is_taken(&heap->proxy)))
        thread_wait(heap, began);
}

static ALWAYS_INLINE void thread_leave(void)
{
    COMPILER_BARRIER();
    thread.busy = false;
}

/* The calling thread's heap, born now if need be; NULL: it has none. */
struct heap *thread_heap(void);

/* The calling thread lives in this arena from now on; false: no memory. */
MUST_USE bool thread_move(struct arena *arena);

/* Blocks in hand back to their slabs; then heap_tidy() and chill_all(). */
void thread_flush(void);

/* A block of the thread's own heap brought its slab's countdown to 0; entered
 * before, and left here. */
NOINLINE void thread_event(struct slab *slab);

/* Give a block back to a slab of the thread's own heap, in the slow path;
 * entered. */
void thread_put(struct slab *slab, void *pointer);

/* Threads born from now on, and the calling one, are of the second tier. */
void thread_set_hardening(bool on);

#endif
