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
 * A thread that has a reason is of the second tier: its heap is in `own` alone,
 * self is nobody's, heap NULL and every shelf empty, so that each of its calls
 * ends in the slow path, where there is time to check, count and fill
 * (second.h).
 *
 * Holds    T1  self is the address of heap, and heap == own, in the first
 *              tier while ALIVE; else self is no heap's and heap is NULL
 *          T2  shelf[c] holds blocks of class c; all are empty and without
 *              room unless ALIVE in the first tier
 *          T3  own->reasons == reasons while ALIVE
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

/* Why a thread is of the second tier. */
enum thread_reason {
    THREAD_HARDENED = 1,        /* option hardening */
    THREAD_COUNTED = 2,         /* its calls are counted: count.h */
    THREAD_NO_CACHE = 4,        /* what it frees goes to the slabs at once */
    THREAD_FILLED = 8,          /* options junk and zero */
    THREAD_WATCHED = 16         /* watch.h */
};

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
    uint8_t reasons;            /* enum thread_reason; 0: first tier */
    bool calls;                 /* inside a callback of count.h */
    uint16_t news;              /* that it has heard of */
    uint8_t sampled;            /* whether it wants to be: sample.c */

    /* count.h; others may read */
    _Atomic uint64_t allocated;
    _Atomic uint64_t deallocated;
};
/* A build of quantum 8 has four classes more. */
_Static_assert(sizeof(struct thread) <= (ASHLAR_QUANTUM == 8 ? 552 : 512),
    "dlopen needs little TLS");

extern THREAD_LOCAL struct thread thread;

/* To a word that the thread alone writes and others read. */
static inline void thread_add(_Atomic uint64_t *word, uint64_t value)
{
    store_relaxed(word, load_relaxed(word) + value);
}

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

/*
 * Call this while the thread is nobody: a hook runs, perhaps in the middle of
 * our work in the thread's heap, and may allocate and free. What it takes comes
 * from where threads without a heap are served, what it gives goes back as a
 * stranger's.
 */
void thread_be_nobody(void (*call)(void *), void *argument);

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

/* -- tiers -- */

/* The calling thread has this reason from now on, or no longer. */
void thread_set_reason(enum thread_reason reason, bool on);

/* The same, and so have threads that are born from now on. */
void thread_set_default(enum thread_reason reason, bool on);

/* Every thread counts: those that live from their next refill on. */
void thread_count_all(void);

/* The same of being watched, and of no longer. */
void thread_watch_all(bool on);

/* Threads are to listen at their next refill. */
void thread_tell(void);

/* Have some thread call this at its next refill, holding nothing. */
void thread_call_soon(void (*call)(void));

extern _Atomic uint16_t thread_news;
COLD void thread_hear(void);

/* In slow paths that hold nothing: is there news? */
static inline void thread_listen(void)
{
    if (UNLIKELY(load_relaxed(&thread_news) != thread.news))
        thread_hear();
}

#endif
