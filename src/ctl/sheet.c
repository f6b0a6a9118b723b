/* SPDX-License-Identifier: MIT */
/*
 * sheet - text of any length, on its way to a writer. See sheet.h.
 */
#include "ctl/sheet.h"

#include <string.h>

void sheet_begin(struct sheet *sheet, void (*write)(void *, const char *),
    void *opaque)
{
    sheet->write = write;
    sheet->opaque = opaque;
    sheet->length = 0;
}

void sheet_end(struct sheet *sheet)
{
    if (sheet->length == 0)
        return;
    sheet->bytes[sheet->length] = 0;
    sheet->length = 0;
    sheet->write(sheet->opaque, sheet->bytes);
}

void sheet_byte(struct sheet *sheet, char byte)
{
    if (sheet->length == SHEET_BYTES - 1)
        sheet_end(sheet);
    sheet->bytes[sheet->length++] = byte;
}

void sheet_string(struct sheet *sheet, const char *string)
{
    for (; *string != 0; string++)
        sheet_byte(sheet, *string);
}

/* -- quotes -- */

static char sheet_hex(unsigned digit)
{
    return "0123456789abcdef"[digit];
}

/* Bytes from 128 on are passed on: a text that is UTF-8 stays it. */
static void sheet_escaped(struct sheet *sheet, char byte)
{
    const unsigned value = (unsigned char)byte;
    if (value >= ' ' && byte != '"' && byte != '\\') {
        sheet_byte(sheet, byte);
        return;
    }
    sheet_byte(sheet, '\\');
    if (value >= ' ') {
        sheet_byte(sheet, byte);
        return;
    }
    sheet_string(sheet, "u00");
    sheet_byte(sheet, sheet_hex(value / 16));
    sheet_byte(sheet, sheet_hex(value % 16));
}

void sheet_quoted(struct sheet *sheet, const char *string)
{
    sheet_byte(sheet, '"');
    for (; *string != 0; string++)
        sheet_escaped(sheet, *string);
    sheet_byte(sheet, '"');
}

/* -- cells -- */

static void sheet_blanks(struct sheet *sheet, int count)
{
    for (; count > 0; count--)
        sheet_byte(sheet, ' ');
}

void sheet_cell(struct sheet *sheet, int width, const char *string)
{
    const int length = (int)strlen(string);
    sheet_blanks(sheet, width - length);
    sheet_string(sheet, string);
    sheet_blanks(sheet, -width - length);
}

/* Twenty digits, a sign and the 0 at the end. */
enum { SHEET_DIGITS = 22 };

static char *sheet_digits(char digits[SHEET_DIGITS], uint64_t number)
{
    char *at = digits + SHEET_DIGITS;
    *--at = 0;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return at;
}

void sheet_number(struct sheet *sheet, int width, uint64_t number)
{
    char digits[SHEET_DIGITS];
    sheet_cell(sheet, width, sheet_digits(digits, number));
}

void sheet_signed(struct sheet *sheet, int width, int64_t number)
{
    char digits[SHEET_DIGITS];
    char *at = sheet_digits(digits,
        number < 0 ? -(uint64_t)number : (uint64_t)number);
    if (number < 0)
        *--at = '-';
    sheet_cell(sheet, width, at);
}
