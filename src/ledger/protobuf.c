/* SPDX-License-Identifier: MIT */
/*
 * protobuf - a message in the wire format of protocol buffers.
 */
#include "ledger/protobuf.h"

#include <string.h>

/* How a field's value is written. */
enum { PROTOBUF_IS_NUMBER = 0, PROTOBUF_IS_BYTES = 2 };

/* Seven bits a byte, the lowest first; the top bit says that more follow. */
static size_t protobuf_write(uint8_t *to, uint64_t value)
{
    size_t count = 0;
    for (; value > 0x7f; value >>= 7)
        to[count++] = (uint8_t)(value | 0x80);
    to[count++] = (uint8_t)value;
    return count;
}

static uint64_t protobuf_key(unsigned field, unsigned kind)
{
    return (uint64_t)field << 3 | kind;
}

void protobuf_clear(struct protobuf *message)
{
    message->used = 0;
}

void protobuf_value(struct protobuf *message, uint64_t value)
{
    CHECK(message->used + PROTOBUF_NUMBER_BYTES <= PROTOBUF_BYTES);  /* B1 */
    message->used += protobuf_write(message->bytes + message->used, value);
}

void protobuf_number(struct protobuf *message, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    protobuf_value(message, protobuf_key(field, PROTOBUF_IS_NUMBER));
    protobuf_value(message, value);
}

size_t protobuf_head(uint8_t head[2 * PROTOBUF_NUMBER_BYTES], unsigned field,
    size_t count)
{
    const size_t key =
        protobuf_write(head, protobuf_key(field, PROTOBUF_IS_BYTES));
    return key + protobuf_write(head + key, count);
}

void protobuf_bytes(struct protobuf *message, unsigned field,
    const void *bytes, size_t count)
{
    if (count == 0)
        return;
    uint8_t head[2 * PROTOBUF_NUMBER_BYTES];
    const size_t length = protobuf_head(head, field, count);
    CHECK(length + count <= PROTOBUF_BYTES - message->used);        /* B1 */
    memcpy(message->bytes + message->used, head, length);
    memcpy(message->bytes + message->used + length, bytes, count);
    message->used += length + count;
}

void protobuf_message(struct protobuf *message, unsigned field,
    const struct protobuf *inner)
{
    protobuf_bytes(message, field, inner->bytes, inner->used);
}
