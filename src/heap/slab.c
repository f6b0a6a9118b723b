/* SPDX-License-Identifier: MIT */
/*
 * slab - an extent cut into equal blocks. See slab.h.
 */
#include "heap/slab.h"

#include "heap/check.h"
#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/owner.h"
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
    const uint32_t fit = (uint32_t)SLICE_BYTES / slab_block_bytes(slab);
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

struct block *slab_segment(const struct slab *slab, uint32_t i)
{
    return segment_first(slab, slab->segment[i]);
}

uint32_t slab_segment_count(const struct slab *slab, uint32_t i)
{
    return segment_count(slab->segment[i]);
}

void slab_set_segment(struct slab *slab, uint32_t i, struct block *first,
    uint32_t count)
{
    slab->segment[i] = segment_of(slab, first, count);
}

/* The words of a segment before it counts: a child of fork may find any
 * prefix of this. */
static void slab_push_segment(struct slab *slab, struct block *first,
    uint32_t count)
{
    slab_set_segment(slab, slab->segments, first, count);
    COMPILER_BARRIER();
    slab->segments++;
}

void slab_count(const struct slab *slab, uint32_t count)
{
    bump_relaxed(&slab_heap(slab)->bin[slab->cls].folded, count);
}

void slab_fold(struct slab *slab)
{
    const uint32_t open = slab->armed - slab->countdown;
    slab_count(slab, open - slab->counted);
    slab->counted = (uint16_t)open;
}

/* Close the open list; false: there are as many segments as can be. */
static bool slab_close_list(struct slab *slab)
{
    const uint32_t open = slab->armed - slab->countdown;
    if (slab->segments == SLAB_SEGMENTS_MAX)
        return false;
    struct block *list = slab->freed;
    slab_fold(slab);
    slab->counted = 0;
    slab->freed = NULL;
    slab->armed = 0;
    slab->countdown = 0;
    COMPILER_BARRIER();
    if (open > 0) {
        slab_push_segment(slab, list, open);
        slab->used -= open;
    }
    return true;
}

/* -- life -- */

/* S7: the fast path may not judge frees into a slab with cold blocks, whose
 * marks went with their pages. */
static uint64_t slab_limit(const struct slab *slab)
{
    return ASHLAR_CHECKS && load_relaxed(&slab->cold) == 0
        ? load_relaxed(&slab->fresh) * class_step[slab->cls] : 0;
}

void slab_set(struct slab *slab, uint32_t fresh, uint64_t cold)
{
    store_relaxed(&slab->fresh, fresh);
    store_relaxed(&slab->cold, cold);
    slab->limit = slab_limit(slab);
}

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
    slab->counted = 0;
    slab->start = extent->start;
    slab->factor = class_factor[cls];
    slab->cls = cls;
    slab->remote_cls = (uint8_t)cls;
    slab->key = heap_next_key(heap);
    slab->remote_key = slab->key;
    slab->place = SLAB_CURRENT;
    slab->segments = 0;
    slab_set(slab, 0, 0);
    /* pairs with slab_heap() */
    store_release(&slab->heap, heap);
    slab->next = NULL;
    slab->prev = NULL;
    slab->countdown = 0;
    slab->armed = 0;
    slab_rearm(slab);
    store_relaxed(&slab->remote, 0);
    COMPILER_BARRIER();
    store_relaxed(&extent->state, EXTENT_SLAB);
    map_set(extent->start, extent->slices, (uintptr_t)heap, extent);
    bump_relaxed(&heap->slabs[cls].opened, 1);
    return slab;
}

void slab_close(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    struct heap *heap = slab_heap(slab);
    ASSERT(load_relaxed(&slab->remote) == 0);               /* S6 */
    map_clear(extent->start, extent->slices);
    slab_note_touched(slab);
    bump_relaxed(&heap->slabs[slab->cls].closed, 1);
    heap->closes++;
    if (!kept_push(&heap->kept, extent))
        pool_give(extent);
}

void slab_note_touched(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    const size_t carved =
        (size_t)load_relaxed(&slab->fresh) * slab_block_bytes(slab);
    const uint32_t touched =
        (uint32_t)(round_up(carved, SLICE_BYTES) / SLICE_BYTES);
    extent->touched =
        touched > extent->touched ? touched : extent->touched;
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
    struct heap *heap = slab_heap(slab);
    (void)!slab_close_list(slab);
    bin_list(&heap->bin[slab->cls], slab);
    slab_rearm(slab);
    if (UNLIKELY(heap->aside_bytes > heap->aside_limit))
        owner_shed(heap, &heap->bin[slab->cls]);
}

/* -- taking -- */

void slab_note_take(struct slab *slab)
{
    /* Who sees the new number sees the lists without those blocks, and who
     * sees what a program writes to them sees the new number. */
    /* pairs with check_holds() */
    store_release(&slab->takes, load_relaxed(&slab->takes) + 1);
    /* pairs with check_holds() */
    fence_release();
}

/*
 * Take the first blocks of the last segment, `most` of them at most, in front
 * of a list; how many. The rest stays a segment.
 */
static uint32_t slab_take_segment(struct slab *slab, uint32_t most,
    struct block **list)
{
    const uint32_t top = slab->segment[slab->segments - 1];
    const uint32_t all = segment_count(top);
    struct check_list cut = {
        .first = segment_first(slab, top),
        .count = all < most ? all : most,
        .whole = all <= most,
    };
    slab->segments--;
    slab_note_take(slab);
    slab->used += all;
    if (ASHLAR_CHECKS || all > most || *list != NULL)
        check_cut(slab, &cut);
    if (all > most && cut.rest != NULL) {
        slab_push_segment(slab, cut.rest, all - cut.count);
        slab->used -= all - cut.count;
    }
    if (*list != NULL && cut.count > 0)
        cut.last->next = *list;
    if (cut.count > 0)
        *list = cut.first;
    return cut.count;
}

/* One segment, and where segments are short, more of them, put together. */
static struct block *slab_take_segments(struct slab *slab, uint32_t *count)
{
    const uint32_t enough = slab_take_blocks(slab);
    const uint32_t segment = class_segment[slab->cls];
    struct block *list = NULL;
    uint32_t sum = 0;
    /* What others freed is in their caches: let it come all at once. */
    for (uint32_t i = 0; i < slab->segments; i++)
        PREFETCH_WRITE(slab_segment(slab, i));
    while (slab->segments > 0) {
        const uint32_t next =
            segment_count(slab->segment[slab->segments - 1]);
        if (sum > 0 && sum + next > enough)
            break;
        sum += slab_take_segment(slab, segment, &list);
    }
    *count = sum;
    return list;
}

struct block *slab_take(struct slab *slab, uint32_t *count)
{
    *count = 0;
    if (slab->segments > 0)
        return slab_take_segments(slab, count);
    if (slab->freed == NULL)
        return NULL;
    /* The open list goes out as it came in: used stays what it was. */
    struct check_list cut = {
        .first = slab->freed, .count = slab->armed - slab->countdown,
        .whole = true,
    };
    slab_fold(slab);
    slab->counted = 0;
    slab->freed = NULL;
    slab_note_take(slab);
    slab->armed = slab->countdown;
    slab_rearm(slab);
    if (ASHLAR_CHECKS)
        check_cut(slab, &cut);
    *count = cut.count;
    return cut.count > 0 ? cut.first : NULL;
}

/* Cold blocks, a page's worth, the lowest first. */
static struct block *slab_take_cold(struct slab *slab, uint32_t count_max,
    uint32_t *count)
{
    struct block *list = NULL;
    uint32_t n = SLAB_CARVE_BYTES / slab_block_bytes(slab);
    n = n < 1 ? 1 : n;
    n = n < count_max ? n : count_max;
    uint64_t cold = load_relaxed(&slab->cold);
    for (*count = 0; *count < n && cold != 0; ++*count) {
        const size_t i = bits_lowest(cold);
        cold &= cold - 1;
        struct block *block = slab_block_at(slab, i * slab_block_bytes(slab));
        block->next = list;
        /* What the system refused to purge may still be there. */
        block->mark = 0;
        list = block;
    }
    slab->used += *count;
    slab_set(slab, load_relaxed(&slab->fresh), cold);
    slab_note_take(slab);
    pool_note_warmed(slab_extent(slab)->pool,
        (size_t)*count * slab_block_bytes(slab));
    return list;
}

struct block *slab_carve(struct slab *slab, uint32_t count_max,
    uint32_t *count)
{
    if (UNLIKELY(load_relaxed(&slab->cold) != 0))
        return slab_take_cold(slab, count_max, count);
    const uint32_t bytes = slab_block_bytes(slab);
    const uint32_t left = class_blocks[slab->cls] - load_relaxed(&slab->fresh);
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

    char *first = slab->start + (size_t)load_relaxed(&slab->fresh) * bytes;
    char *at = first;
    for (uint32_t i = 1; i < n; i++, at += bytes)
        ((struct block *)(void *)at)->next =
            (struct block *)(void *)(at + bytes);
    ((struct block *)(void *)at)->next = NULL;
    slab->used += n;
    slab_set(slab, load_relaxed(&slab->fresh) + n, 0);
    COMPILER_BARRIER();
    return (struct block *)(void *)first;
}

/* The lowest block of a segment, as the link that leads to it; a list that is
 * broken ends there. */
static struct block **slab_lowest(const struct slab *slab, uint32_t i,
    struct block **first)
{
    *first = slab_segment(slab, i);
    struct block **lowest = first;
    struct block **link = first;
    for (uint32_t k = 0; k < slab_segment_count(slab, i); k++) {
        if (*link < *lowest)
            lowest = link;
        link = &(*link)->next;
        if (!check_is_block(slab, *link))
            break;
    }
    return lowest;
}

/* Take the lowest block out of the segment that has it. */
static struct block *slab_cut_lowest(struct slab *slab)
{
    uint32_t best = 0;
    struct block *first;
    struct block *lowest = *slab_lowest(slab, 0, &first);
    for (uint32_t i = 1; i < slab->segments; i++) {
        struct block *block = *slab_lowest(slab, i, &first);
        if (block < lowest) {
            lowest = block;
            best = i;
        }
    }
    struct block **link = slab_lowest(slab, best, &first);
    const uint32_t left = slab_segment_count(slab, best) - 1;
    slab_note_take(slab);
    *link = lowest->next;
    slab->used++;
    if (left > 0) {
        slab_set_segment(slab, best, first, left);
    } else {
        slab->segments--;
        slab->segment[best] = slab->segment[slab->segments];
    }
    lowest->next = NULL;
    return lowest;
}

struct block *slab_take_lowest(struct slab *slab)
{
    struct block *block;
    uint32_t count;
    (void)!slab_close_list(slab);
    /* What was never used lies above all that was. */
    if (slab->segments > 0)
        block = slab_cut_lowest(slab);
    else
        block = slab_carve(slab, 1, &count);
    slab_rearm(slab);
    return block;
}

/* -- giving -- */

void slab_put(struct slab *slab, void *pointer)
{
    struct block *block = pointer;
    if (CHECK_MARKED(slab->cls))
        block->mark = check_mark(slab, pointer);
    if (UNLIKELY(slab_push(slab, block)))
        slab_event(slab);
}

/* No segment is to be had: in front of the open list. */
static void slab_absorb_open(struct slab *slab, struct block *first,
    uint32_t count)
{
    struct check_list list = { .first = first, .count = count };
    (void)check_walk(slab, &list);
    if (list.count == 0)
        return;
    list.last->next = slab->freed;
    COMPILER_BARRIER();
    slab->freed = first;
    slab->armed += list.count;
    slab->counted = (uint16_t)(slab->counted + list.count);
}

void slab_absorb(struct slab *slab, struct block *first, uint32_t count)
{
    /* It is in the freer's cache; let it come while others are absorbed. */
    if (count > 0)
        PREFETCH_WRITE(first);
    if (slab->place != SLAB_CURRENT)
        chill_uncount(slab);
    if (slab->segments == SLAB_SEGMENTS_MAX) {
        slab_absorb_open(slab, first, count);
    } else {
        slab_push_segment(slab, first, count);
        slab->used -= count;
    }
    if (slab->place != SLAB_CURRENT)
        chill_count(slab);
}

void slab_settle(struct slab *slab)
{
    struct heap *heap = slab_heap(slab);
    struct bin *bin = &heap->bin[slab->cls];
    if (slab_live(slab) == 0) {
        bin_unlist(bin, slab);
        slab_fold(slab);
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
    chill_if_due(heap);
    if (UNLIKELY(heap->aside_bytes > heap->aside_limit))
        owner_shed(heap, bin);
}

void slab_event(struct slab *slab)
{
    if (slab->place != SLAB_CURRENT) {
        slab_settle(slab);
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
        load_relaxed(&slab->fresh) - slab->used
        - bits_count(load_relaxed(&slab->cold));  /* S1 */
    return (size_t)blocks * slab_block_bytes(slab);
}

/* The whole pages within blocks [first, end) go back; how many bytes. */
static size_t slab_purge_blocks(const struct slab *slab, size_t first,
    size_t end)
{
    if (pool_is_hooked(slab_extent(slab)->pool))
        return 0;
    const size_t page = sys_page_bytes();
    const size_t from = round_up(first * slab_block_bytes(slab), page);
    const size_t to = round_down(end * slab_block_bytes(slab), page);
    if (from >= to || !sys_purge(slab->start + from, to - from))
        return 0;
    return to - from;
}

size_t slab_chill(struct slab *slab)
{
    ASSERT(slab->place != SLAB_CURRENT);
    ASSERT(class_blocks[slab->cls] <= SLAB_COLD_BLOCKS_MAX);
    (void)!slab_close_list(slab);
    slab_note_take(slab);
    uint64_t new = 0;
    while (slab->segments > 0) {
        const uint32_t top = slab->segment[--slab->segments];
        struct check_list list = {
            .first = segment_first(slab, top), .count = segment_count(top),
        };
        new |= check_walk(slab, &list);
        /* What a broken list loses counts as out. */
        slab->used += segment_count(top) - list.count;
    }
    slab_set(slab, load_relaxed(&slab->fresh), load_relaxed(&slab->cold) | new);
    slab_rearm(slab);

    size_t purged = 0;
    const uint64_t cold[1] = { load_relaxed(&slab->cold) };
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
    if (slab->segments > 0
        || load_relaxed(&slab->fresh) < class_blocks[slab->cls])
        return SLAB_PARTIAL;
    return load_relaxed(&slab->cold) != 0 ? SLAB_COLD : SLAB_FULL;
}

/* -- audit -- */

/* S4, and the length of a list; a list that runs in a circle is too long. */
static uint32_t slab_audit_list(const struct slab *slab,
    const struct block *list, uint32_t at_most)
{
    uint32_t length = 0;
    for (const struct block *at = list; at != NULL; at = at->next) {
        CHECK(check_is_block(slab, at));                    /* S4 */
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
    CHECK(slab->used + closed + bits_count(load_relaxed(&slab->cold))
        == load_relaxed(&slab->fresh));                     /* S1 */
    CHECK(slab->countdown > 0);                             /* S2 */
    CHECK(slab_audit_list(slab, slab->freed, blocks) == open);  /* S2 */
    CHECK(slab->limit == slab_limit(slab));                 /* S7 */
    CHECK(slab->counted <= open);                           /* S8 */
    if (slab->place != SLAB_CURRENT && !remote_is_unowned(slab)) {
        CHECK(slab->armed <= slab->used);                   /* S3 */
        CHECK(slab->place == slab_place_for(slab));         /* S5 */
        CHECK(slab->used > 0);                              /* S5 */
    }
    remote_audit(slab);
}
