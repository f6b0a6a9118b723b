/* SPDX-License-Identifier: MIT */
/*
 * stats - what an arena has done, and what it holds.
 *
 * Owns     reading the counters that bins, large objects, pools and locks keep
 *          for it, and sums of what was read. docs/STATS.md says what each
 *          figure means.
 * Used by  ctl/ (the leaves stats.*, malloc_stats_print).
 * Never    stops anybody: counters of other threads are read as they are.
 *
 * Names and units are those of jemalloc's leaves; what Ashlar does not have
 * (muzzy pages, huge page shards) has no field. Blocks in hand count as
 * allocated, and frees that nobody has counted yet as not made: docs/STATS.md
 * says which those may be.
 *
 * Tests    test/unit/heap/stats_test.c  test/stats/run.py
 */
#ifndef HEAP_STATS_H
#define HEAP_STATS_H

#include "heap/arena.h"
#include "sys/lock.h"

/* Classes of what is larger than a block: four per doubling, from
 * CLASS_BYTES_MAX on. Of free runs: the same from four pages on, and the four
 * below. */
enum { STATS_LEXTENTS = 187, STATS_EXTENTS = 199 };
size_t stats_lextent_bytes(unsigned index);
size_t stats_extent_bytes(unsigned index);

struct stats_sizes {
    uint64_t allocated;         /* bytes */
    uint64_t nmalloc;           /* also what nrequests answers */
    uint64_t ndalloc;
    uint64_t nfills;
    uint64_t nflushes;
};

struct stats_bin {
    uint64_t nmalloc;
    uint64_t ndalloc;
    uint64_t nfills;
    uint64_t nflushes;
    uint64_t nslabs;
    uint64_t nreslabs;
    uint64_t curregs;
    uint64_t curslabs;
    uint64_t nonfull_slabs;
};

struct stats_lextent {
    uint64_t nmalloc;
    uint64_t ndalloc;
    uint64_t curlextents;
};

struct stats_extent {
    uint64_t ndirty;
    uint64_t nretained;
    uint64_t dirty_bytes;
    uint64_t retained_bytes;
};

/* The locks of an arena that jemalloc has too, under its names. */
enum stats_mutex {
    STATS_MUTEX_extents_dirty,  /* lock pool */
    STATS_MUTEX_tcache_list,    /* lock shared */
    STATS_MUTEX_base,           /* lock meta, which is arena 0's here */
    STATS_MUTEX_COUNT
};

struct stats_arena {
    /* gauges */
    uint64_t nthreads;
    uint64_t uptime;            /* nanoseconds */
    uint64_t pactive;           /* pages */
    uint64_t pdirty;
    uint64_t allocated;         /* bytes, as all that follows */
    uint64_t active;
    uint64_t mapped;
    uint64_t retained;
    uint64_t extent_avail;      /* but this: records */
    uint64_t base;
    uint64_t metadata_edata;
    uint64_t metadata_rtree;
    uint64_t tcache_bytes;
    uint64_t resident;
    uint64_t abandoned_vm;

    /* counters */
    uint64_t dirty_npurge;
    uint64_t dirty_nmadvise;
    uint64_t dirty_purged;      /* pages */

    /* both */
    struct stats_sizes small;
    struct stats_sizes large;
    struct lock_counts mutexes[STATS_MUTEX_COUNT];
    struct stats_bin bins[CLASS_COUNT];     /* from here on mostly 0 */
    struct stats_lextent lextents[STATS_LEXTENTS];
    struct stats_extent extents[STATS_EXTENTS];
};

/* Everything of an arena, now. Takes its locks one after the other. */
void stats_read(struct arena *arena, struct stats_arena *stats);

/* Of one class only; settles nothing. */
void stats_read_bin(const struct arena *arena, unsigned cls,
    struct stats_bin *stats);

/* Add one arena's figures to a sum (uptime: the longest); of an arena that is
 * being destroyed, its counters only. */
void stats_add(struct stats_arena *sum, const struct stats_arena *one);
void stats_fold(struct stats_arena *sum, const struct stats_arena *one);

/* What all arenas hold, now; bytes. */
struct stats_live {
    uint64_t allocated;
    uint64_t active;
    uint64_t metadata;
    uint64_t metadata_edata;
    uint64_t metadata_rtree;
    uint64_t resident;
    uint64_t mapped;
    uint64_t retained;
};
void stats_read_live(struct stats_live *live);

/* The calling thread's frees into its own slabs are all counted from here on,
 * and those of other threads when they come by; stats_read() and
 * stats_read_live() begin with it. */
void stats_settle(void);

/* How often that was asked for: a heap that has not heard of it settles, by its
 * owner. */
uint32_t stats_asked(void);
void stats_settle_heap(struct heap *heap);

/* Everything in the arena was discarded: it counts as freed. */
void stats_balance(struct arena *arena);

/* It is to be another arena: all counters are 0, as those of a new one. */
void stats_forget(struct arena *arena);

/* All locks of all arenas begin to count anew. */
void stats_reset_mutexes(void);

/* Calls of realloc(p, 0), p not NULL. */
extern _Atomic uint64_t stats_zero_reallocs;

#endif
