/* SPDX-License-Identifier: MIT */
/*
 * map - address to owner word and extent: the page map.
 *
 * Owns     two words for every 64 KiB slice of the address space: who may
 *          free there without asking (the owner word), and the record of the
 *          extent that starts or lies there.
 * Used by  every free (heap/fast.h), page/pool.c and page/mapping.c (cover),
 *          heap/slab.c and heap/large.c (set and clear).
 * Never    dereferences an address it is asked about: any 64-bit value may
 *          be looked up, one never mapped answers MAP_NOBODY. Bits above the
 *          48th are ignored; the slow path of free tells such pointers.
 *
 *   address   47          32 31          16 15           0
 *             | root index  | leaf index   | inside slice |
 *
 * A root word holds the distance from the leaf of nobody, which is part of
 * the map itself, to the leaf of those addresses: an all-zero root leads to
 * the leaf of nobody by one addition instead of a test. Owners and extents
 * are two arrays, not pairs: the index then needs no scaling. Both save the
 * fast path of free an instruction (docs/design/01-page-map.md).
 *
 * Distances are plain words: one is written, once, before any memory that it
 * leads to is handed out, so the program itself orders the write before every
 * look-up of a pointer into that memory; and a plain load can be part of an
 * addition.
 *
 * Holds    M1  an owner word is 0 or set by map_set() and not yet cleared
 *          M2  a leaf, once there, stays
 *
 * Tests    test/unit/page/map_test.c
 */
#ifndef PAGE_MAP_H
#define PAGE_MAP_H

#include "sys/sys.h"

enum { SLICE_LOG2 = 16, MAP_LEAF_LOG2 = 16, MAP_ROOT_LOG2 = 16 };
#define SLICE_BYTES ((size_t)1 << SLICE_LOG2)
#define MAP_LEAF_SLICES ((size_t)1 << MAP_LEAF_LOG2)
#define MAP_ROOT_LEAVES ((size_t)1 << MAP_ROOT_LOG2)

#define MAP_NOBODY ((uintptr_t)0)

struct extent;

struct map_leaf {
    _Atomic uintptr_t owner[MAP_LEAF_SLICES];
    struct extent *_Atomic extent[MAP_LEAF_SLICES];
};

/* The leaf of nobody has owner words only, and nobody writes them. */
struct map {
    intptr_t distance[MAP_ROOT_LEAVES];
    _Atomic uintptr_t nobody[MAP_LEAF_SLICES];
};
extern struct map map;

/* Where the two words of a slice are, seen from the same place. */
enum {
    MAP_OWNER_OFFSET = offsetof(struct map, nobody),
    MAP_EXTENT_OFFSET = MAP_OWNER_OFFSET + offsetof(struct map_leaf, extent)
};
struct map_entry {
    uintptr_t leaf;
    uintptr_t index;
};

static ALWAYS_INLINE struct map_entry map_find(const void *address)
{
    const uint32_t slice = (uint32_t)((uintptr_t)address >> SLICE_LOG2);
    uintptr_t i = slice % MAP_LEAF_SLICES;
    OPAQUE(i);
    uintptr_t leaf = (uintptr_t)&map
        + (uintptr_t)map.distance[slice / MAP_LEAF_SLICES];
    OPAQUE(leaf);
    return (struct map_entry){ leaf, i };
}

static ALWAYS_INLINE _Atomic uintptr_t *map_owner(struct map_entry entry)
{
    return (_Atomic uintptr_t *)
        (entry.leaf + entry.index * sizeof(uintptr_t) + MAP_OWNER_OFFSET);
}

/* Means nothing if the owner word is MAP_NOBODY. */
static ALWAYS_INLINE struct extent *_Atomic *map_extent(
    struct map_entry entry)
{
    return (struct extent *_Atomic *)
        (entry.leaf + entry.index * sizeof(uintptr_t) + MAP_EXTENT_OFFSET);
}

/* Make room for entries of the range; false: no memory, nothing changed that
 * matters. */
MUST_USE bool map_cover(const void *start, size_t bytes);

/* Set the entries of count slices from start; covered before. */
void map_set(const void *start, size_t count, uintptr_t owner,
    struct extent *extent);
void map_clear(const void *start, size_t count);

#endif
