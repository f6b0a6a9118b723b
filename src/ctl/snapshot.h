/* SPDX-License-Identifier: MIT */
/*
 * snapshot - the statistics as of the last epoch.
 *
 * Owns     a copy of every arena's figures, their sum, and what destroyed
 *          arenas leave behind.
 * Used by  leaf_stats.c, leaf_arena.c, print.c.
 * Never    locks for readers: each word is replaced by one store. Copies are
 *          made of memory that is kept for the arena's number, so an epoch
 *          allocates once for each; pages of a copy that stay zero stay
 *          untouched.
 *
 * Holds    N1  in the sums of one epoch, allocated <= active <= resident and
 *              active <= mapped, whatever other threads did meanwhile: so it is
              for each arena (stats_read), and these are sums
 *
 * Tests    test/unit/ctl/snapshot_test.c
 */
#ifndef CTL_SNAPSHOT_H
#define CTL_SNAPSHOT_H

#include "ctl/background.h"
#include "heap/arenas.h"
#include "heap/stats.h"

/* Numbers that stand for all arenas, and for those destroyed. */
enum { SNAPSHOT_ALL = 4096, SNAPSHOT_DESTROYED = 4097 };

/* Sums that are not an arena's. */
struct snapshot_totals {
    struct stats_live live;
    struct background_counts background;
};

/* Take a new one. false: for an arena there was no memory; it is left out. */
bool snapshot_refresh(void);

/* How many were taken, and one. */
uint64_t snapshot_epoch(void);

/* An arena's figures, or the sum's, or those of destroyed arenas. NULL: it was
 * not there at the last epoch. */
const struct stats_arena *snapshot_of(size_t index);
const struct snapshot_totals *snapshot_totals(void);

/* A word of them. */
static inline uint64_t snapshot_word(const void *figures, size_t offset)
{
    return load_relaxed((const _Atomic uint64_t *)
        (const void *)((const char *)figures + offset));
}

/* Reset an arena, add its counters to those of destroyed arenas, and destroy
 * it. 0, or EFAULT: it is not from arenas_create(), or a thread lives in it. */
MUST_USE int snapshot_destroy(unsigned index);

/* The counters of the lock that an epoch takes; and all of them to 0. */
struct lock_counts snapshot_lock_counts(void);
void snapshot_reset_lock(void);

#endif
