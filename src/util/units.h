/* SPDX-License-Identifier: MIT */
/*
 * units - sizes, and rounding to them.
 *
 * Owns     KiB, MiB, GiB and the rounding helpers.
 * Never    knows what a size is for.
 */
#ifndef UTIL_UNITS_H
#define UTIL_UNITS_H

#include "util/compiler.h"

#define KiB ((size_t)1 << 10)
#define MiB ((size_t)1 << 20)
#define GiB ((size_t)1 << 30)

static inline bool is_power_of_two(size_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* step is a power of two; the caller knows that x + step cannot overflow. */
static inline size_t round_up(size_t x, size_t step)
{
    return (x + step - 1) & ~(step - 1);
}

static inline size_t round_down(size_t x, size_t step)
{
    return x & ~(step - 1);
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
