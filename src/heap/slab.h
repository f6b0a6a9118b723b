/* SPDX-License-Identifier: MIT */
/*
 * slab - an extent cut into equal blocks.
 *
 * Owns     which blocks of a slab are handed out, and in what order.
 * Uses     extents from page/; its shape comes from table/size_class.def.
 * Used by  fast.h (push one), bin.c (take many), remote.c (give back).
 *
 * Frees go to the open list; every class_segment frees the countdown reaches
 * 0 and slab_event() closes the list as a segment, so that a refill takes a
 * whole list, of known length, without walking it. The same countdown finds
 * a full slab that is worth reusing (sooner: after a sixteenth of its blocks)
 * and one that is empty.
 *
 * Where free blocks are a page or nearly so, whole free pages of a slab that
 * is still in use can go back to the system: its closed segments then become
 * cold blocks, bits of a word, on no list (chill.h).
 *
 * Holds, and slab_audit() asserts:
 *   S1  used + the blocks in segments + |cold| + (blocks - fresh) == blocks;
 *       blocks on the open list and on the remote list still count as used
 *   S2  the open list has armed - countdown blocks, and countdown > 0
 *   S3  armed <= used unless CURRENT: the last free reaches the countdown
 *   S4  every free block lies inside the slab, at a multiple of block_bytes
 *   S5  FULL has no segment and no fresh or cold block; PARTIAL has a segment
 *       or a fresh block; COLD has cold blocks and nothing else; all three
 *       have used > 0
 *   S6  the remote word's PENDING bit is set exactly while the slab is on
 *       its heap's pending list or about to be put there; only then has the
 *       word a list, and the slab is not closed
 *
 * States   CURRENT  the bin hands out from it
 *          FULL     nothing to hand out, on no list
 *          PARTIAL  on the bin's list of partial slabs
 *          COLD     on the bin's list of cold slabs
 *            (page/)  -> CURRENT  slab_open
 *            CURRENT  -> FULL     bin.c, when the last block is handed out
 *            FULL     -> PARTIAL  slab_event, a segment came back
 *            PARTIAL  -> COLD     chill.c, its free pages went back
 *            COLD     -> PARTIAL  slab_event, a segment came back
 *            PARTIAL, COLD -> CURRENT  bin.c, chosen for a refill
 *            any but CURRENT -> (page/)  slab_event, the last block came back
 *
 * Locks    none: the heap's owner alone, but for `remote`.
 * Tests    test/unit/heap/slab_test.c  test/model/model.c
 */
#ifndef HEAP_SLAB_H
#define HEAP_SLAB_H

#include "heap/class.h"
#include "page/page.h"

enum { SLAB_SEGMENTS_MAX = 16 };

/* The longest slab, in bytes: offsets fit 19 bits. */
#define SLAB_BYTES_MAX (8 * SLICE_BYTES)

/* A bit for each block has to fit a word. */
enum { SLAB_COLD_BLOCKS_MAX = 64 };

enum slab_place { SLAB_CURRENT, SLAB_FULL, SLAB_PARTIAL, SLAB_COLD };

struct heap;

/* A free block: its first word is the link. */
struct block {
    struct block *next;
};

struct slab {
    /* the owning heap's alone: the line that a free touches */
    CACHE_ALIGNED struct block *freed;
    uint32_t countdown;         /* frees until slab_event() */
    uint32_t armed;             /* what countdown started from */
    uint32_t used;
    uint32_t fresh;             /* blocks from this index on are untouched */
    uint32_t block_bytes;       /* fixed at birth */
    uint8_t cls;                /* fixed at birth */
    uint8_t place;
    uint8_t segments;
    char *start;                /* fixed at birth */
    struct heap *heap;          /* fixed at birth */
    struct slab *next;
    struct slab *prev;
    uint32_t segment[SLAB_SEGMENTS_MAX];    /* count << 16 | offset / 8 */

    /* any thread, atomically */
    CACHE_ALIGNED _Atomic uint64_t remote;

    /* whoever put it on the pending list, then the owner */
    struct slab *pending_next;

    /* the owning heap's alone, seldom */
    uint64_t cold;              /* bit i: block i is free and on no list */
};
_Static_assert(sizeof(struct slab) == EXTENT_PAYLOAD_BYTES,
    "three cache lines");
_Static_assert(offsetof(struct slab, segment) == CACHE_LINE_BYTES,
    "what a free touches is one line");

/* A slab's words are the first of its extent's record. */
static inline struct slab *slab_of(struct extent *extent)
{
    return (struct slab *)(void *)extent;
}

static inline struct extent *slab_extent(struct slab *slab)
{
    return (struct extent *)(void *)slab;
}

/* A new slab for a class, CURRENT. NULL: no memory. */
MUST_USE struct slab *slab_open(struct heap *heap, unsigned cls);

/* Give an empty slab's memory back. It is on no list. */
void slab_close(struct slab *slab);

/* Take what is quickest to take, at most a segment or 16 blocks; *count says
 * how many. NULL: only fresh blocks, or none, are there. */
struct block *slab_take(struct slab *slab, uint32_t *count);

/* Take up to 4 KiB of blocks never used, in order of address; NULL: none. */
struct block *slab_carve(struct slab *slab, uint32_t count_max,
    uint32_t *count);

/* Closed segments become cold blocks, and their whole pages go back to the
 * system; how many bytes. Not CURRENT. */
size_t slab_chill(struct slab *slab);

/* Bytes in closed segments. */
size_t slab_loose_bytes(const struct slab *slab);

/* The countdown has reached 0. */
NOINLINE void slab_event(struct slab *slab);

/* Start the countdown anew after `place` or `used` changed. */
void slab_rearm(struct slab *slab);

/* The current slab, on no list, becomes FULL, PARTIAL or COLD; it has blocks
 * out. */
void slab_demote(struct slab *slab);

/* Blocks that are out: used, less the open list. */
static inline uint32_t slab_live(const struct slab *slab)
{
    return slab->used - (slab->armed - slab->countdown);
}

/* Where a slab belongs that is not CURRENT (S5). */
uint8_t slab_place_for(const struct slab *slab);

/* Give one block back; the caller owns the slab. May close the slab. */
static ALWAYS_INLINE void slab_put(struct slab *slab, void *pointer)
{
    struct block *block = pointer;
    block->next = slab->freed;
    slab->freed = block;
    if (UNLIKELY(--slab->countdown == 0))
        slab_event(slab);
}

/* Is this the start of a block of the slab, as far as can be told? */
static inline bool slab_has_block_at(const struct slab *slab,
    const void *pointer)
{
    const size_t offset = (size_t)((const char *)pointer - slab->start);
    const size_t i = offset * class_inverse[slab->cls] >> CLASS_INVERSE_LOG2;
    return offset < SLAB_BYTES_MAX && i * slab->block_bytes == offset
        && i < class_blocks[slab->cls];
}

void slab_audit(struct slab *slab);

#endif
