/* SPDX-License-Identifier: MIT */
/*
 * census - what a pool consists of. See census.h.
 */
#include "page/census.h"

#include "util/bitmap.h"

/* -- sums -- */

static void census_add_region(struct census *census,
    const struct region *region)
{
    const size_t bitmap_bytes = round_up(region->slices, 64) / 8;
    census->clean +=
        (region->free_slices - region->dirty_slices) * SLICE_BYTES;
    census->heads += sizeof *region + (4 + REGION_KINDS) * bitmap_bytes
        + region->slices / CHUNK_SLICES * sizeof(struct chunk);
    census->records += region->committed * sizeof(struct extent);
    census->entries += region->slices * 2 * sizeof(uintptr_t);
}

static uint64_t census_spares(const struct pool *pool)
{
    uint64_t count = 0;
    for (const struct extent *at = pool->records; at; at = at->next)
        count++;
    return count;
}

void census_take(struct pool *pool, struct census *census)
{
    pool_lock(pool);
    *census = (struct census){
        .taken = pool->taken_bytes,
        .dirty = pool->dirty_bytes,
        .records = load_relaxed(&pool->record_count) * sizeof(struct extent),
        .abandoned = pool->abandoned_bytes,
        .sweeps = pool->sweeps,
        .purges = pool->purges,
        .purged = pool->purged_bytes,
        .spares = census_spares(pool),
    };
    for (const struct region *r = pool->regions; r != NULL; r = r->next)
        census_add_region(census, r);
    lock_give(&pool->lock);
}

/* -- free runs -- */

/* jemalloc's page, whatever the system's. */
#define CENSUS_PAGE_BYTES ((size_t)4096)

unsigned census_class(size_t bytes)
{
    const size_t last = (bytes - 1) / CENSUS_PAGE_BYTES;
    if (last < 4)
        return (unsigned)last;
    const unsigned log2 = bits_log2(last);
    return 4 * (log2 - 1) + (unsigned)(last >> (log2 - 2)) % 4;
}

size_t census_bytes(unsigned cls)
{
    return cls < 4 ? (cls + 1) * CENSUS_PAGE_BYTES
        : ((size_t)(5 + cls % 4) << (cls / 4 - 1)) * CENSUS_PAGE_BYTES;
}

static void census_add_run(struct census_runs *runs, size_t bytes,
    bool dirty)
{
    struct census_runs *of = &runs[census_class(bytes)];
    of->dirty += dirty;
    of->clean += !dirty;
    *(dirty ? &of->dirty_bytes : &of->clean_bytes) += bytes;
}

/* Within a run of free slices, what is dirty is a run, and what is not. */
static void census_add_free(struct census_runs *runs,
    const struct region *region, size_t first, size_t end)
{
    while (first < end) {
        const bool dirty = bitmap_next(region->dirty, first, end, true)
            == first;
        const size_t next = bitmap_next(region->dirty, first, end, !dirty);
        census_add_run(runs, (next - first) * SLICE_BYTES, dirty);
        first = next;
    }
}

static void census_add_runs(struct census_runs *runs,
    const struct region *region)
{
    const size_t slices = region->slices;
    size_t first = bitmap_next(region->free, 0, slices, true);
    while (first < slices) {
        const size_t end = bitmap_next(region->free, first, slices, false);
        census_add_free(runs, region, first, end);
        first = bitmap_next(region->free, end, slices, true);
    }
}

void census_take_runs(struct pool *pool, struct census_runs *runs)
{
    pool_lock(pool);
    for (const struct region *r = pool->regions; r != NULL; r = r->next)
        census_add_runs(runs, r);
    for (const struct extent *at = pool->cached; at != NULL; at = at->next)
        census_add_run(runs, at->bytes, true);
    lock_give(&pool->lock);
}
