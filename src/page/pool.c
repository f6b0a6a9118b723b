/* SPDX-License-Identifier: MIT */
/*
 * pool - one arena's source of memory: its regions. See pool.h; own mappings
 * are in mapping.c.
 */
#include "page/pool.h"

#include "page/due.h"
#include "page/growth.h"
#include "page/listing.h"
#include "page/mapping.h"
#include "page/part.h"
#include "util/bitmap.h"

/* What a passing slow path may purge because of age, so that no caller waits
 * long: about 4 ms of the system's time. */
#define POOL_TICK_PURGE_BYTES (16 * MiB)

/* Purging goes this far below the limit, to come back less often: a quarter
 * of it, but no more than a caller can wait for. */
enum { POOL_SLACK_SHARE = 4 };
#define POOL_SLACK_BYTES_MAX (4 * MiB)

void pool_set_dirty_decay_ms(struct pool *pool, int64_t dirty_decay_ms)
{
    store_relaxed(&pool->dirty_decay_ms, dirty_decay_ms);
    if (load_relaxed(&due.until) != 0)
        due_wake();
}

/* -- the lock, and what it guards -- */

/* What follows from the regions and the cached mappings. */
struct pool_sums {
    size_t mapped_bytes;
    size_t taken_bytes;
    size_t dirty_bytes;
    size_t reserved_bytes;
};

static struct pool_sums pool_sum(const struct pool *pool)
{
    const size_t mapped_bytes = mapping_bytes(pool->live);
    struct pool_sums sums = { .mapped_bytes = mapped_bytes,
        .taken_bytes = mapped_bytes,
        .dirty_bytes = mapping_bytes(pool->cached) };
    for (const struct region *r = pool->regions; r; r = r->next) {
        sums.taken_bytes +=
            (region_room(r) - r->free_slices) * SLICE_BYTES;
        sums.dirty_bytes += r->dirty_slices * SLICE_BYTES;
        sums.reserved_bytes += region_bytes(r);
    }
    return sums;
}

void pool_count_taken(struct pool *pool, int64_t bytes)
{
    pool->taken_bytes += (size_t)bytes;
    store_relaxed(&pool->active_pages, pool->taken_bytes / sys_page_bytes());
}

static COLD void pool_repair(struct pool *pool)
{
    for (int list = 0; list < CHUNK_LISTS; list++)
        pool->queues[list] = (struct chunk_queue){ NULL, NULL };
    for (struct region *r = pool->regions; r != NULL; r = r->next)
        region_repair(r);
    const struct pool_sums sums = pool_sum(pool);
    pool->mapped_bytes = sums.mapped_bytes;
    pool->taken_bytes = sums.taken_bytes;
    pool_count_taken(pool, 0);
    pool->dirty_bytes = sums.dirty_bytes;
    pool->reserved_bytes = sums.reserved_bytes;
    decay_repair(&pool->decay);
    mapping_repair(pool);
    listing_repair(pool);
    lock_mend(&pool->lock);
}

void pool_lock(struct pool *pool)
{
    lock_take(&pool->lock);
    if (lock_is_broken(&pool->lock))
        pool_repair(pool);
}

/* -- giving memory back -- */

static size_t pool_active(const struct pool *pool)
{
    return pool->taken_bytes - min_size(pool->taken_bytes,
        pool->leased_bytes);
}

static size_t pool_limit(const struct pool *pool)
{
    /* -1 is for ever: only an explicit purge takes anything. */
    const int64_t decay_ms = load_relaxed(&pool->dirty_decay_ms);
    if (decay_ms < 0)
        return SIZE_MAX;
    if (decay_ms == 0)
        return 0;
    return decay_limit(&pool->decay, pool_active(pool));
}

static size_t pool_note_purged(struct pool *pool, size_t bytes,
    uint64_t now_ms)
{
    pool->dirty_bytes -= bytes;
    pool->purges++;
    pool->purged_bytes += bytes;
    decay_note_purged(&pool->decay, bytes, now_ms);
    return bytes;
}

/* How far to go. */
struct pool_goal {
    size_t dirty_bytes;         /* that may be left */
    uint64_t now_ms;
    bool asked;                 /* by the program: hooks may have parts back */
};

/* What is dirty in a chunk, by its hooks. What these refuse is dirty again. */
static size_t pool_purge_hooked(struct pool *pool, struct chunk *chunk,
    bool asked)
{
    struct region *region = chunk->region;
    const size_t low = (size_t)(chunk - region->chunk) * CHUNK_SLICES;
    const size_t high = low + CHUNK_SLICES;
    /* What hooks would not have whole is not offered in parts. */
    const bool offer = asked && region->free_slices < region_room(region);
    size_t purged = 0;
    size_t at = low;
    while ((at = bitmap_next(region->dirty, at, high, true)) < high) {
        const size_t count =
            bitmap_next(region->dirty, at, high, false) - at;
        bool zero;
        if (!region_take(region, at, count, &zero))
            break;
        if (part_give(pool, (struct part_run){ region, at, count }, offer))
            purged += count;
        at += count;
    }
    return purged;
}

static size_t pool_purge_chunk(struct pool *pool, struct chunk *chunk,
    bool asked)
{
    if (!region_is_hooked(chunk->region))
        return region_purge(chunk);
    return hooks_may_run() ? pool_purge_hooked(pool, chunk, asked) : 0;
}

/*
 * Purge until the goal is reached: freed mappings first, each with one call,
 * then whole chunks, then the rest; always the ones unused longest. Stops where
 * the system refuses.
 */
static void pool_purge_to(struct pool *pool, struct pool_goal goal)
{
    const size_t target = goal.dirty_bytes;
    pool->sweeps += pool->dirty_bytes > target;
    while (pool->dirty_bytes > target && pool->cached != NULL)
        (void)pool_note_purged(pool, mapping_drop_oldest(pool), goal.now_ms);
    for (int list = 0; list < CHUNK_LISTS; list++) {
        while (pool->dirty_bytes > target && pool->queues[list].first) {
            const size_t slices = pool_purge_chunk(pool,
                pool->queues[list].first, goal.asked);
            if (slices == 0)
                return;
            (void)pool_note_purged(pool, slices * SLICE_BYTES, goal.now_ms);
        }
    }
}

/* Dirty memory above the limit goes back at once. */
static void pool_balance(struct pool *pool, uint64_t now_ms)
{
    const size_t limit = pool_limit(pool);
    if (pool->dirty_bytes + pool->leased_bytes <= limit)
        return;
    const size_t goal = limit
        - min_size(limit / POOL_SLACK_SHARE, POOL_SLACK_BYTES_MAX);
    pool_purge_to(pool, (struct pool_goal){
        .dirty_bytes = goal - min_size(goal, pool->leased_bytes),
        .now_ms = now_ms,
    });
}

/* The first dirty chunk of a list, if it was not used since `before_ms`. */
static struct chunk *pool_expired(const struct pool *pool,
    uint64_t before_ms)
{
    for (int list = 0; list < CHUNK_LISTS; list++) {
        struct chunk *chunk = pool->queues[list].first;
        if (chunk != NULL && chunk->stamp_ms <= before_ms)
            return chunk;
    }
    return NULL;
}

/* What time asks for; bounded work. */
static void pool_tick(struct pool *pool, uint64_t now_ms)
{
    decay_advance(&pool->decay, pool_active(pool), now_ms);
    const int64_t age_ms = load_relaxed(&pool->dirty_decay_ms);
    if (age_ms < 0 || now_ms == pool->ticked_ms)
        return;
    pool->ticked_ms = now_ms;
    const uint64_t before_ms =
        now_ms - ((uint64_t)age_ms < now_ms ? (uint64_t)age_ms : now_ms);

    size_t purged = 0;
    while (purged < POOL_TICK_PURGE_BYTES) {
        struct chunk *chunk = pool_expired(pool, before_ms);
        const size_t slices =
            chunk ? pool_purge_chunk(pool, chunk, false) : 0;
        if (slices == 0)
            break;
        purged += pool_note_purged(pool, slices * SLICE_BYTES, now_ms);
    }
    while (mapping_oldest_ms(pool) <= before_ms)
        purged += pool_note_purged(pool, mapping_drop_oldest(pool), now_ms);
    pool->sweeps += purged > 0;
}

void pool_settle(struct pool *pool, uint64_t now_ms)
{
    pool_tick(pool, now_ms);
    pool_balance(pool, now_ms);
    if (pool->dirty_bytes > 0)
        due_note(pool, now_ms);
}

void pool_catch_up(struct pool *pool)
{
    pool_lock(pool);
    pool_settle(pool, sys_now_ms());
    lock_give(&pool->lock);
}

void pool_purge(struct pool *pool)
{
    if (load_relaxed(&pool->hooks) != NULL)
        growth_release(pool, false);
    pool_lock(pool);
    pool_purge_to(pool,
        (struct pool_goal){ .now_ms = sys_now_ms(), .asked = true });
    /* This was asked for, so needing it again is nobody's mistake. */
    pool->decay.purged = 0;
    lock_give(&pool->lock);
}

void pool_forget_counts(struct pool *pool)
{
    pool->sweeps = 0;
    pool->purges = 0;
    pool->purged_bytes = 0;
}

uint64_t pool_purged_bytes(struct pool *pool)
{
    pool_lock(pool);
    const uint64_t bytes = pool->purged_bytes;
    lock_give(&pool->lock);
    return bytes;
}

size_t pool_lease(struct pool *pool, size_t held, size_t wanted)
{
    const uint64_t now_ms = sys_now_ms();
    pool_lock(pool);
    pool_tick(pool, now_ms);
    /* What a vanished thread held may be counted or not. */
    const size_t leased =
        pool->leased_bytes - min_size(pool->leased_bytes, held);
    const size_t limit = pool_limit(pool);
    const size_t others = pool->dirty_bytes + leased;
    const size_t granted = min_size(wanted, limit - min_size(limit, others));
    pool->leased_bytes = leased + granted;
    if (granted > 0)
        due_note(pool, now_ms);
    lock_give(&pool->lock);
    return granted;
}

/* -- free pages inside slabs, which the heap layer purges -- */

size_t pool_loose_limit(struct pool *pool)
{
    pool_lock(pool);
    pool_tick(pool, sys_now_ms());
    /* -1 and 0 mean the same here as for dirty memory. */
    const int64_t decay_ms = load_relaxed(&pool->dirty_decay_ms);
    const size_t limit = decay_ms <= 0 ? pool_limit(pool)
        : decay_loose_limit(&pool->decay, pool_active(pool));
    lock_give(&pool->lock);
    return limit;
}

void pool_note_chilled(struct pool *pool, size_t bytes)
{
    pool_lock(pool);
    pool->sweeps++;
    pool->purges++;
    pool->purged_bytes += bytes;
    decay_note_purged(&pool->decay, bytes, sys_now_ms());
    lock_give(&pool->lock);
}

void pool_note_warmed(struct pool *pool, size_t bytes)
{
    pool_lock(pool);
    decay_note_fresh(&pool->decay, bytes, sys_now_ms());
    lock_give(&pool->lock);
}

/* -- handing out -- */

struct pool_place {
    struct region *region;
    size_t slice;
};

/* Warm memory before fresh, low addresses before high. */
static bool pool_search(const struct pool *pool, size_t slices, size_t step,
    struct pool_place *place)
{
    size_t warmest = 0;
    *place = (struct pool_place){ NULL, BITMAP_NONE };
    for (struct region *r = pool->regions; r != NULL; r = r->next) {
        size_t dirty;
        const size_t slice = region_find(r, slices, step, &dirty);
        if (slice == BITMAP_NONE || (place->region && dirty <= warmest))
            continue;
        *place = (struct pool_place){ r, slice };
        warmest = dirty;
        if (dirty == slices)
            return true;
    }
    return place->region != NULL;
}

static struct part_run pool_part(struct pool_place place, size_t slices)
{
    return (struct part_run){ place.region, place.slice, slices };
}

/* The same, or in a new region; it can be touched. */
static bool pool_find(struct pool *pool, size_t slices, size_t step,
    struct pool_place *place)
{
    while (pool_search(pool, slices, step, place)) {
        const struct part_run part = pool_part(*place, slices);
        if (!part_is_decommitted(part))
            return true;
        if (!part_commit(pool, part))
            return false;
    }
    struct region *r = growth_add(pool, slices + step - 1);
    if (r == NULL)
        return false;
    size_t dirty;
    *place = (struct pool_place){ r, region_find(r, slices, step, &dirty) };
    return place->slice != BITMAP_NONE;
}

bool pool_make_room(struct pool *pool, size_t slices)
{
    struct pool_place place;
    pool_lock(pool);
    const bool made = pool_search(pool, slices, 1, &place)
        && part_is_decommitted(pool_part(place, slices))
        ? part_commit(pool, pool_part(place, slices))
        : growth_add(pool, slices) != NULL;
    lock_give(&pool->lock);
    return made;
}

/* Keep the sums after slices were taken of which `dirty` bytes were dirty. */
static void pool_note_taken(struct pool *pool, size_t bytes, size_t dirty)
{
    /* A process that has given nothing back need not know the time. */
    if (pool->dirty_bytes == 0 && pool->decay.purged == 0) {
        pool_count_taken(pool, (int64_t)bytes);
        decay_note_active(&pool->decay, pool_active(pool));
        return;
    }
    const uint64_t now_ms = sys_now_ms();
    if (dirty > 0 && pool->dirty_bytes + pool->leased_bytes
        > decay_base(pool_active(pool)))
        decay_note_useful(&pool->decay, now_ms);
    pool_count_taken(pool, (int64_t)bytes);
    pool->dirty_bytes -= dirty;
    pool_tick(pool, now_ms);
    if (bytes > dirty)
        decay_note_fresh(&pool->decay, bytes - dirty, now_ms);
}

static struct extent *pool_take_locked(struct pool *pool, size_t slices,
    size_t step)
{
    struct pool_place place;
    if (!pool_find(pool, slices, step, &place))
        return NULL;

    const size_t before = place.region->dirty_slices;
    bool zero;
    if (!region_take(place.region, place.slice, slices, &zero))
        return NULL;
    const size_t dirty = before - place.region->dirty_slices;
    pool_note_taken(pool, slices * SLICE_BYTES, dirty * SLICE_BYTES);

    struct extent *extent = region_extent(place.region, place.slice);
    extent->bytes = slices * SLICE_BYTES;
    extent->slices = (uint32_t)slices;
    extent->touched = zero ? 0 : (uint32_t)slices;
    extent->zero = zero;
    return extent;
}

struct extent *pool_take(struct pool *pool, size_t slices, size_t step)
{
    ASSERT(slices > 0);
    ASSERT(is_power_of_two(step));
    pool_lock(pool);
    struct extent *extent = pool_take_locked(pool, slices, step);
    if (extent == NULL && pool->cached != NULL) {
        mapping_drop_all(pool);
        extent = pool_take_locked(pool, slices, step);
    }
    lock_give(&pool->lock);
    return extent;
}

static size_t pool_slice_of(const struct extent *extent)
{
    return (size_t)(extent->start - extent->region->base) / SLICE_BYTES;
}

/* Give slices of a run back to its region, and keep the sums. */
static void pool_give_locked(struct pool *pool, struct region *region,
    struct region_return back)
{
    back.now_ms = sys_now_ms();
    region_give(region, back);
    pool_count_taken(pool, -(int64_t)(back.count * SLICE_BYTES));
    pool->dirty_bytes += back.touched * SLICE_BYTES;
    pool_settle(pool, back.now_ms);
}

void pool_give(struct extent *extent)
{
    struct pool *pool = extent->pool;
    pool_lock(pool);
    /* A record whose slices are free says so itself, at any time. */
    store_relaxed(&extent->state, EXTENT_FREE);
    COMPILER_BARRIER();
    pool_give_locked(pool, extent->region, (struct region_return){
        .first = pool_slice_of(extent), .count = extent->slices,
        .touched = min_size(extent->touched, extent->slices),
    });
    lock_give(&pool->lock);
}

/* Slices of hooks, asked to be clean. */
static void pool_give_part(struct pool *pool, struct part_run part)
{
    const size_t bytes = part.count * SLICE_BYTES;
    if (!part_give(pool, part, true))
        pool->dirty_bytes += bytes;
    pool_count_taken(pool, -(int64_t)bytes);
    pool_settle(pool, sys_now_ms());
}

void pool_give_clean(struct extent *extent)
{
    struct pool *pool = extent->pool;
    struct region *region = extent->region;
    if (!region_is_hooked(region)
        && sys_purge(extent->start, extent->slices * SLICE_BYTES))
        extent->touched = 0;
    if (!region_is_hooked(region) || !hooks_may_run()) {
        pool_give(extent);
        return;
    }
    pool_lock(pool);
    /* As in pool_give(). */
    store_relaxed(&extent->state, EXTENT_FREE);
    COMPILER_BARRIER();
    pool_give_part(pool,
        (struct part_run){ region, pool_slice_of(extent), extent->slices });
    lock_give(&pool->lock);
}

void pool_shrink(struct extent *extent, size_t slices)
{
    ASSERT(slices > 0);
    ASSERT(slices < extent->slices);
    struct pool *pool = extent->pool;
    pool_lock(pool);
    const size_t count = extent->slices - slices;
    /* In no prefix does the record claim what is free, or as clean what was
     * written: `touched` may be too much, never too little. */
    extent->slices = (uint32_t)slices;
    COMPILER_BARRIER();
    extent->touched = (uint32_t)slices;
    COMPILER_BARRIER();
    pool_give_locked(pool, extent->region, (struct region_return){
        .first = pool_slice_of(extent) + slices, .count = count,
        .touched = count,
    });
    lock_give(&pool->lock);
}

bool pool_grow(struct extent *extent, size_t slices)
{
    ASSERT(slices > extent->slices);
    struct pool *pool = extent->pool;
    struct region *region = extent->region;
    pool_lock(pool);
    const size_t first = pool_slice_of(extent) + extent->slices;
    const size_t count = slices - extent->slices;
    bool zero;
    bool grown =
        part_make_ready(pool, (struct part_run){ region, first, count });
    const size_t before = region->dirty_slices;
    grown = grown && region_take(region, first, count, &zero);
    if (grown) {
        const size_t dirty = before - region->dirty_slices;
        pool_note_taken(pool, count * SLICE_BYTES, dirty * SLICE_BYTES);
        /* Dirty before it is longer, as in pool_shrink(). */
        extent->touched = (uint32_t)slices;
        extent->zero = extent->zero && zero;
        COMPILER_BARRIER();
        extent->slices = (uint32_t)slices;
    }
    lock_give(&pool->lock);
    return grown;
}

bool pool_reaches(struct pool *pool, const void *pointer)
{
    bool reached = false;
    pool_lock(pool);
    for (const struct region *r = pool->regions; r && !reached; r = r->next)
        reached = region_reaches(r, pointer);
    lock_give(&pool->lock);
    return reached;
}

/* -- audit -- */

static void pool_audit_queue(const struct pool *pool, uint8_t list)
{
    const struct chunk_queue *queue = &pool->queues[list];
    const struct chunk *before = NULL;
    size_t listed = 0;
    for (const struct chunk *at = queue->first; at; at = at->next) {
        CHECK(at->list == list);                            /* P3 */
        CHECK(at->prev == before);                          /* P3 */
        CHECK(!before || before->stamp_ms <= at->stamp_ms); /* P3 R8 */
        before = at;
        listed++;
    }
    CHECK(queue->last == before);                           /* P3 */
    for (const struct region *r = pool->regions; r; r = r->next) {
        for (size_t c = 0; c < r->slices / CHUNK_SLICES; c++)
            listed -= r->chunk[c].list == list;
    }
    CHECK(listed == 0);                                     /* P3 */
}

void pool_audit(struct pool *pool)
{
    pool_lock(pool);
    for (const struct region *r = pool->regions; r; r = r->next)
        region_audit(r);                                    /* P4 */
    const struct pool_sums sums = pool_sum(pool);
    CHECK(sums.dirty_bytes == pool->dirty_bytes);           /* P1 */
    CHECK(sums.taken_bytes == pool->taken_bytes);           /* P2 */
    CHECK(sums.reserved_bytes == pool->reserved_bytes);     /* P5 */
    CHECK(sums.mapped_bytes == pool->mapped_bytes);         /* P6 */
    for (uint8_t list = 0; list < CHUNK_LISTS; list++)
        pool_audit_queue(pool, list);
    decay_audit(&pool->decay);
    mapping_audit(pool);                                    /* P6 */
    lock_give(&pool->lock);
}
