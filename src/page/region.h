/* SPDX-License-Identifier: MIT */
/*
 * region - a large reservation of address space, cut into slices.
 *
 * Owns     which slices of a region are free, which of those are dirty, how
 *          far the region is committed, and its chunks of 2 MiB.
 * Used by  pool, which holds the lock for every call and keeps the sums.
 * Never    decides what to purge or when: decay.c does.
 *
 * A thread may vanish in fork between any two stores of a change. The truth is
 * `free`, `dirty` and `committed`, and they change in an order in which every
 * prefix loses at most the slices of that change: what is taken stops being
 * free before it stops being dirty, what is given is dirty before it is free,
 * what is purged stops being dirty afterwards. All else follows from the truth,
 * and region_repair() computes it anew.
 *
 *   | guard | struct region, bitmaps, chunks | extents | marks | guard |
 *   '------------------ head, a whole number of slices --------------'
 *   | slices ...
 *
 * Where the memory comes from hooks the head is a mapping of its own, and all
 * slices are handed out; what is purged there is not known to be zero. Slices
 * that the hooks took back in parts are gone: they are never free again.
 *
 * Holds, and region_audit() asserts:
 *   R1  free_slices is the number of set bits of `free`
 *   R2  dirty_slices is the number of set bits of `dirty`
 *   R3  a dirty slice is free and committed, and was not decommitted
 *   R4  chunk->used and chunk->dirty are the sums over its slices
 *   R5  no free bit below lowest_free, no dirty bit below lowest_dirty
 *   R6  a chunk is on list WHOLE if dirty and nothing of it is used, on list
 *       PARTLY if dirty and something is used, on neither if not dirty
 *   R7  slices at or above `committed` are free, clean and untouchable
 *   R8  a list is ordered by stamp_ms, the oldest first
 *   R9  gone_slices is the number of set bits of `gone`, of which none is free
 *
 * Tests    test/unit/page/region_test.c  test/unit/page/find_test.c
 *          test/unit/page/pool_test.c
 */
#ifndef PAGE_REGION_H
#define PAGE_REGION_H

#include "page/extent.h"
#include "page/hooks.h"

enum { CHUNK_SLICES = 32 };

/* Kinds of marks that a slice can have (listing.h). */
enum { REGION_KINDS = 64 };
#define CHUNK_BYTES (CHUNK_SLICES * SLICE_BYTES)

enum chunk_list { CHUNK_WHOLE, CHUNK_PARTLY, CHUNK_LISTS, CHUNK_CLEAN };

/* The unit in which memory goes back, and of huge pages. */
struct chunk {
    struct chunk *next;
    struct chunk *prev;
    struct region *region;
    uint64_t stamp_ms;          /* when a slice of it last became dirty */
    uint16_t used;              /* slices handed out (the head's too) */
    uint16_t dirty;
    uint8_t list;               /* enum chunk_list */
};

/* Dirty chunks, the one unused longest first. */
struct chunk_queue {
    struct chunk *first;
    struct chunk *last;
};

struct region {
    /* fixed at birth */
    char *base;
    struct pool *pool;
    struct chunk_queue *queues; /* the pool's, CHUNK_LISTS of them */
    size_t slices;
    size_t head_slices;         /* of them, for what is below */
    struct hooks_source source; /* whose memory it is */
    struct hooks_memory memory; /* if not the system's */
    uint64_t *free;
    uint64_t *dirty;
    struct chunk *chunk;
    struct extent *extent;
    _Atomic uint64_t *mark;     /* for each kind a bit for each slice */
    uint64_t *gone;             /* of hooks: went back */
    uint64_t *decommitted;      /* of hooks: to be committed before use */

    /* any thread, atomically */
    _Atomic uint64_t listed;    /* bit k: there may be a mark of kind k */

    /* under lock pool */
    struct region *next;
    size_t committed;           /* slices from base that can be touched */
    size_t free_slices;
    size_t dirty_slices;
    size_t gone_slices;
    size_t lowest_free;
    size_t lowest_dirty;
};

/* Reserve about `bytes`, a multiple of CHUNK_BYTES. NULL: refused. */
MUST_USE struct region *region_open(struct pool *pool,
    struct chunk_queue *queues, size_t bytes);

/* The same from hooks, all to be handed out. No lock may be held. */
MUST_USE struct region *region_open_hooked(struct pool *pool,
    struct chunk_queue *queues, struct hooks_source source, size_t bytes);

/* Its chunks off the pool's queues, which they must be before it closes;
 * region_repair() has them on again. */
void region_unlist(struct region *region);

/* Give all of a region back, of which nothing is used. false: the system
 * refuses; it stays as it was. */
MUST_USE bool region_close(struct region *region);

/* The memory of one with hooks went back: so goes its head. */
void region_forget(struct region *region);

static inline bool region_is_hooked(const struct region *region)
{
    return region->source.hooks != NULL;
}

/* How many slices a region of so many bytes of the system's can hand out at
 * once; and how many of them this one can. */
size_t region_capacity(size_t bytes);
static inline size_t region_room(const struct region *region)
{
    return region->slices - region->head_slices - region->gone_slices;
}

/* What it has of the address space. */
static inline size_t region_bytes(const struct region *region)
{
    return (region->slices - region->gone_slices) * SLICE_BYTES;
}

/* With hooks: what they know as one, around a slice; and a part of it. */
struct hooks_memory region_piece(const struct region *region, size_t slice);
struct hooks_memory region_part(const struct region *region, size_t first,
    size_t count);

/* Slices that nobody uses are gone. Those that are free must be unlisted. */
void region_lose(struct region *region, size_t first, size_t count);

/*
 * A place for a run of count slices, at a multiple of step slices: the lowest
 * that is dirty; failing that, and for a long run, the one with the most dirty
 * slices, in the tightest gap; else the lowest that is free. *dirty: how many
 * of its slices are. BITMAP_NONE if there is none.
 */
size_t region_find(const struct region *region, size_t count, size_t step,
    size_t *dirty);

/*
 * Hand out the free slices [first, first + count). *zero: all of them read
 * as zero. false: the system refuses to commit them; nothing changed.
 */
MUST_USE bool region_take(struct region *region, size_t first, size_t count,
    bool *zero);

/* Take slices back; the first `touched` of them may have been written. */
struct region_return {
    size_t first;
    size_t count;
    size_t touched;
    uint64_t now_ms;
};
void region_give(struct region *region, struct region_return back);

/* Purge what is dirty in a chunk; the number of slices that are clean now. */
size_t region_purge(struct chunk *chunk);

struct extent *region_extent(struct region *region, size_t slice);

/* Does the address lie in the slices that the region hands out? */
bool region_reaches(const struct region *region, const void *pointer);

/*
 * After a thread vanished, or slices were lost: clean up the truth (R3), and
 * compute what follows from it (R1 R2 R4 R5 R6 R8 R9). The pool's queues hold
 * nothing of this region.
 */
void region_repair(struct region *region);

void region_audit(const struct region *region);

#endif
