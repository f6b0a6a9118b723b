/* SPDX-License-Identifier: MIT */
/*
 * report_site - the places in the source that a profile's stacks lead through.
 *
 * Owns     each place once, with what was allocated there, and the stacks as
 *          places instead of addresses.
 * Used by  report.c.
 *
 * What lies within the allocator is left out of a stack, as far as names and
 * files tell; stacks that are the same then are one.
 *
 * Tests    test/programs/report.py
 */
#ifndef REPORT_SITE_H
#define REPORT_SITE_H

#include "report_profile.h"

struct site {
    const char *function;       /* not known: the mapped file and an offset */
    const char *file;           /* NULL: not known */
    int line;
    bool is_allocator;
    struct profile_values flat; /* allocated by a call from here */
    struct profile_values cumulative;   /* and by what was called from here */
    size_t next;                /* of the same hash, plus 1 */
    size_t last_stack;          /* that came through here, plus 1 */
};

struct site_stack {
    size_t *site;               /* the innermost first */
    size_t count;
    struct profile_values values;
};

struct site_list {
    struct site *site;
    size_t count;
    struct site_stack *stack;
    size_t stack_count;
    struct profile_values total;
};

/* Of the live objects or, with ever, of all that were allocated. */
struct site_list sites_of(struct profile *profile, bool ever);

#endif
