/* SPDX-License-Identifier: MIT */
/*
 * life - a thread that ends without telling.
 *
 * Owns     the answer to: is the thread that lived in this still there? A
 *          robust mutex gives it, which the thread holds while it lives and
 *          the kernel marks when the thread ends by the bare system call.
 * Used by  heap/, one for each heap.
 * Never    waits for a thread that lives; makes a system call in a process
 *          with one thread.
 *
 * What a thread of an older generation left behind is not lost in this sense:
 * it vanished in fork, which is for those to handle who know the generation.
 *
 * Holds    V1  word == 0: nobody lives there; else generation << 1 | 1 of the
 *              thread's life_begin(), and then the mutex is that generation's
 *          V2  at most one caller of life_lost() gets true for a thread
 *
 * Tests    test/unit/sys/life_test.c
 */
#ifndef SYS_LIFE_H
#define SYS_LIFE_H

#include <pthread.h>

#include "util/atomic.h"
#include "util/compiler.h"

/* All zero: nobody lives there. */
struct sys_life {
    pthread_mutex_t mutex;
    _Atomic uint32_t word;
    uint32_t made;              /* whose mutex it is, as word; 0: none yet */
};

/*
 * The calling thread lives here from now on, alone; not called while a thread
 * of this generation lives there. After a fork the survivor calls it again.
 * false: not to be had.
 */
MUST_USE bool life_begin(struct sys_life *life);

/* The same thread no longer lives here. */
void life_end(struct sys_life *life);

/* Has the thread that lived here ended without life_end()? Any thread may
 * ask; one gets true, and then nobody lives here. */
MUST_USE bool life_lost(struct sys_life *life);

#endif
