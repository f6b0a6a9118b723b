/* SPDX-License-Identifier: MIT */
/*
 * protobuf - a message in the wire format of protocol buffers.
 *
 * Owns     a message under construction: fields one after the other.
 * Used by  pprof.c.
 * Never    allocates. Zero and "" are not written: they are what a field that
 *          is absent stands for.
 *
 * Holds    B1  used <= PROTOBUF_BYTES
 *
 * Tests    test/unit/ledger/pprof_test.c
 */
#ifndef LEDGER_PROTOBUF_H
#define LEDGER_PROTOBUF_H

#include "sys/sys.h"

enum {
    PROTOBUF_BYTES = 16 * 1024, /* the longest stack, or path, has room */
    PROTOBUF_NUMBER_BYTES = 10, /* at most */
};

struct protobuf {
    size_t used;
    uint8_t bytes[PROTOBUF_BYTES];
};

void protobuf_clear(struct protobuf *message);

/* A field that is a number; or a text, bytes, or another message. */
void protobuf_number(struct protobuf *message, unsigned field, uint64_t value);
void protobuf_bytes(struct protobuf *message, unsigned field,
    const void *bytes, size_t count);
void protobuf_message(struct protobuf *message, unsigned field,
    const struct protobuf *inner);

/* A number alone: one of a repeated field, which is written as bytes. */
void protobuf_value(struct protobuf *message, uint64_t value);

/* What comes before so many bytes that are a field; how long that is. */
size_t protobuf_head(uint8_t head[2 * PROTOBUF_NUMBER_BYTES], unsigned field,
    size_t count);

#endif
