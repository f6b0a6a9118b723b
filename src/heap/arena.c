/* SPDX-License-Identifier: MIT */
/*
 * arena - a source of extents, with the heaps that draw from it. See arena.h.
 */
#include "heap/arena.h"

#include "heap/chill.h"
#include "heap/heap.h"
#include "table/option.h"

/* The main arena's shared heap must be there when no memory is. */
static struct heap arena_main_shared = {
    .arena = &arena_main, .owned = true,
};

struct arena arena_main = {
    .pool = POOL_INITIAL(OPTION_INIT_dirty_decay_ms),
    .heaps = &arena_main_shared,
    .heap_count = 1,
    .lock = { .rank = LOCK_shared },
    .shared = &arena_main_shared,
};

void arena_add_heap(struct arena *arena, struct heap *heap)
{
    struct heap *first = load_relaxed(&arena->heaps);
    do {
        heap->next = first;
        /* pairs with heap_claim_orphan() and arena_each_kept() */
    } while (!cas_release(&arena->heaps, &first, heap));
    add_relaxed(&arena->heap_count, 1);
}

void *arena_take_shared(struct arena *arena, unsigned cls)
{
    lock_take(&arena->lock);
    struct bin *bin = &arena->shared->bin[cls];
    struct block *block = bin->shelf;
    if (block == NULL)
        block = bin_refill(arena->shared, cls);
    if (block != NULL)
        bin->shelf = block->next;
    lock_give(&arena->lock);
    return block;
}

static void arena_each_kept(struct arena *arena,
    void (*call)(struct kept *, struct pool *))
{
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next)
        call(&heap->kept, &arena->pool);
}

struct extent *arena_take(struct arena *arena, size_t slices, size_t step)
{
    struct extent *extent = pool_take(&arena->pool, slices, step);
    if (LIKELY(extent != NULL))
        return extent;
    arena_each_kept(arena, kept_empty);
    return pool_take(&arena->pool, slices, step);
}

/* What was freed into heaps whose owners have gone. */
static void arena_tidy_orphans(struct arena *arena)
{
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        if (load_relaxed(&heap->pending) != NULL && heap_claim(heap)) {
            heap_tidy(heap);
            chill_all(heap);
            heap_release(heap);
        }
    }
}

void arena_tick(struct arena *arena)
{
    const uint64_t now_ms = sys_now_ms();
    const int64_t decay_ms = load_relaxed(&arena->pool.dirty_decay_ms);
    uint64_t swept_ms = load_relaxed(&arena->swept_ms);
    if (decay_ms < 0 || now_ms - swept_ms < (uint64_t)decay_ms
        || !cas_relaxed(&arena->swept_ms, &swept_ms, now_ms))
        return;
    arena_tidy_orphans(arena);
    arena_each_kept(arena, kept_sweep);
    (void)!pool_lease(&arena->pool, 0, 0);
}

/* The shared heap's blocks in hand go back to their slabs. */
static void arena_tidy_shared(struct arena *arena)
{
    lock_take(&arena->lock);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct bin *bin = &arena->shared->bin[cls];
        struct block *block = bin->shelf;
        bin->shelf = NULL;
        while (block != NULL) {
            struct block *next = block->next;
            bin->handed--;
            bin->folded--;
            slab_put(slab_of(heap_find(block).extent), block);
            block = next;
        }
    }
    heap_tidy(arena->shared);
    chill_all(arena->shared);
    lock_give(&arena->lock);
}

void arena_purge(struct arena *arena)
{
    arena_tidy_shared(arena);
    arena_tidy_orphans(arena);
    arena_each_kept(arena, kept_empty);
    pool_purge(&arena->pool);
}

/* -- audit -- */

static void arena_audit_extent(struct extent *extent)
{
    const uint8_t state = load_relaxed(&extent->state);
    const uintptr_t owner =
        load_relaxed(map_owner(map_find(extent->start)));
    if (state == EXTENT_SLAB) {
        struct slab *slab = slab_of(extent);
        CHECK(owner == (uintptr_t)slab->heap);              /* M1 */
        CHECK(slab->heap->arena->pool.regions != NULL);     /* H2 */
        slab_audit(slab);
    } else if (state == EXTENT_LARGE || state == EXTENT_KEPT) {
        /* What was a slab is nobody's until it is a slab again. */
        CHECK(owner == OWNER_RUN
            || (state == EXTENT_KEPT && owner == MAP_NOBODY));
        CHECK(extent->bytes <= extent->slices * SLICE_BYTES);
    }
}

static void arena_audit_region(struct region *region)
{
    for (size_t i = 0; i < region->committed; i++) {
        struct extent *extent = &region->extent[i];
        if (load_relaxed(&extent->state) != EXTENT_FREE)
            arena_audit_extent(extent);
    }
}

/* How much of a bin is loose (chill.h). */
static size_t arena_audit_bin(const struct bin *bin)
{
    size_t loose = 0;
    if (bin->current != NULL)
        CHECK(bin->current->place == SLAB_CURRENT);         /* B1 */
    for (const struct slab *at = bin->partial; at; at = at->next)
        CHECK(at->place == SLAB_PARTIAL);                   /* B1 */
    for (const struct slab *at = bin->cold; at; at = at->next)
        CHECK(at->place == SLAB_COLD);                      /* B1 */
    for (const struct slab *at = bin->partial; at; at = at->next)
        loose += chill_bytes(at);
    return loose;
}

void arena_audit(struct arena *arena)
{
    pool_audit(&arena->pool);
    for (struct region *r = arena->pool.regions; r; r = r->next)
        arena_audit_region(r);
    /* pairs with arena_add_heap() */
    for (struct heap *heap = load_acquire(&arena->heaps); heap != NULL;
         heap = heap->next) {
        CHECK(heap->arena == arena);                        /* A1 H2 */
        CHECK((uintptr_t)heap % CACHE_LINE_BYTES == 0);     /* H1 */
        size_t loose = 0;
        for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
            loose += arena_audit_bin(&heap->bin[cls]);
        CHECK(loose == heap->loose_bytes);                  /* L1 */
    }
}
