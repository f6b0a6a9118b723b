/* SPDX-License-Identifier: MIT */
/*
 * slab - an extent cut into equal blocks. See slab.h.
 */
#include "heap/slab.h"

#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/remote.h"
#include "util/bitmap.h"

/* A carve touches fresh memory, so it takes no more than one page's worth. */
enum { SLAB_CARVE_BYTES = 4096 };

/* A full slab is worth reusing when a sixteenth of it is free again. */
enum { SLAB_WAKE_SHARE = 16 };

/*
 * Of blocks that are resident already, a refill takes up to 16, but not more
 * than a slice of memory, and four at least: enough that refills do not show,
 * and not more than a thread that stops may hold of a class.
 */
static uint32_t slab_take_blocks(const struct slab *slab)
{
    const uint32_t fit = (uint32_t)SLICE_BYTES / slab->block_bytes;
    return fit > 16 ? 16 : fit < 4 ? 4 : fit;
}

static struct block *slab_block_at(const struct slab *slab, size_t offset)
{
    return (struct block *)(void *)(slab->start + offset);
}

/* -- segments: a list as one word, offset of its first block and count -- */

static uint32_t segment_of(const struct slab *slab, const struct block *first,
    uint32_t count)
{
    const size_t offset = (size_t)((const char *)first - slab->start);
    return count << 16 | (uint32_t)(offset / 8);
}

static uint32_t segment_count(uint32_t segment)
{
    return segment >> 16;
}

static struct block *segment_first(const struct slab *slab, uint32_t segment)
{
    return slab_block_at(slab, (size_t)(segment & 0xffff) * 8);
}

/* Close the open list; false: there are as many segments as can be. */
static bool slab_close_list(struct slab *slab)
{
    const uint32_t open = slab->armed - slab->countdown;
    if (slab->segments == SLAB_SEGMENTS_MAX)
        return false;
    if (open > 0) {
        slab->segment[slab->segments++] =
            segment_of(slab, slab->freed, open);
        slab->freed = NULL;
        slab->used -= open;
        slab->heap->bin[slab->cls].folded += open;
    }
    slab->armed = 0;
    slab->countdown = 0;
    return true;
}

/* -- life -- */

struct slab *slab_open(struct heap *heap, unsigned cls)
{
    struct extent *extent = kept_pop(&heap->kept, class_slices[cls]);
    if (extent == NULL)
        extent = arena_take(heap->arena, class_slices[cls], 1);
    if (extent == NULL)
        return NULL;

    struct slab *slab = slab_of(extent);
    slab->freed = NULL;
    slab->used = 0;
    slab->fresh = 0;
    slab->cold = 0;
    slab->block_bytes = class_bytes[cls];
    slab->cls = (uint8_t)cls;
    slab->place = SLAB_CURRENT;
    slab->segments = 0;
    slab->start = extent->start;
    slab->heap = heap;
    slab->next = NULL;
    slab->prev = NULL;
    slab->countdown = 0;
    slab->armed = 0;
    slab_rearm(slab);
    store_relaxed(&slab->remote, 0);
    store_relaxed(&extent->state, EXTENT_SLAB);
    map_set(extent->start, extent->slices, (uintptr_t)heap, extent);
    return slab;
}

void slab_close(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    ASSERT(load_relaxed(&slab->remote) == 0);               /* S6 */
    map_clear(extent->start, extent->slices);
    const size_t carved = (size_t)slab->fresh * slab->block_bytes;
    const uint32_t touched =
        (uint32_t)(round_up(carved, SLICE_BYTES) / SLICE_BYTES);
    extent->touched =
        touched > extent->touched ? touched : extent->touched;
    slab->heap->closes++;
    if (!kept_push(&slab->heap->kept, extent))
        pool_give(extent);
}

void slab_rearm(struct slab *slab)
{
    const uint32_t open = slab->armed - slab->countdown;
    const uint32_t blocks = class_blocks[slab->cls];
    uint32_t step = class_segment[slab->cls];
    if (slab->place == SLAB_FULL && step > blocks / SLAB_WAKE_SHARE)
        step = blocks / SLAB_WAKE_SHARE;
    /* Not beyond the last block that is out: it closes the slab. */
    if (slab->place != SLAB_CURRENT && step > slab->used - open)
        step = slab->used - open;
    step = step < 1 ? 1 : step;
    slab->armed = open + step;
    slab->countdown = step;
}

void slab_demote(struct slab *slab)
{
    (void)!slab_close_list(slab);
    slab->place = SLAB_FULL;
    bin_list(&slab->heap->bin[slab->cls], slab);
    slab_rearm(slab);
}

/* One segment, and where segments are short, more of them, put together. */
static struct block *slab_take_segments(struct slab *slab, uint32_t *count)
{
    const uint32_t enough = slab_take_blocks(slab);
    struct block *list = NULL;
    uint32_t sum = 0;
    while (slab->segments > 0) {
        const uint32_t top = slab->segment[slab->segments - 1];
        if (sum > 0 && sum + segment_count(top) > enough)
            break;
        struct block *first = segment_first(slab, top);
        if (list != NULL) {
            struct block *last = first;
            while (last->next != NULL)
                last = last->next;
            last->next = list;
        }
        list = first;
        sum += segment_count(top);
        slab->segments--;
    }
    slab->used += sum;
    *count = sum;
    return list;
}

struct block *slab_take(struct slab *slab, uint32_t *count)
{
    if (slab->segments > 0)
        return slab_take_segments(slab, count);
    /* The open list goes out as it came in: used stays what it was. */
    struct block *list = slab->freed;
    *count = slab->armed - slab->countdown;
    slab->freed = NULL;
    slab->armed = slab->countdown;
    slab_rearm(slab);
    slab->heap->bin[slab->cls].folded += *count;
    return list;
}

/* Cold blocks, a page's worth, the lowest first. */
static struct block *slab_take_cold(struct slab *slab, uint32_t count_max,
    uint32_t *count)
{
    struct block *list = NULL;
    uint32_t n = SLAB_CARVE_BYTES / slab->block_bytes;
    n = n < 1 ? 1 : n;
    n = n < count_max ? n : count_max;
    for (*count = 0; *count < n && slab->cold != 0; ++*count) {
        const size_t i = bits_lowest(slab->cold);
        slab->cold &= slab->cold - 1;
        struct block *block = slab_block_at(slab, i * slab->block_bytes);
        block->next = list;
        list = block;
    }
    slab->used += *count;
    pool_note_warmed(slab_extent(slab)->pool,
        (size_t)*count * slab->block_bytes);
    return list;
}

struct block *slab_carve(struct slab *slab, uint32_t count_max,
    uint32_t *count)
{
    if (UNLIKELY(slab->cold != 0))
        return slab_take_cold(slab, count_max, count);
    const uint32_t bytes = slab->block_bytes;
    const uint32_t left = class_blocks[slab->cls] - slab->fresh;
    const struct extent *extent = slab_extent(slab);
    uint32_t n = SLAB_CARVE_BYTES / bytes;
    /* Memory that was used before is resident: links cost nothing there. */
    if (extent->touched == extent->slices && n < slab_take_blocks(slab))
        n = slab_take_blocks(slab);
    n = n < 1 ? 1 : n;
    n = n < count_max ? n : count_max;
    n = n < left ? n : left;
    *count = n;
    if (n == 0)
        return NULL;

    char *first = slab->start + (size_t)slab->fresh * bytes;
    char *at = first;
    for (uint32_t i = 1; i < n; i++, at += bytes)
        ((struct block *)(void *)at)->next =
            (struct block *)(void *)(at + bytes);
    ((struct block *)(void *)at)->next = NULL;
    slab->fresh += n;
    slab->used += n;
    return (struct block *)(void *)first;
}

/* A slab that is not the current one: its last block came back, or enough
 * for another segment. */
static void slab_event_aside(struct slab *slab)
{
    struct bin *bin = &slab->heap->bin[slab->cls];
    if (slab->armed == slab->used) {
        bin_unlist(bin, slab);
        bin->folded += slab->used;
        slab_close(slab);
        return;
    }
    if (slab->place == SLAB_PARTIAL) {
        chill_uncount(slab);
        (void)!slab_close_list(slab);
        chill_count(slab);
    } else {
        bin_unlist(bin, slab);
        (void)!slab_close_list(slab);
        bin_list(bin, slab);
    }
    slab_rearm(slab);
    chill_if_due(slab->heap);
}

void slab_event(struct slab *slab)
{
    if (slab->place != SLAB_CURRENT) {
        slab_event_aside(slab);
        return;
    }
    /* With no room for another segment the open list just gets longer. */
    (void)!slab_close_list(slab);
    slab_rearm(slab);
}

/* -- cold blocks -- */

size_t slab_loose_bytes(const struct slab *slab)
{
    const uint32_t blocks =
        slab->fresh - slab->used - bits_count(slab->cold);  /* S1 */
    return (size_t)blocks * slab->block_bytes;
}

/* The whole pages within blocks [first, end) go back; how many bytes. */
static size_t slab_purge_blocks(const struct slab *slab, size_t first,
    size_t end)
{
    const size_t page = sys_page_bytes();
    const size_t from = round_up(first * slab->block_bytes, page);
    const size_t to = round_down(end * slab->block_bytes, page);
    if (from >= to || !sys_purge(slab->start + from, to - from))
        return 0;
    return to - from;
}

size_t slab_chill(struct slab *slab)
{
    ASSERT(slab->place != SLAB_CURRENT);
    ASSERT(class_blocks[slab->cls] <= SLAB_COLD_BLOCKS_MAX);
    (void)!slab_close_list(slab);
    uint64_t new = 0;
    while (slab->segments > 0) {
        const struct block *at = segment_first(slab,
            slab->segment[--slab->segments]);
        for (; at != NULL; at = at->next)
            new |= (uint64_t)1 << ((size_t)((const char *)at - slab->start)
                / slab->block_bytes);
    }
    slab->cold |= new;
    slab_rearm(slab);

    size_t purged = 0;
    const uint64_t cold[1] = { slab->cold };
    size_t end = 0;
    for (size_t i = bitmap_next(cold, 0, 64, true); i < 64;
         i = bitmap_next(cold, end, 64, true)) {
        end = bitmap_next(cold, i, 64, false);
        /* Runs that were cold already have nothing left to give. */
        if (bitmap_count(&new, i, end - i) > 0)
            purged += slab_purge_blocks(slab, i, end);
    }
    return purged;
}

uint8_t slab_place_for(const struct slab *slab)
{
    if (slab->segments > 0 || slab->fresh < class_blocks[slab->cls])
        return SLAB_PARTIAL;
    return slab->cold != 0 ? SLAB_COLD : SLAB_FULL;
}

/* -- audit -- */

/* S4, and the length of a list; a list that runs in a circle is too long. */
static uint32_t slab_audit_list(const struct slab *slab,
    const struct block *list, uint32_t at_most)
{
    uint32_t length = 0;
    for (const struct block *at = list; at != NULL; at = at->next) {
        CHECK(slab_has_block_at(slab, at));                 /* S4 */
        CHECK(length < at_most);
        length++;
    }
    return length;
}

void slab_audit(struct slab *slab)
{
    const uint32_t blocks = class_blocks[slab->cls];
    const uint32_t open = slab->armed - slab->countdown;
    uint32_t closed = 0;
    for (uint32_t i = 0; i < slab->segments; i++) {
        const uint32_t count = segment_count(slab->segment[i]);
        CHECK(slab_audit_list(slab,
            segment_first(slab, slab->segment[i]), count) == count);
        closed += count;
    }
    CHECK(slab->used + closed + bits_count(slab->cold)
        + (blocks - slab->fresh) == blocks);                /* S1 */
    CHECK(slab->countdown > 0);                             /* S2 */
    CHECK(slab_audit_list(slab, slab->freed, blocks) == open);  /* S2 */
    CHECK(slab->place == SLAB_CURRENT || slab->armed <= slab->used); /* S3 */
    if (slab->place != SLAB_CURRENT) {
        CHECK(slab->place == slab_place_for(slab));         /* S5 */
        CHECK(slab->used > 0);                              /* S5 */
    }
    remote_audit(slab);
}
