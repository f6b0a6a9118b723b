/* SPDX-License-Identifier: MIT */
/*
 * lock - a mutual exclusion that survives fork.
 *
 * Owns     the lock word and the order of locks (table/lock.def).
 * Used by  heap/arena, page/pool, page/map, page/meta.
 * Never    held by a thread that a child of fork waits for: the word carries
 *          the generation of the process, and a word of an older generation
 *          counts as free. What the lock guards must therefore be sound
 *          after any prefix of an operation, or be repaired by the next one
 *          who takes the lock and finds it broken.
 *
 * Holds    L1  word == 0, or generation << 2 | waiters << 1 | held
 *          L2  debug builds: locks are taken in the order of lock.def
 *          L3  if a holder has vanished, the word is of an older generation,
 *              or broken is set, until lock_mend()
 *
 * A lock counts what happens to it. That costs the taker a few stores to its
 * line; time is only asked for where somebody has to sleep.
 *
 * Tests    test/unit/sys/lock_test.c
 */
#ifndef SYS_LOCK_H
#define SYS_LOCK_H

#include "sys/sys.h"

enum lock_rank {
#define LOCK(name, guards) LOCK_##name,
#include "table/lock.def"
    LOCK_COUNT
};

/* What happened to a lock, under jemalloc's names. Times in nanoseconds. */
enum { LOCK_COUNTS = 7 };
struct lock_counts {
    uint64_t num_ops;           /* times taken */
    uint64_t num_wait;          /* of those, after sleeping */
    uint64_t num_spin_acq;      /* after trying more than once */
    uint64_t num_owner_switch;  /* by another thread than the last time */
    uint64_t total_wait_time;
    uint64_t max_wait_time;
    uint64_t max_num_thds;      /* asleep at once */
};

/* All zero is a free lock of rank 0; set rank where it is another. */
struct lock {
    _Atomic uint32_t word;
    enum lock_rank rank;
    bool broken;                /* under the lock itself */

    /* the holder writes, any thread reads */
    _Atomic uint64_t counts[LOCK_COUNTS];
    const void *_Atomic last;   /* who took it last */

    /* any thread, atomically */
    _Atomic uint32_t asleep;
};

/* The counts, as they are now; any thread. */
struct lock_counts lock_read_counts(const struct lock *lock);

/* Begin to count anew; the caller holds the lock. */
void lock_reset_counts(struct lock *lock);

void lock_take(struct lock *lock);
void lock_give(struct lock *lock);

/* Take it if that needs no waiting. */
MUST_USE bool lock_try(struct lock *lock);

/* Does somebody hold it, as far as can be told without a barrier? */
static inline bool lock_is_taken(const struct lock *lock)
{
    return load_relaxed(&lock->word) != 0;
}

/* Asked by the holder: did an earlier one vanish, so that what the lock
 * guards may be half done? True until lock_mend(). */
static inline bool lock_is_broken(const struct lock *lock)
{
    return UNLIKELY(lock->broken);
}

/* What the lock guards is whole again. */
void lock_mend(struct lock *lock);

#endif
