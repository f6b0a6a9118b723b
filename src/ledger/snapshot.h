/* SPDX-License-Identifier: MIT */
/*
 * snapshot - the counts of all sites at one time, to be written as a profile.
 *
 * Owns     a copy of the counts, in memory of its own, ordered by trace and
 *          then by person.
 * Used by  heapfile.c, pprof.c (write it), dump.c (takes and drops it).
 * Never    stops anybody who allocates.
 *
 * Tests    test/unit/ledger/snapshot_test.c
 */
#ifndef LEDGER_SNAPSHOT_H
#define LEDGER_SNAPSHOT_H

#include "ledger/person.h"
#include "ledger/trace.h"

/* What was sampled of one stack, one thread, one arena and one size. */
struct snapshot_row {
    struct trace *trace;        /* held by the snapshot */
    uint64_t thread;            /* its number */
    char name[PERSON_NAME_BYTES];       /* its name; "": none */
    unsigned arena;
    size_t usable;              /* bytes of each object */
    uint64_t objects;           /* live; not scaled up */
    uint64_t objects_ever;      /* with those freed; 0: not counted */
};

struct snapshot {
    struct snapshot_row *row;
    size_t count;
    size_t mapped_bytes;
    unsigned rate_log2;         /* bytes between samples, as bits */
    bool has_ever;              /* option prof_accum */
};

/* false: no memory. */
MUST_USE bool snapshot_take(struct snapshot *snapshot);
void snapshot_drop(struct snapshot *snapshot);

/* How many objects of so many bytes one sample of them stands for, on average:
 * 1 / (1 - exp(-usable / rate)). */
double snapshot_weight(double usable, unsigned rate_log2);

#endif
