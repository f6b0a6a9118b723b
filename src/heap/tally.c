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

static void tally_take(struct tally *own, struct tally_all *all,
    size_t bytes)
{
    const unsigned cls = tally_class(bytes);
    if (own != NULL && cls < TALLY_RUN_CLASSES) {
        bump_relaxed(&own->run[cls].taken, 1);
        bump_relaxed(&own->bytes.taken, bytes);
    } else {
        add_relaxed(&all->object[cls].taken, 1);
        add_relaxed(&all->bytes.taken, bytes);
    }
}

static void tally_give(struct tally *own, struct tally_all *all,
    size_t bytes)
{
    const unsigned cls = tally_class(bytes);
    if (own != NULL && cls < TALLY_RUN_CLASSES) {
        bump_relaxed(&own->run[cls].given, 1);
        bump_relaxed(&own->bytes.given, bytes);
    } else {
        add_relaxed(&all->object[cls].given, 1);
        add_relaxed(&all->bytes.given, bytes);
    }
}

void tally_change(struct tally *own, struct tally_all *all,
    struct extent *extent, size_t bytes)
{
    const size_t before = *tally_counted(extent);
    if (LIKELY(before == bytes))
        return;
    *tally_counted(extent) = bytes;
    if (before != 0)
        tally_give(own, all, before);
    if (bytes != 0)
        tally_take(own, all, bytes);
}
