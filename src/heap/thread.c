/* SPDX-License-Identifier: MIT */
/*
 * thread - thread-local data, and a thread's life. See thread.h.
 */
#include "heap/thread.h"

#include "heap/chill.h"
#include "heap/hand.h"
#include "heap/reclaim.h"

/*
 * A thread that closed so many slabs without opening one is tearing down:
 * what it has in hand will not be needed soon, and would pin slabs.
 */
enum { THREAD_TEAR_DOWN_CLOSES = 32 };

THREAD_LOCAL struct thread thread = { .self = OWNER_UNBORN };

static _Atomic bool thread_hardening;

static void thread_empty_shelves(struct heap *heap)
{
    reclaim_check(heap->arena);
    hand_empty(heap);
    heap_give_hands(heap);
}

/* -- life -- */

static void thread_set_tier(struct heap *heap, bool second)
{
    heap->hardened = second;
    thread.heap = second ? NULL : heap;
    thread.self = second ? OWNER_UNBORN : (uintptr_t)heap;
}

/* Its heap goes to whoever comes next. */
static void thread_leave_heap(struct heap *heap)
{
    thread_enter(heap);
    thread_empty_shelves(heap);
    thread.self = OWNER_UNBORN;
    thread.heap = NULL;
    thread.own = NULL;
    store_relaxed(&heap->thread, NULL);
    life_end(&heap->life);
    add_relaxed(&heap->arena->threads, -1);
    heap_orphan(heap);
    thread_leave();
}

static void thread_death(void *unused)
{
    (void)unused;
    thread.stage = THREAD_DEAD;
    thread_leave_heap(thread.own);
}

/* Nothing is in hand, and the thread has no heap. */
static void thread_enter_heap(struct heap *heap)
{
    thread.own = heap;
    thread_set_tier(heap, load_relaxed(&thread_hardening));
    add_relaxed(&heap->arena->threads, 1);
    COMPILER_BARRIER();
    store_relaxed(&heap->thread, &thread);
    /* Without a life the heap of a thread that vanishes stays as it is. */
    (void)!life_begin(&heap->life);
}

static COLD struct heap *thread_birth(void)
{
    /* Not before ld.so has set up our thread-local data. */
    if (thread.self == 0 || thread.stage == THREAD_DEAD)
        return NULL;
    fork_mind();
    fork_set_child_hook(reclaim_on_fork);
    reclaim_check(&arena_main);
    struct heap *heap = heap_adopt(&arena_main);
    if (heap == NULL)
        return NULL;
    thread.stage = THREAD_ALIVE;
    thread_enter_heap(heap);
    /* This may allocate, so it comes last. Without the call the heap stays
     * with a dead thread, until arena_reap() finds it. */
    (void)!sys_on_thread_exit(thread_death, &thread);
    return heap;
}

bool thread_move(struct arena *arena)
{
    struct heap *old = thread_heap();
    if (old == NULL || old->arena == arena)
        return old != NULL;
    reclaim_check(arena);
    struct heap *heap = heap_adopt(arena);
    if (heap == NULL)
        return false;
    thread_leave_heap(old);
    thread_enter_heap(heap);
    return true;
}

struct heap *thread_heap(void)
{
    struct heap *heap = thread.own;
    return LIKELY(heap != NULL) ? heap : thread_birth();
}

void thread_set_hardening(bool on)
{
    store_relaxed(&thread_hardening, on);
    struct heap *heap = thread.own;
    if (heap == NULL)
        return;
    thread_enter(heap);
    thread_empty_shelves(heap);
    thread_set_tier(heap, on);
    thread_leave();
}

void thread_wait(struct heap *heap, bool began)
{
    bool torn;
    do {
        /* Who has begun nothing yet lets the proxy go on meanwhile: it would
         * find its owner busy each time it comes, only for waiting. */
        thread.busy = began;
        lock_take(&heap->proxy);
        torn = lock_is_broken(&heap->proxy);
        lock_give(&heap->proxy);
        thread.busy = true;
        COMPILER_BARRIER();
    } while (!began && !torn && lock_is_taken(&heap->proxy));
    if (LIKELY(!torn))
        return;
    /* This is a child of fork, and the proxy has vanished. */
    reclaim_slow(heap->arena);
    lock_take(&heap->proxy);
    lock_mend(&heap->proxy);
    lock_give(&heap->proxy);
}

/* -- giving back -- */

void thread_flush(void)
{
    struct heap *heap = thread.own;
    if (heap == NULL)
        return;
    thread_enter(heap);
    thread_empty_shelves(heap);
    heap_tidy(heap);
    chill_all(heap);
    thread_leave();
}

static void thread_mind_closes(struct heap *heap)
{
    if (UNLIKELY(heap->closes >= THREAD_TEAR_DOWN_CLOSES)) {
        heap->closes = 0;
        thread_empty_shelves(heap);
        heap_tidy(heap);
    }
}

void thread_event(struct slab *slab)
{
    struct heap *heap = slab_heap(slab);
    const unsigned cls = slab->cls;
    thread_enter(heap);
    slab_event(slab);
    hand_mind(heap, cls);
    thread_mind_closes(heap);
    thread_leave();
}

void thread_put(struct slab *slab, void *pointer)
{
    struct heap *heap = slab_heap(slab);
    slab_put(slab, pointer);
    thread_mind_closes(heap);
}
