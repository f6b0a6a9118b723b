/* SPDX-License-Identifier: MIT */
/*
 * region - a large reservation of address space, cut into slices. See
 * region.h.
 */
#include "page/region.h"

#include "util/bitmap.h"

/* -- layout of the head -- */

struct region_layout {
    size_t free;                /* offsets from the start of struct region */
    size_t dirty;
    size_t chunk;
    size_t extent;
    size_t mark;
    size_t gone;
    size_t decommitted;
    size_t end;
};

static struct region_layout region_layout_of(size_t slices)
{
    const size_t bitmap_bytes = round_up(slices, 64) / 8;
    const size_t chunks = slices / CHUNK_SLICES;
    struct region_layout at;
    at.free = round_up(sizeof(struct region), CACHE_LINE_BYTES);
    at.dirty = at.free + bitmap_bytes;
    at.chunk = at.dirty + bitmap_bytes;
    at.extent = round_up(at.chunk + chunks * sizeof(struct chunk),
        sys_page_bytes());
    /* On pages of their own, which a small process never touches. */
    at.mark = round_up(at.extent + slices * sizeof(struct extent),
        sys_page_bytes());
    at.gone = at.mark + REGION_KINDS * bitmap_bytes;
    at.decommitted = at.gone + bitmap_bytes;
    at.end = round_up(at.decommitted + bitmap_bytes, sys_page_bytes());
    return at;
}

static size_t region_head_slices(size_t slices)
{
    const size_t guard = sys_page_bytes();
    const size_t bytes = guard + region_layout_of(slices).end + guard;
    return round_up(bytes, SLICE_BYTES) / SLICE_BYTES;
}

size_t region_capacity(size_t bytes)
{
    const size_t slices = bytes / SLICE_BYTES;
    const size_t head = region_head_slices(slices);
    return slices > head ? slices - head : 0;
}

static void region_fill(struct region *region)
{
    const size_t slices = region->slices;
    const size_t head = region->head_slices;
    bitmap_set(region->free, head, slices - head);
    region->free_slices = slices - head;
    region->lowest_free = head;
    region->lowest_dirty = slices;
    region->committed = head;
    for (size_t c = 0; c < slices / CHUNK_SLICES; c++) {
        const size_t low = c * CHUNK_SLICES;
        region->chunk[c] = (struct chunk){
            .region = region,
            .used = (uint16_t)min_size(CHUNK_SLICES,
                head > low ? head - low : 0),
            .list = CHUNK_CLEAN,
        };
    }
}

/* What it is, for so many slices, in a head that can be touched. */
static struct region *region_begin(char *head, size_t slices)
{
    const struct region_layout at = region_layout_of(slices);
    struct region *region = (struct region *)(void *)head;
    region->slices = slices;
    region->free = (uint64_t *)(void *)(head + at.free);
    region->dirty = (uint64_t *)(void *)(head + at.dirty);
    region->chunk = (struct chunk *)(void *)(head + at.chunk);
    region->extent = (struct extent *)(void *)(head + at.extent);
    region->mark = (_Atomic uint64_t *)(void *)(head + at.mark);
    region->gone = (uint64_t *)(void *)(head + at.gone);
    region->decommitted = (uint64_t *)(void *)(head + at.decommitted);
    return region;
}

struct region *region_open(struct pool *pool, struct chunk_queue *queues,
    size_t bytes)
{
    const size_t slices = bytes / SLICE_BYTES;
    const size_t guard = sys_page_bytes();

    char *base = sys_reserve(bytes, CHUNK_BYTES);
    if (base == NULL)
        return NULL;
    if (!map_cover(base, bytes)
        || !sys_commit(base + guard, region_layout_of(slices).end)) {
        (void)!sys_release(base, bytes);
        return NULL;
    }

    struct region *region = region_begin(base + guard, slices);
    region->base = base;
    region->pool = pool;
    region->queues = queues;
    region->head_slices = region_head_slices(slices);
    region_fill(region);
    return region;
}

/* -- with hooks -- */

/* The head, between its guards. */
static char *region_reserve_head(size_t slices)
{
    const size_t guard = sys_page_bytes();
    const size_t end = region_layout_of(slices).end;
    char *start = sys_reserve(guard + end + guard, guard);
    if (start == NULL)
        return NULL;
    if (sys_commit(start + guard, end))
        return start + guard;
    (void)!sys_release(start, guard + end + guard);
    return NULL;
}

void region_forget(struct region *region)
{
    const size_t guard = sys_page_bytes();
    const size_t end = region_layout_of(region->slices).end;
    if (!sys_release((char *)region - guard, guard + end + guard))
        (void)!sys_purge(region, end);
}

struct region *region_open_hooked(struct pool *pool,
    struct chunk_queue *queues, struct hooks_source source, size_t bytes)
{
    const size_t slices = bytes / SLICE_BYTES;
    char *head = region_reserve_head(slices);
    if (head == NULL)
        return NULL;
    struct region *region = region_begin(head, slices);
    /* Runs are aligned by their place in the region. */
    region->memory = hooks_take(source, bytes, CHUNK_BYTES);
    region->base = region->memory.start;
    region->pool = pool;
    region->queues = queues;
    region->source = source;
    if (region->base == NULL) {
        region_forget(region);
        return NULL;
    }
    region_fill(region);
    region->committed = slices;
    return region;
}

struct hooks_memory region_part(const struct region *region, size_t first,
    size_t count)
{
    return (struct hooks_memory){
        .start = region->base + first * SLICE_BYTES,
        .bytes = count * SLICE_BYTES,
        .pinned = region->memory.pinned,
        .decommitted =
            bitmap_count(region->decommitted, first, count) == count,
    };
}

struct hooks_memory region_piece(const struct region *region, size_t slice)
{
    size_t first = 0;
    size_t end = bitmap_next(region->gone, 0, region->slices, true);
    while (end <= slice) {
        first = bitmap_next(region->gone, end, region->slices, false);
        end = bitmap_next(region->gone, first, region->slices, true);
    }
    return region_part(region, first, end - first);
}

void region_lose(struct region *region, size_t first, size_t count)
{
    /* Gone, then free no more: region_repair() knows what is both. */
    bitmap_set(region->gone, first, count);
    COMPILER_BARRIER();
    bitmap_clear(region->free, first, count);
    region->gone_slices += count;
}

/* -- chunks and their lists -- */

static void chunk_unlist(struct chunk *chunk)
{
    if (chunk->list == CHUNK_CLEAN)
        return;
    struct chunk_queue *queue = &chunk->region->queues[chunk->list];
    *(chunk->prev ? &chunk->prev->next : &queue->first) = chunk->next;
    *(chunk->next ? &chunk->next->prev : &queue->last) = chunk->prev;
    chunk->next = NULL;
    chunk->prev = NULL;
    chunk->list = CHUNK_CLEAN;
}

static uint8_t chunk_list_for(const struct chunk *chunk)
{
    if (chunk->dirty == 0)
        return CHUNK_CLEAN;
    return chunk->used == 0 ? CHUNK_WHOLE : CHUNK_PARTLY;
}

/* Put the chunk where its counts and its age say (R6 R8). A chunk that has
 * just become dirtier is the youngest, so the search ends at once. */
static void chunk_relist(struct chunk *chunk, bool aged)
{
    const uint8_t list = chunk_list_for(chunk);
    if (list == chunk->list && !aged)
        return;
    chunk_unlist(chunk);
    if (list == CHUNK_CLEAN)
        return;
    struct chunk_queue *queue = &chunk->region->queues[list];
    struct chunk *before = queue->last;
    while (before != NULL && before->stamp_ms > chunk->stamp_ms)
        before = before->prev;
    chunk->prev = before;
    chunk->next = before != NULL ? before->next : queue->first;
    *(chunk->prev ? &chunk->prev->next : &queue->first) = chunk;
    *(chunk->next ? &chunk->next->prev : &queue->last) = chunk;
    chunk->list = list;
}

void region_unlist(struct region *region)
{
    for (size_t c = 0; c < region->slices / CHUNK_SLICES; c++)
        chunk_unlist(&region->chunk[c]);
}

bool region_close(struct region *region)
{
    return sys_release(region->base, region->slices * SLICE_BYTES);
}

/* -- finding, taking, giving -- */

/* How many gaps a search for the warmest place looks at. */
enum { REGION_GAPS_MAX = 512 };

/* From here on a run is worth a search for the gap that it fills best. */
enum { REGION_LONG_SLICES = 16 };

/* The lowest run that is free; or dirty, which is free too. */
static size_t region_find_lowest(const struct region *region, size_t count,
    size_t step, bool dirty)
{
    const size_t available =
        dirty ? region->dirty_slices : region->free_slices;
    if (available < count)
        return BITMAP_NONE;
    return bitmap_find(dirty ? region->dirty : region->free,
        (struct bitmap_search){
            .start = dirty ? region->lowest_dirty : region->lowest_free,
            .end = region->slices, .count = count, .step = step,
        });
}

/* A place for a run, and how good it is. */
struct region_place {
    size_t slice;
    size_t dirty;               /* slices of it; more is better */
    size_t room;                /* of the gap it lies in; less is better */
};

/* The place of those in the gap [from, to) that begin with the gap or with
 * dirty slices, or end with the gap, if it is better than the best. */
static void region_weigh(const struct region *region,
    struct bitmap_search search, struct region_place *best)
{
    size_t at = search.start;
    while (at < search.end) {
        const size_t last = round_down(search.end - search.count, search.step);
        const size_t slice = min_size(round_up(at, search.step), last);
        if (slice < search.start)
            return;
        const size_t dirty =
            bitmap_count(region->dirty, slice, search.count);
        const size_t room = search.end - search.start;
        if (best->slice == BITMAP_NONE || dirty > best->dirty
            || (dirty == best->dirty && room < best->room))
            *best = (struct region_place){ slice, dirty, room };
        if (slice == last)
            return;
        at = bitmap_next(region->dirty, at, search.end, false);
        at = bitmap_next(region->dirty, at, search.end, true);
    }
}

/* The warmest place, in the tightest gap. */
static struct region_place region_find_warmest(const struct region *region,
    size_t count, size_t step)
{
    struct region_place best = { .slice = BITMAP_NONE };
    size_t end = region->lowest_free;
    for (int i = 0; i < REGION_GAPS_MAX; i++) {
        const size_t start =
            bitmap_next(region->free, end, region->slices, true);
        end = bitmap_next(region->free, start, region->slices, false);
        if (start == region->slices)
            break;
        if (end - start >= count)
            region_weigh(region, (struct bitmap_search){
                .start = start, .end = end, .count = count, .step = step,
            }, &best);
    }
    return best;
}

size_t region_find(const struct region *region, size_t count, size_t step,
    size_t *dirty)
{
    *dirty = count;
    size_t slice = region_find_lowest(region, count, step, true);
    if (slice != BITMAP_NONE && count < REGION_LONG_SLICES)
        return slice;
    struct region_place best = { .slice = BITMAP_NONE };
    if (count > 1 && region->dirty_slices > 0)
        best = region_find_warmest(region, count, step);
    if (best.slice == BITMAP_NONE)
        best.slice = region_find_lowest(region, count, step, false);
    *dirty = best.dirty;
    return best.slice;
}

/* Make slices up to end touchable, whole chunks ahead if that is granted. */
static bool region_commit(struct region *region, size_t end)
{
    if (end <= region->committed)
        return true;
    size_t goal = round_up(end, CHUNK_SLICES);
    char *from = region->base + region->committed * SLICE_BYTES;
    if (!sys_commit(from, (goal - region->committed) * SLICE_BYTES)) {
        goal = end;
        if (!sys_commit(from, (goal - region->committed) * SLICE_BYTES))
            return false;
    }
    region->committed = goal;
    COMPILER_BARRIER();         /* R7: nothing is taken above it before */
    return true;
}

bool region_take(struct region *region, size_t first, size_t count,
    bool *zero)
{
    if (!region_commit(region, first + count))
        return false;

    /* Free no more, then clean: who vanishes in between loses the slices. The
     * other way round, a prefix would offer dirty memory as clean. */
    const size_t dirty = bitmap_count(region->dirty, first, count);
    bitmap_clear(region->free, first, count);
    COMPILER_BARRIER();
    *zero = dirty == 0 && (!region_is_hooked(region) || region->memory.zero);
    for (size_t at = first; at < first + count;) {
        struct chunk *chunk = &region->chunk[at / CHUNK_SLICES];
        const size_t end = min_size(round_down(at, CHUNK_SLICES)
            + CHUNK_SLICES, first + count);
        chunk->used = (uint16_t)(chunk->used + (end - at));
        chunk->dirty = (uint16_t)(chunk->dirty
            - bitmap_count(region->dirty, at, end - at));
        chunk_relist(chunk, false);
        at = end;
    }

    region->free_slices -= count;
    if (first == region->lowest_free)
        region->lowest_free = bitmap_next(region->free, first + count,
            region->slices, true);
    if (dirty > 0) {
        bitmap_clear(region->dirty, first, count);
        region->dirty_slices -= dirty;
        if (first <= region->lowest_dirty)
            region->lowest_dirty = bitmap_next(region->dirty, first,
                region->slices, true);
    }
    return true;
}

void region_give(struct region *region, struct region_return back)
{
    const size_t end = back.first + back.count;
    const size_t dirty_end = back.first + back.touched;
    /* Dirty, then free, as in region_take(). */
    bitmap_set(region->dirty, back.first, back.touched);
    COMPILER_BARRIER();
    bitmap_set(region->free, back.first, back.count);
    COMPILER_BARRIER();
    region->free_slices += back.count;
    region->dirty_slices += back.touched;
    region->lowest_free = min_size(region->lowest_free, back.first);
    if (back.touched > 0)
        region->lowest_dirty = min_size(region->lowest_dirty, back.first);

    for (size_t at = back.first; at < end;) {
        struct chunk *chunk = &region->chunk[at / CHUNK_SLICES];
        const size_t stop =
            min_size(round_down(at, CHUNK_SLICES) + CHUNK_SLICES, end);
        const size_t dirty = at < dirty_end
            ? min_size(stop, dirty_end) - at : 0;
        chunk->used = (uint16_t)(chunk->used - (stop - at));
        chunk->dirty = (uint16_t)(chunk->dirty + dirty);
        if (dirty > 0)
            chunk->stamp_ms = back.now_ms;
        chunk_relist(chunk, dirty > 0);
        at = stop;
    }
}

/* The records of a chunk's extents; where nothing is used they are all
 * EXTENT_FREE, and read so again after a purge. */
#define CHUNK_RECORD_BYTES (CHUNK_SLICES * sizeof(struct extent))
_Static_assert(EXTENT_FREE == 0, "a purged record is a free one");

size_t region_purge(struct chunk *chunk)
{
    struct region *region = chunk->region;
    ASSERT(!region_is_hooked(region));
    const size_t low = (size_t)(chunk - region->chunk) * CHUNK_SLICES;
    const size_t high = low + CHUNK_SLICES;
    size_t purged = 0;
    size_t at = low;
    while ((at = bitmap_next(region->dirty, at, high, true)) < high) {
        const size_t end = bitmap_next(region->dirty, at, high, false);
        /* Dirty until it is purged. */
        if (sys_purge(region->base + at * SLICE_BYTES,
                (end - at) * SLICE_BYTES)) {
            COMPILER_BARRIER();
            bitmap_clear(region->dirty, at, end - at);
            purged += end - at;
        }
        at = end;
    }
    if (chunk->used == 0 && CHUNK_RECORD_BYTES % sys_page_bytes() == 0)
        (void)!sys_purge(&region->extent[low], CHUNK_RECORD_BYTES);
    chunk->dirty = (uint16_t)(chunk->dirty - purged);
    region->dirty_slices -= purged;
    if (region->lowest_dirty >= low)
        region->lowest_dirty = bitmap_next(region->dirty,
            region->lowest_dirty, region->slices, true);
    /* What the system refused to purge is tried again last. */
    if (chunk->dirty > 0 && region->queues[chunk->list].last != NULL)
        chunk->stamp_ms = region->queues[chunk->list].last->stamp_ms;
    chunk_relist(chunk, true);
    return purged;
}

struct extent *region_extent(struct region *region, size_t slice)
{
    struct extent *extent = &region->extent[slice];
    extent->start = region->base + slice * SLICE_BYTES;
    extent->region = region;
    extent->pool = region->pool;
    return extent;
}

/* -- after a fork -- */

static void chunk_repair(struct region *region, size_t index)
{
    struct chunk *chunk = &region->chunk[index];
    const size_t low = index * CHUNK_SLICES;
    chunk->used = (uint16_t)(CHUNK_SLICES
        - bitmap_count(region->free, low, CHUNK_SLICES));       /* R4 */
    chunk->dirty = (uint16_t)bitmap_count(region->dirty, low,
        CHUNK_SLICES);                                          /* R4 */
    chunk->next = NULL;
    chunk->prev = NULL;
    chunk->list = CHUNK_CLEAN;
    chunk_relist(chunk, false);                                 /* R6 R8 */
}

void region_repair(struct region *region)
{
    const size_t slices = region->slices;
    for (size_t i = 0; i < (slices + 63) / 64; i++) {
        region->free[i] &= ~region->gone[i];                    /* R9 */
        region->dirty[i] &= region->free[i];                    /* R3 */
    }
    region->gone_slices = bitmap_count(region->gone, 0, slices);
    region->free_slices = bitmap_count(region->free, 0, slices);
    region->dirty_slices = bitmap_count(region->dirty, 0, slices);
    region->lowest_free = bitmap_next(region->free, 0, slices, true);
    region->lowest_dirty = bitmap_next(region->dirty, 0, slices, true);
    for (size_t c = 0; c < slices / CHUNK_SLICES; c++)
        chunk_repair(region, c);
}

bool region_reaches(const struct region *region, const void *pointer)
{
    const size_t slice =
        ((uintptr_t)pointer - (uintptr_t)region->base) / SLICE_BYTES;
    return slice < region->slices && slice >= region->head_slices;
}

/* -- audit -- */

static void chunk_audit(const struct region *region, size_t index)
{
    const struct chunk *chunk = &region->chunk[index];
    const size_t low = index * CHUNK_SLICES;
    CHECK(chunk->used == CHUNK_SLICES
        - bitmap_count(region->free, low, CHUNK_SLICES));       /* R4 */
    CHECK(chunk->dirty
        == bitmap_count(region->dirty, low, CHUNK_SLICES));     /* R4 */
    CHECK(chunk->list == chunk_list_for(chunk));                /* R6 */
}

void region_audit(const struct region *region)
{
    const size_t slices = region->slices;
    CHECK(region->free_slices
        == bitmap_count(region->free, 0, slices));              /* R1 */
    CHECK(region->dirty_slices
        == bitmap_count(region->dirty, 0, slices));             /* R2 */
    CHECK(region->gone_slices
        == bitmap_count(region->gone, 0, slices));              /* R9 */
    for (size_t i = 0; i < (slices + 63) / 64; i++) {
        CHECK((region->dirty[i] & ~region->free[i]) == 0);      /* R3 */
        CHECK((region->free[i] & region->gone[i]) == 0);        /* R9 */
        CHECK((region->dirty[i] & region->decommitted[i]) == 0); /* R3 */
    }
    CHECK(bitmap_next(region->dirty, region->committed, slices, true)
        == slices);                                             /* R3 R7 */
    CHECK(bitmap_next(region->free, region->committed, slices, false)
        == slices);                                             /* R7 */
    CHECK(bitmap_count(region->free, 0, region->lowest_free) == 0);
    CHECK(bitmap_count(region->dirty, 0, region->lowest_dirty) == 0);
    for (size_t c = 0; c < slices / CHUNK_SLICES; c++)
        chunk_audit(region, c);
}
