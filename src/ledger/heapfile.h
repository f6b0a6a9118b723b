/* SPDX-License-Identifier: MIT */
/*
 * heapfile - a profile as heap_v2 text, which jeprof and pprof read.
 *
 * Owns     the format.
 * Used by  dump.c.
 * Never    fails by itself: what went wrong is known to the struct out. If
 *          there is no memory to sort by threads, the head does without them.
 *
 * Readers scale each stack's counts up by a formula that is only right for
 * objects of one size. So what is written, unless option prof_unbias is off,
 * is what they scale to the right sums.
 *
 * Tests    test/unit/ledger/heapfile_test.c  test/profile/jeprof.py
 */
#ifndef LEDGER_HEAPFILE_H
#define LEDGER_HEAPFILE_H

#include "ledger/out.h"
#include "ledger/snapshot.h"

void heapfile_write(struct out *out, const struct snapshot *snapshot);

#endif
