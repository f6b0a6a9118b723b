/* SPDX-License-Identifier: MIT */
/*
 * fast - THE FAST PATH, all of it: it tries, and says no; it calls nothing.
 *
 * Owns     what a malloc and a free execute that stay with their thread.
 * Used by  api/malloc.c, which owns what follows a no.
 * Never    counts, samples, or asks whether anything was initialised: every
 *          special case of malloc is a reason for an empty shelf, every one
 *          of free a reason for an owner word that differs.
 *
 * Budget, with ret (test/golden/fast_path.tsv):
 *   malloc to 256 B  12 instructions    malloc to 64 KiB  40
 *   free             18
 *
 * Tests    test/golden/run.py
 */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap/alloc.h"
#include "heap/check.h"
#include "heap/thread.h"

/* Up to SHELF_BYTES_MAX bytes. */
static ALWAYS_INLINE void *fast_take(size_t size)
{
    struct block **shelf = &thread.shelf[shelf_of(size)];
    struct block *block = *shelf;
    if (LIKELY(block != NULL))
        *shelf = block->next;
    return block;
}

/* Above CLASS_LINEAR_BYTES, up to CLASS_BYTES_MAX. */
static ALWAYS_INLINE void *fast_take_medium(size_t size)
{
    struct heap *heap = thread.heap;
    if (UNLIKELY(heap == NULL))
        return NULL;
    struct bin *bin = &heap->bin[class_of_spaced(size)];
    struct block *block = bin->shelf;
    if (LIKELY(block != NULL))
        bin->shelf = block->next;
    return block;
}

/*
 * Above CLASS_BYTES_MAX: a run of the right length that the thread freed
 * before and still has in hand.
 */
static ALWAYS_INLINE void *fast_take_run(size_t size)
{
    struct heap *heap = thread.heap;
    if (UNLIKELY(size > KEPT_HAND_SLICES * SLICE_BYTES || heap == NULL))
        return NULL;
    const size_t slices = (size + SLICE_BYTES - 1) / SLICE_BYTES;
    struct extent *extent = kept_pop_hand(&heap->kept, slices);
    if (UNLIKELY(extent == NULL))
        return NULL;
    extent->bytes = (size + heap->page_mask) & ~(size_t)heap->page_mask;
    store_relaxed(&extent->state, EXTENT_LARGE);
    return extent->start;
}

/*
 * A block of the calling thread's own heap goes back to its slab. NULL,
 * foreign, large, remote and unowned pointers, those that are no block or look
 * as if free already, blocks of 8 bytes, which have no mark, and every pointer
 * while the thread has no heap, say no. true with *event set: the caller must
 * call thread_event(). Unless all is done, the thread stays entered.
 */
static ALWAYS_INLINE bool fast_give(void *pointer, struct slab **event)
{
    thread.busy = true;
    COMPILER_BARRIER();
    struct map_entry entry = map_find(pointer);
    if (UNLIKELY(load_relaxed(map_owner(entry)) != thread.self))
        return false;
    /* Two loads with an index are an instruction less than an address. */
    OPAQUE(entry.index);
    struct slab *slab = slab_of(load_relaxed(map_extent(entry)));
    struct block *block = pointer;
    if (ASHLAR_CHECKS) {
        const uint64_t scaled = slab_scaled(slab, pointer);
        if (UNLIKELY(scaled >= slab->limit))
            return false;
        const uint64_t mark = scaled ^ slab->key;
        if (UNLIKELY(block->mark == mark))
            return false;
        block->mark = mark;
    }
    block->next = slab->freed;
    /* Whoever finds the block on the list finds its link. */
    COMPILER_BARRIER();
    slab->freed = block;
    if (UNLIKELY(--slab->countdown == 0)) {
        *event = slab;
        return true;
    }
    *event = NULL;
    thread_leave();
    return true;
}

#endif
