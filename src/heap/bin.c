/* SPDX-License-Identifier: MIT */
/*
 * bin - one heap's slabs of one class. See bin.h.
 */
#include "heap/bin.h"

#include "heap/check.h"
#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/owner.h"
#include "heap/remote.h"

/*
 * Large blocks are carved one at a time, so a program that frees and
 * allocates one over and over would refill every time. Every
 * BIN_SHORT_REFILLS-th refill of fewer than BIN_IN_HAND blocks adds a fresh
 * one: a busy class earns blocks in hand, an idle one touches no memory.
 */
enum { BIN_IN_HAND = 4, BIN_SHORT_REFILLS = 16 };

/* Refills, of the quick kind too, between two looks at what others freed. */
enum { BIN_REFILLS = 16 };

void bin_list(struct bin *bin, struct slab *slab)
{
    slab->place = slab_place_for(slab);
    struct slab_list *list = &bin->list[slab->place];
    slab->prev = NULL;
    slab->next = list->first;
    *(slab->next ? &slab->next->prev : &list->last) = slab;
    list->first = slab;
    slab_heap(slab)->aside_bytes += slab_bytes(slab);
    bump_relaxed(&bin->nonfull, slab->place != SLAB_FULL);
    chill_count(slab);
}

void bin_unlist(struct bin *bin, struct slab *slab)
{
    struct slab_list *list = &bin->list[slab->place];
    *(slab->prev ? &slab->prev->next : &list->first) = slab->next;
    *(slab->next ? &slab->next->prev : &list->last) = slab->prev;
    slab->next = NULL;
    slab->prev = NULL;
    slab_heap(slab)->aside_bytes -= slab_bytes(slab);
    bump_relaxed(&bin->nonfull, -(uint32_t)(slab->place != SLAB_FULL));
    chill_uncount(slab);
}

void bin_settle(struct bin *bin)
{
    struct slab *slab = bin->current;
    if (slab == NULL)
        return;
    bin->current = NULL;
    if (slab_live(slab) == 0) {
        slab_fold(slab);
        slab_close(slab);
        return;
    }
    slab_demote(slab);
}

static struct slab *bin_fullest(struct slab *first)
{
    struct slab *best = first;
    struct slab *at = first;
    for (int i = 0; i < BIN_CANDIDATES && at != NULL; i++, at = at->next) {
        if (at->used > best->used)
            best = at;
    }
    return best;
}

/* The fullest of the first few partial slabs, or cold ones, in hand. */
static struct slab *bin_choose(struct bin *bin)
{
    struct slab *partial = bin->list[SLAB_PARTIAL].first;
    struct slab *best = bin_fullest(
        partial != NULL ? partial : bin->list[SLAB_COLD].first);
    if (best != NULL) {
        bin_unlist(bin, best);
        best->place = SLAB_CURRENT;
        slab_rearm(best);
    }
    return best;
}

/* The next slab to hand out from, in the order of bin.h. */
static struct slab *bin_next(struct heap *heap, unsigned cls)
{
    struct slab *slab = bin_choose(&heap->bin[cls]);
    if (slab == NULL)
        slab = owner_adopt(heap, cls);
    bump_relaxed(&heap->slabs[cls].reopened, slab != NULL);
    return slab != NULL ? slab : slab_open(heap, cls);
}

static void bin_leave_current(struct bin *bin)
{
    struct slab *slab = bin->current;
    if (slab == NULL)
        return;
    bin->current = NULL;
    slab_demote(slab);
}

/* From the current slab, as it is. */
static struct block *bin_take(struct bin *bin)
{
    struct slab *slab = bin->current;
    if (slab == NULL)
        return NULL;

    uint32_t count;
    struct block *list = slab_take(slab, &count);
    if (list != NULL && count < BIN_IN_HAND
        && ++bin->short_refills % BIN_SHORT_REFILLS == 0) {
        uint32_t more;
        struct block *fresh = slab_carve(slab, 1, &more);
        if (fresh != NULL) {
            fresh->next = list;
            list = fresh;
            count += more;
        }
    }
    bump_relaxed(&bin->handed, count);
    return list;
}

static struct block *bin_carve(struct bin *bin)
{
    if (bin->current == NULL)
        return NULL;
    uint32_t count;
    struct block *list = slab_carve(bin->current, UINT32_MAX, &count);
    bump_relaxed(&bin->handed, count);
    return list;
}

static NOINLINE struct block *bin_refill_slow(struct heap *heap,
    unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    heap->closes = 0;
    heap_visit(heap);
    struct block *list = NULL;
    if (remote_drain(heap))
        list = bin_take(bin);
    if (list == NULL)
        list = bin_carve(bin);
    if (list != NULL)
        return list;

    /* A listed slab may have been filled before we came. */
    while (list == NULL) {
        bin_leave_current(bin);
        bin->current = bin_next(heap, cls);
        if (bin->current == NULL)
            return NULL;
        list = bin_take(bin);
        if (list == NULL)
            list = bin_carve(bin);
    }
    return list;
}

void bin_note_change(struct bin *bin)
{
    /* pairs with check_hand_holds() */
    store_release(&bin->changes, load_relaxed(&bin->changes) + 1);
    /* pairs with check_hand_holds() */
    fence_release();
}

/* -- the fullest -- */

/* Of so many partial slabs at most, the latest first. */
enum { BIN_SEARCH = 512 };

static bool bin_has_free(const struct slab *slab)
{
    return slab->segments > 0 || slab->freed != NULL
        || load_relaxed(&slab->fresh) < class_blocks[slab->cls]
        || load_relaxed(&slab->cold) != 0;
}

/* Of two that are equally full the lower one. */
static bool bin_is_denser(const struct slab *slab, const struct slab *other)
{
    const uint32_t live = slab_live(slab);
    const uint32_t others = slab_live(other);
    return live > others || (live == others && slab->start < other->start);
}

static struct slab *bin_find_fullest(const struct bin *bin)
{
    struct slab *best = bin->current;
    if (best != NULL && !bin_has_free(best))
        best = NULL;
    int left = BIN_SEARCH;
    for (int place = 0; place < SLAB_LISTS; place++) {
        if (place == SLAB_FULL)
            continue;
        for (struct slab *at = bin->list[place].first;
             at != NULL && left > 0; at = at->next, left--) {
            if (best == NULL || bin_is_denser(at, best))
                best = at;
        }
    }
    return best;
}

struct block *bin_take_fullest(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    bin_note_change(bin);
    (void)remote_drain(heap);
    struct slab *slab = bin_find_fullest(bin);
    if (slab == NULL) {
        bin_leave_current(bin);
        slab = bin->current = bin_next(heap, cls);
    }
    if (slab == NULL)
        return NULL;
    const bool listed = slab->place != SLAB_CURRENT;
    if (listed)
        bin_unlist(bin, slab);
    struct block *block = slab_take_lowest(slab);
    /* Now it is the latest, and the first to be looked at again. */
    if (listed)
        bin_list(bin, slab);
    slab_rearm(slab);
    if (block != NULL)
        bump_relaxed(&bin->handed, 1);
    return block;
}

/* -- the shelf -- */

struct block *bin_pop(struct heap *heap, unsigned cls, bool *refilled)
{
    struct bin *bin = &heap->bin[cls];
    struct block *block = bin->shelf;
    *refilled = block == NULL;
    if (block == NULL) {
        const uint64_t handed = load_relaxed(&bin->handed);
        block = bin_refill(heap, cls);
        store_relaxed(&bin->waiting,
            (uint32_t)(load_relaxed(&bin->handed) - handed));
    }
    if (block == NULL)
        return NULL;
    bin->shelf = block->next;
    const uint32_t waiting = load_relaxed(&bin->waiting);
    if (waiting > 0)
        store_relaxed(&bin->waiting, waiting - 1);
    check_hand_out(block, cls);
    return block;
}

struct block *bin_refill(struct heap *heap, unsigned cls)
{
    bin_note_change(&heap->bin[cls]);
    /* A class that never needs more leads here only. */
    if (UNLIKELY(++heap->refills % BIN_REFILLS == 0))
        (void)remote_drain(heap);
    bump_relaxed(&heap->bin[cls].refills, 1);
    struct block *list = bin_take(&heap->bin[cls]);
    return LIKELY(list != NULL) ? list : bin_refill_slow(heap, cls);
}
