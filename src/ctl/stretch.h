/* SPDX-License-Identifier: MIT */
/*
 * stretch - a name as it is looked up: what stands between its numbers.
 *
 * Owns     where a stretch ends, its hash, and how a number is read. The name
 *          stats.arenas.0.bins.3.curregs has the stretches stats.arenas, bins
 *          and curregs.
 * Used by  tree.c.
 * Never    reads behind the end of a name, though it reads eight bytes at once.
 *
 * No part of a name begins with a digit or anything else below the letters. So
 * what does so behind a dot is a number, or the name is none.
 *
 * Tests    test/unit/ctl/stretch_test.c
 */
#ifndef CTL_STRETCH_H
#define CTL_STRETCH_H

#include <string.h>

#include "util/bits.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "the first byte of a text is the lowest of its words");

struct stretch {
    const char *text;
    size_t length;
};

/* The first bytes, at most eight, as a word; zeros behind them. */
static ALWAYS_INLINE uint64_t stretch_word(const char *text, size_t count)
{
    uint64_t word = 0;
    if (LIKELY(count >= 8)) {
        memcpy(&word, text, 8);
    } else if (count >= 4) {
        /* Both ends; where they overlap they agree. */
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + count - 4, 4);
        word = first | (uint64_t)last << 8 * (count - 4);
    } else {
        for (size_t i = 0; i < count; i++)
            word |= (uint64_t)(unsigned char)text[i] << 8 * i;
    }
    return word;
}

/* A word with that byte everywhere. */
#define STRETCH_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of each byte that is a dot with something less than a letter
 * behind it; next is what is behind the word. */
static ALWAYS_INLINE uint64_t stretch_ends(uint64_t word, unsigned char next)
{
    const uint64_t low = STRETCH_EACH(0x7f);
    const uint64_t other = word ^ STRETCH_EACH('.');
    const uint64_t behind = word >> 8 | (uint64_t)next << 56;
    const uint64_t no_dots = ((other & low) + low) | other;
    const uint64_t letters =
        ((behind & low) + STRETCH_EACH(0x80 - 'A')) | behind;
    return ~(no_dots | letters) & STRETCH_EACH(0x80);
}

/* The stretch that begins here, in a name that ends there. */
static ALWAYS_INLINE struct stretch stretch_of(const char *text,
    const char *end)
{
    const size_t length = (size_t)(end - text);
    for (size_t at = 0;; at += 8) {
        const size_t left = length - at;
        const uint64_t ends = stretch_ends(stretch_word(text + at, left),
            left > 8 ? (unsigned char)text[at + 8] : 0);
        if (ends != 0)
            return (struct stretch){ text, at + bits_lowest(ends) / 8 };
        if (left <= 8)
            return (struct stretch){ text, length };
    }
}

static ALWAYS_INLINE uint32_t stretch_hash(struct stretch stretch,
    uint32_t seed)
{
    uint64_t hash = seed;
    size_t done = 0;
    for (; stretch.length - done >= 8; done += 8) {
        hash = (hash ^ stretch_word(stretch.text + done, 8))
            * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    hash ^= stretch_word(stretch.text + done, stretch.length - done);
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/*
 * A number, as strtoumax() reads it and jemalloc with it: blanks and a sign
 * before, anything behind. SIZE_MAX: none, or too large.
 */
static inline size_t stretch_number(const char *text)
{
    while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
        text++;
    const bool is_negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (*text < '0' || *text > '9')
        return SIZE_MAX;
    size_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        const size_t digit = (size_t)(*text - '0');
        if (number > (SIZE_MAX - digit) / 10)
            return SIZE_MAX;
        number = number * 10 + digit;
    }
    return is_negative ? -number : number;
}

#endif
