/* SPDX-License-Identifier: MIT */
/*
 * tally - large objects, counted by length.
 *
 * Owns     how many were taken and given of each class of lengths, four per
 *          doubling from CLASS_BYTES_MAX on, and of how many bytes.
 * Used by  large.c and kept.c (count), stats.c (reads).
 * Never    locked: a heap has a tally of its runs that its owner writes; what
 *          has no such place, and all that is longer, is in its arena's.
 *
 * An object may be counted in one tally when it is taken and in another when it
 * is given: only the sum over an arena means something. What it is counted as
 * is noted in its record, so a length that changed unseen, where a thread took
 * a run out of its hand again, is put right later, and nothing counts twice.
 *
 * Tests    test/unit/heap/stats_test.c
 */
#ifndef HEAP_TALLY_H
#define HEAP_TALLY_H

#include "page/page.h"

/* Classes of runs: to 32 MiB. Of all there can be: to 128 TiB. */
enum { TALLY_RUN_CLASSES = 36, TALLY_CLASSES = 124 };

struct tally_count {
    _Atomic uint64_t taken;
    _Atomic uint64_t given;
};

/* One writer. */
struct tally {
    struct tally_count bytes;
    struct tally_count run[TALLY_RUN_CLASSES];
};

/* Any thread. */
struct tally_all {
    struct tally_count bytes;
    struct tally_count object[TALLY_CLASSES];
};

/* The class of a length. */
unsigned tally_class(size_t bytes);

/* As what it is counted; 0: not at all. Undefined in a slab. */
static inline size_t *tally_counted(struct extent *extent)
{
    return (size_t *)(void *)extent->payload;
}

/* Where an object is counted: own is the caller's and may be NULL, or all may
 * if it is a run of its. */
struct tally_place {
    struct tally *own;
    struct tally_all *all;
};

NOINLINE void tally_recount(struct tally_place place, struct extent *extent,
    size_t bytes);

/* Count it as an object of so many bytes from now on; 0: as none. */
static ALWAYS_INLINE void tally_change(struct tally_place place,
    struct extent *extent, size_t bytes)
{
    if (UNLIKELY(*tally_counted(extent) != bytes))
        tally_recount(place, extent, bytes);
}

#endif
