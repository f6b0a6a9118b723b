/* SPDX-License-Identifier: MIT */
/*
 * site - how many sampled objects are of one stack, one thread, one arena and
 * one size.
 *
 * Owns     the counts of objects, live and ever.
 * Used by  ledger.c (counts), snapshot.c (reads them all).
 * Never    scales: what is counted are samples.
 *
 * A site without live objects is forgotten, unless option prof_accum is on.
 * One that was forgotten becomes another; who has a ticket of the former, and
 * is late, counts nowhere.
 *
 * Holds    S1  a site holds its trace and its person
 *          S2  live <= ever
 *          S3  live > 0, or with prof_accum ever > 0; or somebody vanished
 *
 * Tests    test/unit/ledger/site_test.c
 */
#ifndef LEDGER_SITE_H
#define LEDGER_SITE_H

#include "ledger/book.h"
#include "ledger/person.h"
#include "ledger/trace.h"

struct site_key {
    struct trace *trace;
    struct person *person;
    size_t usable;              /* bytes of each object */
    unsigned arena;
};

struct site {
    struct book_entry entry;

    /* under the shard's lock */
    struct site_key key;
    uint64_t life;              /* how many sites it was before this one */
    uint64_t live;
    uint64_t ever;
};

/* An object that was counted, for when it is given back. */
struct site_ticket {
    struct site *site;
    uint64_t life;
};

/* One object more. The trace is held by the caller, and the site's from now
 * on. false: no memory, and the trace is the caller's still. */
MUST_USE bool site_take(const struct site_key *key,
    struct site_ticket *ticket);

/* One live object less; or it never was. */
void site_give(struct site_ticket ticket);
void site_undo(struct site_ticket ticket);

/* Whose object it is, with one holder more of the trace and of the person;
 * false: its counts are gone. */
MUST_USE bool site_hold(struct site_ticket ticket, struct site_key *key);

/* All counts are gone; tickets of before count nowhere. */
void site_forget_all(void);

size_t site_count(void);

/* What happened to the locks. */
struct lock_counts site_lock_counts(void);
void site_reset_lock_counts(void);

/* Site after site; the walk is all 0 at first. The site is open: nobody else
 * counts there until site_close(). NULL: no more. */
struct site *site_next(struct book_walk *walk);
void site_close(struct site *site);

void site_audit(void);

#endif
