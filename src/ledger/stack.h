/* SPDX-License-Identifier: MIT */
/*
 * stack - the return addresses of the calling thread.
 *
 * Owns     the choice among frame pointers, the unwinder of libgcc, and a
 *          function of the program.
 * Used by  ledger.c.
 * Never    touches what is not known to be stack of the calling thread; asks
 *          for a lock; allocates or loads anything but in stack_arm().
 *
 * A walk along frame pointers is fast, and wrong in code that was compiled
 * without. So the unwinder is asked too, until both have said the same often
 * enough; then where a walk does not come to where stacks end, and now and then
 * (docs/design/11-stacks.md).
 *
 * Holds    W1  the frames of a walk ascend; the one exception is the step from
 *              another stack to the thread's own, which is the last such
 *
 * Tests    test/unit/ledger/stack_test.c  test/unit/ledger/unwind_test.c
 */
#ifndef LEDGER_STACK_H
#define LEDGER_STACK_H

#include "sys/sys.h"

enum { STACK_DEPTH_MAX = 1024, STACK_DEPTH_USUAL = 128 };

/* Look for an unwinder; before the first sample, outside of malloc; again does
 * no harm. May allocate. */
void stack_arm(void);

/* The return addresses from that of the function with this frame on, the latest
 * first, as many as pc_max and option prof_bt_max allow; how many. The function
 * is a caller, near or far, and has a frame pointer. The first address is the
 * program's: those in this library before it are left out. */
unsigned stack_take(const void *frame, void **pc, unsigned pc_max);

/* Finds the stack of its caller: *count is how many addresses of the most it
 * has written to pc. */
typedef void stack_finder(void **pc, unsigned *count, unsigned pc_max);

/* The ways above as such a function, and the one that is used: stack_find, or
 * what the program has set instead. Never NULL. */
void stack_find(void **pc, unsigned *count, unsigned pc_max);
stack_finder *stack_hook(void);
void stack_set_hook(stack_finder *hook);

#endif
