/* SPDX-License-Identifier: MIT */
/*
 * listing - marks that say: look here, there may be room.
 *
 * Owns     a bit for each kind and slice, in the head of each region, and a
 *          bit for each kind in the region and in the pool that sums them up.
 *          What a kind is, the user decides: heap/ has one for each class.
 * Used by  heap/, for slabs that nobody owns.
 * Never    believes a mark: it is a hint, and the state of the extent may be
 *          anything when it is found. Who takes one decides then.
 *
 * Setting needs no lock: mark, region, pool, in this order. Who looks for a
 * mark looks from the top, and lowers the bits that sum up only after it found
 * nothing below, and looks once more: between a setter's mark and its look at
 * the sum, and a taker's sum and its look at the marks, stands a fence, so one
 * of the two sees the other. While something is listed the sums stay up, for
 * others look there too.
 *
 * Holds    Q1  while nobody sets, a mark has its bit in the region and in the
 *              pool
 *
 * Tests    test/unit/page/listing_test.c
 */
#ifndef PAGE_LISTING_H
#define PAGE_LISTING_H

#include "page/pool.h"

/* The caller holds the extent, or a block of it; its region has to stay. */
void listing_set(struct extent *extent, unsigned kind);
void listing_clear(struct extent *extent, unsigned kind);

/* May there be a mark? If not, there is none that was set before. */
static inline bool listing_any(const struct pool *pool, unsigned kind)
{
    return load_relaxed(&pool->listed) >> kind & 1;
}

/*
 * Clear marks of this kind, region after region in the pool's order and each
 * from its lowest address, until claim says yes; that extent, or NULL if none
 * is left. A mark that claim refuses is gone. claim is called under lock pool.
 */
MUST_USE struct extent *listing_take(struct pool *pool, unsigned kind,
    bool (*claim)(struct extent *extent, void *argument), void *argument);

/* Under lock pool: set what sums up marks whose setter has vanished. */
void listing_repair(struct pool *pool);

#endif
