/* SPDX-License-Identifier: MIT */
/*
 * profile - whether heap profiling is armed: by option prof, or since
 * prof.armed was made true in a process that began without.
 *
 * Owns     applying the options of profiles, once.
 * Used by  api/start.c (option prof), leaf_prof.c, ctl.c (what there is).
 * Never    disarms; samples are switched on and off by prof.active.
 *
 * Tests    test/unit/ctl/prof_test.c
 */
#ifndef CTL_PROFILE_H
#define CTL_PROFILE_H

#include "util/compiler.h"

/* At the start: arm if the options ask for it. What they say is settled first:
 * opt.prof shows it. false: there is no log, for it has no name. */
MUST_USE bool profile_begin(void);

/* Apply the options, unless that is done. Not from inside an allocation. */
void profile_arm(void);

bool profile_is_armed(void);

#endif
