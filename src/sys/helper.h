/* SPDX-License-Identifier: MIT */
/*
 * helper - a thread of our own.
 *
 * Owns     how such a thread begins: with a small stack, a name, and every
 *          signal blocked, so that the program's handlers never run in it.
 * Used by  ctl/background.c.
 * Never    started inside malloc: libc allocates for a thread that it makes.
 *          Keeps a process alive whose own threads have all ended.
 *
 * Tests    test/unit/ctl/background_test.c
 */
#ifndef SYS_HELPER_H
#define SYS_HELPER_H

#include <pthread.h>

#include "util/atomic.h"
#include "util/compiler.h"

bool sys_is_first_thread(void);     /* sys.h */

struct sys_helper {
    void (*run)(void);
    const char *name;           /* at most 15 characters */
    pthread_t thread;           /* filled in */
};

/* false: the system grants no thread. The record has to stay. */
MUST_USE bool helper_start(struct sys_helper *helper);

/* Wait until it has returned; by another thread. */
void helper_join(struct sys_helper *helper);

/*
 * Where the thread that the process began with ends alone, by pthread_exit(),
 * the process ends with the last of its threads. So from then on a helper has
 * to ask now and then whether it is the last, and return if so.
 */
extern _Atomic bool helper_runs;
extern _Atomic bool helper_must_ask;

/* The calling thread is about to end. true: helpers have to ask from now on. */
static inline bool helper_note_end(void)
{
    if (LIKELY(!load_relaxed(&helper_runs)) || !sys_is_first_thread())
        return false;
    store_relaxed(&helper_must_ask, true);
    return true;
}

/* Have all threads ended but so many of ours, the caller among them? */
bool helper_are_last(unsigned helpers);

#endif
