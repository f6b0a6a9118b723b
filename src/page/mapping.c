/* SPDX-License-Identifier: MIT */
/*
 * mapping - memory that is a mapping of its own. See mapping.h and pool.h.
 */
#include "page/mapping.h"

#include <string.h>

#include "page/loan.h"
#include "page/meta.h"

/* -- records -- */

struct extent *mapping_record(struct pool *pool)
{
    pool_lock(pool);
    struct extent *record = pool->records;
    if (record != NULL)
        pool->records = record->next;
    lock_give(&pool->lock);
    if (record == NULL) {
        record = meta_take(sizeof *record);
        add_relaxed(&pool->record_count, record != NULL);
    }
    if (record != NULL) {
        record->pool = pool;
        record->region = NULL;
        record->slices = 0;
        record->next = NULL;
    }
    return record;
}

void mapping_forget(struct pool *pool, struct extent *record)
{
    store_relaxed(&record->state, EXTENT_FREE);
    record->next = pool->records;
    COMPILER_BARRIER();
    pool->records = record;
}

/* -- the reserve -- */

static struct extent **mapping_oldest(struct pool *pool)
{
    struct extent **link = &pool->cached;
    while ((*link)->next != NULL)
        link = &(*link)->next;
    return link;
}

uint64_t mapping_oldest_ms(const struct pool *pool)
{
    uint64_t stamp_ms = UINT64_MAX;
    for (const struct extent *at = pool->cached; at; at = at->next)
        stamp_ms = at->stamp_ms;
    return stamp_ms;
}

size_t mapping_bytes(const struct extent *first)
{
    size_t bytes = 0;
    for (const struct extent *at = first; at != NULL; at = at->next)
        bytes += at->bytes;
    return bytes;
}

size_t mapping_drop_oldest(struct pool *pool)
{
    struct extent **link = mapping_oldest(pool);
    struct extent *record = *link;
    const size_t bytes = record->bytes;
    *link = NULL;
    COMPILER_BARRIER();         /* nobody finds it once it is unmapped */
    /*
     * A system that will not unmap may still take the contents; a record
     * and its addresses are then lost, but no memory.
     */
    if (!sys_release(record->start, bytes)) {
        (void)!sys_purge(record->start, bytes);
        pool->abandoned_bytes += bytes;
    }
    mapping_forget(pool, record);
    return bytes;
}

void mapping_drop_all(struct pool *pool)
{
    while (pool->cached != NULL)
        pool->dirty_bytes -= mapping_drop_oldest(pool);
}

/* The tightest kept mapping that fits, taken off the list; what is too much of
 * it the caller cuts off. */
static struct extent *mapping_reuse(struct pool *pool, size_t bytes,
    size_t align)
{
    struct extent **best = NULL;
    for (struct extent **link = &pool->cached; *link; link = &(*link)->next) {
        const struct extent *at = *link;
        if (!mapping_fits(at, bytes, align))
            continue;
        if (best == NULL || at->bytes < (*best)->bytes)
            best = link;
    }
    if (best == NULL)
        return NULL;

    struct extent *found = *best;
    *best = found->next;
    COMPILER_BARRIER();         /* the rest of the list hangs on it before */
    found->next = NULL;
    store_relaxed(&found->state, EXTENT_FREE);
    return found;
}

/* Cut a mapping to its first `bytes`; false: the system will not. */
static bool mapping_cut(struct extent *extent, size_t bytes)
{
    if (!sys_release(extent->start + bytes, extent->bytes - bytes))
        return false;
    extent->bytes = bytes;
    return true;
}

/* -- those handed out -- */

/* In no prefix does the list lead to one that is not live; what only leads
 * back is computed anew by mapping_repair(). */
void mapping_enlist(struct pool *pool, struct extent *extent)
{
    extent->next = pool->live;
    extent->prev = NULL;
    COMPILER_BARRIER();
    pool->live = extent;
    if (extent->next != NULL)
        extent->next->prev = extent;
    pool->mapped_bytes += extent->bytes;
    pool_count_taken(pool, (int64_t)extent->bytes);
}

void mapping_delist(struct pool *pool, struct extent *extent)
{
    pool->mapped_bytes -= extent->bytes;
    pool_count_taken(pool, -(int64_t)extent->bytes);
    *(extent->prev ? &extent->prev->next : &pool->live) = extent->next;
    COMPILER_BARRIER();
    if (extent->next != NULL)
        extent->next->prev = extent->prev;
}

void mapping_repair(struct pool *pool)
{
    struct extent *before = NULL;
    for (struct extent *at = pool->live; at != NULL; at = at->next) {
        at->prev = before;
        before = at;
    }
}

void mapping_audit(const struct pool *pool)
{
    const struct extent *before = NULL;
    for (const struct extent *at = pool->live; at != NULL; at = at->next) {
        CHECK(at->prev == before);                          /* P6 */
        before = at;
    }
}

/* -- the pool's face -- */

static struct extent *mapping_take_cached(struct pool *pool, size_t bytes,
    size_t align)
{
    pool_lock(pool);
    struct extent *extent = mapping_reuse(pool, bytes, align);
    if (extent != NULL) {
        const uint64_t now_ms = sys_now_ms();
        pool->dirty_bytes -= extent->bytes;
        if (extent->bytes > bytes)
            (void)!mapping_cut(extent, bytes);
        extent->zero = false;
        mapping_enlist(pool, extent);
        decay_note_useful(&pool->decay, now_ms);
        decay_advance(&pool->decay, pool->taken_bytes, now_ms);
    }
    lock_give(&pool->lock);
    return extent;
}

static void *mapping_pages(size_t bytes, size_t align)
{
    if (align <= sys_page_bytes())
        return sys_map(bytes);
    char *start = sys_reserve(bytes, align);
    if (start != NULL && !sys_commit(start, bytes)) {
        (void)!sys_release(start, bytes);
        return NULL;
    }
    return start;
}

/* As mapping_pages; what is held in reserve goes if that may help. */
static void *mapping_pages_hard(struct pool *pool, size_t bytes,
    size_t align)
{
    void *start = mapping_pages(bytes, align);
    if (start != NULL)
        return start;
    pool_lock(pool);
    mapping_drop_all(pool);
    lock_give(&pool->lock);
    pool_release_free_regions(pool);
    return mapping_pages(bytes, align);
}

struct extent *pool_map(struct pool *pool, size_t bytes, size_t align)
{
    bytes = max_size(bytes, SLICE_BYTES);
    if (load_relaxed(&pool->hooks) != NULL)
        return loan_take(pool, bytes, align);
    struct extent *extent = mapping_take_cached(pool, bytes, align);
    if (extent != NULL)
        return extent;

    extent = mapping_record(pool);
    if (extent == NULL)
        return NULL;
    extent->start = mapping_pages_hard(pool, bytes, align);
    if (extent->start != NULL && !map_cover(extent->start, bytes)) {
        (void)!sys_release(extent->start, bytes);
        extent->start = NULL;
    }

    pool_lock(pool);
    if (extent->start == NULL) {
        mapping_forget(pool, extent);
        extent = NULL;
    } else {
        const uint64_t now_ms = sys_now_ms();
        extent->bytes = bytes;
        extent->zero = true;
        mapping_enlist(pool, extent);
        decay_advance(&pool->decay, pool->taken_bytes, now_ms);
        decay_note_fresh(&pool->decay, bytes, now_ms);
    }
    lock_give(&pool->lock);
    return extent;
}

void pool_unmap(struct extent *extent)
{
    struct pool *pool = extent->pool;
    if (loan_is(extent)) {
        loan_give(extent);
        return;
    }
    pool_lock(pool);
    const uint64_t now_ms = sys_now_ms();
    mapping_delist(pool, extent);
    store_relaxed(&extent->state, EXTENT_CACHED);
    extent->stamp_ms = now_ms;
    extent->next = pool->cached;
    COMPILER_BARRIER();         /* lost is better than counted for ever */
    pool->cached = extent;
    pool->dirty_bytes += extent->bytes;
    pool_settle(pool, now_ms);
    lock_give(&pool->lock);
}

/* Move the pages of a mapping to a place where `bytes` fit. */
static bool mapping_move(struct extent *extent, size_t bytes)
{
    char *target = sys_map(bytes);
    if (target == NULL)
        return false;
    if (!map_cover(target, bytes)
        || !sys_move(extent->start, extent->bytes, target, bytes)) {
        (void)!sys_release(target, bytes);
        return false;
    }
    extent->start = target;
    return true;
}

bool pool_remap(struct extent *extent, size_t bytes)
{
    bytes = max_size(bytes, SLICE_BYTES);
    struct pool *pool = extent->pool;
    const size_t old_bytes = extent->bytes;
    if (loan_is(extent))
        return bytes == old_bytes;
    const bool changed = bytes == old_bytes
        || (bytes < old_bytes && sys_release(extent->start + bytes,
                old_bytes - bytes))
        || (bytes > old_bytes && ((map_cover(extent->start, bytes)
                && sys_resize(extent->start, old_bytes, bytes))
            || mapping_move(extent, bytes)));
    if (!changed)
        return false;

    pool_lock(pool);
    extent->bytes = bytes;
    pool->mapped_bytes += bytes - old_bytes;
    pool_count_taken(pool, (int64_t)bytes - (int64_t)old_bytes);
    decay_advance(&pool->decay, pool->taken_bytes, sys_now_ms());
    lock_give(&pool->lock);
    return true;
}

void pool_move_contents(struct extent *mapping, struct extent *run)
{
    void *pages = sys_lift(run->start, run->bytes);
    if (pages == NULL) {
        memcpy(mapping->start, run->start, run->bytes);
        return;
    }
    if (sys_move(pages, run->bytes, mapping->start, mapping->bytes))
        return;
    memcpy(mapping->start, pages, run->bytes);
    (void)!sys_release(pages, run->bytes);
}
