/* SPDX-License-Identifier: MIT */
/*
 * out - a file that is being written, through a buffer.
 *
 * Owns     the buffer, and whether anything went wrong so far.
 * Used by  heapfile.c, pprof.c, log.c, recent.c.
 * Never    allocates; raises a signal. What fails once stays failed, and is
 *          told at the end.
 *
 * Tests    test/unit/ledger/out_test.c
 */
#ifndef LEDGER_OUT_H
#define LEDGER_OUT_H

#include "sys/sys.h"

enum { OUT_BUFFER_BYTES = 64 * 1024 };

struct out {
    int file;                   /* -1: to `write` */
    void (*write)(void *to, const char *text);  /* gets text with a 0 */
    void *to;
    int error;                  /* of the first call that failed; 0: none */
    size_t used;
    char buffer[OUT_BUFFER_BYTES + 1];
};

/* Create the file, or empty it; false: *error says why. An out comes from
 * sys_map(), for a stack may be small. */
MUST_USE bool out_open(struct out *out, const char *path);

/* Write to a function instead. */
void out_open_to(struct out *out, void (*write)(void *to, const char *text),
    void *to);

void out_bytes(struct out *out, const void *bytes, size_t count);
void out_text(struct out *out, const char *text);
void out_decimal(struct out *out, uint64_t value);
void out_hex(struct out *out, uint64_t value);     /* 0x1f */
void out_json(struct out *out, const char *text);  /* "quoted", escaped */

/* All that a file holds; false: it cannot be read. */
MUST_USE bool out_copy(struct out *out, const char *path);

/* Write what is left and close. false: *error says what failed first. */
MUST_USE bool out_close(struct out *out);

#endif
