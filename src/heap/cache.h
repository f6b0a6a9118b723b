/* SPDX-License-Identifier: MIT */
/*
 * cache - explicit thread caches, which jemalloc calls tcaches.
 *
 * Owns     a heap for each number, and what it has in hand. Blocks come from
 *          the heap's own slabs and go back to them, so nothing is handed from
 *          one arena to another.
 * Used by  request.c, ctl/.
 * Never    locks for a call that allocates or frees: one cache may be used by
 *          one thread at a time, as the contract says.
 *
 * In a child of fork a cache is empty: its heap went the way of those of
 * threads that vanished.
 *
 * Tests    test/unit/heap/cache_test.c
 */
#ifndef HEAP_CACHE_H
#define HEAP_CACHE_H

#include "heap/heap.h"

/* Numbers fit twelve bits of MALLOCX_TCACHE(), with two more values. */
enum { CACHES_MAX = 4094 };

/* A new cache; false: no number is left. */
MUST_USE bool cache_create(unsigned *id);

bool cache_is(unsigned id);

/* What it has in hand back to the slabs; false: there is no such cache. */
MUST_USE bool cache_flush(unsigned id);
MUST_USE bool cache_destroy(unsigned id);

/* Its heap, of this arena; arena NULL: the one it has, or the calling thread's.
 * NULL: it is another arena's, or there is no memory. */
struct heap *cache_heap(unsigned id, struct arena *arena);

/* A block of a class; NULL: no memory. */
void *cache_take(struct heap *heap, unsigned cls);

/* false: not a block of its heap's slabs. */
MUST_USE bool cache_give(unsigned id, void *pointer);

/* An arena ends: no cache may have its heap there. */
void cache_leave(const struct arena *arena);

#endif
