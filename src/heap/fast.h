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
 *   malloc to 1 KiB  16 instructions    malloc to 64 KiB       26
 *   free             30                 free without room      48
 *
 * Tests    test/golden/run.py
 */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap/alloc.h"
#include "heap/hand.h"

/* May an object of so many bytes be all that is given for a size? It wastes at
 * most a quarter then. */
enum { FAST_WASTE_SHARE = 4 };
static ALWAYS_INLINE bool fast_fits(size_t bytes, size_t size)
{
    return size <= bytes && size >= bytes - bytes / FAST_WASTE_SHARE;
}

/* Up to CLASS_SMALL_BYTES. */
static ALWAYS_INLINE void *fast_take(size_t size)
{
    return hand_take(class_of_small(size));
}

/* Above, up to CLASS_BYTES_MAX. */
static ALWAYS_INLINE void *fast_take_medium(size_t size)
{
    return hand_take(class_of_spaced(size));
}

/*
 * Above CLASS_BYTES_MAX: a run of the right length that the thread freed
 * before and still has in hand.
 */
static ALWAYS_INLINE void *fast_take_run(size_t size)
{
    struct heap *heap = thread.heap;
    if (UNLIKELY(heap == NULL || size > heap->kept.hand_bytes_max))
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
 * The slab of a block that is out, of the calling thread's own heap, its map
 * entry, and the mark that it would have if it were free. NULL for all else:
 * NULL, foreign, large, remote and unowned pointers, those that are no block or
 * look as if free already, and every pointer while the thread has no heap. As
 * long as the block is out nobody closes the slab, whoever owns it by now.
 */
static ALWAYS_INLINE struct slab *fast_own(const void *pointer,
    struct map_entry *entry, uint64_t *mark)
{
    *entry = map_find(pointer);
    if (UNLIKELY(load_relaxed(map_owner(*entry)) != thread.self))
        return NULL;
    /* Two loads with an index are an instruction less than an address. */
    OPAQUE(entry->index);
    struct slab *slab = slab_of(load_relaxed(map_extent(*entry)));
    if (!ASHLAR_CHECKS)
        return slab;
    const uint64_t scaled = slab_scaled(slab, pointer);
    if (UNLIKELY(scaled >= slab->limit))
        return NULL;
    *mark = scaled ^ slab->key;
    return !CHECK_MARKED(slab->cls)
        || LIKELY(((const struct block *)pointer)->mark != *mark) ? slab
        : NULL;
}

/* A block goes into the thread's hand, or to its slab if there is no room;
 * false: it is not so simple. */
static ALWAYS_INLINE bool fast_give(void *pointer)
{
    struct block *block = pointer;
    struct map_entry entry;
    uint64_t mark;
    struct slab *slab = fast_own(pointer, &entry, &mark);
    if (UNLIKELY(slab == NULL))
        return false;
    if (CHECK_MARKED(slab->cls))
        block->mark = mark;
    if (UNLIKELY(!hand_keep(slab->cls, block)))
        alloc_give_slab(slab, block, entry);
    return true;
}

/* 0: more has to be asked. */
static ALWAYS_INLINE size_t fast_usable_bytes(const void *pointer)
{
    struct map_entry entry;
    uint64_t mark;
    const struct slab *slab = fast_own(pointer, &entry, &mark);
    return LIKELY(slab != NULL) ? slab_block_bytes(slab) : 0;
}

/* May a block stay where it is when it is resized, not to 0? */
static ALWAYS_INLINE bool fast_stays(const void *pointer, size_t size)
{
    return fast_fits(fast_usable_bytes(pointer), size);
}

#endif
