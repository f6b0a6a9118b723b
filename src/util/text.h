/* SPDX-License-Identifier: MIT */
/*
 * text - messages and numbers, without stdio and without malloc.
 *
 * Owns     a line of text under construction, and number parsing.
 * Used by  the option parser, misuse messages, the statistics report.
 * Never    allocates or writes; the holder of a struct text sends it.
 *
 * Holds    T1  length < TEXT_BYTES, and bytes[length] == 0
 *
 * Tests    test/unit/util/text_test.c
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include "util/compiler.h"

enum { TEXT_BYTES = 4096 };

/* A text too long for the buffer is cut at its end. */
struct text {
    size_t length;
    char bytes[TEXT_BYTES];
};

void text_clear(struct text *text);
void text_string(struct text *text, const char *string);
void text_span(struct text *text, const char *start, size_t length);

/* A number, right-aligned in a field of at least width characters. */
void text_number(struct text *text, uint64_t number, unsigned width);
void text_hex(struct text *text, uint64_t number);

/* So many units of 1/65536, as a decimal fraction of at most 14 digits; the
 * largest number of them stands for -1. */
void text_ratio(struct text *text, uint32_t ratio);

/*
 * A whole number as strtoumax() reads it with base 0, and nothing after it:
 * white space, a sign, 0x for hexadecimal, 0 for octal; a negative one as the
 * bits of the two's complement. false: none, or more than 64 bits; *number
 * untouched.
 */
MUST_USE bool text_parse(const char *start, size_t length, uint64_t *number);

/*
 * A decimal fraction such as 0.25, .5 or 12, in units of 1/65536, rounded
 * down. false: none, or 65536 and more; *ratio untouched.
 */
MUST_USE bool text_parse_ratio(const char *start, size_t length,
    uint32_t *ratio);

/* Is the span the word? */
bool text_equal(const char *start, size_t length, const char *word);

#endif
