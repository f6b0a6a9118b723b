/* SPDX-License-Identifier: MIT */
/*
 * growth - how a pool gets regions, and gives them back.
 *
 * Owns     how long the next region is, and which go back: to the system, or to
 *          the hooks that they came from.
 * Used by  pool.c, mapping.c.
 * Never    holds the lock while a hook runs.
 *
 * Tests    test/unit/page/pool_test.c  test/unit/heap/hooks_test.c
 */
#ifndef PAGE_GROWTH_H
#define PAGE_GROWTH_H

#include "page/pool.h"

/* A new region that can hold a run of so many slices; smaller ones when
 * refused. NULL: none. Under lock pool, which is let go of while a hook
 * runs. */
struct region *growth_add(struct pool *pool, size_t slices);

/* Regions of which nothing is used. last: the arena ends, and hooks that will
 * not have theirs back are told so. The lock is not held. */
void growth_release(struct pool *pool, bool last);

#endif
