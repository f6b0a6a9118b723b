/* SPDX-License-Identifier: MIT */
/*
 * alloc - the full path: take, give, resize, for every size and alignment.
 *
 * Owns     which of shelf, slab, shared heap, run and mapping serves a call.
 * Used by  api/malloc.c, after the fast path said no.
 * Never    touches errno: NULL means no memory, the api layer says so.
 *
 * Tests    test/unit/heap/alloc_test.c  test/api  test/model
 */
#ifndef HEAP_ALLOC_H
#define HEAP_ALLOC_H

#include "heap/heap.h"

/* size bytes, aligned as its class is. NULL: no memory, or too large. */
void *alloc_slow(size_t size);

/* A block of a class, for so many bytes. The second knows that none is in
 * hand. */
void *alloc_block(unsigned cls, size_t size);
void *alloc_block_slow(unsigned cls, size_t size);

/* As alloc_slow, all usable bytes zero. */
void *alloc_zero(size_t size);

/* As alloc_slow, aligned to align, a power of two. */
void *alloc_aligned(size_t align, size_t size);

/* Resize a live block or object, moving it if need be; its old contents up
 * to the smaller size come along. NULL: no memory, the old one stays. */
void *alloc_resize(void *pointer, size_t size);

/* Free a block of the thread's own slab that it found no room for; the map's
 * entry says whether it is still its own. */
NOINLINE void alloc_give_slab(struct slab *slab, struct block *block,
    struct map_entry entry);

/* Free what the fast path knows nothing of. */
void alloc_give_slow(void *pointer);

/* The same; for a thread of the second tier size is what was asked for, or it
 * is reported. */
void alloc_give_sized(void *pointer, size_t size);

/* Free what the program does not know of: in a thread of the second tier nobody
 * counts it. */
void alloc_give_reserved(void *pointer);

/* Free, and if it is a block of the thread's own, into its slab at once. */
void alloc_give_home(void *pointer);

/* As alloc_block from the fullest slab of the thread's heap; NULL: it has
 * no heap, or there is no memory. */
void *alloc_take_fullest(unsigned cls, size_t size);

/* Free anything. */
void alloc_give(void *pointer);

#endif
