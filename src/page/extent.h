/* SPDX-License-Identifier: MIT */
/*
 * extent - the record of a run of slices, or of an own mapping.
 *
 * Owns     what is known about one piece of memory that is handed out as a
 *          whole: where, how long, in which state.
 * Used by  pool (hands out and takes back), heap/slab.h and heap/large.c,
 *          which keep their own words in `payload`.
 * Never    lies in the memory it describes.
 *
 *   state         meaning                                  next state
 *   EXTENT_FREE   no extent: slices of a region, or spare  SLAB, LARGE
 *   EXTENT_SLAB   cut into blocks by a heap                FREE
 *   EXTENT_RACK   cut into places for sampled objects      FREE
 *   EXTENT_LARGE  one object, a run of slices              KEPT, FREE
 *   EXTENT_KEPT   was LARGE; in a heap's hands for reuse   LARGE, FREE
 *   EXTENT_OWN    one object, a mapping of its own         CACHED, FREE
 *   EXTENT_CACHED was OWN; in the pool for reuse           OWN, FREE
 */
#ifndef PAGE_EXTENT_H
#define PAGE_EXTENT_H

#include "page/map.h"
#include "util/units.h"

enum extent_state {
    EXTENT_FREE, EXTENT_SLAB, EXTENT_LARGE, EXTENT_KEPT, EXTENT_OWN,
    EXTENT_CACHED, EXTENT_RACK
};

enum { EXTENT_PAYLOAD_BYTES = 192 };

struct region;
struct pool;

struct extent {
    /* the heap layer's; of an own mapping the last 24 bytes are loan.c's */
    CACHE_ALIGNED unsigned char payload[EXTENT_PAYLOAD_BYTES];

    /* fixed while handed out, but for resizing by its holder */
    char *start;
    size_t bytes;               /* what the holder may use */
    struct pool *pool;
    struct region *region;      /* NULL: an own mapping */
    uint32_t slices;            /* 0: an own mapping */
    uint32_t touched;           /* slices from start that may be dirty */
    bool zero;                  /* when handed out, it read as zero */
    bool sampled;               /* a large object that profiles know */

    /* any thread, atomically */
    _Atomic uint8_t state;

    /* whoever holds the chain it is on */
    struct extent *next;
    union {
        uint64_t stamp_ms;      /* CACHED: since when */
        struct extent *prev;    /* OWN */
    };
};
_Static_assert(sizeof(struct extent) == 256, "four cache lines");

#endif
