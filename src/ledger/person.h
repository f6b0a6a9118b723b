/* SPDX-License-Identifier: MIT */
/*
 * person - a thread, as profiles know it.
 *
 * Owns     its number, its name, and room for a stack of it.
 * Used by  ledger.c, site.c (hold and drop), dump.c, log.c, recent.c (numbers
 *          and names), heap/ (the thread's end), ctl/ (thread.prof.name).
 * Never    frees a person: one whose thread has ended and that nobody holds
 *          becomes another, with another number.
 *
 * A thread that vanished in fork stays a person, as what it allocated stays.
 *
 * Holds    P1  a person that is free has no holders, and one that a thread is
 *              has the thread as a holder
 *          P2  a name ends with 0
 *
 * Tests    test/unit/ledger/person_test.c
 */
#ifndef LEDGER_PERSON_H
#define LEDGER_PERSON_H

#include "sys/lock.h"

enum { PERSON_NAME_BYTES = 16 };

struct person {
    /* fixed until it is free */
    uint64_t number;            /* from 1, never the same again */

    /* the thread's alone */
    bool busy;                  /* a sample of it is being noted */
    bool is_writing;            /* a profile: dump.c */
    bool is_telling;            /* the program's hook of one */
    unsigned pc_max;            /* as option prof_bt_max was at its birth */

    /* under lock person */
    struct person *next;        /* free ones */
    char name[PERSON_NAME_BYTES];       /* "": none */

    /* any thread, atomically */
    _Atomic uint64_t holders;   /* sites of it, and the thread itself */

    void *pc[];                 /* the thread's alone */
};

/* The calling thread's, which is made when it is first asked for; NULL: no
 * memory. */
MUST_USE struct person *person_of_thread(void);

/* The calling thread ends. */
void person_end(void);

/* The calling thread's name from now on; longer ones are cut. false: no
 * memory. */
MUST_USE bool person_set_name(const char *name);

/* Whose person is held: its name as it is now. */
void person_read_name(struct person *person, char name[PERSON_NAME_BYTES]);

/* One holder more or less; the last may be another's. */
void person_keep(struct person *person);
void person_drop(struct person *person);

/* What happened to the lock. */
struct lock_counts person_lock_counts(void);
void person_reset_lock_counts(void);

void person_audit(void);

#endif
