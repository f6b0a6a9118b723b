/* SPDX-License-Identifier: MIT */
/*
 * item - a block with its size, and the sum of the sizes of all such blocks.
 *
 * Used by  the programs of memory/ that keep their blocks in tables.
 */
#ifndef ASHLAR_BENCH_ITEM_H
#define ASHLAR_BENCH_ITEM_H

#include "valley.h"

struct item {
    void *block;
    size_t size;
};

static uint64_t item_live_bytes;

static inline struct item item_take(struct work_sum *sum, size_t size)
{
    item_live_bytes += size;
    return (struct item){pages_malloc(sum, size), size};
}

/* A place without a block is left as it is. */
static inline void item_give(struct work_sum *sum, struct item *item)
{
    if (item->block == NULL)
        return;
    item_live_bytes -= item->size;
    work_free(sum, item->block, item->size);
    item->block = NULL;
}

/* -- many of them, of sizes from a range -- */

struct items {
    struct item *at;
    size_t count, places;
    uint32_t low, high;
};

/* Room for some bytes of blocks.  No range of sizes has a mean below
 * high / 16 in which each doubling is equally likely. */
static inline struct items items_map(struct valley *valley, uint64_t bytes,
                                     uint64_t low, uint64_t high)
{
    work_range(low, high);
    struct items items = {.low = (uint32_t)low, .high = (uint32_t)high};
    items.places = bytes / (high / 16 + 1) + 64;
    items.at = valley_map(valley, items.places * sizeof *items.at);
    return items;
}

/* Adds blocks until so many bytes are live. */
static inline void items_grow(struct items *items, uint64_t live_bytes,
                              struct work_random *random, struct work_sum *sum)
{
    while (item_live_bytes < live_bytes) {
        if (items->count == items->places)
            work_die(1, "more than %zu blocks", items->places);
        const size_t size = work_skewed(random, items->low, items->high);
        items->at[items->count++] = item_take(sum, size);
    }
}

/* Frees `count` of them in random order. */
static inline void items_give(struct item *items, size_t count,
                              struct work_random *random, struct work_sum *sum)
{
    for (size_t left = count; left > 0; left--) {
        const size_t any = work_below(random, (uint32_t)left);
        item_give(sum, &items[any]);
        items[any] = items[left - 1];
    }
}

#endif
