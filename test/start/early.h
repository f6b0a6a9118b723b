/* SPDX-License-Identifier: MIT */
/*
 * early - a small workout for a malloc that is called unusually early, or
 * late. It uses no stdio: that may not be ready. A failure ends the process
 * with status 3 and the caller's name on stderr.
 */
#ifndef EARLY_H
#define EARLY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EARLY_BLOCKS = 40 };

static inline void early_fail(const char *where)
{
    const char text[] = " got no good memory\n";
    if (write(2, where, strlen(where)) < 0 ||
        write(2, text, sizeof text - 1) < 0)
        _exit(4);
    _exit(3);
}

/* Blocks of 1 byte to about 1 MB, filled, grown, checked and given back. */
static inline void early_workout(const char *where)
{
    unsigned char *blocks[EARLY_BLOCKS];
    size_t sizes[EARLY_BLOCKS];
    size_t size = 1;
    for (int i = 0; i < EARLY_BLOCKS; i++) {
        sizes[i] = size;
        blocks[i] = (unsigned char *)malloc(size);
        if (blocks[i] == NULL || (uintptr_t)blocks[i] % 8 != 0)
            early_fail(where);
        memset(blocks[i], i + 1, size);
        size += size / 3 + 3;
    }
    for (int i = 0; i < EARLY_BLOCKS; i++) {
        if (i % 3 == 0)
            blocks[i] = (unsigned char *)realloc(blocks[i], sizes[i] * 2);
        if (blocks[i] == NULL || blocks[i][0] != i + 1 ||
            blocks[i][sizes[i] - 1] != i + 1)
            early_fail(where);
    }
    unsigned char *const zeroed = (unsigned char *)calloc(100, 100);
    for (int i = 0; i < 10000; i++) {
        if (zeroed == NULL || zeroed[i] != 0)
            early_fail(where);
    }
    free(zeroed);
    for (int i = 0; i < EARLY_BLOCKS; i++)
        free(blocks[i]);
}

#endif
