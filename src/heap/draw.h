/* SPDX-License-Identifier: MIT */
/*
 * draw - random numbers of the distributions that sampling needs.
 *
 * Owns     a generator of 64 bits, and the logarithm of what it gives.
 * Used by  sample.c.
 * Never    calls the system, or the mathematical library.
 *
 * Tests    test/unit/heap/draw_test.c
 */
#ifndef HEAP_DRAW_H
#define HEAP_DRAW_H

#include "sys/sys.h"

struct draw {
    uint64_t state;
};

/* Another sequence for each seed. */
void draw_begin(struct draw *draw, uint64_t seed);

/* Positive, exponential, of mean 1. */
double draw_exponential(struct draw *draw);

/* The natural logarithm, of a positive number, to 14 digits. */
double draw_log(double x);

#endif
