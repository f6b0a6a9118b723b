/* SPDX-License-Identifier: MIT */
/*
 * thread - thread-local data, and a thread's life. See thread.h.
 */
#include "heap/thread.h"

#include <string.h>

#include "heap/arenas.h"
#include "heap/chill.h"
#include "heap/hand.h"
#include "heap/reclaim.h"
#include "heap/second.h"

/*
 * A thread that closed so many slabs without opening one is tearing down:
 * what it has in hand will not be needed soon, and would pin slabs.
 */
enum { THREAD_TEAR_DOWN_CLOSES = 32 };

THREAD_LOCAL struct thread thread = { .self = OWNER_UNBORN };

/* What threads that are born have; what those that live are to hear of. */
static _Atomic uint8_t thread_defaults;
_Atomic uint16_t thread_news;
static void (*_Atomic thread_called_soon)(void);

static void thread_empty_shelves(struct heap *heap)
{
    reclaim_check(heap->arena);
    hand_empty(heap);
    heap_give_hands(heap);
}

/* -- tiers -- */

static void thread_set_tier(struct heap *heap)
{
    const bool second = thread.reasons != 0;
    store_relaxed(&heap->reasons, thread.reasons);          /* T3 */
    thread.heap = second ? NULL : heap;
    thread.self = second ? OWNER_UNBORN : (uintptr_t)heap;
}

/* What the slabs of a heap tell of what was allocated and freed there, by its
 * owners so far. Of one that lives it is added up when somebody asks. */
struct thread_past {
    uint64_t allocated;
    uint64_t deallocated;
};

static struct thread_past thread_past(const struct heap *heap)
{
    struct thread_past past = { 0, 0 };
    if (heap->refills == 0)
        return past;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        past.allocated +=
            load_relaxed(&heap->bin[cls].handed) * class_bytes[cls];
        past.deallocated +=
            load_relaxed(&heap->bin[cls].folded) * class_bytes[cls];
    }
    return past;
}

/* Until the thread counts, its sums are so much less. */
static void thread_begin_past(const struct heap *heap)
{
    const struct thread_past past = thread_past(heap);
    if (thread.reasons & THREAD_COUNTED)
        return;
    thread_add(&thread.allocated, 0 - past.allocated);
    thread_add(&thread.deallocated, 0 - past.deallocated);
}

static void thread_end_past(const struct heap *heap)
{
    const struct thread_past past = thread_past(heap);
    if (thread.reasons & THREAD_COUNTED)
        return;
    thread_add(&thread.allocated, past.allocated);
    thread_add(&thread.deallocated, past.deallocated);
}

static uint64_t thread_bytes_in_hand(void)
{
    uint64_t bytes = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (const struct block *at = thread.shelf[cls]; at; at = at->next)
            bytes += class_bytes[cls];
        if (thread.own->sample != NULL)
            bytes += thread.own->sample->bin[cls].rest_count
                * class_bytes[cls];
    }
    return bytes;
}

/* It counts from now on; most of what is in its hands it has freed. Blocks of
 * others' slabs may have made too little of the past. */
static void thread_begin_sums(struct heap *heap)
{
    thread_end_past(heap);
    thread_add(&thread.deallocated, thread_bytes_in_hand());
    const uint64_t allocated = load_relaxed(&thread.allocated);
    if ((int64_t)load_relaxed(&thread.deallocated) < 0)
        store_relaxed(&thread.deallocated, 0);
    if ((int64_t)(allocated - load_relaxed(&thread.deallocated)) < 0)
        store_relaxed(&thread.allocated, load_relaxed(&thread.deallocated));
    heap->peak = load_relaxed(&thread.allocated)
        - load_relaxed(&thread.deallocated);
}

void thread_set_reason(enum thread_reason reason, bool on)
{
    const unsigned reasons =
        on ? thread.reasons | reason : thread.reasons & ~(unsigned)reason;
    struct heap *heap = thread.own;
    if (reasons == thread.reasons)
        return;
    if (heap == NULL) {
        thread.reasons = (uint8_t)reasons;
        return;
    }
    thread_enter(heap);
    if (reason == THREAD_COUNTED)
        thread_begin_sums(heap);
    thread_empty_shelves(heap);
    thread.reasons = (uint8_t)reasons;
    thread_set_tier(heap);
    thread_leave();
}

void thread_set_default(enum thread_reason reason, bool on)
{
    if (on)
        (void)or_relaxed(&thread_defaults, (uint8_t)reason);
    else
        (void)and_relaxed(&thread_defaults, (uint8_t)~reason);
    thread_set_reason(reason, on);
}

/* -- news -- */

static void thread_mind_sampling(struct heap *heap)
{
    if (heap != NULL
        && (UNLIKELY(heap->sample != NULL) || sample_is_active()))
        sample_mind(heap);
}

void thread_hear(void)
{
    /* pairs with thread_count_all() and thread_call_soon() */
    thread.news = load_acquire(&thread_news);
    if (load_relaxed(&thread_defaults) & THREAD_COUNTED)
        thread_set_reason(THREAD_COUNTED, true);
    thread_set_reason(THREAD_WATCHED,
        load_relaxed(&thread_defaults) & THREAD_WATCHED);
    thread_mind_sampling(thread.own);
    if (load_relaxed(&thread_called_soon) == NULL)
        return;
    void (*call)(void) = exchange_relaxed(&thread_called_soon, NULL);
    if (call != NULL)
        call();
}

void thread_tell(void)
{
    /* pairs with thread_hear() */
    (void)add_release(&thread_news, 1);
}

void thread_count_all(void)
{
    thread_set_default(THREAD_COUNTED, true);
    thread_tell();
}

void thread_watch_all(bool on)
{
    thread_set_default(THREAD_WATCHED, on);
    thread_tell();
}

void thread_call_soon(void (*call)(void))
{
    store_relaxed(&thread_called_soon, call);
    thread_tell();
}

/* -- life -- */

/* Its heap goes to whoever comes next. */
static void thread_leave_heap(struct heap *heap)
{
    thread_enter(heap);
    thread_empty_shelves(heap);
    sample_leave(heap);
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
    person_end();
    if (helper_note_end())
        due_wake();
}

/* Nothing is in hand, and the thread has no heap. */
static void thread_enter_heap(struct heap *heap)
{
    thread.own = heap;
    thread_begin_past(heap);
    thread_set_tier(heap);
    add_relaxed(&heap->arena->threads, 1);
    COMPILER_BARRIER();
    store_relaxed(&heap->thread, &thread);
    /* Without a life the heap of a thread that vanishes stays as it is. */
    (void)!life_begin(&heap->life);
    thread_mind_sampling(heap);
}

static COLD struct heap *thread_birth(void)
{
    /* Not before ld.so has set up our thread-local data. */
    if (thread.self == 0 || thread.stage == THREAD_DEAD)
        return NULL;
    fork_mind();
    fork_set_child_hook(reclaim_on_fork);
    struct arena *arena = arenas_for_birth();
    reclaim_check(arena);
    struct heap *heap = heap_adopt(arena);
    if (heap == NULL)
        return NULL;
    thread.stage = THREAD_ALIVE;
    thread.reasons |= load_relaxed(&thread_defaults);
    heap->peak = 0;
    heap->peak_base = 0;
    hand_begin(heap);
    thread_enter_heap(heap);
    /* This may allocate, so it comes last. Without the call the heap stays
     * with a dead thread, until arena_reap() finds it. */
    (void)!sys_on_thread_exit(thread_death, &thread);
    return heap;
}

void thread_be_nobody(void (*call)(void *), void *argument)
{
    /* Others may be reading what comes behind. */
    enum { BYTES = offsetof(struct thread, allocated) };
    struct thread saved;
    memcpy(&saved, &thread, BYTES);
    memset(&thread, 0, BYTES);
    thread.self = OWNER_UNBORN;
    thread.stage = THREAD_DEAD;
    thread.news = saved.news;
    call(argument);
    memcpy(&thread, &saved, BYTES);
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
    thread_end_past(old);
    /* Once it is left the old one may be another thread's. */
    heap->peak = old->peak;
    heap->peak_base = old->peak_base;
    hand_copy_limits(heap, old);
    thread_leave_heap(old);
    thread_enter_heap(heap);
    return true;
}

struct heap *thread_heap(void)
{
    struct heap *heap = thread.own;
    return LIKELY(heap != NULL) ? heap : thread_birth();
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
    const unsigned cls = slab->cls;
    const bool event = slab->countdown == 1;
    slab_put(slab, pointer);
    if (event && thread.reasons != 0)
        second_mind(heap, cls);
    thread_mind_closes(heap);
}
