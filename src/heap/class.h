/* SPDX-License-Identifier: MIT */
/*
 * class - size to class to size.
 *
 * Owns     the arrays expanded from table/size_class.def.
 * Used by  every path that allocates.
 * Never    decides anything: jemalloc's classes, from ASHLAR_QUANTUM bytes on.
 *
 * Holds    C1  class_bytes rises; class_of(s) is the first class >= s
 *          C2  a slab of blocks fits its slices, and at most
 *              SLAB_SEGMENTS_MAX segments fit the slab (slab.h)
 *
 * Tests    test/unit/heap/class_test.c
 */
#ifndef HEAP_CLASS_H
#define HEAP_CLASS_H

#include "util/bits.h"
#include "util/units.h"

enum {
#define CLASS(bytes, slices, blocks, segment, tail, inside) CLASS_OF_##bytes,
#include "table/size_class.def"
    CLASS_COUNT
};

#define CLASS_BYTES_MAX ((size_t)64 * KiB)

/* Up to here there is a class every quantum; above, four per doubling. */
enum { CLASS_LINEAR_LOG2 = ASHLAR_QUANTUM == 8 ? 6 : 7 };
enum { CLASS_LINEAR_BYTES = 1 << CLASS_LINEAR_LOG2 };
enum { CLASS_LINEAR_COUNT = CLASS_LINEAR_BYTES / ASHLAR_QUANTUM };

extern const uint32_t class_bytes[CLASS_COUNT];
extern const uint16_t class_blocks[CLASS_COUNT];
extern const uint16_t class_segment[CLASS_COUNT];
extern const uint8_t class_slices[CLASS_COUNT];

/*
 * Is an offset a multiple of the block size, and below a number of blocks? Both
 * by one multiplication: offset * class_factor, modulo 2^64, is the index *
 * class_step for multiples, and more than that of any index for others
 * (class_test.c tries them all).
 */
extern const uint64_t class_factor[CLASS_COUNT];
extern const uint64_t class_step[CLASS_COUNT];

/* size in (CLASS_LINEAR_BYTES, CLASS_BYTES_MAX]. */
static ALWAYS_INLINE unsigned class_of_spaced(size_t size)
{
    const size_t last = size - 1;
    const unsigned log2 = bits_log2(last);
    return (unsigned)(CLASS_LINEAR_COUNT - 4 * CLASS_LINEAR_LOG2 - 4)
        + 4 * log2 + (unsigned)(last >> (log2 - 2));
}

/* size at most CLASS_SMALL_BYTES: of every quantum up to there, the class. */
#define CLASS_SMALL_BYTES ((size_t)1024)
extern const uint8_t class_small[CLASS_SMALL_BYTES / ASHLAR_QUANTUM + 1];

static ALWAYS_INLINE unsigned class_of_small(size_t size)
{
    return class_small[(size + ASHLAR_QUANTUM - 1) / ASHLAR_QUANTUM];
}

/* size at most CLASS_BYTES_MAX; 0 is served like 1. */
static ALWAYS_INLINE unsigned class_of(size_t size)
{
    return size <= CLASS_SMALL_BYTES ? class_of_small(size)
        : class_of_spaced(size);
}

/*
 * The first class whose blocks are multiples of align, a power of two; size
 * and align at most CLASS_BYTES_MAX. Slabs start at a slice, so a block is as
 * aligned as its size. Between two powers of two all classes are multiples of
 * some power of two, and there is one for each multiple: so the first class
 * for a multiple of a larger align is that multiple itself, and of a smaller
 * one every class is.
 */
static ALWAYS_INLINE unsigned class_of_aligned(size_t size, size_t align)
{
    return class_of(round_up(size + (size == 0), align));
}

#endif
