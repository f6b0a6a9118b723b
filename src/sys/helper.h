/* SPDX-License-Identifier: MIT */
/*
 * helper - a thread of our own.
 *
 * Owns     how such a thread begins: with a small stack, a name, and every
 *          signal blocked, so that the program's handlers never run in it.
 * Used by  ctl/background.c.
 * Never    started inside malloc: libc allocates for a thread that it makes.
 *
 * Tests    test/unit/ctl/background_test.c
 */
#ifndef SYS_HELPER_H
#define SYS_HELPER_H

#include <pthread.h>

#include "util/compiler.h"

struct sys_helper {
    void (*run)(void);
    const char *name;           /* at most 15 characters */
    pthread_t thread;           /* filled in */
};

/* false: the system grants no thread. The record has to stay. */
MUST_USE bool helper_start(struct sys_helper *helper);

/* Wait until it has returned; by another thread. */
void helper_join(struct sys_helper *helper);

#endif
