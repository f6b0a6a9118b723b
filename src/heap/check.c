/* SPDX-License-Identifier: MIT */
/*
 * check - is what a program gives back a block that is out? See check.h.
 */
#include "heap/check.h"

#include "heap/heap.h"
#include "heap/remote.h"
#include "heap/thread.h"

/* Times that a walk is begun anew when blocks leave the lists meanwhile. */
enum { CHECK_TRIES = 8 };

/* -- blocks and marks -- */

static uint64_t check_remote_scaled(const struct slab *slab,
    const void *pointer)
{
    return (uint64_t)((const char *)pointer - slab_extent(slab)->start)
        * class_factor[slab->remote_cls];
}

bool check_may_be_block(const struct slab *slab, const void *pointer)
{
    const unsigned cls = slab->remote_cls;
    return check_remote_scaled(slab, pointer)
        < class_blocks[cls] * class_step[cls];
}

/* -- searching -- */

/* Is the block on a list, which may be changing under us? */
static bool check_list_holds(const struct slab *slab,
    const struct block *at, const void *pointer)
{
    for (uint32_t left = class_blocks[slab->remote_cls];
         left > 0 && at != NULL && check_may_be_block(slab, at); left--) {
        if (at == pointer)
            return true;
        at = at->next;
    }
    return false;
}

static bool check_lists_hold(const struct slab *slab, const void *pointer)
{
    if (check_list_holds(slab, slab->freed, pointer)
        || check_list_holds(slab, remote_list(slab), pointer))
        return true;
    for (uint32_t i = 0; i < slab->segments && i < SLAB_SEGMENTS_MAX; i++) {
        if (check_list_holds(slab, slab_segment(slab, i), pointer))
            return true;
    }
    /* In the hands of the second tier blocks have their marks. */
    const struct heap *heap = slab_heap(slab);
    return heap->hardened && check_list_holds(slab,
        heap->bin[slab->remote_cls].shelf, pointer);
}

/* Is it a free block of a page or more, which is on no list? */
static bool check_is_cold(const struct slab *slab, const void *pointer)
{
    const uint64_t i = check_remote_scaled(slab, pointer)
        / class_step[slab->remote_cls];
    return i < SLAB_COLD_BLOCKS_MAX
        && (load_relaxed(&slab->cold) >> i & 1) != 0;
}

/*
 * Is a block on a list of its slab, or cold? Any thread may ask of any slab
 * while the owner goes on: lists only grow between two takes, so what is found
 * with no take in between is there. What cannot be told counts as not found.
 */
static COLD bool check_holds(const struct slab *slab, const void *pointer)
{
    for (int i = 0; i < CHECK_TRIES; i++) {
        /* pairs with slab_note_take() */
        const uint32_t takes = load_acquire(&slab->takes);
        if (!check_is_cold(slab, pointer)
            && !check_lists_hold(slab, pointer))
            return false;
        /* pairs with slab_note_take() */
        fence_acquire();
        if (takes == load_relaxed(&slab->takes))
            return true;
    }
    return false;
}

/* -- giving back -- */

bool check_is_free(const struct slab *slab, const void *pointer)
{
    if (!ASHLAR_CHECKS)
        return false;
    const struct block *block = pointer;
    const bool marked = class_bytes[slab->remote_cls] >= sizeof *block
        && UNLIKELY(block->mark
            == (check_remote_scaled(slab, pointer) ^ slab->remote_key));
    /* Cold blocks lost their marks. */
    const bool cold = UNLIKELY(load_relaxed(&slab->cold) != 0)
        && check_is_cold(slab, pointer);
    return UNLIKELY(marked || cold) && check_holds(slab, pointer);
}

bool check_give(const struct slab *slab, const char *call,
    const void *pointer)
{
    if (UNLIKELY(!check_is_block(slab, pointer))) {
        check_report(call, pointer);
        return false;
    }
    if (UNLIKELY(check_is_free(slab, pointer))) {
        check_report_as(MISUSE_double_free, call, pointer);
        return false;
    }
    return true;
}

bool check_give_remote(const struct slab *slab, const char *call,
    void *pointer)
{
    if (UNLIKELY(!check_may_be_block(slab, pointer))
        || UNLIKELY(remote_is_unowned(slab)
            && !check_is_block(slab, pointer))) {
        check_report(call, pointer);
        return false;
    }
    if (UNLIKELY(check_is_free(slab, pointer))) {
        check_report_as(MISUSE_double_free, call, pointer);
        return false;
    }
    struct block *block = pointer;
    if (ASHLAR_CHECKS && class_bytes[slab->remote_cls] >= sizeof *block)
        block->mark =
            check_remote_scaled(slab, pointer) ^ slab->remote_key;
    return true;
}

/* -- taking over -- */

static COLD void check_report_list(struct check_list *list, uint32_t sound)
{
    const void *pointer = list->last != NULL ? list->last : list->first;
    check_report_as(MISUSE_corrupted, "malloc", pointer);
    list->count = sound;
    list->rest = NULL;
    if (list->last != NULL)
        list->last->next = NULL;
}

/* Is it on the part of the list that was walked already? */
static bool check_was_met(const struct check_list *list,
    const struct block *block)
{
    for (const struct block *at = list->first; at != list->last;
         at = at->next) {
        if (at == block)
            return true;
    }
    return list->last == block;
}

/*
 * A mark that is not what it should be was overwritten after the free, which
 * is only for hardening to complain of; or it was cleared a moment ago, if the
 * list runs in a circle because a block was freed twice at the same time.
 */
static bool check_is_overwritten(const struct slab *slab,
    const struct check_list *list, const struct block *at)
{
    if (!check_has_marks(slab)
        || LIKELY(at->mark == check_mark(slab, at)))
        return false;
    return slab_heap(slab)->hardened
        || (at->mark == 0 && list->last != NULL && check_was_met(list, at));
}

/*
 * Walk so many blocks of a list, and take their marks off if they are to be
 * handed out; the blocks met, as bits, if not. false: it is broken, which has
 * been reported. This runs for every block that is ever handed out again, so
 * what is the same for all of a list is looked up once.
 */
static ALWAYS_INLINE bool check_each(const struct slab *slab,
    struct check_list *list, bool take, uint64_t *met)
{
    const char *start = slab->start;
    const uint64_t factor = slab->factor;
    const uint64_t key = slab->key;
    const uint64_t step = class_step[slab->cls];
    const uint64_t limit = load_relaxed(&slab->fresh) * step;
    const bool marks = check_has_marks(slab);
    struct block *at = list->first;
    list->last = NULL;
    list->rest = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        PREFETCH_WRITE(at);
        const uint64_t scaled = (uint64_t)((char *)at - start) * factor;
        if (UNLIKELY(scaled >= limit)
            || (marks && UNLIKELY(at->mark != (scaled ^ key))
                && check_is_overwritten(slab, list, at))) {
            check_report_list(list, i);
            return false;
        }
        if (!take)
            *met |= (uint64_t)1 << scaled / step % 64;
        else if (marks)
            at->mark = 0;
        list->last = at;
        at = at->next;
    }
    list->rest = at;
    return true;
}

uint64_t check_walk(const struct slab *slab, struct check_list *list)
{
    uint64_t met = 0;
    (void)check_each(slab, list, false, &met);
    return met;
}

void check_cut(const struct slab *slab, struct check_list *list)
{
    if (!check_each(slab, list, true, NULL))
        return;
    /* The rest must be a list, or nothing. */
    if (list->rest != NULL && !check_is_block(slab, list->rest))
        check_report_list(list, list->count);
    else if (list->last != NULL)
        list->last->next = NULL;
}

/* -- hardening -- */

void check_mark_list(struct block *list)
{
    if (list == NULL)
        return;
    const struct slab *slab = slab_of(heap_find(list).extent);
    for (struct block *at = list; at != NULL; at = at->next)
        at->mark = check_mark(slab, at);
}

bool check_unmark(struct block *block, unsigned cls)
{
    const struct heap_place place = heap_find(block);
    struct slab *slab = slab_of(place.extent);
    if (place.owner == MAP_NOBODY || heap_is_large(place)
        || slab->remote_cls != cls || !check_is_block(slab, block)
        || block->mark != check_mark(slab, block)) {
        check_report_as(MISUSE_corrupted, "malloc", block);
        return false;
    }
    block->mark = 0;
    return true;
}

/* -- reports -- */

/* How far back a large object is looked for that a pointer may be inside. */
enum { CHECK_BACK_SLICES = 1 << 16 };

/* The large object that an address lies in, but does not start; NULL: none.
 * The map knows only the first slice of each. */
static struct extent *check_enclosing(const void *pointer)
{
    const uintptr_t low = CHECK_BACK_SLICES * SLICE_BYTES;
    const uintptr_t address = (uintptr_t)pointer;
    for (uintptr_t back = 0; back < low && back < address;
         back += SLICE_BYTES) {
        const struct heap_place place = heap_find((void *)(address - back));
        if (heap_is_large(place))
            return address < (uintptr_t)place.extent->start
                    + place.extent->bytes
                && large_usable_bytes(place.extent, place.extent->start) > 0
                ? place.extent : NULL;
        if (place.owner != MAP_NOBODY)
            return NULL;
    }
    return NULL;
}

static enum misuse check_what_block(const struct slab *slab,
    const void *pointer)
{
    if ((uintptr_t)pointer % SHELF_STEP_BYTES != 0)
        return MISUSE_misaligned;
    if (!check_may_be_block(slab, pointer))
        return MISUSE_interior;
    return check_is_block(slab, pointer) ? MISUSE_double_free
        : MISUSE_nothing;
}

static enum misuse check_what_large(const struct extent *extent,
    const void *pointer)
{
    if (pointer == extent->start)
        return MISUSE_double_free;
    return large_usable_bytes(extent, extent->start) == 0 ? MISUSE_nothing
        : MISUSE_interior;
}

/* Of memory that the map knows nothing of any more. */
static enum misuse check_what_gone(const void *pointer)
{
    if ((uintptr_t)pointer >> 48 != 0)
        return MISUSE_foreign;
    const struct map_entry entry = map_find(pointer);
    if (load_relaxed(map_owner(entry)) == OWNER_GONE)
        return MISUSE_nothing;
    return pool_reaches(&arena_main.pool, pointer) ? MISUSE_nothing
        : MISUSE_foreign;
}

static void check_describe_block(struct misuse_report *report,
    struct heap_place place)
{
    const struct slab *slab = slab_of(place.extent);
    report->kind = "block";
    report->bytes = class_bytes[slab->remote_cls];
    report->where = "in a slab of another thread";
    if (place.owner == OWNER_SHARED)
        report->where = "in a slab of no thread";
    else if (slab_heap(slab) == thread.own)
        report->where = "in a slab of this thread";
}

static void check_describe_large(struct misuse_report *report,
    const struct extent *extent)
{
    report->kind = "large object";
    report->bytes = extent->bytes;
    report->where =
        extent->region != NULL ? "in a run of slices" : "in a mapping";
}

void check_report_as(enum misuse what, const char *call,
    const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    struct misuse_report report = {
        .what = what, .call = call, .pointer = pointer,
    };
    struct extent *large = heap_is_large(place) ? place.extent
        : place.owner == MAP_NOBODY ? check_enclosing(pointer) : NULL;
    if (large != NULL)
        check_describe_large(&report, large);
    else if (place.owner != MAP_NOBODY)
        check_describe_block(&report, place);
    misuse(report);
}

void check_report(const char *call, const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    enum misuse what;
    if (heap_is_large(place))
        what = check_what_large(place.extent, pointer);
    else if (place.owner != MAP_NOBODY)
        what = check_what_block(slab_of(place.extent), pointer);
    else if (check_enclosing(pointer) != NULL)
        what = MISUSE_interior;
    else
        what = check_what_gone(pointer);
    check_report_as(what, call, pointer);
}
