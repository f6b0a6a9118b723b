/* SPDX-License-Identifier: MIT */
/*
 * map - address to owner word and extent: the page map. See map.h.
 */
#include "page/map.h"

#include "sys/lock.h"

struct map map;

/* The first leaf costs no system call. */
static struct map_leaf map_first_leaf;
static bool map_first_leaf_used;

/* What it guards is sound after every prefix; there is nothing to mend. */
static struct lock map_lock = { .rank = LOCK_map };

/* The leaf for an index of the root; made if it is not there. */
static bool map_open_leaf(size_t index)
{
    lock_take(&map_lock);
    if (map.distance[index] == 0) {
        char *leaf = (char *)&map_first_leaf;
        if (map_first_leaf_used)
            leaf = sys_map(sizeof(struct map_leaf));
        /* Used, then found: vanishing in between wastes it, no more. */
        map_first_leaf_used = true;
        COMPILER_BARRIER();
        if (leaf != NULL)
            map.distance[index] = leaf - (char *)map.nobody;
    }
    const bool covered = map.distance[index] != 0;          /* M2 */
    lock_give(&map_lock);
    return covered;
}

bool map_cover(const void *start, size_t bytes)
{
    const uintptr_t first = (uintptr_t)start >> (SLICE_LOG2 + MAP_LEAF_LOG2);
    const uintptr_t last =
        ((uintptr_t)start + bytes - 1) >> (SLICE_LOG2 + MAP_LEAF_LOG2);
    if (last >= MAP_ROOT_LEAVES)
        return false;
    for (uintptr_t i = first; i <= last; i++) {
        if (!map_open_leaf(i))
            return false;
    }
    return true;
}

void map_set(const void *start, size_t count, uintptr_t owner,
    struct extent *extent)
{
    const char *at = start;
    for (size_t i = 0; i < count; i++, at += SLICE_BYTES) {
        const struct map_entry entry = map_find(at);
        store_relaxed(map_extent(entry), extent);
        COMPILER_BARRIER();     /* an owner word implies an extent */
        store_relaxed(map_owner(entry), owner);
    }
}

void map_clear(const void *start, size_t count)
{
    const char *at = start;
    for (size_t i = 0; i < count; i++, at += SLICE_BYTES)
        store_relaxed(map_owner(map_find(at)), MAP_NOBODY);      /* M1 */
}
