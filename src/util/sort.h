/* SPDX-License-Identifier: MIT */
/*
 * sort - pointers in an order, where they lie.
 *
 * Owns     nothing: qsort of libc would allocate.
 * Never    takes longer than n log n; keeps equals in their order.
 *
 * Tests    test/unit/util/sort_test.c
 */
#ifndef UTIL_SORT_H
#define UTIL_SORT_H

#include "util/compiler.h"

/* Sorts so that no pointer comes before() one to its left. */
void sort_pointers(void **at, size_t count,
    bool (*before)(const void *left, const void *right));

#endif
