/* SPDX-License-Identifier: MIT */
/*
 * peek - read memory that may not be there.
 *
 * Owns     asking the kernel to copy instead of touching.
 * Used by  heap/reclaim.c, for the thread-local data of vanished threads;
 *          ledger/stack.c, for stacks that nothing is known of.
 * Never    faults. Where the system does not allow it, nothing can be read.
 */
#ifndef SYS_PEEK_H
#define SYS_PEEK_H

#include "util/compiler.h"

/* Copy bytes from an address of this process; false: not all could be. */
MUST_USE bool sys_peek(const void *address, void *copy, size_t bytes);

/* Can all of the range be read? Pages that were never touched are then. */
MUST_USE bool sys_can_read(const void *start, size_t bytes);

#endif
