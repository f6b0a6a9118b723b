/* SPDX-License-Identifier: MIT */
/*
 * cache - explicit thread caches. See cache.h.
 */
#include "heap/cache.h"

#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/reclaim.h"

struct cache {
    struct heap *heap;          /* NULL: none yet */
    uint32_t generation;        /* of the process that took the heap */
    bool taken;                 /* under lock caches */
};

static struct cache caches[CACHES_MAX];
static struct lock caches_lock = { .rank = LOCK_arenas };

static bool cache_lives(const struct cache *cache)
{
    return cache->heap != NULL && cache->generation == fork_generation();
}

bool cache_is(unsigned id)
{
    return id < CACHES_MAX && caches[id].taken;
}

bool cache_create(unsigned *id)
{
    unsigned i = 0;
    lock_take(&caches_lock);
    while (i < CACHES_MAX && caches[i].taken)
        i++;
    if (i < CACHES_MAX)
        caches[i].taken = true;
    lock_give(&caches_lock);
    if (i == CACHES_MAX)
        return false;
    *id = i;
    return true;
}

static void cache_leave_heap(struct cache *cache)
{
    if (cache_lives(cache)) {
        reclaim_check(cache->heap->arena);
        heap_give_hands(cache->heap);
        heap_orphan(cache->heap);
    }
    cache->heap = NULL;
}

bool cache_flush(unsigned id)
{
    if (!cache_is(id))
        return false;
    if (cache_lives(&caches[id])) {
        reclaim_check(caches[id].heap->arena);
        heap_give_hands(caches[id].heap);
        heap_tidy(caches[id].heap);
    }
    return true;
}

bool cache_destroy(unsigned id)
{
    if (!cache_is(id))
        return false;
    cache_leave_heap(&caches[id]);
    lock_take(&caches_lock);
    caches[id].taken = false;
    lock_give(&caches_lock);
    return true;
}

void cache_leave(const struct arena *arena)
{
    for (unsigned i = 0; i < CACHES_MAX; i++) {
        if (caches[i].taken && cache_lives(&caches[i])
            && caches[i].heap->arena == arena)
            cache_leave_heap(&caches[i]);
    }
}

struct heap *cache_heap(unsigned id, struct arena *arena)
{
    struct cache *cache = &caches[id];
    if (!cache_lives(cache)) {
        cache->heap = heap_adopt(arena != NULL ? arena : arenas_bound());
        cache->generation = fork_generation();
    }
    if (cache->heap == NULL || (arena != NULL && cache->heap->arena != arena))
        return NULL;
    return cache->heap;
}

void *cache_take(struct heap *heap, unsigned cls)
{
    bool refilled;
    return bin_pop(heap, cls, &refilled);
}

bool cache_give(unsigned id, void *pointer)
{
    const struct cache *cache = &caches[id];
    if (!cache_lives(cache))
        return false;
    const struct heap_place place = heap_find(pointer);
    if (place.owner != (uintptr_t)cache->heap)
        return false;
    struct slab *slab = slab_of(place.extent);
    if (check_give(slab, "free", pointer))
        slab_put(slab, pointer);
    return true;
}
