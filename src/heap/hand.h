/* SPDX-License-Identifier: MIT */
/*
 * hand - the blocks that a thread has in hand.
 *
 * Owns     the lists of struct thread, and how many freed blocks stay on them.
 * Used by  fast.h (take, keep), alloc.c (refill), thread.c (events, the end).
 * Never    holds blocks of a thread of the second tier, or of none.
 *
 * What a thread frees goes in front of what it has in hand, whoever owns the
 * slab, as long as there is room: it is warm, and the next to be asked for.
 * For its slab such a block is still out. Room is counted down by frees and not
 * up by malloc, so once in a while a free finds none: then the list is counted,
 * and there is room again for what is missing to its capacity. A program that
 * frees and allocates in turn hardly needs its slabs.
 *
 * Where the list is full frees go to the slabs. The capacity doubles if the
 * next refill comes all the same. If nothing was taken between two events of
 * slabs, the program is letting go: then the list goes back to the slabs too,
 * for it pins them, and nothing more is kept until the next refill.
 *
 * Tests    test/unit/heap/hand_test.c  test/unit/heap/search_test.c
 */
#ifndef HEAP_HAND_H
#define HEAP_HAND_H

#include "heap/check.h"
#include "heap/thread.h"

/* The next block of a class; NULL: none is in hand. */
static ALWAYS_INLINE void *hand_take(size_t cls)
{
    struct block *block = thread.shelf[cls];
    if (LIKELY(block != NULL)) {
        thread.shelf[cls] = block->next;
        check_hand_out(block, cls);
    }
    return block;
}

/* A block that is given back stays in hand; false: there is no room. */
static ALWAYS_INLINE bool hand_keep(size_t cls, struct block *block)
{
    if (UNLIKELY(--thread.room[cls] < 0))
        return false;
    block->next = thread.shelf[cls];
    /* Whoever finds the block in hand finds its link. */
    COMPILER_BARRIER();
    thread.shelf[cls] = block;
    return true;
}

/* How many freed blocks of a class a hand has room for, at most. */
uint32_t hand_blocks_max(const struct bin *bin, unsigned cls);

/* -- limits that somebody asked for -- */

/* A thread's hands are empty, and it takes a heap that another had: the limits
 * are those of every thread, or, where it only moves, those it had. */
void hand_begin(struct heap *heap);
void hand_copy_limits(struct heap *heap, const struct heap *from);

/* Blocks of more bytes than this go to the slabs; of every thread that is born
 * from now on. Of a class no more than so many stay. The hands are empty. */
void hand_set_bytes_max(struct heap *heap, size_t bytes);
void hand_set_default_bytes_max(size_t bytes);
void hand_set_blocks_max(struct heap *heap, unsigned cls, size_t blocks);

/* The largest block that may stay, in bytes; 0: none. */
size_t hand_bytes_max(const struct heap *heap);

/* The list of a class is empty and about to be refilled: make room there. */
void hand_make_room(struct heap *heap, unsigned cls);

/* Frees without room between two looks. */
enum { HAND_LOOK_FREES = 64 };

/* hand_keep() found no room: is it time to look? The first time, and then every
 * HAND_LOOK_FREES; hand_find_room() keeps the count from running away. */
static ALWAYS_INLINE bool hand_should_look(size_t cls)
{
    return ((uint16_t)~thread.room[cls]) % HAND_LOOK_FREES == 0;
}

/* There is no room. true: now there is; entered. */
MUST_USE bool hand_find_room(struct heap *heap, unsigned cls);

/* hand_keep() where the heap is sampled, and room may be withheld: with what
 * hand_find_room() does if there is none. Entered. */
MUST_USE bool hand_keep_sampled(struct heap *heap, unsigned cls,
    struct block *block);

/* A slab of the class had an event; entered. */
void hand_mind(struct heap *heap, unsigned cls);

/* All blocks back to their slabs, and no room for more; entered. */
void hand_empty(struct heap *heap);

#endif
