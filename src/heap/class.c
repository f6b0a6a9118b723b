/* SPDX-License-Identifier: MIT */
/*
 * class - size to class to size. See class.h.
 */
#include "heap/class.h"

#include "heap/slab.h"

#define CLASS(bytes, slices, blocks, segment, tail, inside)             \
    _Static_assert((blocks) == (slices) * SLICE_BYTES / (bytes),        \
        "blocks");                                                      \
    _Static_assert((slices) * SLICE_BYTES <= SLAB_BYTES_MAX, "slices"); \
    _Static_assert((blocks) / (segment) <= SLAB_SEGMENTS_MAX, "C2");    \
    _Static_assert((segment) * (bytes) <= 4096 || (segment) <= 16,      \
        "a hand-out is at most 16 blocks or 4 KiB");                    \
    _Static_assert((tail) <= 65, "waste after the last block");         \
    _Static_assert((bytes) < 64 || (inside) <= 125, "waste inside");
#include "table/size_class.def"

const uint32_t class_bytes[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) bytes,
#include "table/size_class.def"
};

const uint16_t class_blocks[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) blocks,
#include "table/size_class.def"
};

const uint16_t class_segment[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) segment,
#include "table/size_class.def"
};

const uint8_t class_slices[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) slices,
#include "table/size_class.def"
};

/* What class_of_spaced() says of the last size of a slot, as a constant. */
#define SLOT_LAST(slot) (ASHLAR_QUANTUM * (unsigned)(slot) - 1)
#define SLOT_LOG2(slot) (31 - (unsigned)__builtin_clz(SLOT_LAST(slot)))
#define SLOT_SPACED(slot)                                               \
    (unsigned)(CLASS_LINEAR_COUNT - 4 * CLASS_LINEAR_LOG2 - 4)          \
        + 4 * SLOT_LOG2(slot) + (SLOT_LAST(slot) >> (SLOT_LOG2(slot) - 2))
#define SLOT(slot)                                                      \
    (uint8_t)((slot) > CLASS_LINEAR_COUNT ? SLOT_SPACED(slot)           \
        : (unsigned)(slot) - ((slot) > 0))
#define SLOTS(slot)                                                     \
    SLOT(slot), SLOT((slot) + 1), SLOT((slot) + 2), SLOT((slot) + 3),   \
    SLOT((slot) + 4), SLOT((slot) + 5), SLOT((slot) + 6), SLOT((slot) + 7)
#define SLOTS_64(slot)                                                  \
    SLOTS(slot), SLOTS((slot) + 8), SLOTS((slot) + 16),                 \
    SLOTS((slot) + 24), SLOTS((slot) + 32), SLOTS((slot) + 40),         \
    SLOTS((slot) + 48), SLOTS((slot) + 56)

const uint8_t class_small[CLASS_SMALL_BYTES / ASHLAR_QUANTUM + 1] = {
    SLOTS_64(0),
#if ASHLAR_QUANTUM == 8
    SLOTS_64(64),
#endif
    SLOT(CLASS_SMALL_BYTES / ASHLAR_QUANTUM),
};

/* A little more than 2^64 / bytes, so that a multiple's product is small but
 * tells the index; and odd, so that it is not small either where bits above the
 * 48th are set. */
#define FACTOR(bytes) \
    ((UINT64_MAX / (bytes) + 1) | 1)

const uint64_t class_factor[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) FACTOR(bytes),
#include "table/size_class.def"
};

const uint64_t class_step[CLASS_COUNT] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) \
    FACTOR(bytes) * (bytes),
#include "table/size_class.def"
};
