/* SPDX-License-Identifier: MIT */
/*
 * heap - the face of the heap layer; one owner's slabs in one arena.
 *
 * Owns     struct heap: a bin per class and the kept runs of one owner. The
 *          owner is a thread, or an arena itself (its shared heap, under a
 *          lock, for threads that have no heap of their own).
 * Used by  api/, through thread.h and large.h; fast.h knows its layout.
 * Never    is unmapped: a heap, once made, stays a heap for ever, so that a
 *          remote freer can follow its address at any time.
 *
 * The owner word of a slab is the address of its heap. Words that are no
 * heap's address mark what is no slab; none of them ever equals a thread's
 * `self`.
 *
 * Holds    H1  a heap is aligned to a cache line; owner words that are no
 *              heap are not
 *          H2  a heap serves exactly one arena
 *          H3  aside_bytes is the sum over the slabs on its bins' lists
 *          H4  at a quiet point an orphan owns no slab
 *
 * Tests    test/unit/heap/heap_test.c
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "heap/arena.h"
#include "heap/bin.h"
#include "heap/kept.h"
#include "heap/large.h"
#include "heap/sample.h"

/* What a heap's pending word says when nobody owns the heap. */
#define HEAP_ORPHAN ((uintptr_t)1)

/* Slabs of a class, ever: the owner writes, others read. */
struct heap_slabs {
    _Atomic uint64_t opened;
    _Atomic uint64_t reopened;  /* with blocks out, for the next ones */
    _Atomic uint64_t closed;
};

struct heap {
    /* fixed at birth */
    CACHE_ALIGNED struct arena *arena;
    struct heap *next;          /* in the arena */

    /* the owner's alone */
    uint32_t visits;            /* slow refills */
    uint32_t refills;
    uint32_t closes;            /* slabs closed since the last slow refill */
    uint32_t page_mask;         /* fixed at birth: the page size, less 1 */
    bool alone;                 /* no second thread was seen yet */
    _Atomic uint8_t reasons;    /* of its owner: thread.h; others may read */
    uint64_t key;               /* of the latest slab's marks */
    bool limited;               /* its bins have limits for the hand */
    uint64_t peak;              /* the most that a counting owner had */
    uint64_t peak_base;         /* what it had at the reset: count.h */
    uint64_t settled_ms;        /* stats.h: when, */
    uint32_t settled;           /* and the question that it answered */
    size_t loose_bytes;         /* chill.h */
    size_t loose_limit;
    size_t aside_bytes;         /* slabs owned, but for the current ones */
    size_t aside_limit;         /* as far as was looked up: owner.h */
    size_t aside_low;           /* below this, slabs are taken back */
    struct bin bin[CLASS_COUNT];
    struct sample *sample;      /* the owner's: sample.h; NULL: nothing is
                                 * sampled */
    struct sample *_Atomic sampler;     /* the same, once it was; others may
                                 * look */
    struct kept kept;
    struct heap_slabs slabs[CLASS_COUNT];

    bool survived;              /* a fork, and reclaim_own() is due */
    bool torn;                  /* a proxy vanished in it: to be taken apart */

    /* the owner writes, others read */
    struct thread *_Atomic thread;  /* whose blocks in hand; NULL: nobody's */

    /* reclaim.c's: what a vanished owner had in hand */
    struct block *hands[CLASS_COUNT];

    /* any thread, atomically */
    CACHE_ALIGNED _Atomic uintptr_t pending;    /* remote.h */
    _Atomic size_t disowned_bytes;      /* slabs disowned, and not yet taken */
    _Atomic uint32_t generation;        /* of its owner's process */
    struct sys_life life;               /* of its owner */
    struct lock proxy;                  /* rank 0; proxy.h */

    _Atomic size_t waiting_bytes;       /* freed by others, about; proxy.h */
};

/* A heap of the arena for a new owner: one that a dead thread left, or a new
 * one. NULL: no memory. */
MUST_USE struct heap *heap_adopt(struct arena *arena);

/* Become the owner of a heap that has none; false: it has one. */
MUST_USE bool heap_claim(struct heap *heap);

/* The owner leaves: its slabs become nobody's, the next may adopt it. */
void heap_orphan(struct heap *heap);

/* The arena's shared heap, which its lock owns? */
bool heap_is_shared(const struct heap *heap);

/* The key of a new slab's marks: another one each time. */
uint64_t heap_next_key(struct heap *heap);

/* Blocks in the bins' shelves back to their slabs. */
void heap_give_hands(struct heap *heap);

/* A list of blocks that were handed out but not used. */
void heap_give_list(struct heap *heap, struct block *list);

/* Close what is empty, drain what others freed, give kept runs back. */
void heap_tidy(struct heap *heap);

/* A slow path comes by; now and then it does what idle heaps cannot. */
void heap_visit(struct heap *heap);

/* What pointer is, in this process: its extent, and what kind. */
struct heap_place {
    uintptr_t owner;            /* MAP_NOBODY: not ours */
    struct extent *extent;      /* NULL if not ours */
};

static inline struct heap_place heap_find(const void *pointer)
{
    struct heap_place place = { MAP_NOBODY, NULL };
    /* The map looks at 48 bits; a pointer with others is nobody's. */
    if (UNLIKELY((uintptr_t)pointer >> 48 != 0))
        return place;
    const struct map_entry entry = map_find(pointer);
    place.owner = load_relaxed(map_owner(entry));
    if (UNLIKELY(place.owner == OWNER_GONE))
        place.owner = MAP_NOBODY;
    if (LIKELY(place.owner != MAP_NOBODY))
        place.extent = load_relaxed(map_extent(entry));
    return place;
}

/* What lies there is a sampled object, in a rack of its arena. */
static inline bool heap_is_sampled(struct heap_place place)
{
    return place.owner == OWNER_SAMPLED;
}

static inline bool heap_is_large(struct heap_place place)
{
    return place.owner == OWNER_RUN || place.owner == OWNER_MAPPING;
}

/* The bytes that the holder of a live block may use; 0: not a block, as far
 * as can be told. */
size_t heap_usable_bytes(const void *pointer);

#endif
