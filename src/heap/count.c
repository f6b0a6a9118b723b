/* SPDX-License-Identifier: MIT */
/*
 * count - what a thread has allocated and freed, to the byte. See count.h.
 */
#include "heap/count.h"

#include "heap/arenas.h"
#include "heap/hand.h"
#include "heap/second.h"
#include "heap/stats.h"
#include "heap/thread.h"

struct count_event {
    count_callback *callback;
    uint64_t interval;
    bool alloc_only;
};

/* The first count_events_number never change again. */
static struct {
    struct lock lock;
    struct count_event at[COUNT_EVENTS_MAX];
} count_events = { .lock = { .rank = LOCK_events } };

_Atomic unsigned count_events_number;

/* -- calling back -- */

COLD void count_call(bool is_alloc, uint64_t before, uint64_t now)
{
    if (thread.calls)
        return;
    thread.calls = true;
    /* pairs with count_event_add() */
    const unsigned count = load_acquire(&count_events_number);
    for (unsigned i = 0; i < count; i++) {
        const struct count_event *event = &count_events.at[i];
        if ((is_alloc || !event->alloc_only)
            && before / event->interval != now / event->interval)
            event->callback(is_alloc, load_relaxed(&thread.allocated),
                load_relaxed(&thread.deallocated));
    }
    thread.calls = false;
}

/* -- questions -- */

static uint64_t count_live(void)
{
    return load_relaxed(&thread.allocated)
        - load_relaxed(&thread.deallocated);
}

/* NULL: the thread has no heap, and no peak. */
static struct heap *count_begin(void)
{
    struct heap *heap = thread_heap();
    if (LIKELY(thread.reasons & THREAD_COUNTED))
        return heap;
    /* The past is what its bins have counted: let them count all. */
    stats_settle();
    thread_set_reason(THREAD_COUNTED, true);
    return heap;
}

uint64_t *count_allocated(void)
{
    (void)count_begin();
    return (uint64_t *)(void *)&thread.allocated;
}

uint64_t *count_deallocated(void)
{
    (void)count_begin();
    return (uint64_t *)(void *)&thread.deallocated;
}

uint64_t count_peak_read(void)
{
    const struct heap *heap = count_begin();
    return heap != NULL ? heap->peak - heap->peak_base : 0;
}

void count_peak_reset(void)
{
    struct heap *heap = count_begin();
    if (heap != NULL) {
        heap->peak_base = count_live();
        heap->peak = heap->peak_base;
    }
}

/* -- events -- */

static bool count_event_is_there(const struct count_event *event,
    unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct count_event *at = &count_events.at[i];
        if (at->callback == event->callback && at->interval == event->interval
            && at->alloc_only == event->alloc_only)
            return true;
    }
    return false;
}

/* Under the lock. */
static bool count_event_append(struct count_event event)
{
    const unsigned count = load_relaxed(&count_events_number);
    if (count_event_is_there(&event, count))
        return true;
    if (count == COUNT_EVENTS_MAX)
        return false;
    count_events.at[count] = event;
    /* pairs with count_call() */
    store_release(&count_events_number, count + 1);
    return true;
}

bool count_event_add(count_callback *callback, uint64_t interval,
    bool alloc_only)
{
    if (callback == NULL || interval == 0)
        return false;
    lock_take(&count_events.lock);
    const unsigned before = load_relaxed(&count_events_number);
    const bool there = count_event_append(
        (struct count_event){ callback, interval, alloc_only });
    const bool new = load_relaxed(&count_events_number) > before;
    lock_give(&count_events.lock);
    if (new)
        thread_count_all();
    return there;
}

/* -- blocks in hand -- */

bool count_cache_enabled(void)
{
    (void)thread_heap();
    return !(thread.reasons & THREAD_NO_CACHE);
}

void count_enable_cache(bool on)
{
    (void)thread_heap();
    thread_set_reason(THREAD_NO_CACHE, !on);
}

bool count_flush_cache(void)
{
    if (!count_cache_enabled())
        return false;
    thread_flush();
    return true;
}

size_t count_cache_max(void)
{
    const struct heap *heap = thread_heap();
    return heap != NULL ? hand_bytes_max(heap) : 0;
}

void count_set_cache_max(size_t bytes)
{
    struct heap *heap = thread_heap();
    if (heap == NULL)
        return;
    thread_flush();
    bytes = min_size(bytes, CLASS_BYTES_MAX);
    hand_set_bytes_max(heap, class_bytes[class_of(bytes)]);
}

unsigned count_cache_blocks_max(size_t size)
{
    const struct heap *heap = thread_heap();
    if (size > CLASS_BYTES_MAX || heap == NULL || !count_cache_enabled())
        return 0;
    const unsigned cls = class_of(size);
    const struct bin *bin = &heap->bin[cls];
    return thread.reasons != 0 ? second_blocks_max(bin, cls)
        : hand_blocks_max(bin, cls);
}

void count_set_cache_blocks_max(size_t low, size_t high, size_t blocks)
{
    struct heap *heap = thread_heap();
    if (heap == NULL || low > CLASS_BYTES_MAX)
        return;
    thread_flush();
    const unsigned last = class_of(min_size(high, CLASS_BYTES_MAX));
    for (unsigned cls = class_of(low); cls <= last; cls++)
        hand_set_blocks_max(heap, cls, blocks);
}

void count_idle(void)
{
    thread_flush();
    arena_tick(arenas_bound());
}
