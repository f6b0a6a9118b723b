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
 *
 * Tests    test/unit/heap/heap_test.c
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "heap/arena.h"
#include "heap/bin.h"
#include "heap/kept.h"
#include "heap/large.h"

struct heap {
    /* fixed at birth */
    CACHE_ALIGNED struct arena *arena;
    struct heap *next;          /* in the arena */

    /* the owner's alone */
    uint32_t visits;
    uint32_t closes;            /* slabs closed since the last slow refill */
    uint32_t page_mask;         /* fixed at birth: the page size, less 1 */
    size_t loose_bytes;         /* chill.h */
    size_t loose_limit;
    struct bin bin[CLASS_COUNT];
    struct kept kept;

    /* any thread, atomically */
    CACHE_ALIGNED struct slab *_Atomic pending;
    _Atomic bool owned;         /* by a living thread */
};

/* A heap of the arena for a new owner: one that a dead thread left, or a new
 * one. NULL: no memory. */
MUST_USE struct heap *heap_adopt(struct arena *arena);

/* Become the owner of a heap that has none; false: it has one. */
MUST_USE bool heap_claim(struct heap *heap);

/* Be its owner no longer. */
void heap_release(struct heap *heap);

/* The owner leaves: nothing is in hand any more, the next may adopt it. */
void heap_orphan(struct heap *heap);

/* Close what is empty, drain what others freed, give kept runs back. */
void heap_tidy(struct heap *heap);

/* A slow path comes by; now and then it does what idle heaps cannot. */
void heap_visit(struct heap *heap);

/* What pointer is, in this process: its extent, and what kind. */
struct heap_place {
    uintptr_t owner;            /* MAP_NOBODY: not ours */
    struct extent *extent;      /* NULL if not ours */
};
struct heap_place heap_find(const void *pointer);

/* The bytes that the holder of a live block may use; 0: not a block, as far
 * as can be told. */
size_t heap_usable_bytes(const void *pointer);

/* A call was given a pointer that is no live block: say why it is none. */
COLD void heap_misuse(const char *call, const void *pointer);

#endif
