/* SPDX-License-Identifier: MIT */
/*
 * decay - how much dirty memory is worth keeping.
 *
 * Owns     the limit: active/8 + 4 MiB + allowance, and the allowance, which
 *          starts at 0 and grows only by regret. Memory that was purged and
 *          is needed again within DECAY_REGRET_MS raises it by
 *          DECAY_REGRET_FACTOR times as much, up to the recent peak of active
 *          memory; time without use lowers it. Of it counts what keeps active
 *          and dirty memory together near that peak, and only where active
 *          memory is not far below its lowest so far from which it rose again.
 * Used by  pool, under its lock.
 * Never    looks at the clock or purges: it is told the time and asked for
 *          the limit, so that tests can run hours in a moment.
 *
 * So a loop over 25 MB blocks pays twice and then never, and a process that
 * frees everything once and goes idle keeps almost nothing, whatever went up
 * and down in it before.
 *
 * Holds    D1  allowance <= peak
 *          D2  peak >= the last active it was told
 *
 * Tests    test/unit/page/decay_test.c
 */
#ifndef PAGE_DECAY_H
#define PAGE_DECAY_H

#include "sys/sys.h"
#include "util/units.h"

/* Dirty memory that every process may keep: a few slabs and some slack. */
#define DECAY_BASE_BYTES (4 * MiB)

/* Memory needed again this soon should not have been purged. */
enum { DECAY_REGRET_MS = 1000 };

/* What was a mistake once will be again: each counts so many times. */
enum { DECAY_REGRET_FACTOR = 4 };

/* Active and kept memory together may exceed the peak by this share: that is
 * what the gaps between objects of all sizes take. */
enum { DECAY_ROOM_SHARE = 8 };

/* Unused, the allowance and the peak halve this often. */
enum { DECAY_STEP_MS = 250 };

struct decay {
    size_t allowance;
    size_t active;              /* when last told */
    size_t peak;                /* of active bytes, recently */
    size_t purged;              /* lately, and not yet regretted */
    size_t low;                 /* active bytes at the lowest of those */
    size_t floor;               /* active bytes at the lowest regretted one;
                                 * below half of it no allowance counts, for
                                 * from there the process never rose again */
    uint64_t purged_ms;         /* when last */
    uint64_t lowered_ms;        /* when allowance and peak last fell */
};

/* The same without any allowance. */
size_t decay_base(size_t active);

/* The dirty bytes that may be kept beside so many active ones. */
size_t decay_limit(const struct decay *decay, size_t active);

/* The free bytes that may be kept inside active memory. */
size_t decay_loose_limit(const struct decay *decay, size_t active);

/* So many bytes were purged. */
void decay_note_purged(struct decay *decay, size_t bytes, uint64_t now_ms);

/* So many bytes were needed that no dirty memory could serve. */
void decay_note_fresh(struct decay *decay, size_t bytes, uint64_t now_ms);

/* Dirty memory above the limit without allowance was put to use. */
void decay_note_useful(struct decay *decay, uint64_t now_ms);

/* Active memory is so much now. */
void decay_note_active(struct decay *decay, size_t active);

/* Active memory is so much now; let time pass. */
void decay_advance(struct decay *decay, size_t active, uint64_t now_ms);

/* After a thread vanished in one of these calls. */
void decay_repair(struct decay *decay);

void decay_audit(const struct decay *decay);

#endif
