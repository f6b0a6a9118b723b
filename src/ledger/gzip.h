/* SPDX-License-Identifier: MIT */
/*
 * gzip - a file that is compressed while it is written.
 *
 * Owns     the state of a gzip stream: the text that waits, the text that can
 *          be referred to, and the bits that do not yet fill a byte.
 * Used by  pprof.c.
 * Never    allocates.
 *
 * Holds    Z1  coded <= filled <= GZIP_BUFFER_BYTES
 *          Z2  a place in `latest` or `before` is one more than where it is,
 *              and before `coded`; 0: there is none
 *
 * Tests    test/unit/ledger/gzip_test.c
 */
#ifndef LEDGER_GZIP_H
#define LEDGER_GZIP_H

#include "ledger/out.h"

enum {
    GZIP_WINDOW_BYTES = 32 * 1024,      /* so far back the format refers */
    GZIP_BUFFER_BYTES = 2 * GZIP_WINDOW_BYTES,
    GZIP_HASH_BITS = 13,
};

struct gzip {
    struct out *out;
    uint64_t bits;              /* not written yet, the first one lowest */
    unsigned bit_count;
    uint32_t crc;               /* of all text so far */
    uint32_t bytes;             /* how much that is; the format wraps it too */
    size_t coded;               /* of the buffer */
    size_t filled;
    uint32_t crc_of_byte[256];
    uint16_t latest[1 << GZIP_HASH_BITS];       /* where such text was last */
    uint16_t before[GZIP_BUFFER_BYTES]; /* and where it was before that */
    uint8_t buffer[GZIP_BUFFER_BYTES];
};

void gzip_begin(struct gzip *gzip, struct out *out);
void gzip_bytes(struct gzip *gzip, const void *bytes, size_t count);
void gzip_end(struct gzip *gzip);

#endif
