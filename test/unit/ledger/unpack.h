/* SPDX-License-Identifier: MIT */
/*
 * unpack - reads back what gzip.c wrote: gzip with one block in the fixed code,
 * and nothing else. Slow and plain; a file that is not just so fails the test.
 */
#ifndef LEDGER_UNPACK_H
#define LEDGER_UNPACK_H

#include "unit/sys/unit.h"

#include <stdlib.h>

struct unpacked {
    uint8_t *bytes;
    size_t length;
    size_t packed_bytes;
};

struct unpacker {
    const uint8_t *bytes;
    size_t bit;
    size_t bits;
};

static inline unsigned unpack_bit(struct unpacker *from)
{
    assert_true(from->bit < from->bits);
    const unsigned bit = from->bytes[from->bit / 8] >> (from->bit % 8) & 1;
    from->bit++;
    return bit;
}

/* Numbers have their lowest bit first, words of the code their highest. */
static inline unsigned unpack_number(struct unpacker *from, unsigned count)
{
    unsigned number = 0;
    for (unsigned i = 0; i < count; i++)
        number |= unpack_bit(from) << i;
    return number;
}

static inline unsigned unpack_word(struct unpacker *from, unsigned word,
    unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        word = word << 1 | unpack_bit(from);
    return word;
}

static inline unsigned unpack_symbol(struct unpacker *from)
{
    unsigned word = unpack_word(from, 0, 7);
    if (word < 0x18)
        return 256 + word;
    word = unpack_word(from, word, 1);
    if (word >= 0x30 && word < 0xc0)
        return word - 0x30;
    if (word >= 0xc0 && word < 0xc8)
        return 280 + word - 0xc0;
    return 144 + unpack_word(from, word, 1) - 0x190;
}

/* The tables of the format's description, row by row. */
static inline unsigned unpack_length(struct unpacker *from, unsigned symbol)
{
    static const unsigned first[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17,
        19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258 };
    static const unsigned extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2,
        2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
    assert_true(symbol - 257 < UNIT_COUNT(first));
    return first[symbol - 257] + unpack_number(from, extra[symbol - 257]);
}

static inline unsigned unpack_distance(struct unpacker *from)
{
    static const unsigned first[] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49,
        65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577 };
    const unsigned symbol = unpack_word(from, 0, 5);
    assert_true(symbol < UNIT_COUNT(first));
    return first[symbol]
        + unpack_number(from, symbol < 2 ? 0 : symbol / 2 - 1);
}

static inline uint32_t unpack_crc(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 * count; i++) {
        const unsigned bit = bytes[i / 8] >> (i % 8) & 1;
        crc = crc >> 1 ^ ((crc ^ bit) & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static inline void unpack_text(struct unpacker *from, struct unpacked *text,
    size_t room)
{
    unsigned symbol;
    while ((symbol = unpack_symbol(from)) != 256) {
        unsigned length = 1;
        unsigned distance = 0;
        if (symbol > 256) {
            length = unpack_length(from, symbol);
            distance = unpack_distance(from);
            assert_true(distance <= text->length);
        }
        assert_true(text->length + length <= room);
        for (; length > 0; length--, text->length++)
            text->bytes[text->length] = distance == 0 ? (uint8_t)symbol
                : text->bytes[text->length - distance];
    }
}

/* The text of a file, from malloc. */
static inline struct unpacked unpack_file(const char *path)
{
    static const uint8_t head[] = { 0x1f, 0x8b, 8, 0 };
    enum { HEAD_BYTES = 10, TAIL_BYTES = 8 };
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const size_t size = (size_t)ftell(file);
    uint8_t *const packed = malloc(size);
    rewind(file);
    assert_int_equal(fread(packed, 1, size, file), size);
    (void)fclose(file);
    assert_true(size >= HEAD_BYTES + TAIL_BYTES);
    assert_memory_equal(packed, head, sizeof head);
    uint32_t tail[2];
    memcpy(tail, packed + size - TAIL_BYTES, TAIL_BYTES);
    struct unpacked text = {
        .bytes = malloc(tail[1] + 1), .packed_bytes = size };
    struct unpacker from = { packed, 8 * HEAD_BYTES, 8 * (size - TAIL_BYTES) };
    assert_int_equal(unpack_number(&from, 3), 1 + 2 * 1);
    unpack_text(&from, &text, tail[1]);
    assert_true(from.bits - from.bit < 8);
    assert_int_equal(text.length, tail[1]);
    assert_int_equal(unpack_crc(text.bytes, text.length), tail[0]);
    free(packed);
    return text;
}

#endif
