/* SPDX-License-Identifier: MIT */
/*
 * flags - what the flags of mallocx and its kin say.
 *
 * Owns     the bits' meaning; <jemalloc/jemalloc.h> has the macros that set
 *          them, and a program's object code has them built in.
 * Used by  api/allocx.c, ctl/ (experimental.batch_alloc).
 *
 * Tests    test/api/allocx_test.c
 */
#ifndef TABLE_FLAGS_H
#define TABLE_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

/* Bits 8 to 19, from 0: automatic, none, caches from number 0 on; bits 20 to
 * 31, from 0: automatic, arenas from number 0 on. */
enum { FLAGS_CACHE_SHIFT = 8, FLAGS_ARENA_SHIFT = 20, FLAGS_NUMBERS = 0xfff };
#define FLAGS_CACHE_BITS (FLAGS_NUMBERS << FLAGS_CACHE_SHIFT)

/* 0: none is asked for; else a power of two. */
static inline size_t flags_align(int flags)
{
    return ((size_t)1 << (flags & 63)) & ~(size_t)1;
}

static inline bool flags_zero(int flags)
{
    return (flags & 0x40) != 0;
}

/* -1: automatic. */
static inline int flags_arena(int flags)
{
    return (int)((unsigned)flags >> FLAGS_ARENA_SHIFT) - 1;
}

/* -1: automatic. -2: none. */
static inline int flags_cache(int flags)
{
    const int field = (flags & FLAGS_CACHE_BITS) >> FLAGS_CACHE_SHIFT;
    return field == 0 ? -1 : field == 1 ? -2 : field - 2;
}

#endif
