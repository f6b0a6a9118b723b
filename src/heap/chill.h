/* SPDX-License-Identifier: MIT */
/*
 * chill - free pages inside slabs that are still in use go back.
 *
 * Owns     the decision which slabs give up their free pages, and when: as
 *          soon as the free bytes in closed segments of a heap's partial slabs
 *          (its loose bytes) exceed what the pool lets dirty memory be. The
 *          first few partial slabs of a class stay warm: they are what the
 *          next refills take.
 * Used by  bin.c and slab.c (counting), heap.c (all of it, when tidying).
 * Never    touches a slab whose blocks are many and small: only classes whose
 *          slabs have at most SLAB_COLD_BLOCKS_MAX blocks, 1 KiB and above.
 *
 * Without this a slab of 16 blocks of 4 KiB gives nothing back until the last
 * one is free: after four fifths are freed at random, one slab in 35.
 *
 * Holds    L1  loose_bytes is the sum of slab_loose_bytes() over the partial
 *              slabs of such classes
 *
 * Tests    test/unit/heap/chill_test.c
 */
#ifndef HEAP_CHILL_H
#define HEAP_CHILL_H

#include "heap/heap.h"

/* Is it one of those classes? */
static inline bool chill_applies(unsigned cls)
{
    return class_blocks[cls] <= SLAB_COLD_BLOCKS_MAX;
}

/* The loose bytes of a slab; 0 if its class is left alone. */
size_t chill_bytes(const struct slab *slab);

/* A slab has been put on, or taken off, its bin's list. */
void chill_count(const struct slab *slab);
void chill_uncount(const struct slab *slab);

/* Chill if there is too much loose. */
void chill_if_due(struct heap *heap);

/* Chill whatever can be. */
void chill_all(struct heap *heap);

#endif
