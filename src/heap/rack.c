/* SPDX-License-Identifier: MIT */
/*
 * rack - places for sampled objects. See rack.h.
 */
#include "heap/rack.h"

#include "heap/arena.h"
#include "heap/kept.h"

_Static_assert(RACK_WORDS * 64 >= SLICE_BYTES / RACK_PLACE_BYTES_MIN,
    "a bit for each place");

static struct rack *rack_of(const struct extent *extent)
{
    return (struct rack *)(uintptr_t)extent;
}

static struct extent *rack_extent(struct rack *rack)
{
    return (struct extent *)(void *)rack;
}

static struct racks *rack_racks(const struct extent *extent)
{
    return &arena_of_pool(extent->pool)->racks;
}

/* -- the list of those with a place free -- */

/* Who held the lock has vanished: what it was linking is left alone. */
static void rack_mend(struct racks *racks)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        racks->first[cls] = NULL;
    racks->mended++;
    lock_mend(&racks->lock);
}

static void rack_lock(struct racks *racks)
{
    lock_take(&racks->lock);
    if (lock_is_broken(&racks->lock))
        rack_mend(racks);
}

static void rack_link(struct racks *racks, struct rack *rack)
{
    struct rack **first = &racks->first[rack->cls];
    rack->prev = NULL;
    rack->next = *first;
    if (rack->next != NULL)
        rack->next->prev = rack;
    *first = rack;
}

static void rack_unlink(struct racks *racks, struct rack *rack)
{
    if (rack->prev != NULL)
        rack->prev->next = rack->next;
    else
        racks->first[rack->cls] = rack->next;
    if (rack->next != NULL)
        rack->next->prev = rack->prev;
}

/* -- taking -- */

/* Under the lock, from a rack with a place free. */
static void *rack_take_place(struct racks *racks, struct rack *rack)
{
    uint32_t i = 0;
    while (rack->taken[i] == UINT64_MAX)
        i++;
    const unsigned bit = bits_lowest(~rack->taken[i]);
    rack->taken[i] |= (uint64_t)1 << bit;
    if (++rack->used == rack->places)
        rack_unlink(racks, rack);
    return rack_extent(rack)->start + (size_t)(i * 64 + bit)
        * rack->place_bytes;
}

static struct rack *rack_open(struct arena *arena, unsigned cls)
{
    const size_t bytes = class_slices[cls] * SLICE_BYTES;
    struct extent *extent = pool_map(&arena->pool, bytes, SLICE_BYTES);
    if (extent == NULL)
        return NULL;
    struct rack *rack = rack_of(extent);
    *rack = (struct rack){
        .place_bytes =
            (uint32_t)max_size(class_bytes[cls], RACK_PLACE_BYTES_MIN),
        .cls = cls,
    };
    rack->places = (uint32_t)(bytes / rack->place_bytes);
    COMPILER_BARRIER();
    store_relaxed(&extent->state, EXTENT_RACK);
    map_set(extent->start, class_slices[cls], OWNER_SAMPLED, extent);
    return rack;
}

void *rack_take(struct arena *arena, unsigned cls)
{
    struct racks *racks = &arena->racks;
    void *place = NULL;
    rack_lock(racks);
    if (racks->first[cls] != NULL)
        place = rack_take_place(racks, racks->first[cls]);
    lock_give(&racks->lock);
    if (place != NULL)
        return place;
    /* A hook that is asked for memory may allocate. */
    struct rack *rack = rack_open(arena, cls);
    if (rack == NULL)
        return NULL;
    rack_lock(racks);
    rack->mended = racks->mended;
    rack_link(racks, rack);
    place = rack_take_place(racks, rack);
    lock_give(&racks->lock);
    return place;
}

/* -- giving -- */

static void rack_close(struct extent *extent)
{
    map_clear(extent->start, class_slices[rack_of(extent)->cls]);
    pool_unmap(extent);
}

bool rack_is_place(const struct extent *extent, const void *pointer)
{
    const struct rack *rack = rack_of(extent);
    const size_t offset = (size_t)((const char *)pointer - extent->start);
    return offset % rack->place_bytes == 0
        && offset / rack->place_bytes < rack->places;
}

uint32_t rack_bytes(const struct extent *extent)
{
    return class_bytes[rack_of(extent)->cls];
}

/* Under the lock; true: the rack is empty, and on no list now. */
static bool rack_give_place(struct racks *racks, struct rack *rack,
    uint32_t place)
{
    const bool full = rack->used == rack->places;
    rack->taken[place / 64] &= ~((uint64_t)1 << place % 64);
    rack->used--;
    /* A list that was lost is not worth looking for: its racks stay. */
    if (rack->mended != racks->mended)
        return false;
    if (full)
        rack_link(racks, rack);
    /* One empty rack waits for the next of its class, if it is not a long one;
     * the pool keeps those for a while, as all mappings. */
    const bool alone = rack->next == NULL && rack->prev == NULL;
    if (rack->used > 0 || (alone && class_slices[rack->cls] == 1))
        return false;
    rack_unlink(racks, rack);
    return true;
}

bool rack_give(void *pointer)
{
    struct extent *extent = load_relaxed(map_extent(map_find(pointer)));
    struct rack *rack = rack_of(extent);
    struct racks *racks = rack_racks(extent);
    const size_t offset = (size_t)((char *)pointer - extent->start);
    const uint32_t place = (uint32_t)(offset / rack->place_bytes);
    if (!rack_is_place(extent, pointer))
        return false;
    rack_lock(racks);
    const bool taken = rack->taken[place / 64] >> place % 64 & 1;
    const bool empty = taken && rack_give_place(racks, rack, place);
    lock_give(&racks->lock);
    if (empty)
        rack_close(extent);
    return taken;
}

/* An empty one of the class, off the list; NULL: there is none. */
static struct rack *rack_take_empty(struct racks *racks, unsigned cls)
{
    rack_lock(racks);
    struct rack *rack = racks->first[cls];
    while (rack != NULL && rack->used > 0)
        rack = rack->next;
    if (rack != NULL)
        rack_unlink(racks, rack);
    lock_give(&racks->lock);
    return rack;
}

void rack_purge(struct racks *racks)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct rack *rack = rack_take_empty(racks, cls);
        if (rack != NULL)
            rack_close(rack_extent(rack));
    }
}

/* -- the end -- */

void rack_forget(struct racks *racks)
{
    rack_lock(racks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        racks->first[cls] = NULL;
    lock_give(&racks->lock);
}

void rack_discard(struct extent *extent)
{
    rack_close(extent);
}

void rack_audit(const struct extent *extent)
{
    const struct rack *rack = rack_of(extent);
    uint32_t used = 0;
    for (unsigned i = 0; i < RACK_WORDS; i++)
        used += bits_count(rack->taken[i]);
    CHECK(used == rack->used && used <= rack->places);      /* R1 */
}
