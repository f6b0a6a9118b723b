/* SPDX-License-Identifier: MIT */
/*
 * growth - how a pool gets regions, and gives them back. See growth.h.
 */
#include "page/growth.h"

#include "page/loan.h"
#include "page/mapping.h"
#include "util/bitmap.h"

/* The largest reservation: each doubles what came before. */
#define GROWTH_BYTES_MAX (1 * GiB)

/* Where the address space is limited, the share that one region may take. */
enum { GROWTH_LIMIT_SHARE = 16 };

/* -- more -- */

/* How many slices a region of so many bytes would hand out. */
static size_t growth_capacity(const struct pool *pool, size_t bytes)
{
    return load_relaxed(&pool->hooks) != NULL ? bytes / SLICE_BYTES
        : region_capacity(bytes);
}

/* Under an address space limit a region must leave room for the program. */
static size_t growth_bytes(const struct pool *pool, size_t slices)
{
    size_t bytes = pool->region_bytes_next;
    const size_t limit = sys_address_limit();
    if (limit != SIZE_MAX)
        bytes = min_size(bytes, limit / GROWTH_LIMIT_SHARE);
    const size_t most = load_relaxed(&pool->retain_grow_limit);
    if (most != 0)
        bytes = min_size(bytes, most);
    bytes = max_size(round_down(bytes, CHUNK_BYTES), CHUNK_BYTES);
    while (growth_capacity(pool, bytes) < slices)
        bytes += CHUNK_BYTES;
    return bytes;
}

/* The lock is not held while a hook runs. */
static struct region *growth_open(struct pool *pool, size_t bytes)
{
    const struct hooks_source source = pool_source(pool);
    if (source.hooks == NULL)
        return region_open(pool, pool->queues, bytes);
    if (!hooks_may_run())
        return NULL;
    lock_give(&pool->lock);
    struct region *region =
        region_open_hooked(pool, pool->queues, source, bytes);
    pool_lock(pool);
    return region;
}

/* A new region that can hold the request; smaller ones when refused. */
struct region *growth_add(struct pool *pool, size_t slices)
{
    size_t bytes = growth_bytes(pool, slices);
    struct region *region = growth_open(pool, bytes);
    while (region == NULL) {
        const size_t less = round_up(bytes / 2, CHUNK_BYTES);
        if (less == bytes || growth_capacity(pool, less) < slices)
            return NULL;
        bytes = less;
        region = growth_open(pool, bytes);
    }

    pool->reserved_bytes += bytes;
    pool->region_bytes_next =
        min_size(2 * pool->region_bytes_next, GROWTH_BYTES_MAX);
    region->next = NULL;
    struct region **tail = &pool->regions;
    while (*tail != NULL)
        tail = &(*tail)->next;
    COMPILER_BARRIER();         /* complete before it can be found */
    *tail = region;
    return region;
}

/* -- less -- */

/* Regions of which nothing is used, off the list and out of the sums. */
static struct region *growth_cut_free(struct pool *pool)
{
    struct region *chain = NULL;
    struct region **link = &pool->regions;
    while (*link != NULL) {
        struct region *region = *link;
        if (region->free_slices < region_room(region)) {
            link = &region->next;
            continue;
        }
        *link = region->next;
        COMPILER_BARRIER();     /* nobody finds it once it is gone */
        region_unlist(region);
        pool->dirty_bytes -= region->dirty_slices * SLICE_BYTES;
        pool->reserved_bytes -= region_bytes(region);
        region->next = chain;
        chain = region;
    }
    return chain;
}

static void growth_put_back(struct pool *pool, struct region *region)
{
    pool_lock(pool);
    region_repair(region);
    pool->dirty_bytes += region->dirty_slices * SLICE_BYTES;
    pool->reserved_bytes += region_bytes(region);
    region->next = pool->regions;
    COMPILER_BARRIER();
    pool->regions = region;
    lock_give(&pool->lock);
}

static bool growth_offer(const struct region *region,
    struct hooks_memory memory, bool last)
{
    if (!last)
        return hooks_give(region->source, memory);
    hooks_give_up(region->source, memory);
    return true;
}

/* What the hooks know of it: the whole, or what is left between parts that they
 * took back. false: they leave some of it. */
static bool growth_close_hooked(struct region *region, bool last)
{
    size_t at = 0;
    while ((at = bitmap_next(region->free, at, region->slices, true))
        < region->slices) {
        const size_t count =
            bitmap_next(region->free, at, region->slices, false) - at;
        if (growth_offer(region, region_part(region, at, count), last))
            region_lose(region, at, count);
        at += count;
    }
    if (region_room(region) > 0)
        return false;
    region_forget(region);
    return true;
}

/* last: the arena ends, and takes no no for an answer from a hook. The lock is
 * not held. false: it stays. */
static bool growth_close(struct region *region, bool last)
{
    if (!region_is_hooked(region))
        return region_close(region);
    return hooks_may_run() && growth_close_hooked(region, last);
}

void growth_release(struct pool *pool, bool last)
{
    pool_lock(pool);
    struct region *chain = growth_cut_free(pool);
    lock_give(&pool->lock);
    size_t purged = 0;
    while (chain != NULL) {
        struct region *region = chain;
        const size_t dirty = region->dirty_slices * SLICE_BYTES;
        chain = region->next;
        if (growth_close(region, last))
            purged += dirty;
        else
            growth_put_back(pool, region);
    }
    pool_lock(pool);
    pool->purged_bytes += purged;
    lock_give(&pool->lock);
}

void pool_release_free_regions(struct pool *pool)
{
    growth_release(pool, false);
}

void pool_empty(struct pool *pool)
{
    pool_lock(pool);
    mapping_drop_all(pool);
    lock_give(&pool->lock);
    loan_end(pool);
    growth_release(pool, true);
}
