/* SPDX-License-Identifier: MIT */
/*
 * bitmap - runs of bits in an array of words.
 *
 * Owns     setting, clearing, testing and finding runs.
 * Used by  region (which slices are free, which are dirty).
 * Never    allocates; the caller owns the words and their lock.
 *
 * A bitmap is uint64_t words[]; bit i is bit i % 64 of words[i / 64].
 *
 * Tests    test/unit/util/bitmap_test.c
 */
#ifndef UTIL_BITMAP_H
#define UTIL_BITMAP_H

#include "util/bits.h"

#define BITMAP_NONE SIZE_MAX

static inline bool bitmap_test(const uint64_t *words, size_t bit)
{
    return (words[bit / 64] >> (bit % 64)) & 1;
}

/* Set, clear or count the bits [first, first + count). */
void bitmap_set(uint64_t *words, size_t first, size_t count);
void bitmap_clear(uint64_t *words, size_t first, size_t count);
size_t bitmap_count(const uint64_t *words, size_t first, size_t count);

/* The first bit at or after start whose value is `value`; end if none. */
size_t bitmap_next(const uint64_t *words, size_t start, size_t end,
    bool value);

/*
 * The lowest run of count set bits within [start, end) that begins at a
 * multiple of step (a power of two); BITMAP_NONE if there is none.
 */
struct bitmap_search {
    size_t start;
    size_t end;
    size_t count;
    size_t step;
};
size_t bitmap_find(const uint64_t *words, struct bitmap_search search);

#endif
