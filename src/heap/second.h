/* SPDX-License-Identifier: MIT */
/*
 * second - the calls of a thread of the second tier.
 *
 * Owns     what such a thread has in hand: the shelves of its heap's bins, and
 *          how many freed blocks may stay there; filling with junk or zeros.
 * Used by  alloc.c and request.c, when the calling thread has a reason
 *          (thread.h); thread.c.
 * Never    hands out what others freed, nor keeps it.
 *
 * Blocks come and go here as in the first tier (hand.h), with two differences:
 * the thread's own blocks alone stay in hand, and they are counted both ways,
 * so that nobody ever has to look how many there are. A thread that is
 * hardened, or was told to keep nothing in hand, frees into its slabs at once;
 * one that is hardened has its blocks in hand marked as free.
 *
 * Tests    test/unit/heap/{second,count,hardening}_test.c
 *          test/stress/tiers.c
 */
#ifndef HEAP_SECOND_H
#define HEAP_SECOND_H

#include "heap/check.h"
#include "heap/count.h"
#include "heap/heap.h"
#include "heap/thread.h"

/* A block of the thread's own heap; NULL: no memory. */
void *second_take(struct heap *heap, unsigned cls);

/* The next in hand of a thread that is not hardened; NULL: there is none. */
static ALWAYS_INLINE void *second_pop(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    struct block *block = bin->shelf;
    if (LIKELY(block != NULL)) {
        bin->shelf = block->next;
        store_relaxed(&bin->waiting, load_relaxed(&bin->waiting) - 1);
        check_hand_out(block, cls);
    }
    return block;
}

/* A block of a slab of the bin's, which was checked, stays in hand; false:
 * there is no room. */
MUST_USE static ALWAYS_INLINE bool second_keep_in(struct bin *bin,
    const struct slab *slab, struct block *block)
{
    const uint32_t waiting = load_relaxed(&bin->waiting);
    if (waiting >= bin->capacity)
        return false;
    if (CHECK_MARKED(slab->cls))
        block->mark = check_mark(slab, block);
    /* Who looks into the hand from elsewhere sees no room. */
    bin_note_change(bin);
    block->next = bin->shelf;
    /* Whoever finds the block in hand finds its link. */
    COMPILER_BARRIER();
    bin->shelf = block;
    store_relaxed(&bin->waiting, waiting + 1);
    return true;
}

/* The same for the thread's own; false: it does not. */
MUST_USE static ALWAYS_INLINE bool second_keep(const struct slab *slab,
    struct block *block)
{
    return !(thread.reasons & (THREAD_HARDENED | THREAD_NO_CACHE))
        && second_keep_in(&thread.own->bin[slab->cls], slab, block);
}

/* The same for one that was not checked: false as soon as anything is not as
 * it should be. */
MUST_USE static ALWAYS_INLINE bool second_keep_fast(const struct slab *slab,
    struct block *block)
{
    const uint64_t scaled = slab_scaled(slab, block);
    return ASHLAR_CHECKS && LIKELY(scaled < slab->limit)
        && (!CHECK_MARKED(slab->cls)
            || LIKELY(block->mark != (scaled ^ slab->key)))
        && second_keep(slab, block);
}

/* A slab of the class had an event; entered. */
void second_mind(struct heap *heap, unsigned cls);

/* How many freed blocks of a class stay in hand, at most. */
uint32_t second_blocks_max(const struct bin *bin, unsigned cls);

/* -- what there is to do beside -- */

/* A counting thread was given so many bytes; has given some back. */
static ALWAYS_INLINE void second_count_take(size_t bytes)
{
    struct heap *heap = thread.own;
    const uint64_t before = load_relaxed(&thread.allocated);
    const uint64_t now = before + bytes;
    const uint64_t live = now - load_relaxed(&thread.deallocated);
    store_relaxed(&thread.allocated, now);
    if (heap != NULL && (int64_t)(live - heap->peak) > 0)
        heap->peak = live;
    if (UNLIKELY(load_relaxed(&count_events_number) != 0))
        count_call(true, before, now);
}

static ALWAYS_INLINE void second_count_give(size_t bytes)
{
    const uint64_t before = load_relaxed(&thread.deallocated);
    const uint64_t now = before + bytes;
    store_relaxed(&thread.deallocated, now);
    if (UNLIKELY(load_relaxed(&count_events_number) != 0))
        count_call(false, before, now);
}

/* The thread was given an object of so many usable bytes, which may be zero
 * already and have to stay so. */
void second_note_take(void *pointer, size_t bytes, bool zero);

/* An object that is out is about to be given back. */
void second_note_give(void *pointer, size_t bytes);

/* One has so many usable bytes where it had others, its contents the same. */
void second_note_resize(void *pointer, size_t old_bytes, size_t bytes);

/* Options junk and zero, at start: what the bytes of objects are that are
 * taken, and of those that are given back; both for the calling thread and
 * those born later. Zero wins. */
struct second_fill {
    bool zero;
    bool junk_taken;            /* 0xa5 */
    bool junk_given;            /* 0x5a */
};
void second_set_fill(struct second_fill fill);

/* Is memory that is zero already as option zero wants it? */
bool second_wants_zero(void);

#endif
