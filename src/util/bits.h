/* SPDX-License-Identifier: MIT */
/*
 * bits - positions and counts of bits in a word.
 *
 * Owns     the names under which the builtins are used.
 * Tests    test/unit/util/bitmap_test.c
 */
#ifndef UTIL_BITS_H
#define UTIL_BITS_H

#include "util/compiler.h"

/* Index of the highest set bit; x is not 0. */
static inline unsigned bits_log2(size_t x)
{
    return (unsigned)(63 - __builtin_clzll((unsigned long long)x));
}

/* Index of the lowest set bit; x is not 0. */
static inline unsigned bits_lowest(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

static inline unsigned bits_count(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}

#endif
