/* SPDX-License-Identifier: MIT */
/*
 * cache - explicit thread caches. See cache.h.
 */
#include "heap/cache.h"

#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/reclaim.h"
#include "heap/second.h"

/* Who ends an arena looks at all of them, and touches those that are there. */
struct cache {
    struct heap *_Atomic heap;          /* NULL: none yet */
    _Atomic uint32_t generation;        /* of the process that took the heap */
    _Atomic bool taken;                 /* changed under the lock */
};

static struct cache caches[CACHES_MAX];
static struct lock caches_lock = { .rank = LOCK_arenas };

/* Its heap, if it has one in this process. */
static struct heap *cache_living(const struct cache *cache)
{
    /* pairs with cache_heap() */
    struct heap *heap = load_acquire(&cache->heap);
    return heap != NULL
        && load_relaxed(&cache->generation) == fork_generation()
        ? heap : NULL;
}

bool cache_is(unsigned id)
{
    return id < CACHES_MAX && load_relaxed(&caches[id].taken);
}

bool cache_create(unsigned *id)
{
    unsigned i = 0;
    lock_take(&caches_lock);
    while (i < CACHES_MAX && load_relaxed(&caches[i].taken))
        i++;
    if (i < CACHES_MAX)
        store_relaxed(&caches[i].taken, true);
    lock_give(&caches_lock);
    if (i == CACHES_MAX)
        return false;
    *id = i;
    return true;
}

static void cache_leave_heap(struct cache *cache)
{
    struct heap *heap = cache_living(cache);
    store_relaxed(&cache->heap, NULL);
    if (heap == NULL)
        return;
    reclaim_check(heap->arena);
    heap_give_hands(heap);
    heap_orphan(heap);
}

bool cache_flush(unsigned id)
{
    if (!cache_is(id))
        return false;
    struct heap *heap = cache_living(&caches[id]);
    if (heap != NULL) {
        reclaim_check(heap->arena);
        heap_give_hands(heap);
        heap_tidy(heap);
    }
    return true;
}

bool cache_destroy(unsigned id)
{
    if (!cache_is(id))
        return false;
    cache_leave_heap(&caches[id]);
    lock_take(&caches_lock);
    store_relaxed(&caches[id].taken, false);
    lock_give(&caches_lock);
    return true;
}

void cache_leave(const struct arena *arena)
{
    for (unsigned i = 0; i < CACHES_MAX; i++) {
        const struct heap *heap = cache_living(&caches[i]);
        if (heap != NULL && heap->arena == arena)
            cache_leave_heap(&caches[i]);
    }
}

struct heap *cache_heap(unsigned id, struct arena *arena)
{
    struct cache *cache = &caches[id];
    struct heap *heap = cache_living(cache);
    if (heap == NULL) {
        heap = heap_adopt(arena != NULL ? arena : arenas_bound());
        store_relaxed(&cache->generation, fork_generation());
        /* pairs with cache_living() */
        store_release(&cache->heap, heap);
    }
    return heap != NULL && (arena == NULL || heap->arena == arena) ? heap
        : NULL;
}

void *cache_take(struct heap *heap, unsigned cls)
{
    bool refilled;
    struct block *block = bin_pop(heap, cls, &refilled);
    if (refilled)
        heap->bin[cls].capacity = second_blocks_max(&heap->bin[cls], cls);
    return block;
}

bool cache_give(unsigned id, void *pointer)
{
    struct heap *heap = cache_living(&caches[id]);
    const struct heap_place place = heap_find(pointer);
    if (heap == NULL || place.owner != (uintptr_t)heap)
        return false;
    struct slab *slab = slab_of(place.extent);
    if (check_give(slab, "free", pointer)
        && !second_keep_in(&heap->bin[slab->cls], slab, pointer))
        slab_put(slab, pointer);
    return true;
}
