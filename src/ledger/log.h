/* SPDX-License-Identifier: MIT */
/*
 * log - every sampled object that was given back, in a JSON file.
 *
 * Owns     what is noted between log_start() and log_stop(), in memory.
 * Used by  ledger.c (notes), ctl/ (prof.log_start, prof.log_stop),
 *          api/start.c.
 * Never    allocates from the heap; writes before it is stopped. Not called
 *          with a lock held.
 *
 * Tests    test/unit/ledger/log_test.c
 */
#ifndef LEDGER_LOG_H
#define LEDGER_LOG_H

#include "ledger/deed.h"

/* Begin to take notes, for that file; NULL: one with an automatic name, of
 * when it is written. false: that goes on already, or there is no name. */
MUST_USE bool log_start(const char *path);

/* Write the file, and forget. false: nothing was going on, or it could not be
 * written: who listens to dump.h was told why. */
MUST_USE bool log_stop(void);

/* The process ends: log_stop(), unless the file is another process's. */
void log_at_end(void);

/* The stack of a free and the times are wanted only then. */
extern _Atomic bool log_on;
static inline bool log_is_on(void)
{
    return UNLIKELY(load_relaxed(&log_on));
}

/* A sampled object of so many bytes was given back. */
void log_note_give(size_t usable, const struct deed *taken,
    const struct deed *given);

#endif
