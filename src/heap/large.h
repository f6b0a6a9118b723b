/* SPDX-License-Identifier: MIT */
/*
 * large - one object, one extent.
 *
 * Owns     objects above CLASS_BYTES_MAX or aligned beyond it: up to
 *          LARGE_RUN_BYTES_MAX a run of slices, above that, or where the
 *          alignment asks for it, a mapping of its own.
 * Used by  api/.
 * Never    rounds up to more than a page; usable size is what was asked for,
 *          in whole pages.
 *
 * Tests    test/unit/heap/large_test.c
 */
#ifndef HEAP_LARGE_H
#define HEAP_LARGE_H

#include "page/page.h"

struct arena;
struct heap;

/* A run longer than this is worth a mapping of its own; where the process may
 * use few addresses, regions are short, and runs have to be. */
#define LARGE_RUN_BYTES_MAX (32 * MiB)
#define LARGE_RUN_BYTES_LIMITED (4 * MiB)

/* An object that realloc lets grow beyond this moves into a mapping, where
 * growing further costs no copy. */
#define LARGE_GROW_BYTES_MAX (1 * MiB)

struct large_request {
    size_t size;                /* at most PTRDIFF_MAX */
    size_t align;               /* a power of two */
    bool zero;
};

/* From the heap's arena; heap may be NULL: then from arena 0. NULL: no
 * memory. */
MUST_USE void *large_take(struct heap *heap, struct large_request request);

/* From an arena, of which nothing kept is used. */
MUST_USE void *large_take_from(struct arena *arena,
    struct large_request request);

/* Give an object back, into the caller's heap if it has one (else NULL).
 * Misuse is reported. */
void large_give(struct heap *heap, struct extent *extent, void *pointer);

/*
 * Let a live object have size bytes, where it lies or moved by the kernel;
 * NULL: it must be copied, or there is no memory; nothing changed.
 */
void *large_resize(struct extent *extent, size_t size);

/* The same, but that it never moves: false then, and nothing has changed. */
bool large_resize_here(struct extent *extent, size_t size);

/* The usable bytes of a new object; 0: never available. */
size_t large_bytes(size_t size, size_t align);

/*
 * Let a live run that grows beyond LARGE_GROW_BYTES_MAX move into a mapping;
 * NULL: no memory; nothing changed.
 */
void *large_promote(struct heap *heap, struct extent *extent, size_t size);

/* 0: pointer is not the start of a live object. */
size_t large_usable_bytes(const struct extent *extent, const void *pointer);

#endif
