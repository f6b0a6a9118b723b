/* SPDX-License-Identifier: MIT */
/*
 * slab - an extent cut into equal blocks.
 *
 * Owns     which blocks of a slab are handed out, and in what order.
 * Uses     extents from page/; its shape comes from table/size_class.def.
 * Used by  fast.h (push one), bin.c (take many), remote.c (give back),
 *          owner.c (who may do so).
 *
 * Frees go to the open list; every class_segment frees the countdown reaches
 * 0 and slab_event() closes the list as a segment, so that a refill takes a
 * whole list, of known length. The same countdown finds a full slab that is
 * worth reusing (sooner: after a sixteenth of its blocks) and one that is
 * empty.
 *
 * Where free blocks are a page or nearly so, whole free pages of a slab that
 * is still in use can go back to the system: its closed segments then become
 * cold blocks, bits of a word, on no list (chill.h).
 *
 * A free block's second word is its mark, which no block that is out has but by
 * chance: a free that finds it looks closer (check.h).
 *
 * Holds, and slab_audit() asserts:
 *   S1  used + the blocks in segments + |cold| + (blocks - fresh) == blocks;
 *       blocks on the open list and on the remote list still count as used
 *   S2  the open list has armed - countdown blocks, and countdown > 0
 *   S3  armed <= used unless CURRENT: the last free reaches the countdown
 *   S4  every free block lies inside the slab, at a multiple of the block size,
 *       below fresh
 *   S5  FULL has no segment and no fresh or cold block; PARTIAL has a segment
 *       or a fresh block; COLD has cold blocks and nothing else; all three
 *       have used > 0
 *   S6  the remote word has PENDING exactly while the slab is on its heap's
 *       pending list or about to be put there; only then has an owned slab's
 *       word a list, and the slab is neither closed nor disowned
 *   S8  counted <= the length of the open list
 *   S7  limit == fresh * class_step, or 0 where there are no marks or there
 *       are cold blocks
 *
 * States   CURRENT  the bin hands out from it
 *          FULL     nothing to hand out   \
 *          PARTIAL  blocks to hand out     > on the bin's list of that name
 *          COLD     cold blocks only      /
 *            (page/)  -> CURRENT  slab_open
 *            CURRENT  -> FULL     bin.c, when the last block is handed out
 *            FULL     -> PARTIAL  slab_event, a segment came back
 *            PARTIAL  -> COLD     chill.c, its free pages went back
 *            COLD     -> PARTIAL  slab_event, a segment came back
 *            PARTIAL, COLD -> CURRENT  bin.c, chosen for a refill
 *            any but CURRENT -> (page/)  slab_event, the last block came back
 *            any but CURRENT -> unowned  owner.c; see docs/design/ownership.md
 *
 * Locks    none: the owner alone, but for `remote`.
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

enum slab_place { SLAB_FULL, SLAB_PARTIAL, SLAB_COLD, SLAB_CURRENT };
enum { SLAB_LISTS = SLAB_CURRENT };

struct heap;

/* A free block; one of 8 bytes has no mark (check.h). */
struct block {
    struct block *next;
    uint64_t mark;
};

struct slab {
    /* the owner's alone: the line that a free touches */
    CACHE_ALIGNED struct block *freed;
    uint32_t countdown;         /* frees until slab_event() */
    uint32_t armed;             /* what countdown started from */
    char *start;                /* fixed at birth */
    uint64_t factor;            /* fixed at birth: class_factor */
    uint64_t limit;             /* see S7 */
    uint64_t key;               /* fixed at birth: of this slab's marks */
    uint32_t used;
    _Atomic uint32_t fresh;     /* blocks from this index on are untouched;
                                 * other threads may look */
    uint32_t cls;               /* fixed at birth */
    uint8_t place;
    uint8_t segments;

    /* any thread, atomically: remote.h */
    CACHE_ALIGNED _Atomic uint64_t remote;

    /* whoever put it on the pending list, then the owner */
    struct slab *pending_next;

    /* the owner's alone, in slow paths; the first twelve are in this line */
    uint32_t segment[SLAB_SEGMENTS_MAX];    /* count << 16 | offset / 8 */

    /* the owner's alone, seldom */
    struct slab *next;
    struct slab *prev;
    _Atomic uint32_t takes;     /* how often blocks left its lists */

    /* for other threads, away from the lines that change all the time */
    uint8_t remote_cls;         /* fixed at birth */
    uint16_t counted;           /* the owner's: of the blocks on the open list,
                                 * those that are in the sums already */
    uint64_t remote_key;        /* fixed at birth */
    _Atomic uint64_t cold;      /* the owner's: bit i: block i is free and on
                                 * no list */
    struct heap *_Atomic heap;  /* the owner changes it while CLAIMED */
};
_Static_assert(sizeof(struct slab) == EXTENT_PAYLOAD_BYTES,
    "three cache lines");
_Static_assert(offsetof(struct slab, remote) == CACHE_LINE_BYTES,
    "what a free touches is one line");
_Static_assert(offsetof(struct slab, next) >= 2 * CACHE_LINE_BYTES,
    "what others ask about is not in the line of the remote word");

/* A slab's words are the first of its extent's record. */
static inline struct slab *slab_of(struct extent *extent)
{
    return (struct slab *)(void *)extent;
}

static inline struct extent *slab_extent(const struct slab *slab)
{
    return (struct extent *)(uintptr_t)slab;
}

static inline struct heap *slab_heap(const struct slab *slab)
{
    /* pairs with slab_open(), owner_join() and reclaim_slabs() */
    return load_acquire(&slab->heap);
}

static inline uint32_t slab_block_bytes(const struct slab *slab)
{
    return class_bytes[slab->cls];
}

static inline size_t slab_bytes(const struct slab *slab)
{
    return slab_extent(slab)->slices * SLICE_BYTES;
}

/* A new slab for a class, CURRENT. NULL: no memory. */
MUST_USE struct slab *slab_open(struct heap *heap, unsigned cls);

/* Give an empty slab's memory back, to the owner's kept runs or the pool. It
 * is on no list. */
void slab_close(struct slab *slab);

/* Set what blocks were never used, and which are cold. */
void slab_set(struct slab *slab, uint32_t fresh, uint64_t cold);

/* Have the extent know how far the slab was written. */
void slab_note_touched(struct slab *slab);

/* Take what is quickest to take, at most a segment or 16 blocks; *count says
 * how many. NULL: only fresh blocks, or none, are there. */
struct block *slab_take(struct slab *slab, uint32_t *count);

/* Take the block of the lowest address, of a slab on no list, looking at all of
 * them; NULL: none is there. */
struct block *slab_take_lowest(struct slab *slab);

/* Take up to 4 KiB of blocks never used, in order of address; NULL: none. */
struct block *slab_carve(struct slab *slab, uint32_t count_max,
    uint32_t *count);

/* A list of count blocks that others freed becomes free blocks; slab_count()
 * those of them that nobody has counted. */
void slab_absorb(struct slab *slab, struct block *first, uint32_t count);

/* Closed segments become cold blocks, and their whole pages go back to the
 * system; how many bytes. Not CURRENT. */
size_t slab_chill(struct slab *slab);

/* Blocks have left the slab's lists and are not handed out yet: who walks the
 * lists from another thread must not believe what it sees. */
void slab_note_take(struct slab *slab);

/* The blocks of a closed segment; any thread may ask, if it mistrusts the
 * answer. */
struct block *slab_segment(const struct slab *slab, uint32_t i);
uint32_t slab_segment_count(const struct slab *slab, uint32_t i);
void slab_set_segment(struct slab *slab, uint32_t i, struct block *first,
    uint32_t count);

/* Blocks were absorbed into a slab that is not CURRENT: it may be empty now,
 * or belong elsewhere. */
void slab_settle(struct slab *slab);

/* Bytes in closed segments. */
size_t slab_loose_bytes(const struct slab *slab);

/* All blocks on the open list are in the sum of frees from here on; count more
 * are. */
void slab_fold(struct slab *slab);
void slab_count(const struct slab *slab, uint32_t count);

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

/* The index of a block, times class_step; more than that of any block where
 * no block starts. */
static ALWAYS_INLINE uint64_t slab_scaled(const struct slab *slab,
    const void *pointer)
{
    return (uint64_t)((const char *)pointer - slab->start) * slab->factor;
}

/* Put a block on the open list. true: the countdown has reached 0. */
static ALWAYS_INLINE bool slab_push(struct slab *slab, struct block *block)
{
    block->next = slab->freed;
    /* Whoever finds the block on the list finds its link. */
    COMPILER_BARRIER();
    slab->freed = block;
    return --slab->countdown == 0;
}

/* Give one block back; the caller owns the slab and has checked the pointer.
 * May close the slab. */
void slab_put(struct slab *slab, void *pointer);

void slab_audit(struct slab *slab);

#endif
