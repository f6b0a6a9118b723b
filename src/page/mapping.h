/* SPDX-License-Identifier: MIT */
/*
 * mapping - memory that is a mapping of its own, and freed ones in reserve.
 *
 * Owns     the records of own mappings and the list pool->cached.
 * Used by  pool.c, under its lock. Its public part (pool_map, pool_unmap,
 *          pool_remap) is declared in pool.h.
 * Never    keeps more than the pool's limit: pool.c decides, by age.
 *
 * A thread may vanish in fork between any two stores. A record or a mapping
 * leaves its list before anything else becomes of it, and enters one when it
 * is complete; so one that is in between is lost, and no other.
 *
 * A mapping starts at any page, but no two start in one slice of the map: a
 * mapping is at least a slice long.
 *
 * Holds    O1  cached is ordered by stamp_ms, the latest first
 *
 * Tests    test/unit/page/mapping_test.c
 */
#ifndef PAGE_MAPPING_H
#define PAGE_MAPPING_H

#include "page/pool.h"

/* Unmap the one unused longest; its bytes. There is one. */
size_t mapping_drop_oldest(struct pool *pool);

/* Unmap all of them: their addresses may be what is missing. */
void mapping_drop_all(struct pool *pool);

/* Since when the oldest is unused; UINT64_MAX if there is none. */
uint64_t mapping_oldest_ms(const struct pool *pool);

/* Of all on a list. */
size_t mapping_bytes(const struct extent *first);

/* A freed mapping serves a request that needs at least 7/8 of it. */
enum { MAPPING_FIT_SHARE = 8 };
static inline bool mapping_fits(const struct extent *freed, size_t bytes,
    size_t align)
{
    return freed->bytes >= bytes
        && freed->bytes - bytes <= freed->bytes / MAPPING_FIT_SHARE
        && ((uintptr_t)freed->start & (align - 1)) == 0;
}

/* A record of no mapping yet; NULL: no memory. Takes the lock. */
MUST_USE struct extent *mapping_record(struct pool *pool);
void mapping_forget(struct pool *pool, struct extent *record);

/* Handed out; and no longer: the list of live mappings, and its sums. */
void mapping_enlist(struct pool *pool, struct extent *extent);
void mapping_delist(struct pool *pool, struct extent *extent);

/* After a thread vanished. */
void mapping_repair(struct pool *pool);

void mapping_audit(const struct pool *pool);

/* pool.c: do what time and the limit ask for; the lock is held. */
void pool_settle(struct pool *pool, uint64_t now_ms);

#endif
