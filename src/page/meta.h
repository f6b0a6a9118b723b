/* SPDX-License-Identifier: MIT */
/*
 * meta - memory for our own structures; never given back.
 *
 * Owns     areas of their own, each between two pages that cannot be
 *          touched, so that no overflow of a program reaches them; the first
 *          few KiB come from the library's own data.
 * Used by  heap/arena.c (heaps), page/mapping.c (records).
 * Never    frees: who gives something up keeps it on a list of its own.
 *
 * Tests    test/unit/page/pool_test.c
 */
#ifndef PAGE_META_H
#define PAGE_META_H

#include "sys/sys.h"

/* For its counts. */
struct lock;
struct lock *meta_lock(void);

/* Zeroed, aligned to a cache line; at most 64 KiB. NULL: no memory. */
MUST_USE void *meta_take(size_t bytes);

#endif
