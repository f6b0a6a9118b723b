/* SPDX-License-Identifier: MIT */
/*
 * bitmap - runs of bits in an array of words. See bitmap.h.
 */
#include "util/bitmap.h"

#include "util/units.h"

/* The bits of the word at index w that lie in [first, first + count). */
static uint64_t bitmap_mask(size_t w, size_t first, size_t count)
{
    const size_t low = w * 64;
    const size_t end = first + count;
    uint64_t mask = ~(uint64_t)0;
    if (first > low)
        mask &= ~(uint64_t)0 << (first - low);
    if (end < low + 64)
        mask &= ~(~(uint64_t)0 << (end - low));
    return mask;
}

void bitmap_set(uint64_t *words, size_t first, size_t count)
{
    for (size_t w = first / 64; w * 64 < first + count; w++)
        words[w] |= bitmap_mask(w, first, count);
}

void bitmap_clear(uint64_t *words, size_t first, size_t count)
{
    for (size_t w = first / 64; w * 64 < first + count; w++)
        words[w] &= ~bitmap_mask(w, first, count);
}

size_t bitmap_count(const uint64_t *words, size_t first, size_t count)
{
    size_t sum = 0;
    for (size_t w = first / 64; w * 64 < first + count; w++)
        sum += bits_count(words[w] & bitmap_mask(w, first, count));
    return sum;
}

size_t bitmap_next(const uint64_t *words, size_t start, size_t end,
    bool value)
{
    if (start >= end)
        return end;
    const uint64_t flip = value ? 0 : ~(uint64_t)0;
    size_t w = start / 64;
    uint64_t found = (words[w] ^ flip) & (~(uint64_t)0 << (start % 64));
    while (found == 0) {
        w++;
        if (w * 64 >= end)
            return end;
        found = words[w] ^ flip;
    }
    return min_size(w * 64 + bits_lowest(found), end);
}

size_t bitmap_find(const uint64_t *words, struct bitmap_search search)
{
    size_t at = search.start;
    for (;;) {
        at = bitmap_next(words, at, search.end, true);
        at = round_up(at, search.step);
        if (at + search.count > search.end)
            return BITMAP_NONE;
        const size_t gap = bitmap_next(words, at, at + search.count, false);
        if (gap == at + search.count)
            return at;
        at = gap + 1;
    }
}
