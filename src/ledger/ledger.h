/* SPDX-License-Identifier: MIT */
/*
 * ledger - the face of the ledger layer: who allocated what, of the sample.
 *
 * Owns     the sampled objects that live, with their stacks and threads, and
 *          the profiles that are written of them.
 * Used by  heap/sample.c, which decides what is sampled and tells of it; ctl/
 *          (prof.*); api/start.c (the end of the process).
 * Never    allocates from the heap, or is called with a lock held; knows
 *          where a sampled object's memory is from.
 *
 * Tests    test/unit/ledger/ledger_test.c  test/unit/ledger/crowd_test.c
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "ledger/dump.h"
#include "ledger/log.h"
#include "ledger/person.h"
#include "ledger/pprof.h"
#include "ledger/recent.h"
#include "ledger/record.h"
#include "ledger/site.h"
#include "ledger/stack.h"

/*
 * The object was handed out to the caller of the function whose frame this is
 * (__builtin_frame_address(0)): its return address is the first of the stack.
 * May write an interval's profile, and call hooks of the program. false: no
 * memory, or called from within such a hook; nothing is known of it.
 */
MUST_USE bool ledger_take(const struct ledger_object *object,
    const void *frame);

/* An object is given back: what was known of it, and nothing is from now on.
 * false: it is no sampled object. frame as above; may be NULL: no stack is
 * wanted for the log. */
MUST_USE bool ledger_give(const void *pointer, struct ledger_object *object,
    const void *frame);

/* The same without forgetting. */
MUST_USE bool ledger_find(const void *pointer, struct ledger_object *object);

/* All objects of an arena are gone; call is told of each. */
void ledger_forget_arena(unsigned arena,
    void (*call)(const struct ledger_object *));

/* Bytes between two samples on average, as bits: 0 to 63. Setting it drops
 * every count; objects that live stay known, and count nowhere. */
unsigned ledger_rate_log2(void);
void ledger_reset(unsigned rate_log2);

/* -- hooks of the program -- */

/* An object was sampled, with its stack; and one was given back. NULL: nobody
 * wants to know. */
typedef void ledger_taken(const void *pointer, size_t size, void **stack,
    unsigned stack_count, size_t usable);
typedef void ledger_given(const void *pointer, size_t usable);
ledger_taken *ledger_take_hook(void);
void ledger_set_take_hook(ledger_taken *hook);
ledger_given *ledger_give_hook(void);
void ledger_set_give_hook(ledger_given *hook);

/* -- sums, kept with option prof_stats -- */

/* Of the sampled objects of one size class: those that live, and all that
 * ever were. A reset does not touch them. */
struct ledger_sums {
    uint64_t bytes;             /* asked for */
    uint64_t objects;
};
struct ledger_sums ledger_live_sums(size_t usable);
struct ledger_sums ledger_ever_sums(size_t usable);

/* -- proof -- */

/* Everything of the layer that nobody is at work on; with nobody at work, all
 * of it. */
void ledger_audit(void);

#endif
