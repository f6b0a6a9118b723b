/* SPDX-License-Identifier: MIT */
/*
 * secret - a number that other processes cannot guess.
 *
 * Owns     what the kernel gave this process at its start as random bytes.
 * Used by  heap/ (keys of marks).
 * Never    blocks, and never calls the system.
 */
#ifndef SYS_SECRET_H
#define SYS_SECRET_H

#include <stdint.h>

/* The same each time; 0 if the system gave none. */
uint64_t sys_secret(void);

#endif
