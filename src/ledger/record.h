/* SPDX-License-Identifier: MIT */
/*
 * record - a sampled object that lives, found by its address.
 *
 * Owns     what is known of it beside its stack.
 * Used by  ledger.c.
 * Never    looks into the object.
 *
 * Holds    R1  no two records have the same address
 *
 * Tests    test/unit/ledger/record_test.c
 */
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "ledger/book.h"
#include "ledger/site.h"

/* A sampled object that is out. */
struct ledger_object {
    void *pointer;              /* what the program holds */
    void *reserved;             /* the heap's own business */
    size_t size;                /* bytes asked for */
    size_t usable;              /* bytes given */
    unsigned arena;
};

struct record_data {
    struct ledger_object object;
    struct site_ticket site;
    uint64_t ns;                /* when, while somebody wants to know; or 0 */
    uint64_t recent;            /* its ticket; 0: none */
};

struct record {
    struct book_entry entry;
    struct record_data data;    /* under the shard's lock */
};

/* Note the object; false: no memory. */
MUST_USE bool record_put(const struct record_data *data);

/* What is known of the object at the address; false: nothing. */
MUST_USE bool record_find(const void *pointer, struct record_data *data);

/* The same, and it is known no more. */
MUST_USE bool record_take(const void *pointer, struct record_data *data);

/* Its ticket among the recent ones. */
void record_set_recent(const void *pointer, uint64_t recent);

/* One after another of an arena, and each is known no more; the walk is all 0
 * at first. false: no more. */
MUST_USE bool record_take_next(unsigned arena, struct book_walk *walk,
    struct record_data *data);

size_t record_count(void);
void record_audit(void);

#endif
