/* SPDX-License-Identifier: MIT */
/*
 * text - messages and numbers, without stdio and without malloc. See text.h.
 */
#include "util/text.h"

#include <string.h>

enum { DIGITS_MAX = 20 };

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

bool text_parse(const char *start, size_t length, int64_t *number)
{
    const bool negative = length > 0 && start[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == length)
        return false;

    const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t value = 0;
    for (; i < length; i++) {
        if (start[i] < '0' || start[i] > '9')
            return false;
        const uint64_t digit = (uint64_t)(start[i] - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = (int64_t)(negative ? 0 - value : value);
    return true;
}

bool text_equal(const char *start, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(start, word, length) == 0;
}
