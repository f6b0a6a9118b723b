/* SPDX-License-Identifier: MIT */
/*
 * recent - the sampled objects taken last, whether they live or not.
 *
 * Owns     notes on the last so many of them.
 * Used by  ledger.c (notes), ctl/ (experimental.prof_recent).
 * Never    allocates from the heap. Not called with a lock held.
 *
 * Tests    test/unit/ledger/recent_test.c
 */
#ifndef LEDGER_RECENT_H
#define LEDGER_RECENT_H

#include "ledger/deed.h"
#include "sys/lock.h"

/* How many are kept at most; -1: all. Fewer than before: the older ones are
 * forgotten. */
int64_t recent_max(void);
void recent_set_max(int64_t max);

/* Are any kept? Times are wanted only then. */
static inline bool recent_is_on(void)
{
    return UNLIKELY(recent_max() != 0);
}

/* An object was taken: size bytes asked for, usable bytes given. The ticket
 * that it is known by from now on; 0: it is not. */
uint64_t recent_note_take(size_t size, size_t usable,
    const struct deed *taken);

/* The object of a ticket was given back; 0 and forgotten ones do no harm. */
void recent_note_give(uint64_t ticket, const struct deed *given);

/* All that is kept, as JSON text, in pieces, the oldest first. false: no
 * memory. */
MUST_USE bool recent_write(void (*write)(void *to, const char *text),
    void *to);

/* Of the lock of all this. */
struct lock_counts recent_lock_counts(void);
void recent_reset_lock_counts(void);

#endif
