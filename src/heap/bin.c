/* SPDX-License-Identifier: MIT */
/*
 * bin - one heap's slabs of one class. See bin.h.
 */
#include "heap/bin.h"

#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/remote.h"

/*
 * Large blocks are carved one at a time, so a program that frees and
 * allocates one over and over would refill every time. Every
 * BIN_SHORT_REFILLS-th refill of fewer than BIN_IN_HAND blocks adds a fresh
 * one: a busy class earns blocks in hand, an idle one touches no memory.
 */
enum { BIN_IN_HAND = 4, BIN_SHORT_REFILLS = 16 };

static struct slab **bin_head(struct bin *bin, const struct slab *slab)
{
    return slab->place == SLAB_PARTIAL ? &bin->partial : &bin->cold;
}

void bin_list(struct bin *bin, struct slab *slab)
{
    ASSERT(slab->place == SLAB_FULL);
    slab->place = slab_place_for(slab);
    if (slab->place == SLAB_FULL)
        return;
    struct slab **head = bin_head(bin, slab);
    slab->prev = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->prev = slab;
    *head = slab;
    chill_count(slab);
}

void bin_unlist(struct bin *bin, struct slab *slab)
{
    if (slab->place == SLAB_FULL)
        return;
    struct slab **head = bin_head(bin, slab);
    *(slab->prev ? &slab->prev->next : head) = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    slab->next = NULL;
    slab->prev = NULL;
    slab->place = SLAB_FULL;
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

/* The fullest of the first few partial slabs becomes the current one. */
static struct slab *bin_choose(struct bin *bin)
{
    struct slab *best =
        bin_fullest(bin->partial != NULL ? bin->partial : bin->cold);
    if (best != NULL) {
        bin_unlist(bin, best);
        best->place = SLAB_CURRENT;
        slab_rearm(best);
    }
    return best;
}

static void bin_leave_current(struct bin *bin)
{
    struct slab *slab = bin->current;
    if (slab == NULL)
        return;
    ASSERT(slab->freed == NULL);
    ASSERT(slab->segments == 0);
    slab_demote(slab);
    bin->current = NULL;
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

    bin_leave_current(bin);
    bin->current = bin_choose(bin);
    if (bin->current != NULL)
        list = bin_take(bin);
    else
        bin->current = slab_open(heap, cls);
    return list != NULL ? list : bin_carve(bin);
}

struct block *bin_refill(struct heap *heap, unsigned cls)
{
    struct block *list = bin_take(&heap->bin[cls]);
    return LIKELY(list != NULL) ? list : bin_refill_slow(heap, cls);
}
