/* SPDX-License-Identifier: MIT */
/*
 * loan - own mappings that come from hooks.
 *
 * Owns     taking and giving back what is one object and came from a hook, and
 *          the list of those that a hook would not take back.
 * Used by  mapping.c, pool.c.
 * Never    moves one, or gives a part of it back: the hook knows it whole.
 *
 * Tests    test/unit/heap/hooks_test.c
 */
#ifndef PAGE_LOAN_H
#define PAGE_LOAN_H

#include "page/pool.h"

/* As pool_map(), from the pool's hooks. No lock may be held. */
MUST_USE struct extent *loan_take(struct pool *pool, size_t bytes,
    size_t align);

bool loan_is(const struct extent *extent);

/* Back to the hooks that it came from; if they refuse, for the next one. */
void loan_give(struct extent *extent);

/* The arena ends. */
void loan_end(struct pool *pool);

#endif
