/* SPDX-License-Identifier: MIT */
/*
 * lock - a mutual exclusion that survives fork.
 *
 * Owns     the lock word and the order of locks (table/lock.def).
 * Used by  heap/arena, page/pool, page/map, page/meta.
 * Never    held by a thread that a child of fork waits for: the word carries
 *          the generation of the process, and a word of an older generation
 *          counts as free. What the lock guards must therefore be sound
 *          after any prefix of an operation.
 *
 * Holds    L1  word == 0, or generation << 2 | waiters << 1 | held
 *          L2  debug builds: locks are taken in the order of lock.def
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

/* All zero is a free lock of rank 0; set rank where it is another. */
struct lock {
    _Atomic uint32_t word;
    enum lock_rank rank;
};

void lock_take(struct lock *lock);
void lock_give(struct lock *lock);

/* Take it if that needs no waiting. */
MUST_USE bool lock_try(struct lock *lock);

/* In the child of fork: nothing that was held is held any more. Called by
 * itself, from the moment that a lock is taken beside a second thread. */
void lock_forget_all(void);

#endif
