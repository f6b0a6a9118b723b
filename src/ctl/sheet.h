/* SPDX-License-Identifier: MIT */
/*
 * sheet - text of any length, on its way to a writer.
 *
 * Owns     a buffer, and numbers and cells of tables as text.
 * Used by  print*.c.
 * Never    allocates; what does not fit goes to the writer, and the rest when
 *          sheet_end() is called.
 *
 * Tests    test/unit/ctl/print_test.c
 */
#ifndef CTL_SHEET_H
#define CTL_SHEET_H

#include "util/compiler.h"

enum { SHEET_BYTES = 4096 };

struct sheet {
    void (*write)(void *, const char *);
    void *opaque;
    size_t length;
    char bytes[SHEET_BYTES];
};

void sheet_begin(struct sheet *sheet, void (*write)(void *, const char *),
    void *opaque);
void sheet_end(struct sheet *sheet);

void sheet_string(struct sheet *sheet, const char *string);
void sheet_byte(struct sheet *sheet, char byte);

/* In quotes, escaped as JSON wants it. */
void sheet_quoted(struct sheet *sheet, const char *string);

/* Right-aligned in a cell of at least width characters; left-aligned if width
 * is negative. */
void sheet_cell(struct sheet *sheet, int width, const char *string);
void sheet_number(struct sheet *sheet, int width, uint64_t number);
void sheet_signed(struct sheet *sheet, int width, int64_t number);

#endif
