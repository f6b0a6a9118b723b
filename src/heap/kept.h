/* SPDX-License-Identifier: MIT */
/*
 * kept - free runs of slices in a heap's hands, for its next large object or
 * slab.
 *
 * Owns     two stores of extents, by length. The hand is the owner's alone,
 *          takes large runs of up to KEPT_HAND_SLICES slices in all, and
 *          costs no atomic operation. The chains take everything else, within
 *          a lease from the pool whose bytes count as dirty there.
 * Used by  large.c and fast.h (runs), slab.c (empty slabs), heap.c.
 * Never    lets go of the rule that only the owner adds to a chain. Anybody
 *          may take a chain away, by exchange: the owner of a sleeping heap
 *          cannot hold more back than its hand.
 *
 * The owner takes a chain out, changes it and puts it back, so a thief sees
 * all of it or nothing.
 *
 * Holds    K1  an extent in hand[i] or chain[i] is KEPT and i + 1 slices long
 *          K2  hand_slices is the sum over the hand, <= KEPT_HAND_SLICES
 *          K3  chain_bytes - stolen_bytes is the sum over the chains, and
 *              chain_bytes <= the lease when it was last asked for
              <= KEPT_CHAIN_BYTES_MAX
 *          K4  an extent in the hand has the owner word OWNER_RUN, and its
 *              bytes are in the tally
 *
 * Tests    test/unit/heap/kept_test.c
 */
#ifndef HEAP_KEPT_H
#define HEAP_KEPT_H

#include "heap/tally.h"

/* Owner words that are no heap's address; see heap.h. */
enum {
    OWNER_UNBORN = 1,           /* a thread's self before and after its life */
    OWNER_RUN = 2,              /* a large object in slices of a region */
    OWNER_MAPPING = 3,          /* a large object with a mapping of its own */
    OWNER_SAMPLED = 4,          /* places of sampled objects: rack.h */
    OWNER_SHARED = 5,           /* a slab that nobody owns */
    OWNER_GONE = 6              /* was a mapping; the system has it back */
};

/* Runs of 1 to 64 slices: slabs, and objects up to 4 MiB. */
enum { KEPT_SLICES_MAX = 64 };

/* What chains may hold at most: a run that waits for a request of its own
 * length serves no other, while the pool has it cut and put together. */
#define KEPT_CHAIN_BYTES_MAX (4 * MiB)

/* Half a MiB: what a thread that never comes back holds at most. */
enum { KEPT_HAND_SLICES = 8 };

struct kept {
    /* the owner's alone */
    uint32_t hand_slices;
    uint32_t hand_bytes_max;    /* longer runs are not for the fast path */
    struct extent *hand[KEPT_HAND_SLICES];

    /* the owner writes, others read */
    _Atomic size_t chain_bytes;
    struct tally tally;         /* large objects; what is in the hand counts */

    /* any thread, atomically */
    struct extent *_Atomic chain[KEPT_SLICES_MAX];
    _Atomic size_t stolen_bytes;
    _Atomic size_t lease_bytes;
    _Atomic bool idle;          /* not used since the last sweep */
};

/* May the fast path look into the hand? At first not. */
void kept_open_hand(struct kept *kept, bool open);

/* Keep a run; false: the pool grants no room for it. */
MUST_USE bool kept_push(struct kept *kept, struct extent *extent);

/* A kept run of so many slices from the chains, or NULL. */
struct extent *kept_pop(struct kept *kept, size_t slices);

/* The hand goes to the chains, so that what was freed last can be in it. */
void kept_spill_hand(struct kept *kept);

/* As kept_pop, for what fits the hand, which is asked first: what follows in
 * the chain goes there, so that the chain is asked less often. */
struct extent *kept_pop_by_hand(struct kept *kept, size_t slices);

/* A run into the hand, if it is not too long for that. */
static ALWAYS_INLINE bool kept_push_hand(struct kept *kept,
    struct extent *extent)
{
    if (extent->slices > KEPT_HAND_SLICES)
        return false;
    if (UNLIKELY(kept->hand_slices + extent->slices > KEPT_HAND_SLICES))
        kept_spill_hand(kept);
    struct extent **top = &kept->hand[extent->slices - 1];
    kept->hand_slices += extent->slices;
    store_relaxed(&extent->state, EXTENT_KEPT);
    extent->next = *top;
    /* Whoever finds the run in hand finds what follows it. */
    COMPILER_BARRIER();
    *top = extent;
    return true;
}

/* A run of so many slices out of the hand, or NULL. */
static ALWAYS_INLINE struct extent *kept_pop_hand(struct kept *kept,
    size_t slices)
{
    struct extent *extent = kept->hand[slices - 1];
    if (LIKELY(extent != NULL)) {
        kept->hand[slices - 1] = extent->next;
        kept->hand_slices -= (uint32_t)slices;
    }
    return extent;
}

/* The chains back to the pool, with the lease; any thread. */
void kept_empty(struct kept *kept, struct pool *pool);

/* The hand back to the pool; the owner. */
void kept_empty_hand(struct kept *kept);

/* Of a heap whose owner vanished in the middle of anything: all of it back to
 * the pool, every count anew. */
void kept_reset(struct kept *kept, struct pool *pool);

/* Called now and then: chains not used since the last call go back. */
void kept_sweep(struct kept *kept, struct pool *pool);

#endif
