/* SPDX-License-Identifier: MIT */
/*
 * census - what a pool consists of.
 *
 * Owns     sums over a pool's regions and mappings that nobody keeps, because
 *          only statistics ask for them; and its free runs, counted by length.
 * Used by  heap/stats.c.
 * Never    changes anything. Takes lock pool, for as long as a pass over two
 *          bits for each slice takes, at most.
 *
 * Tests    test/unit/page/census_test.c
 */
#ifndef PAGE_CENSUS_H
#define PAGE_CENSUS_H

#include "page/pool.h"

/* All in bytes, where nothing else is said. */
struct census {
    size_t taken;               /* handed out */
    size_t dirty;               /* free, and still memory */
    size_t clean;               /* free in regions: addresses only */
    size_t heads;               /* of regions, without what follows */
    size_t records;             /* of extents */
    size_t entries;             /* of the page map, for the regions */
    size_t abandoned;
    uint64_t purged;            /* ever */
    uint64_t sweeps;            /* counts: decisions to purge, */
    uint64_t purges;            /* pieces purged, */
    uint64_t spares;            /* and records that wait for a mapping */
};

void census_take(struct pool *pool, struct census *census);

/* The classes of lengths that jemalloc calls page size classes: one to four
 * pages of 4 KiB, and four per doubling above, to 7 EiB. */
enum { CENSUS_CLASSES = 199 };
unsigned census_class(size_t bytes);
size_t census_bytes(unsigned cls);

/* Free runs of a class. A run in the hands of a heap is none of them. */
struct census_runs {
    uint64_t dirty;
    uint64_t clean;
    uint64_t dirty_bytes;
    uint64_t clean_bytes;
};

/* Of each class; runs[] is all zero before. */
void census_take_runs(struct pool *pool, struct census_runs *runs);

#endif
