/* SPDX-License-Identifier: MIT */
/*
 * unwind - return addresses by the tables that compilers write for exceptions.
 *
 * Owns     the unwinder of libgcc, found at run time; where our own code is.
 * Used by  ledger/stack.c.
 * Never    waits for a lock of the loader: an unwinder that would is not used;
 *          looks for one but in sys_unwind_find().
 *
 * Tests    test/unit/ledger/unwind_test.c
 */
#ifndef SYS_UNWIND_H
#define SYS_UNWIND_H

#include "util/compiler.h"

/* Look for the unwinder and let it prepare itself; look where our code is. May
 * allocate and load a library, so never from inside an allocation. Again does
 * no harm. */
void sys_unwind_find(void);
bool sys_unwind_is_found(void);

/* Is it code of this library? Never, where the library is a part of the program
 * and nothing tells them apart; nor before sys_unwind_find(). */
bool sys_is_own_code(const void *pc);

/* Tell the return addresses of the calling thread, from that of the function
 * with this frame on, the latest first, until `tell` answers false; and where
 * the stack pointer is at each: right above the word that holds the address,
 * but for what a signal interrupted. true: there are no more. */
typedef bool sys_unwind_tell(void *to, void *pc, const char *stack);
bool sys_unwind(const void *frame, sys_unwind_tell *tell, void *to);

#endif
