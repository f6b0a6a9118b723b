/* SPDX-License-Identifier: MIT */
/*
 * dump - when a heap profile is written, and under which name.
 *
 * Owns     the names of profiles; the bytes until the next one of its own
 *          accord; who writes at the moment; the summary of leaks.
 * Used by  ledger.c (bytes), heap/ (new heights), ctl/ (prof.dump and others),
 *          api/start.c (settings, the end of the process).
 * Never    allocates from the heap; keeps anybody who allocates waiting for a
 *          file: a profile that comes due while another is being written is
 *          left to who writes that. Not called with a lock held.
 *
 * A name that ends in .pb.gz is that of a profile for pprof, any other one of
 * a heap_v2 text.
 *
 * Tests    test/unit/ledger/dump_test.c  test/profile/jeprof.py
 */
#ifndef LEDGER_DUMP_H
#define LEDGER_DUMP_H

#include "sys/lock.h"

/* Why a profile is written; its letter is in the name. */
enum dump_kind {
    DUMP_FINAL,                 /* f: the process ends */
    DUMP_INTERVAL,              /* i: so many bytes were allocated */
    DUMP_MANUAL,                /* m: prof.dump */
    DUMP_HEIGHT,                /* u: more memory in use than ever */
    DUMP_KINDS
};

/* Write a profile to a file; NULL: with an automatic name of kind m. Waits for
 * other profiles. false: who listens was told why, and nothing else changed. */
MUST_USE bool dump_write(const char *path);

/* A profile of kind i or u is due. Nothing happens while names begin with "",
 * and from inside of the hook below. */
void dump_automatic(enum dump_kind kind);

/* What automatic names begin with, at most DUMP_PREFIX_BYTES_MAX bytes of it;
 * "": there are none. Copied. Before that it is option prof_prefix. */
enum { DUMP_PREFIX_BYTES_MAX = 4000 };
void dump_set_prefix(const char *prefix);

/* prefix.pid, or prefix.namespace.pid: what the names of files begin with.
 * false: they begin with "", and there are none. */
MUST_USE bool dump_begin_name(struct text *name);

/* Who is told of each file, after an attempt to write it; NULL: nobody. */
typedef void dump_listener(const char *path);
dump_listener *dump_hook(void);
void dump_set_hook(dump_listener *hook);

/* Who is told, in a line, of what went wrong; at first stderr. */
void dump_set_say(void (*say)(const char *line));

/* Tell that something could not be written there; the system's error. */
COLD void dump_say_failed(const char *what, const char *path, int error);

/* So many bytes more were allocated, as far as a sample can tell: a profile
 * after every 2^lg_prof_interval of them. */
void dump_note_bytes(uint64_t bytes);

/* Is a profile written at each new height of memory in use? */
extern _Atomic bool dump_gdump_on;
static inline bool dump_gdump(void)
{
    return UNLIKELY(load_relaxed(&dump_gdump_on));
}
void dump_set_gdump(bool on);

/* So many bytes are in use now; asked for while dump_gdump(). */
void dump_note_active(size_t bytes);

/* The process ends: the final profile and the summary of leaks, where options
 * ask for them. true: the exit status has to be 1. */
MUST_USE bool dump_at_end(void);

/* Of the lock under which profiles are written. */
struct lock_counts dump_lock_counts(void);
void dump_reset_lock_counts(void);

#endif
