/* SPDX-License-Identifier: MIT */
/*
 * bin - one heap's slabs of one class. See bin.h.
 */
#include "heap/bin.h"

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
    chill_uncount(slab);
}

void bin_settle(struct bin *bin)
{
    struct slab *slab = bin->current;
    if (slab == NULL)
        return;
    bin->current = NULL;
    if (slab_live(slab) == 0) {
        bin->folded += slab->used;
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
    bin->handed += count;
    return list;
}

static struct block *bin_carve(struct bin *bin)
{
    if (bin->current == NULL)
        return NULL;
    uint32_t count;
    struct block *list = slab_carve(bin->current, UINT32_MAX, &count);
    bin->handed += count;
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

struct block *bin_refill(struct heap *heap, unsigned cls)
{
    bin_note_change(&heap->bin[cls]);
    /* A class that never needs more leads here only. */
    if (UNLIKELY(++heap->refills % BIN_REFILLS == 0))
        (void)remote_drain(heap);
    struct block *list = bin_take(&heap->bin[cls]);
    return LIKELY(list != NULL) ? list : bin_refill_slow(heap, cls);
}
