/* SPDX-License-Identifier: MIT */
/*
 * bin - one heap's slabs of one class.
 *
 * Owns     which slab the next blocks come from.
 * Used by  thread.c and arena.c (refill), slab.c (list and unlist).
 * Never    touches another heap's bins.
 *
 * A refill takes, in this order: what was freed into the current slab, what
 * other threads freed, fresh blocks, the fullest of a few partial slabs, the
 * same of cold ones, a listed slab that nobody owns, a new slab.
 *
 * Holds    B1  current is CURRENT; every slab on list[place] is of that place
 *          B2  over all heaps of an arena, handed - folded is the number of
 *              blocks out, with those in hand, and those freed but not yet
 *              folded; less arena->folded
 *
 * Tests    test/unit/heap/bin_test.c
 */
#ifndef HEAP_BIN_H
#define HEAP_BIN_H

#include "heap/slab.h"

/* Partial slabs looked at for the fullest; the others can drain meanwhile. */
enum { BIN_CANDIDATES = 4 };

/* The latest first. */
struct slab_list {
    struct slab *first;
    struct slab *last;
};

struct bin {
    CACHE_ALIGNED struct block *shelf;  /* in hand, where no thread has them:
                                 * of the shared heap, and the second tier */
    struct slab *current;
    struct slab_list list[SLAB_LISTS];      /* by enum slab_place */

    /* the owner writes, others read */
    _Atomic uint64_t handed;    /* blocks ever handed out */
    _Atomic uint64_t folded;    /* frees ever counted */
    _Atomic uint64_t refills;
    _Atomic uint32_t nonfull;   /* slabs on the lists that are not full */
    _Atomic uint32_t waiting;   /* blocks on the shelf that nobody has asked
                                 * for, where that is counted */
    _Atomic uint32_t changes;   /* of what is in hand that neither its first
                                 * block nor its room may show */

    /* the owner's alone */
    uint32_t short_refills;
    uint32_t firsts;            /* blocks from the shared heap: alloc.c */

    /* hand.h */
    uint32_t capacity;          /* blocks that may be in hand */
    const struct block *seen;   /* the first at the last event, if full */
    uint16_t limit;             /* what was asked of capacity, and 1; 0: none */
};
_Static_assert(sizeof(struct bin) == 2 * CACHE_LINE_BYTES,
    "a refill touches two lines");

/* A list of blocks of the class, one at least; NULL: no memory. */
MUST_USE struct block *bin_refill(struct heap *heap, unsigned cls);

/* Take the first block off the shelf, refilled if need be; *refilled: it was.
 * For heaps that no thread has. NULL: no memory. */
MUST_USE struct block *bin_pop(struct heap *heap, unsigned cls,
    bool *refilled);

/* The lowest block of the fullest slab that has one, so that what is sparse may
 * become empty; if none has, of another one. NULL: no memory. */
MUST_USE struct block *bin_take_fullest(struct heap *heap, unsigned cls);

/* Blocks may come in hand, or there is room anew: who looks into hands from
 * another thread must not believe what it sees. */
void bin_note_change(struct bin *bin);

/* Put a slab that is on no list where it belongs (S5), or take it off. */
void bin_list(struct bin *bin, struct slab *slab);
void bin_unlist(struct bin *bin, struct slab *slab);

/* Let go of the current slab: closed if nothing of it is out, else as full or
 * partial as it is, so that its last free closes it. */
void bin_settle(struct bin *bin);

#endif
