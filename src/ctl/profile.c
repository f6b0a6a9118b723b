/* SPDX-License-Identifier: MIT */
/*
 * profile - arming heap profiling. See profile.h.
 */
#include "ctl/profile.h"

#include "heap/arenas.h"
#include "heap/sample.h"
#include "ledger/ledger.h"
#include "table/option.h"

static _Atomic bool profile_armed;

bool profile_is_armed(void)
{
    return load_relaxed(&profile_armed);
}

static const char *profile_arena_name(unsigned index)
{
    const struct arena *arena = arenas_at(index);
    return arena != NULL ? arena->name : NULL;
}

/* Whoever is second goes on before the first has finished: what it may see is
 * a default instead of an option. */
void profile_arm(void)
{
    if (exchange_relaxed(&profile_armed, true))
        return;
    stack_arm();
    sample_set_rate((unsigned)option_now.lg_prof_sample);
    recent_set_max(option_now.prof_recent_alloc_max);
    dump_set_gdump(option_now.prof_gdump);
    pprof_set_arena_names(profile_arena_name);
}

bool profile_begin(void)
{
    /* As jemalloc: for leaks alone, no other profile is written. */
    if (option_now.prof_leak && !option_now.prof) {
        option_now.prof = true;
        option_now.prof_gdump = false;
    }
    /* Also where it is armed later: of the threads that are there by then. */
    if (!option_now.prof_thread_active_init) {
        sample_set_begins_active(false);
        sample_set_thread_active(false);
    }
    if (!option_now.prof)
        return true;
    profile_arm();
    sample_set_active(option_now.prof_active);
    return !option_now.prof_log || log_start(NULL);
}
