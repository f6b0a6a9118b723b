/* SPDX-License-Identifier: MIT */
/*
 * rack - places for sampled objects.
 *
 * Owns     mappings cut into places of one class each, whose owner word is
 *          OWNER_SAMPLED: every free of what lies there comes to the slow path.
 *          Which places are taken is said by bits, out of line. They are no
 *          slices of a region, so that those go where they always go.
 * Used by  sample.c.
 * Never    is a thread's own: racks are the arena's, under its lock racks.
 *
 * Small classes share places of RACK_PLACE_BYTES_MIN, so that a bit for each
 * place fits the record of the extent.
 *
 * Holds    R1  used is the number of bits set, at most blocks
 *          R2  a rack is on its arena's list while used < blocks, unless the
 *              list is older than the last mending
 *
 * Tests    test/unit/heap/rack_test.c
 */
#ifndef HEAP_RACK_H
#define HEAP_RACK_H

#include "heap/class.h"
#include "page/page.h"

struct arena;

enum { RACK_PLACE_BYTES_MIN = 64, RACK_WORDS = 16 };

/* The first words of its extent's record. */
struct rack {
    uint64_t taken[RACK_WORDS];
    struct rack *next;          /* with a place free */
    struct rack *prev;
    uint32_t place_bytes;
    uint32_t places;
    uint32_t used;
    uint32_t mended;            /* racks->mended when it was listed */
    uint32_t cls;
};
_Static_assert(sizeof(struct rack) + 24 <= EXTENT_PAYLOAD_BYTES,
    "the payload of an own mapping");

/* An arena's racks. */
struct racks {
    struct lock lock;
    struct rack *first[CLASS_COUNT];
    uint32_t mended;            /* lists that a vanished thread left */
};

/* A place for an object of the class; NULL: no memory. */
MUST_USE void *rack_take(struct arena *arena, unsigned cls);

/* Give it back; false: it is no place that is taken. */
MUST_USE bool rack_give(void *pointer);

/* Those that wait empty go back. */
void rack_purge(struct racks *racks);

/* The arena is being emptied: there are none any more. */
void rack_forget(struct racks *racks);

/* The same for one extent, which is EXTENT_RACK. */
void rack_discard(struct extent *extent);

/* Does a place start there? The usable bytes of each. */
bool rack_is_place(const struct extent *extent, const void *pointer);
uint32_t rack_bytes(const struct extent *extent);

void rack_audit(const struct extent *extent);

#endif
