/* SPDX-License-Identifier: MIT */
/*
 * tally - large objects, counted by length. See tally.h.
 */
#include "heap/tally.h"

#include "heap/class.h"

unsigned tally_class(size_t bytes)
{
    /* What is large by its alignment only is among the shortest. */
    if (bytes <= CLASS_BYTES_MAX)
        return 0;
    const size_t last = bytes - 1;
    const unsigned log2 = bits_log2(last);
    return 4 * (log2 - bits_log2(CLASS_BYTES_MAX))
        + (unsigned)(last >> (log2 - 2)) % 4;
}

/* One more in a counter that is the caller's, or everybody's. */
static void tally_add(struct tally_place place, bool taken, size_t bytes)
{
    const unsigned cls = tally_class(bytes);
    if (LIKELY(place.own != NULL && cls < TALLY_RUN_CLASSES)) {
        struct tally *own = place.own;
        bump_relaxed(taken ? &own->run[cls].taken : &own->run[cls].given, 1);
        bump_relaxed(taken ? &own->bytes.taken : &own->bytes.given, bytes);
    } else {
        struct tally_all *all = place.all;
        add_relaxed(taken ? &all->object[cls].taken
            : &all->object[cls].given, 1);
        add_relaxed(taken ? &all->bytes.taken : &all->bytes.given, bytes);
    }
}

void tally_recount(struct tally_place place, struct extent *extent,
    size_t bytes)
{
    const size_t before = *tally_counted(extent);
    *tally_counted(extent) = bytes;
    if (before != 0)
        tally_add(place, false, before);
    if (bytes != 0)
        tally_add(place, true, bytes);
}
