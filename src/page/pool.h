/* SPDX-License-Identifier: MIT */
/*
 * pool - one arena's source of memory: its regions and own mappings.
 *
 * Owns     regions, freed mappings kept for reuse, the sums of what is handed
 *          out and what is dirty, and the decision to give memory back: dirty
 *          above decay_limit() at once, dirty older than dirty_decay_ms when
 *          a slow path comes by. No helper thread.
 * Used by  heap/slab.c (slabs), heap/large.c (large objects).
 * Never    touches the memory it hands out; never sets the page map, but for
 *          making room in it: owners are the heap layer's business.
 *
 * A thread may vanish in fork while it holds the lock. The truth is then in
 * the list of regions, in each region (region.h), and in the lists of mappings;
 * from it the next one who takes the lock computes the rest.
 * leased_bytes is the heap layer's to correct.
 *
 * Holds, and pool_audit() asserts:
 *   P1  dirty_bytes == the dirty slices of all regions + cached mappings
 *   P2  taken_bytes == the used slices of all regions + live mappings
 *   P3  the queues hold exactly the chunks whose list says so, by age
 *   P4  every region passes region_audit()
 *   P5  reserved_bytes == the bytes of all regions
 *   P6  mapped_bytes == the bytes of all live mappings, each of which knows the
 *       one before it
 *
 * Tests    test/unit/page/pool_test.c  test/unit/page/pool_life_test.c
 *          test/unit/page/repair_test.c  test/unit/page/prefix_test.c
 *          test/unit/page/vanish_test.c  test/fault/fault_test.c
 */
#ifndef PAGE_POOL_H
#define PAGE_POOL_H

#include "page/decay.h"
#include "page/region.h"
#include "sys/lock.h"

struct pool {
    struct lock lock;

    /* under lock pool */
    struct region *regions;
    size_t region_bytes_next;   /* how much to reserve next time */
    struct chunk_queue queues[CHUNK_LISTS];
    struct extent *live;        /* own mappings handed out */
    struct extent *refused;     /* freed, and hooks would not have them */
    struct extent *cached;      /* freed mappings, the latest first */
    struct extent *records;     /* spare records for mappings */
    size_t taken_bytes;
    size_t dirty_bytes;
    size_t leased_bytes;        /* that heaps may keep; count as dirty */
    size_t reserved_bytes;
    size_t mapped_bytes;        /* live own mappings */
    uint64_t sweeps;            /* decisions to purge */
    uint64_t purges;            /* pieces purged */
    uint64_t purged_bytes;
    size_t abandoned_bytes;     /* mappings that the system would not take */
    uint64_t ticked_ms;
    struct decay decay;

    /* any thread, atomically */
    _Atomic size_t active_pages;            /* of taken_bytes */
    struct extent_hooks *_Atomic hooks;     /* NULL: the system's memory */
    _Atomic bool hooked;        /* they were not NULL, ever */
    _Atomic size_t retain_grow_limit;       /* regions of hooks are no longer
                                 * than this, if it is not 0 */
    unsigned index;             /* of its arena, for hooks */
    _Atomic int64_t dirty_decay_ms;
    _Atomic size_t record_count;            /* of mappings, ever made */
    _Atomic uint64_t listed;    /* bit k: a region may have marks of kind k */
};

/* How much to reserve first. */
#define POOL_REGION_BYTES_FIRST (64 * MiB)

/* A pool before its first extent; decay_ms as pool_set_dirty_decay_ms(). */
#define POOL_INITIAL(decay_ms)                        \
    {                                                 \
        .lock = { .rank = LOCK_pool },                \
        .region_bytes_next = POOL_REGION_BYTES_FIRST, \
        .dirty_decay_ms = (decay_ms),                 \
    }

/* Is any of its memory not the system's? */
static inline bool pool_is_hooked(const struct pool *pool)
{
    return UNLIKELY(load_relaxed(&pool->hooked));
}

/* Where its memory comes from, from now on. */
static inline struct hooks_source pool_source(const struct pool *pool)
{
    /* pairs with arenas_set_hooks() */
    return (struct hooks_source){ load_acquire(&pool->hooks), pool->index };
}

/* Under lock pool: so much more, or less, is handed out. */
void pool_count_taken(struct pool *pool, int64_t bytes);

/* The age at which dirty memory goes back; -1 never, 0 at once. */
void pool_set_dirty_decay_ms(struct pool *pool, int64_t dirty_decay_ms);

/*
 * A run of slices, starting at a multiple of step slices (a power of two, at
 * most a chunk). The extent is of state EXTENT_FREE, start, bytes, slices,
 * touched (what is dirty already) and zero filled in. NULL: no memory; nothing
 * changed.
 */
MUST_USE struct extent *pool_take(struct pool *pool, size_t slices,
    size_t step);

/* Back to the pool; extent->touched says what may have been written. */
void pool_give(struct extent *extent);

/* The same, and nothing of it stays dirty if that can be. */
void pool_give_clean(struct extent *extent);

/* Give back the slices of a run behind the first `slices`. */
void pool_shrink(struct extent *extent, size_t slices);

/* Let a run grow in place to `slices`; false: what follows is in use. */
MUST_USE bool pool_grow(struct extent *extent, size_t slices);

/*
 * A mapping of its own of at least `bytes` (a multiple of the page size),
 * aligned to align; state EXTENT_FREE, slices 0. NULL: no memory.
 */
MUST_USE struct extent *pool_map(struct pool *pool, size_t bytes,
    size_t align);

/* Give it back: kept for reuse within the limit, else unmapped. */
void pool_unmap(struct extent *extent);

/*
 * Change the length of an own mapping, moving its pages where it cannot stay
 * (extent->start changes then). false: no memory; nothing changed.
 */
MUST_USE bool pool_remap(struct extent *extent, size_t bytes);

/* Move the contents of a run into a longer mapping, by moving its pages where
 * the system can do that. The run stays handed out. */
void pool_move_contents(struct extent *mapping, struct extent *run);

/* Where hooks could not be called under the caller's lock: have memory for a
 * run of so many slices; do what the limit asks for. false: no memory. */
MUST_USE bool pool_make_room(struct pool *pool, size_t slices);
void pool_catch_up(struct pool *pool);

/* All dirty memory back to the system. */
void pool_purge(struct pool *pool);

/* Regions of which nothing is used go back, addresses and all. */
void pool_release_free_regions(struct pool *pool);

/* The same, and freed mappings: nothing is handed out any more. */
void pool_empty(struct pool *pool);

/* What was counted, and is no sum of what there is, is 0 again; under the
 * lock. */
void pool_forget_counts(struct pool *pool);

/* How much ever went back to the system. */
uint64_t pool_purged_bytes(struct pool *pool);

/*
 * How many bytes a heap may keep in hand that holds `kept` and would like to
 * hold `wanted`: a lease of this size counts as dirty until it is returned by
 * asking for less. The answer may be 0.
 */
size_t pool_lease(struct pool *pool, size_t held, size_t wanted);

/* How many free bytes inside slabs may stay resident. */
size_t pool_loose_limit(struct pool *pool);

/* So many bytes inside slabs were purged; were needed again. */
void pool_note_chilled(struct pool *pool, size_t bytes);
void pool_note_warmed(struct pool *pool, size_t bytes);

/* Does the address lie in memory that a region of the pool hands out? Takes
 * the lock; for messages. */
bool pool_reaches(struct pool *pool, const void *pointer);

/* Take lock pool, and repair what a thread that vanished holding it left half
 * done. Given back by lock_give(). */
void pool_lock(struct pool *pool);

void pool_audit(struct pool *pool);

#endif
