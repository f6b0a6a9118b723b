/* SPDX-License-Identifier: MIT */
/*
 * text - messages and numbers, without stdio and without malloc. See text.h.
 */
#include "util/text.h"

#include <limits.h>
#include <string.h>

enum { DIGITS_MAX = 20 };

/* A ratio: the bits of its fraction, and how many digits of it are read and
 * written. */
enum { RATIO_BITS = 16, RATIO_MASK = 0xffff, RATIO_DIGITS = 14 };

void text_clear(struct text *text)
{
    text->length = 0;
    text->bytes[0] = 0;
}

void text_span(struct text *text, const char *start, size_t length)
{
    const size_t room = TEXT_BYTES - 1 - text->length;
    if (length > room)
        length = room;
    memcpy(text->bytes + text->length, start, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void text_string(struct text *text, const char *string)
{
    text_span(text, string, strlen(string));
}

void text_number(struct text *text, uint64_t number, unsigned width)
{
    char digits[DIGITS_MAX];
    unsigned count = 0;
    do {
        digits[DIGITS_MAX - ++count] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (unsigned i = count; i < width; i++)
        text_span(text, " ", 1);
    text_span(text, digits + DIGITS_MAX - count, count);
}

void text_hex(struct text *text, uint64_t number)
{
    char digits[16];
    unsigned count = 0;
    do {
        digits[15 - count++] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number != 0);
    text_string(text, "0x");
    text_span(text, digits + 16 - count, count);
}

void text_ratio(struct text *text, uint32_t ratio)
{
    if (ratio == UINT32_MAX) {
        text_string(text, "-1");
        return;
    }
    text_number(text, ratio >> RATIO_BITS, 0);
    text_string(text, ".");
    uint64_t rest = ratio & RATIO_MASK;
    for (int i = 0; i < RATIO_DIGITS && (i == 0 || rest != 0); i++) {
        rest *= 10;
        text_number(text, rest >> RATIO_BITS, 0);
        rest &= RATIO_MASK;
    }
}

/* The value of a digit; one that is none is more than any base. */
static unsigned text_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : UINT_MAX;
}

/* The digits of a base, to the end of the span and at least one. */
static bool text_digits(const char *at, const char *end, unsigned base,
    uint64_t *number)
{
    uint64_t value = 0;
    if (at == end)
        return false;
    for (; at < end; at++) {
        const unsigned digit = text_digit(*at);
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *number = value;
    return true;
}

bool text_parse(const char *start, size_t length, uint64_t *number)
{
    const char *at = start;
    const char *end = start + length;
    while (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
        at++;
    const bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    unsigned base = 10;
    if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x') {
        base = 16;
        at += 2;
    } else if (end - at > 1 && at[0] == '0') {
        base = 8;
    }
    uint64_t value;
    if (!text_digits(at, end, base, &value))
        return false;
    *number = negative ? 0 - value : value;
    return true;
}

bool text_parse_ratio(const char *start, size_t length, uint32_t *ratio)
{
    const char *point = memchr(start, '.', length);
    const char *end = start + length;
    uint64_t whole = 0;
    uint64_t part = 0;
    uint64_t unit = 1;
    if (point != start
        && !text_digits(start, point != NULL ? point : end, 10, &whole))
        return false;
    if (whole > RATIO_MASK || (point != NULL && point + 1 == end))
        return false;
    for (const char *at = point; at != NULL && ++at < end; ) {
        if (*at < '0' || *at > '9')
            return false;
        if (at - point <= RATIO_DIGITS) {
            part = part * 10 + (uint64_t)(*at - '0');
            unit *= 10;
        }
    }
    *ratio = (uint32_t)(whole << RATIO_BITS | (part << RATIO_BITS) / unit);
    return true;
}

bool text_equal(const char *start, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(start, word, length) == 0;
}
