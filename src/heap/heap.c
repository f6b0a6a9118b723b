/* SPDX-License-Identifier: MIT */
/*
 * heap - one owner's slabs in one arena. See heap.h.
 */
#include "heap/heap.h"

#include "heap/chill.h"
#include "heap/remote.h"

/* Slow refills between two looks at what time asks for. */
enum { HEAP_VISITS = 64 };

bool heap_claim(struct heap *heap)
{
    bool owned = false;
    /* pairs with heap_release() */
    if (load_relaxed(&heap->owned)
        || !cas_acquire(&heap->owned, &owned, true))
        return false;
    add_relaxed(&heap->arena->orphans, -1);
    return true;
}

void heap_release(struct heap *heap)
{
    /* pairs with heap_claim() */
    store_release(&heap->owned, false);
    add_relaxed(&heap->arena->orphans, 1);
}

static struct heap *heap_claim_orphan(struct arena *arena)
{
    if (load_relaxed(&arena->orphans) == 0)
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
    if (heap != NULL)
        return heap;
    heap = meta_take(sizeof *heap);
    if (heap == NULL)
        return NULL;
    heap->arena = arena;
    heap->page_mask = (uint32_t)(sys_page_bytes() - 1);
    store_relaxed(&heap->owned, true);
    arena_add_heap(arena, heap);
    return heap;
}

void heap_tidy(struct heap *heap)
{
    (void)remote_drain(heap);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        bin_settle(&heap->bin[cls]);
    kept_empty_hand(&heap->kept);
    kept_empty(&heap->kept, &heap->arena->pool);
}

void heap_orphan(struct heap *heap)
{
    heap_tidy(heap);
    chill_all(heap);
    heap_release(heap);
}

void heap_visit(struct heap *heap)
{
    if (++heap->visits % HEAP_VISITS == 0)
        arena_tick(heap->arena);
}

struct heap_place heap_find(const void *pointer)
{
    struct heap_place place = { MAP_NOBODY, NULL };
    /* The map looks at 48 bits; a pointer with others is nobody's. */
    if ((uintptr_t)pointer >> 48 != 0)
        return place;
    const struct map_entry entry = map_find(pointer);
    place.owner = load_relaxed(map_owner(entry));
    if (place.owner != MAP_NOBODY)
        place.extent = load_relaxed(map_extent(entry));
    return place;
}

size_t heap_usable_bytes(const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    if (place.owner == MAP_NOBODY)
        return 0;
    if (place.owner == OWNER_RUN || place.owner == OWNER_MAPPING)
        return large_usable_bytes(place.extent, pointer);
    const struct slab *slab = slab_of(place.extent);
    return slab_has_block_at(slab, pointer) ? slab->block_bytes : 0;
}

void heap_misuse(const char *call, const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    struct misuse_report report = { MISUSE_foreign, call, pointer, 0 };
    if (place.owner == OWNER_RUN || place.owner == OWNER_MAPPING) {
        report.block_bytes = place.extent->bytes;
        report.what = pointer == place.extent->start ? MISUSE_double_free
            : MISUSE_interior;
    } else if (place.owner != MAP_NOBODY) {
        report.block_bytes = slab_of(place.extent)->block_bytes;
        report.what = MISUSE_interior;
    }
    misuse(report);
}
