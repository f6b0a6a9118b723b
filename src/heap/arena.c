/* SPDX-License-Identifier: MIT */
/*
 * arena - a source of extents, with the heaps that draw from it. See arena.h.
 */
#include "heap/arena.h"

#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/owner.h"
#include "heap/reclaim.h"
#include "heap/remote.h"
#include "heap/stats.h"
#include "heap/thread.h"
#include "table/option.h"

/* The main arena's shared heap must be there when no memory is. */
static struct heap arena_main_shared = {
    .arena = &arena_main,
    .proxy = { .rank = LOCK_proxy },
};

struct arena arena_main = {
    .pool = POOL_INITIAL(OPTION_INIT_dirty_decay_ms),
    .heaps = &arena_main_shared,
    .heap_count = 1,
    .lock = { .rank = LOCK_shared },
    .racks = { .lock = { .rank = LOCK_racks } },
    .sweep = { .rank = LOCK_sweep },
    .shared = &arena_main_shared,
    .name = "auto_0",
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

/* Hooks are not called under the lock of an arena: they may want it. */
static uint8_t arena_hold(struct arena *arena)
{
    lock_take(&arena->lock);
    return hooks_hold();
}

static void arena_release(struct arena *arena, uint8_t before)
{
    hooks_release(before);
    lock_give(&arena->lock);
    if (pool_is_hooked(&arena->pool))
        pool_catch_up(&arena->pool);
}

/* *refilled: not from what was in hand. */
static struct block *arena_try_shared(struct arena *arena, unsigned cls,
    bool *refilled)
{
    const uint8_t before = arena_hold(arena);
    struct block *block = bin_pop(arena->shared, cls, refilled);
    arena_release(arena, before);
    return block;
}

void *arena_take_shared(struct arena *arena, unsigned cls)
{
    bool refilled;
    /* What a hook asks for must not lead to a hook. */
    if (UNLIKELY(hooks_are_running()))
        arena = arenas_for_hooks();
    if (UNLIKELY(arena == NULL))
        return NULL;
    reclaim_check(arena);
    struct block *block = arena_try_shared(arena, cls, &refilled);
    while (UNLIKELY(block == NULL) && pool_is_hooked(&arena->pool)
        && pool_make_room(&arena->pool, class_slices[cls]))
        block = arena_try_shared(arena, cls, &refilled);
    /* What heap_visit() must not do under the lock. */
    if (refilled)
        arena_tick(arena);
    return block;
}

void *arena_take_fullest(struct arena *arena, unsigned cls)
{
    reclaim_check(arena);
    const uint8_t before = arena_hold(arena);
    struct block *block = bin_take_fullest(arena->shared, cls);
    if (block != NULL)
        check_hand_out(block, cls);
    arena_release(arena, before);
    return block;
}

void arena_drain_shared(struct arena *arena)
{
    const uint8_t before = arena_hold(arena);
    (void)remote_drain(arena->shared);
    arena_release(arena, before);
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

/* Heaps whose threads have ended without a word. */
static void arena_reap(struct arena *arena)
{
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        /* A proxy may be at work there. */
        if (load_relaxed(&heap->pending) == HEAP_ORPHAN
            || !lock_try(&heap->proxy))
            continue;
        if (life_lost(&heap->life)) {
            reclaim_hands(heap);
            heap_orphan(heap);
        }
        lock_give(&heap->proxy);
    }
}

static void arena_sweep(struct arena *arena)
{
    if (!lock_try(&arena->sweep))
        return;
    arena_reap(arena);
    arena_each_kept(arena, kept_sweep);
    (void)!pool_lease(&arena->pool, 0, 0);
    lock_give(&arena->sweep);
}

void arena_tick(struct arena *arena)
{
    const uint64_t now_ms = sys_now_ms();
    const int64_t decay_ms = load_relaxed(&arena->pool.dirty_decay_ms);
    uint64_t swept_ms = load_relaxed(&arena->swept_ms);
    if (decay_ms < 0 || now_ms - swept_ms < (uint64_t)decay_ms
        || !cas_relaxed(&arena->swept_ms, &swept_ms, now_ms))
        return;
    arenas_each(arena_sweep);
}

void arena_decay(struct arena *arena)
{
    store_relaxed(&arena->swept_ms, sys_now_ms());
    arena_sweep(arena);
}

uint64_t arena_due_ms(struct arena *arena)
{
    const int64_t decay_ms = load_relaxed(&arena->pool.dirty_decay_ms);
    const uint64_t pool_due_ms = due_ms(&arena->pool);
    if (decay_ms < 0 || due_leased_bytes(&arena->pool) == 0)
        return pool_due_ms;
    return min_size(pool_due_ms,
        load_relaxed(&arena->swept_ms) + (uint64_t)decay_ms);
}

/* The shared heap's blocks in hand go back to their slabs. */
static void arena_tidy_shared(struct arena *arena)
{
    const uint8_t before = arena_hold(arena);
    heap_give_hands(arena->shared);
    heap_tidy(arena->shared);
    chill_all(arena->shared);
    owner_chill_all(arena->shared);
    arena_release(arena, before);
}

void arena_purge(struct arena *arena)
{
    reclaim_check(arena);
    /* A hook that asks for this may be called by who ends the arena. */
    if (!hooks_are_running())
        lock_take(&arena->sweep);
    else if (!lock_try(&arena->sweep))
        return;
    arena_tidy_shared(arena);
    arena_reap(arena);
    arena_each_kept(arena, kept_empty);
    rack_purge(&arena->racks);
    pool_purge(&arena->pool);
    lock_give(&arena->sweep);
}

/* -- the end of everything in it -- */

static void arena_forget_bin(struct bin *bin)
{
    bin_note_change(bin);
    bin->shelf = NULL;
    store_relaxed(&bin->waiting, 0);
    bin->current = NULL;
    for (int place = 0; place < SLAB_LISTS; place++)
        bin->list[place] = (struct slab_list){ NULL, NULL };
    store_relaxed(&bin->nonfull, 0);
    bin->capacity = 0;
    bin->seen = NULL;
}

static void arena_forget_heap(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        arena_forget_bin(&heap->bin[cls]);
    kept_reset(&heap->kept, &heap->arena->pool);
    heap->loose_bytes = 0;
    heap->aside_bytes = 0;
    store_relaxed(&heap->disowned_bytes, 0);
    store_relaxed(&heap->waiting_bytes, 0);
    if (load_relaxed(&heap->pending) != HEAP_ORPHAN)
        store_relaxed(&heap->pending, 0);
}

static void arena_forget_slab(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    listing_clear(extent, slab->cls);
    map_clear(extent->start, extent->slices);
    slab_note_touched(slab);
    /* A mark that leads here is refused. */
    store_relaxed(&slab->remote, REMOTE_CLAIMED | remote_generation());
    pool_give(extent);
}

static void arena_forget_region(struct region *region)
{
    for (size_t i = 0; i < region->committed; i++) {
        struct extent *extent = &region->extent[i];
        const uint8_t state = load_relaxed(&extent->state);
        if (state == EXTENT_SLAB) {
            arena_forget_slab(slab_of(extent));
        } else if (state == EXTENT_LARGE) {
            map_clear(extent->start, 1);
            extent->touched = extent->slices;
            pool_give(extent);
        }
    }
}

void arena_discard(struct arena *arena)
{
    reclaim_check(arena);
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next)
        arena_forget_heap(heap);
    store_relaxed(&arena->loose_bytes, 0);
    sample_forget_arena(arena->index);
    rack_forget(&arena->racks);
    struct extent *mapping;
    while ((mapping = arena->pool.live) != NULL) {
        if (load_relaxed(&mapping->state) == EXTENT_RACK) {
            rack_discard(mapping);
            continue;
        }
        map_set(mapping->start, 1, OWNER_GONE, mapping);
        pool_unmap(mapping);
    }
    for (struct region *r = arena->pool.regions; r != NULL; r = r->next)
        arena_forget_region(r);
    stats_balance(arena);
}

/* -- audit -- */

static void arena_audit_extent(struct extent *extent)
{
    const uint8_t state = load_relaxed(&extent->state);
    const uintptr_t owner =
        load_relaxed(map_owner(map_find(extent->start)));
    if (state == EXTENT_SLAB) {
        struct slab *slab = slab_of(extent);
        CHECK(owner == (remote_is_unowned(slab) ? OWNER_SHARED
            : (uintptr_t)slab_heap(slab)));                 /* M1 */
        CHECK(slab_heap(slab)->arena->pool.regions != NULL);    /* H2 */
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

/* What a bin adds to the sums of its heap. */
struct arena_sums {
    size_t loose;
    size_t aside;
};

static void arena_audit_bin(const struct bin *bin, struct arena_sums *sums)
{
    if (bin->current != NULL)
        CHECK(bin->current->place == SLAB_CURRENT);         /* B1 */
    for (int place = 0; place < SLAB_LISTS; place++) {
        for (const struct slab *at = bin->list[place].first; at != NULL;
             at = at->next) {
            CHECK(at->place == place);                      /* B1 */
            CHECK(!remote_is_unowned(at));
            sums->aside += slab_bytes(at);
            sums->loose += chill_bytes(at);
        }
    }
}

static void arena_audit_heap(const struct arena *arena,
    const struct heap *heap)
{
    CHECK(heap->arena == arena);                            /* A1 H2 */
    CHECK((uintptr_t)heap % CACHE_LINE_BYTES == 0);         /* H1 */
    struct arena_sums sums = { 0, 0 };
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        arena_audit_bin(&heap->bin[cls], &sums);
    CHECK(sums.loose == heap->loose_bytes);                 /* L1 */
    CHECK(sums.aside == heap->aside_bytes);                 /* H3 */
    if (load_relaxed(&heap->pending) == HEAP_ORPHAN)
        CHECK(sums.aside == 0);                             /* H4 */
    if (heap == thread.own && load_relaxed(&heap->sampler) != NULL)
        sample_audit(heap);
}

void arena_audit(struct arena *arena)
{
    reclaim_check(arena);
    if (thread.own != NULL && thread.own->survived)
        reclaim_own(thread.own);
    pool_audit(&arena->pool);
    for (struct region *r = arena->pool.regions; r; r = r->next)
        arena_audit_region(r);
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next)
        arena_audit_heap(arena, heap);
}
