/* SPDX-License-Identifier: MIT */
/*
 * pprof - writes a profile as pprof reads it.
 *
 * Owns     the choice of what such a profile says: live objects and bytes, and
 *          with prof_accum all that ever were; scaled up from the sample, for
 *          readers of this format take the numbers as they are. Labels say
 *          whose objects they are (thread, thread_uid, arena) and how large
 *          (bytes).
 * Used by  dump.c.
 * Never    allocates from the heap, or needs much stack.
 *
 * The format is profile.proto's perftools.profiles.Profile, gzip'd.
 *
 * Tests    test/unit/ledger/pprof_test.c  test/programs/report.py
 */
#ifndef LEDGER_PPROF_H
#define LEDGER_PPROF_H

#include "ledger/out.h"
#include "ledger/snapshot.h"

/* false: no memory for it, and the file is not whole. */
MUST_USE bool pprof_write(struct out *out, const struct snapshot *snapshot);

/* Who knows the arenas' names: with this call profiles say "auto_0" and not
 * "0". NULL is for an arena that is gone. */
void pprof_set_arena_names(const char *(*name_of)(unsigned arena));

#endif
