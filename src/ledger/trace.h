/* SPDX-License-Identifier: MIT */
/*
 * trace - stacks, each kept once.
 *
 * Owns     the table of stacks by their return addresses, and their memory.
 * Used by  site.c, recent.c (hold and drop), the writers of profiles (read).
 * Never    changes or moves a trace while somebody holds it; gives memory
 *          back: what is dropped becomes another trace of about that length.
 *
 * Sound after every prefix: who vanishes in a fork leaves at most one trace
 * that nobody will drop. There is nothing to mend.
 *
 * Holds    T1  a trace that is held is in the table, once
 *          T2  one without holders is on a list of free ones; or, where
 *              somebody vanished, in the table or lost
 *
 * Tests    test/unit/ledger/trace_test.c
 */
#ifndef LEDGER_TRACE_H
#define LEDGER_TRACE_H

#include "sys/sys.h"

struct trace {
    struct trace *next;         /* of the free ones */
    uint64_t hash;
    _Atomic uint32_t holders;
    uint32_t count;
    void *pc[];                 /* the latest first */
};

/* The trace of these addresses, STACK_DEPTH_MAX at most, held once more; NULL:
 * no memory. Any thread. */
MUST_USE struct trace *trace_hold(void *const *pc, unsigned count);

/* One holder more of a trace that somebody holds. Takes no lock. */
void trace_keep(struct trace *trace);

/* One holder less; without any it may be another trace. Whoever could vanish
 * in between forgets that it holds the trace first. */
void trace_drop(struct trace *trace);

#endif
