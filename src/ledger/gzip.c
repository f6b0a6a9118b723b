/* SPDX-License-Identifier: MIT */
/*
 * gzip - a file that is compressed while it is written.
 *
 * The whole text is one block in deflate's fixed code: a profile gets a tenth
 * longer than with codes made for it, and this file half as long.
 */
#include "ledger/gzip.h"

#include <string.h>

#include "util/bits.h"
#include "util/units.h"

enum {
    GZIP_MATCH_MIN = 3,
    GZIP_MATCH_MAX = 258,
    GZIP_TRIES = 32,            /* places to look at for the longest match */
    GZIP_TEXT_END = 256,        /* symbols: below it bytes, above it lengths */
    GZIP_LENGTHS = 257,
    GZIP_LENGTH_MAX = 285,
    GZIP_DISTANCE_BITS = 5,
};

/* Text that was there before; length 0: none. */
struct gzip_match {
    size_t length;
    size_t distance;
};

/* -- symbols -- */

static void gzip_put(struct gzip *gzip, uint64_t value, unsigned count)
{
    gzip->bits |= value << gzip->bit_count;
    gzip->bit_count += count;
    uint8_t whole[sizeof gzip->bits];
    size_t used = 0;
    for (; gzip->bit_count >= 8; gzip->bit_count -= 8, gzip->bits >>= 8)
        whole[used++] = (uint8_t)gzip->bits;
    out_bytes(gzip->out, whole, used);
}

/* A word of the code goes out with its highest bit first. */
static void gzip_put_word(struct gzip *gzip, unsigned word, unsigned count)
{
    unsigned turned = 0;
    for (unsigned bit = 0; bit < count; bit++)
        turned |= (word >> bit & 1) << (count - 1 - bit);
    gzip_put(gzip, turned, count);
}

static void gzip_put_symbol(struct gzip *gzip, unsigned symbol)
{
    if (symbol < 144)
        gzip_put_word(gzip, 0x30 + symbol, 8);
    else if (symbol < 256)
        gzip_put_word(gzip, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        gzip_put_word(gzip, symbol - 256, 7);
    else
        gzip_put_word(gzip, 0xc0 + symbol - 280, 8);
}

/* Larger numbers share symbols, and say by bits behind them which they are.
 * How many bits, for symbols that give the highest `kept` + 1 ones. */
static unsigned gzip_extra_bits(size_t number, unsigned kept)
{
    const unsigned log2 = bits_log2(number | 1);
    return log2 > kept ? log2 - kept : 0;
}

static void gzip_put_length(struct gzip *gzip, size_t length)
{
    const size_t number = length - GZIP_MATCH_MIN;
    const unsigned extra = gzip_extra_bits(number, 2);
    if (length == GZIP_MATCH_MAX) {
        gzip_put_symbol(gzip, GZIP_LENGTH_MAX);
        return;
    }
    gzip_put_symbol(gzip,
        GZIP_LENGTHS + 4 * extra + (unsigned)(number >> extra));
    gzip_put(gzip, number & (((size_t)1 << extra) - 1), extra);
}

static void gzip_put_distance(struct gzip *gzip, size_t distance)
{
    const size_t number = distance - 1;
    const unsigned extra = gzip_extra_bits(number, 1);
    gzip_put_word(gzip, 2 * extra + (unsigned)(number >> extra),
        GZIP_DISTANCE_BITS);
    gzip_put(gzip, number & (((size_t)1 << extra) - 1), extra);
}

/* -- matches -- */

/* Where text was last that begins like this; text with other beginnings may
 * share the slot. */
static uint16_t *gzip_latest(struct gzip *gzip, size_t at)
{
    const uint8_t *const text = gzip->buffer + at;
    const uint32_t start =
        (uint32_t)text[0] | (uint32_t)text[1] << 8 | (uint32_t)text[2] << 16;
    return &gzip->latest[start * 0x9e3779b1u >> (32 - GZIP_HASH_BITS)];
}

static bool gzip_has_start(const struct gzip *gzip, size_t at)
{
    return at + GZIP_MATCH_MIN <= gzip->filled;
}

/* The longest match for the text from here on. */
static struct gzip_match gzip_find(struct gzip *gzip, size_t at)
{
    struct gzip_match best = { 0, 0 };
    if (!gzip_has_start(gzip, at))
        return best;
    const uint8_t *const text = gzip->buffer + at;
    const size_t most = min_size(gzip->filled - at, GZIP_MATCH_MAX);
    size_t place = *gzip_latest(gzip, at);
    for (unsigned i = 0; i < GZIP_TRIES && place != 0; i++) {
        const size_t distance = at + 1 - place;
        if (distance > GZIP_WINDOW_BYTES)
            break;
        size_t length = 0;
        while (length < most && text[length] == (text - distance)[length])
            length++;
        if (length >= GZIP_MATCH_MIN && length > best.length)
            best = (struct gzip_match){ length, distance };
        place = gzip->before[place - 1];
    }
    return best;
}

/* So many bytes are coded, and can be referred to. */
static void gzip_pass(struct gzip *gzip, size_t count)
{
    for (; count > 0; count--, gzip->coded++) {
        if (!gzip_has_start(gzip, gzip->coded))
            continue;
        uint16_t *const latest = gzip_latest(gzip, gzip->coded);
        gzip->before[gzip->coded] = *latest;
        *latest = (uint16_t)(gzip->coded + 1);
    }
    ASSERT(gzip->coded <= gzip->filled);        /* Z1 */
}

/* A match is not taken where the next byte begins a longer one. */
static void gzip_code(struct gzip *gzip)
{
    struct gzip_match match = gzip_find(gzip, gzip->coded);
    while (gzip->coded < gzip->filled) {
        const uint8_t byte = gzip->buffer[gzip->coded];
        gzip_pass(gzip, 1);
        struct gzip_match next = gzip_find(gzip, gzip->coded);
        if (match.length == 0 || next.length > match.length) {
            gzip_put_symbol(gzip, byte);
        } else {
            gzip_put_length(gzip, match.length);
            gzip_put_distance(gzip, match.distance);
            gzip_pass(gzip, match.length - 1);
            next = gzip_find(gzip, gzip->coded);
        }
        match = next;
    }
}

static void gzip_shift(uint16_t *place, size_t count)
{
    for (size_t i = 0; i < count; i++)
        place[i] = (uint16_t)(place[i] > GZIP_WINDOW_BYTES
            ? place[i] - GZIP_WINDOW_BYTES : 0);
}

/* Half of the buffer is free again; the other can still be referred to. */
static void gzip_slide(struct gzip *gzip)
{
    memcpy(gzip->buffer, gzip->buffer + GZIP_WINDOW_BYTES, GZIP_WINDOW_BYTES);
    memcpy(gzip->before, gzip->before + GZIP_WINDOW_BYTES,
        GZIP_WINDOW_BYTES * sizeof *gzip->before);
    gzip_shift(gzip->before, GZIP_WINDOW_BYTES);        /* Z2 */
    gzip_shift(gzip->latest, 1 << GZIP_HASH_BITS);
    gzip->coded -= GZIP_WINDOW_BYTES;
    gzip->filled -= GZIP_WINDOW_BYTES;
}

/* -- the file -- */

void gzip_begin(struct gzip *gzip, struct out *out)
{
    /* Deflate, no name, no time, Unix. */
    static const uint8_t head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
    memset(gzip, 0, sizeof *gzip);
    gzip->out = out;
    gzip->crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        gzip->crc_of_byte[i] = crc;
    }
    out_bytes(out, head, sizeof head);
    gzip_put(gzip, 1, 1);       /* the last block */
    gzip_put(gzip, 1, 2);       /* in the fixed code */
}

void gzip_bytes(struct gzip *gzip, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < count; i++)
        gzip->crc = gzip->crc >> 8
            ^ gzip->crc_of_byte[(gzip->crc ^ from[i]) & 0xff];
    gzip->bytes += (uint32_t)count;
    while (count > 0) {
        const size_t fits = min_size(count, GZIP_BUFFER_BYTES - gzip->filled);
        memcpy(gzip->buffer + gzip->filled, from, fits);
        gzip->filled += fits;
        from += fits;
        count -= fits;
        if (gzip->filled == GZIP_BUFFER_BYTES) {
            gzip_code(gzip);
            gzip_slide(gzip);
        }
    }
}

void gzip_end(struct gzip *gzip)
{
    gzip_code(gzip);
    gzip_put_symbol(gzip, GZIP_TEXT_END);
    gzip_put(gzip, 0, (8 - gzip->bit_count) % 8);
    gzip_put(gzip, (uint32_t)~gzip->crc, 32);
    gzip_put(gzip, gzip->bytes, 32);
}
