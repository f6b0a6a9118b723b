/* SPDX-License-Identifier: MIT */
/*
 * part - slices of regions that hooks gave. See part.h.
 */
#include "page/part.h"

#include "util/bitmap.h"

/* Hooks that do not split what they gave have it back whole or not at all. */
static bool part_may_split(struct hooks_source source,
    struct hooks_memory piece, struct hooks_memory memory)
{
    const size_t before = (size_t)(memory.start - piece.start);
    const size_t behind = piece.bytes - before - memory.bytes;
    return (before == 0 || hooks_may_split(source, piece.start,
            (struct hooks_parts){ before, piece.bytes - before }))
        && (behind == 0 || hooks_may_split(source, memory.start,
            (struct hooks_parts){ memory.bytes, behind }));
}

bool part_give(struct pool *pool, struct part_run part, bool offer)
{
    struct region *region = part.region;
    const struct hooks_memory piece = region_piece(region, part.first);
    const struct hooks_memory memory =
        region_part(region, part.first, part.count);
    lock_give(&pool->lock);
    enum hooks_answer answer = HOOKS_REFUSED;
    const bool gone = offer && !memory.pinned
        && part_may_split(region->source, piece, memory)
        && hooks_give(region->source, memory);
    if (!gone)
        answer = hooks_purge(region->source, piece,
            (size_t)(memory.start - piece.start), memory.bytes);
    pool_lock(pool);
    /* What was purged may read as anything. */
    region->memory.zero = false;
    if (gone) {
        pool->reserved_bytes -= memory.bytes;
        region_lose(region, part.first, part.count);
        return true;
    }
    if (answer == HOOKS_DECOMMITTED)
        bitmap_set(region->decommitted, part.first, part.count);
    region_give(region, (struct region_return){
        .first = part.first, .count = part.count,
        .touched = answer == HOOKS_REFUSED ? part.count : 0,
        .now_ms = sys_now_ms(),
    });
    return answer != HOOKS_REFUSED;
}

bool part_is_decommitted(struct part_run part)
{
    return region_is_hooked(part.region) && bitmap_count(
        part.region->decommitted, part.first, part.count) > 0;
}

/* The same for a run of which all was decommitted. */
static bool part_commit_run(struct pool *pool, struct part_run run)
{
    struct region *region = run.region;
    const struct hooks_memory piece = region_piece(region, run.first);
    bool zero;
    if (!region_take(region, run.first, run.count, &zero))
        return false;
    lock_give(&pool->lock);
    const bool done = hooks_commit(region->source, piece,
        (size_t)(region->base - piece.start) + run.first * SLICE_BYTES,
        run.count * SLICE_BYTES);
    pool_lock(pool);
    if (done)
        bitmap_clear(region->decommitted, run.first, run.count);
    region_give(region, (struct region_return){
        .first = run.first, .count = run.count,
    });
    return done;
}

bool part_commit(struct pool *pool, struct part_run part)
{
    const struct region *region = part.region;
    const size_t end = part.first + part.count;
    size_t at = part.first;
    while ((at = bitmap_next(region->decommitted, at, end, true)) < end) {
        const size_t stop = bitmap_next(region->decommitted, at, end, false);
        if (!hooks_may_run()
            || bitmap_next(region->free, at, stop, false) < stop
            || !part_commit_run(pool,
                (struct part_run){ part.region, at, stop - at }))
            return false;
        at = stop;
    }
    return true;
}

static bool part_is_free(struct part_run part)
{
    const size_t end = part.first + part.count;
    return end <= part.region->slices
        && bitmap_next(part.region->free, part.first, end, false) == end;
}

bool part_make_ready(struct pool *pool, struct part_run part)
{
    return part_is_free(part) && (!part_is_decommitted(part)
        || (part_commit(pool, part) && part_is_free(part)));
}
