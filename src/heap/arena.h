/* SPDX-License-Identifier: MIT */
/*
 * arena - a source of extents, with the heaps that draw from it.
 *
 * Owns     a pool, the list of its heaps (only ever added to), and the shared
 *          heap for threads that have none: before a thread's birth is
 *          possible, after its death, and when there is no memory for a heap.
 * Used by  heap.c, thread.c, api/.
 * Never    closed: there is one arena so far, arena_main.
 *
 * Holds    A1  every heap of the list belongs to this arena, for ever
 *
 * Tests    test/unit/heap/heap_test.c
 */
#ifndef HEAP_ARENA_H
#define HEAP_ARENA_H

#include "heap/class.h"
#include "page/page.h"

struct heap;

struct arena {
    struct pool pool;

    /* any thread, atomically */
    struct heap *_Atomic heaps;
    _Atomic int heap_count;
    _Atomic int orphans;        /* heaps without owner, about */
    _Atomic uint64_t swept_ms;
    _Atomic int64_t loose_bytes;        /* in slabs that nobody owns, about */
    _Atomic uint64_t folded[CLASS_COUNT];   /* frees by threads without heap */
    _Atomic uint32_t generation;        /* of the process, when last mended */

    /* under lock shared */
    struct lock lock;
    struct heap *shared;
};

/* The arena that serves everyone; ready without a call, for allocation may
 * begin before anything of ours has run. */
extern struct arena arena_main;

void arena_add_heap(struct arena *arena, struct heap *heap);

/* As pool_take; when there is no memory, what heaps keep is given up for it. */
MUST_USE struct extent *arena_take(struct arena *arena, size_t slices,
    size_t step);

/* One block of a class from the shared heap; NULL: no memory. */
MUST_USE void *arena_take_shared(struct arena *arena, unsigned cls);

/* Somebody has announced a slab to the shared heap, whose owner is a lock. */
void arena_drain_shared(struct arena *arena);

/* What time asks for: kept runs of heaps that sleep go back to the pool. */
void arena_tick(struct arena *arena);

/* Everything unused in this arena back to the system, but for what living
 * threads have in hand. */
void arena_purge(struct arena *arena);

/* Assert every invariant of everything; at a quiet point. */
void arena_audit(struct arena *arena);

#endif
