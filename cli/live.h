/* SPDX-License-Identifier: MIT */
/*
 * live - which object lives at an address: the recorder's table.
 *
 * Owns     a hash table from addresses to birth numbers, in mapped memory.
 * Used by  recorder, under its lock.
 * Never    calls malloc.
 * Tests    test/programs/record.py
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stdint.h>

/* The address must not be in the table. False: no memory for it. */
bool live_put(const void *address, uint64_t birth);

/* Takes an object out of the table; false if it is not there. */
bool live_take(const void *address, uint64_t *birth);

#endif
