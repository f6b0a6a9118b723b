/* SPDX-License-Identifier: MIT */
/*
 * arena - a source of extents, with the heaps that draw from it.
 *
 * Owns     a pool, the list of its heaps (only ever added to), and the shared
 *          heap for threads that have none: before a thread's birth is
 *          possible, after its death, when there is no memory for a heap, and
 *          for all that ask for the arena by its number.
 * Used by  arenas.c (numbers, creation, the end), heap.c, thread.c, ctl/.
 * Never    unmapped: what was destroyed waits to be another one.
 *
 * Holds    A1  every heap of the list belongs to this arena, for ever
 *
 * Tests    test/unit/heap/heap_test.c
 */
#ifndef HEAP_ARENA_H
#define HEAP_ARENA_H

#include "heap/rack.h"
#include "heap/tally.h"
#include "page/page.h"

struct heap;

/* With the 0 at its end. */
enum { ARENA_NAME_BYTES = 32 };

struct arena {
    struct pool pool;

    /* any thread, atomically */
    struct heap *_Atomic heaps;
    _Atomic int heap_count;
    _Atomic int orphans;        /* heaps without owner, about */
    _Atomic uint64_t swept_ms;
    _Atomic int64_t loose_bytes;        /* in slabs that nobody owns, about */
    _Atomic uint64_t folded[CLASS_COUNT];   /* frees into slabs that nobody
                                             * owned */
    _Atomic uint64_t closed[CLASS_COUNT];   /* of those slabs */
    _Atomic uint64_t flushed[CLASS_COUNT];  /* lists in hand given back */
    struct tally_all tally;                 /* large objects of the same */
    _Atomic uint32_t generation;        /* of the process, when last mended */

    /* under lock shared */
    struct lock lock;
    struct heap *shared;

    struct racks racks;         /* of sampled objects */

    struct lock sweep;          /* tried by who tidies the arena, taken by who
                                 * ends it */

    /* arenas.h; under lock arenas, but for the atomic ones */
    unsigned index;
    bool manual;                /* from arenas_create() */
    char name[ARENA_NAME_BYTES];
    uint64_t born_ms;
    struct arena *next;         /* of those that wait to be used again */
    _Atomic unsigned threads;   /* that live here */
    _Atomic int64_t muzzy_decay_ms;         /* kept for who asks */
    _Atomic size_t oversize_threshold;      /* objects of so many bytes go
                                 * elsewhere, and back when they are freed;
                                 * 0: none do */
};

/* The arena that serves everyone; ready without a call, for allocation may
 * begin before anything of ours has run. */
extern struct arena arena_main;

static inline struct arena *arena_of_pool(struct pool *pool)
{
    return (struct arena *)(void *)pool;
}
_Static_assert(offsetof(struct arena, pool) == 0, "arena_of_pool");

void arena_add_heap(struct arena *arena, struct heap *heap);

/* As pool_take; when there is no memory, what heaps keep is given up for it. */
MUST_USE struct extent *arena_take(struct arena *arena, size_t slices,
    size_t step);

/* Everything in it is free, whoever holds it: nobody may be using it, or have
 * any of it in hand. */
void arena_discard(struct arena *arena);

/* One block of a class from the shared heap; NULL: no memory. */
MUST_USE void *arena_take_shared(struct arena *arena, unsigned cls);

/* The same, the lowest one of the fullest slab. */
MUST_USE void *arena_take_fullest(struct arena *arena, unsigned cls);

/* Somebody has announced a slab to the shared heap, whose owner is a lock. */
void arena_drain_shared(struct arena *arena);

/* What time asks for: kept runs of heaps that sleep go back to the pool. */
void arena_tick(struct arena *arena);

/* The same for this arena alone, and now. When it is to be called next: in
 * sys_now_ms(); UINT64_MAX: nothing gets old. */
void arena_decay(struct arena *arena);
uint64_t arena_due_ms(struct arena *arena);

/* Everything unused in this arena back to the system, but for what living
 * threads have in hand. */
void arena_purge(struct arena *arena);

/* Assert every invariant of everything; at a quiet point. */
void arena_audit(struct arena *arena);

#endif
