/* SPDX-License-Identifier: MIT */
/*
 * stride - how far it is from one frame to the next, where nothing on the stack
 *          says so.
 *
 * Owns     for return addresses that the unwinder has told of, the bytes from
 *          where the stack pointer is there to where it is in the caller. In
 *          most functions that is the same each time.
 * Used by  stack.c, which asks the unwinder where something is not known.
 * Never    is asked for a lock, or for memory.
 *
 * A function that takes room as it goes, by alloca, may show the same distance
 * twice: one is believed after STRIDE_TIMES. Even then a wrong one shows in
 * stack.c, but for the rare case that it leads to another return address.
 *
 * Holds    S1  an entry once claimed keeps its address; what is said of it
 *              changes from unknown to a distance, and from that to
 *              STRIDE_VARIES, no more
 *
 * Tests    test/unit/ledger/stride_test.c
 */
#ifndef LEDGER_STRIDE_H
#define LEDGER_STRIDE_H

#include "sys/sys.h"

/* What is no distance, which are multiples of 8: nobody said it often enough,
 * or it is not always the same; or there is no caller. */
enum { STRIDE_UNKNOWN = 0, STRIDE_VARIES = 1, STRIDE_END = 2 };

/* How many are learned; then the unwinder has to be asked for others. */
enum { STRIDE_ADDRESSES = 8192, STRIDE_TIMES = 4 };

/* Any thread. */
uint32_t stride_of(const void *pc);
void stride_learn(const void *pc, uint32_t bytes);

#endif
