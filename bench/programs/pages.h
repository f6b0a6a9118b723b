/* SPDX-License-Identifier: MIT */
/*
 * pages - blocks of which every page is written, as a program that fills its
 * buffers does; resident memory then is what the program asked for.
 *
 * Used by  the programs of threads/ and memory/ whose blocks are larger than
 *          a page, or whose memory is what they measure.
 */
#ifndef ASHLAR_BENCH_PAGES_H
#define ASHLAR_BENCH_PAGES_H

#include "work.h"

enum { PAGES_STEP = 4096 };

/* Leaves the stamp in the first bytes alone. */
static inline void pages_touch(void *block, size_t size)
{
    unsigned char *bytes = block;
    for (size_t at = PAGES_STEP; at < size; at += PAGES_STEP)
        bytes[at] = 1;
    if (size > sizeof(uint64_t))
        bytes[size - 1] = 1;
}

static inline void *pages_malloc(struct work_sum *sum, size_t size)
{
    void *block = work_malloc(sum, size);
    pages_touch(block, size);
    return block;
}

#endif
