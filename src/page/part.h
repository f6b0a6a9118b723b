/* SPDX-License-Identifier: MIT */
/*
 * part - slices of regions that hooks gave: not needed, or needed again.
 *
 * Owns     what is asked for a part of a region: to take it back, if somebody
 *          asked for that and split allows it; else to decommit it, to purge
 *          it; and to commit what was decommitted before it is used.
 * Used by  pool.c.
 * Never    holds lock pool while a hook runs: the slices are handed out
 *          meanwhile, so nobody else has them.
 *
 * A hook that refuses changes nothing. What was decommitted and cannot be
 * committed is free, and asked about again by who needs it next.
 *
 * Tests    test/unit/heap/part_test.c
 */
#ifndef PAGE_PART_H
#define PAGE_PART_H

#include "page/pool.h"

struct part_run {
    struct region *region;      /* which is hooked */
    size_t first;
    size_t count;
};

/*
 * Slices that are handed out become free, as clean as hooks make them. offer:
 * hooks may have them back. false: they are dirty. Both under lock pool, which
 * is let go of meanwhile.
 */
bool part_give(struct pool *pool, struct part_run part, bool offer);

/* Was any of it decommitted? */
bool part_is_decommitted(struct part_run part);

/* Free slices, all of which can be used then, if nobody else takes them. false:
 * a hook refuses, or must not be called here. */
MUST_USE bool part_commit(struct pool *pool, struct part_run part);

/* Are these free, in any region, and can be used now? */
MUST_USE bool part_make_ready(struct pool *pool, struct part_run part);

#endif
