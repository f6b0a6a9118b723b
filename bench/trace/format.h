/* SPDX-License-Identifier: MIT */
/*
 * format - how a trace lies in its file, for who writes it and who reads it.
 *
 * A trace is a head and then events, one for each call of the allocator, in
 * one order that holds for all threads: an object's free comes after its
 * birth, and what takes over its address is born after its free.
 *
 *   MALLOC size            an object is born; births are numbered from 0
 *   CALLOC size            likewise, zeroed; number times size
 *   ALIGNED log2 size      likewise, at a multiple of 2^log2
 *   REALLOC age size       an object changes its size, and keeps its number
 *   FREE age               an object dies
 *   THREAD number          what follows is this thread's; numbered from 0, and
 *                          the first THREAD of a number is the thread's birth
 *   END                    the thread ends
 *
 * An age is the count of births since the object's own: 0 means the youngest.
 * Most objects die young, so most ages fit into the first byte.
 *
 * An event is one or two numbers of 7 bits a byte, the lowest first, bit 7 set
 * in all bytes but the last. The lowest bits of the first number hold the kind
 * of event.
 */
#ifndef TRACE_FORMAT_H
#define TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "ashlar trace 1\n"      /* 15 letters, and the 0 */

struct trace_head {
    char magic[16];
    uint64_t length_bytes;  /* of the events; what follows them is no data */
    uint64_t strangers;     /* frees of objects whose birth was not seen */
    char program[16];       /* the first letters of its file's name */
};

_Static_assert(sizeof(struct trace_head) == 48, "the head is part of the file");

enum trace_kind {
    TRACE_MALLOC,
    TRACE_CALLOC,
    TRACE_ALIGNED,
    TRACE_REALLOC,
    TRACE_FREE,
    TRACE_THREAD,
    TRACE_END,
};

enum {
    TRACE_KIND_BITS = 3,
    TRACE_EVENT_BYTES_MAX = 24,     /* more than two numbers of 64 bits */
};

/* Writes value above the low bits; returns where the next number goes. */
static inline unsigned char *trace_put(unsigned char *at, unsigned low,
    unsigned low_bits, uint64_t value)
{
    const unsigned free_bits = 7 - low_bits;
    unsigned byte = low | (unsigned)(value & ((1U << free_bits) - 1))
        << low_bits;
    for (value >>= free_bits; value; value >>= 7) {
        *at++ = (unsigned char)(byte | 0x80);
        byte = value & 0x7f;
    }
    *at++ = (unsigned char)byte;
    return at;
}

/* Reads what trace_put wrote; NULL if it is cut off or no number at all. */
static inline const unsigned char *trace_get(const unsigned char *at,
    const unsigned char *end, unsigned low_bits, uint64_t *value)
{
    if (at == end)
        return NULL;
    *value = (*at & 0x7fU) >> low_bits;
    for (unsigned shift = 7 - low_bits; *at++ & 0x80; shift += 7) {
        if (at == end || shift > 63)
            return NULL;
        *value |= (uint64_t)(*at & 0x7f) << shift;
    }
    return at;
}

#endif
