/* SPDX-License-Identifier: MIT */
/*
 * barrier - have every running thread of the process pass a memory barrier.
 *
 * Owns     membarrier(2). One thread pays for an order that another gets for
 *          nothing: it writes a word, then reads one of ours, with only the
 *          compiler kept from swapping the two.
 * Used by  heap/proxy.c.
 * Never    needed: where the kernel does not have it, the caller does without.
 */
#ifndef SYS_BARRIER_H
#define SYS_BARRIER_H

#include "util/compiler.h"

/* Can it be had? Costs a system call the first time, and then little as long
 * as the process has one thread; later it waits some milliseconds. */
bool sys_barrier_prepare(void);

/* false: it did not happen. */
MUST_USE bool sys_barrier(void);

#endif
