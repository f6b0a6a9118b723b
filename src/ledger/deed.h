/* SPDX-License-Identifier: MIT */
/*
 * deed - that a thread took an object or gave it back.
 *
 * Owns     how that is noted, and its clock.
 * Used by  log.c, recent.c (keep deeds), ledger.c (tells of them).
 *
 * Tests    test/unit/ledger/log_test.c  test/unit/ledger/recent_test.c
 */
#ifndef LEDGER_DEED_H
#define LEDGER_DEED_H

#include "ledger/out.h"
#include "ledger/person.h"
#include "ledger/trace.h"

struct deed {
    struct trace *trace;        /* where; NULL: that is not known */
    uint64_t thread;            /* who: its number, and its name or "" */
    char name[PERSON_NAME_BYTES];
    uint64_t ns;                /* when, by deed_now_ns() */
};

/* A monotonic clock, as fine as option prof_time_resolution says. */
uint64_t deed_now_ns(void);

/* A copy that holds the trace by itself, until deed_drop(). */
struct deed deed_copy(const struct deed *deed);
void deed_drop(const struct deed *deed);

/* Its stack as a JSON array of texts. */
void deed_put_stack(struct out *out, const struct deed *deed);

#endif
