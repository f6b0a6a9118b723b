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

/*
 * A whole decimal number, perhaps with a minus sign, and nothing else.
 * false: not a number, or out of the range of int64_t; *number untouched.
 */
MUST_USE bool text_parse(const char *start, size_t length, int64_t *number);

/* Is the span the word? */
bool text_equal(const char *start, size_t length, const char *word);

#endif
