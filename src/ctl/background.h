/* SPDX-License-Identifier: MIT */
/*
 * background - threads that give back what is old while the program sleeps.
 *
 * Owns     the only threads that the library ever starts, and only for who
 *          asks: option or mallctl background_thread.
 * Used by  ctl.c, print.c, api/start.c.
 * Never    wakes without a reason: it sleeps until the oldest dirty memory of
 *          an arena is dirty_decay_ms old, and where nothing is dirty until
 *          something is. Takes no signal, and allocates nothing.
 *
 * There are as many as there are arenas when they are turned on, and no more
 * than max_background_threads says, or BACKGROUND_THREADS. The first one leads:
 * it alone knows when it is time, and then wakes the others. Each looks after
 * arenas of its own. A child of fork has none, and none is wanted there until
 * somebody asks again.
 *
 * Holds    G1  in one generation of the process at most one leads, and none
 *              follows without it
 *
 * Tests    test/unit/ctl/background_test.c
 */
#ifndef CTL_BACKGROUND_H
#define CTL_BACKGROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/lock.h"

enum { BACKGROUND_THREADS = 64 };

/*
 * On: the threads run when this returns. Off: they have ended. The same as
 * before is no change. false: the system grants no thread. Not from an extent
 * hook that such a thread calls.
 */
bool background_set(bool on);

/* On, but the threads come with the next slow path of any other where nothing
 * is held: for option background_thread, which is read when it is too early for
 * threads. */
void background_set_soon(void);

/* As it was set, in this process. */
bool background_is_on(void);

/* max_background_threads, which is 1 or more. If that is another number of
 * threads, those that run end, and others begin. false: none did. */
size_t background_threads_max(void);
bool background_set_threads_max(size_t count);

/* What mallctl calls stats.background_thread, for the process's life. */
struct background_counts {
    size_t num_threads;         /* that run now */
    uint64_t num_runs;          /* how often it looked at the arenas */
    uint64_t run_interval;      /* nanoseconds between two, on average */
};
struct background_counts background_counts(void);

/* What happened to the lock of background_set(); begin to count anew. */
struct lock_counts background_lock_counts(void);
void background_reset_lock_counts(void);

#endif
