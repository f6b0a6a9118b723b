/* SPDX-License-Identifier: MIT */
/*
 * heap - one owner's slabs in one arena. See heap.h.
 */
#include "heap/heap.h"

#include "heap/check.h"
#include "heap/chill.h"
#include "heap/owner.h"
#include "heap/reclaim.h"
#include "heap/remote.h"
#include "heap/stats.h"

/* What a thread's heap may keep for the next thread. */
#define HEAP_LEFT_BYTES (1 * MiB)

/* Slow refills between two looks at what time asks for. */
enum { HEAP_VISITS = 64 };

/* -- owners -- */

bool heap_claim(struct heap *heap)
{
    uintptr_t pending = HEAP_ORPHAN;
    /* pairs with heap_release() */
    if (load_relaxed(&heap->pending) != HEAP_ORPHAN
        || !cas_acquire(&heap->pending, &pending, 0))
        return false;
    store_relaxed(&heap->generation, fork_generation());
    add_relaxed(&heap->arena->orphans, -1);
    return true;
}

/* Be its owner no longer; false: somebody has announced a slab. */
static bool heap_release(struct heap *heap)
{
    uintptr_t pending = 0;
    /* pairs with heap_claim() */
    while (!cas_release(&heap->pending, &pending, HEAP_ORPHAN)) {
        if (pending != 0)
            return false;
    }
    add_relaxed(&heap->arena->orphans, 1);
    return true;
}

static struct heap *heap_claim_orphan(struct arena *arena)
{
    if (load_relaxed(&arena->orphans) <= 0)
        return NULL;
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    while (heap != NULL && !heap_claim(heap))
        heap = heap->next;
    return heap;
}

struct heap *heap_adopt(struct arena *arena)
{
    struct heap *heap = heap_claim_orphan(arena);
    if (heap != NULL) {
        for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
            heap->bin[cls].firsts = 0;
        return heap;
    }
    heap = meta_take(sizeof *heap);
    if (heap == NULL)
        return NULL;
    heap->arena = arena;
    heap->proxy.rank = LOCK_proxy;
    heap->page_mask = (uint32_t)(sys_page_bytes() - 1);
    heap->alone = sys_single_threaded();
    kept_open_hand(&heap->kept, true);
    store_relaxed(&heap->generation, fork_generation());
    arena_add_heap(arena, heap);
    return heap;
}

bool heap_is_shared(const struct heap *heap)
{
    return heap == heap->arena->shared;
}

uint64_t heap_next_key(struct heap *heap)
{
    if (UNLIKELY(heap->key == 0))
        heap->key = sys_secret() ^ (uintptr_t)heap << 16;
    /* An odd step comes by every value. */
    heap->key += 0x9e3779b97f4a7c15;
    return heap->key;
}

/* -- tidying -- */

/* Of a block that is out. */
static unsigned heap_class_of(const struct block *block)
{
    return slab_of(heap_find(block).extent)->remote_cls;
}

void heap_give_list(struct heap *heap, struct block *list)
{
    if (list != NULL)
        add_relaxed(&heap->arena->flushed[heap_class_of(list)], 1);
    while (list != NULL) {
        struct block *next = list->next;
        const struct heap_place place = heap_find(list);
        struct slab *slab = slab_of(place.extent);
        if (place.owner == (uintptr_t)heap)
            slab_put(slab, list);
        else {
            check_set_remote_mark(slab, list);
            (void)remote_push(slab, list, NULL);
        }
        list = next;
    }
}

void heap_give_hands(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct block *list = heap->bin[cls].shelf;
        heap->bin[cls].shelf = NULL;
        store_relaxed(&heap->bin[cls].waiting, 0);
        heap_give_list(heap, list);
    }
}

static void heap_settle(struct heap *heap)
{
    if (UNLIKELY(heap->survived))
        reclaim_own(heap);
    (void)remote_drain(heap);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        bin_settle(&heap->bin[cls]);
}

void heap_tidy(struct heap *heap)
{
    heap_settle(heap);
    kept_empty_hand(&heap->kept);
    kept_empty(&heap->kept, &heap->arena->pool);
}

void heap_orphan(struct heap *heap)
{
    kept_spill_hand(&heap->kept);
    do {
        heap_settle(heap);
        chill_if_due(heap);
        owner_leave(heap);
        /* Short chains stay: anybody can take them, and the next owner will. */
        if (load_relaxed(&heap->kept.chain_bytes) > HEAP_LEFT_BYTES)
            kept_empty(&heap->kept, &heap->arena->pool);
    } while (!heap_release(heap));
}

void heap_visit(struct heap *heap)
{
    heap->visits++;
    /* Of the shared heap the lock is held, under which none of this may be
     * done. */
    if (heap_is_shared(heap))
        return;
    reclaim_check(heap->arena);
    if (UNLIKELY(load_relaxed(&heap->generation) != fork_generation()))
        reclaim_survive(heap);
    if (UNLIKELY(heap->survived))
        reclaim_own(heap);
    if (UNLIKELY(heap->settled != stats_asked()))
        stats_settle_heap(heap);
    if (heap->visits % HEAP_VISITS == 0)
        arena_tick(heap->arena);
}

/* -- asking -- */

size_t heap_usable_bytes(const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    if (place.owner == MAP_NOBODY)
        return 0;
    if (heap_is_large(place))
        return large_usable_bytes(place.extent, pointer);
    if (UNLIKELY(heap_is_sampled(place)))
        return sample_usable_bytes(pointer);
    const struct slab *slab = slab_of(place.extent);
    return check_may_be_block(slab, pointer)
        ? class_bytes[slab->remote_cls] : 0;
}
