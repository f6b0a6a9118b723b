/* SPDX-License-Identifier: MIT */
/*
 * request - an allocation with wishes: an arena, a cache, alignment, zeros.
 *
 * Owns     which heap serves a call that names an arena or a cache, and what
 *          resizing means there.
 * Used by  api/allocx.c.
 * Never    touches errno, and never hands out what another arena's blocks were
 *          asked for: who names an arena gets its memory.
 *
 * Tests    test/unit/heap/request_test.c
 */
#ifndef HEAP_REQUEST_H
#define HEAP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* Of an arena or a cache: whatever the calling thread has. */
enum { REQUEST_AUTO = -1, REQUEST_NO_CACHE = -2 };

struct request {
    size_t size;                /* in bytes; 0 is served like 1 */
    size_t align;               /* 0, or a power of two */
    bool zero;
    int arena;                  /* REQUEST_AUTO or a number */
    int cache;                  /* REQUEST_AUTO, _NO_CACHE or a number */
};

/* NULL: no memory, too large, or no such arena. The cache must exist. */
void *request_take(const struct request *request);

/* A live object with another size, moved or not; zero: what it has beyond its
 * old usable bytes. NULL: as it was. */
void *request_resize(void *pointer, const struct request *request);

/* The same where it lies, with up to `extra` bytes more if there is room. Its
 * usable bytes afterwards, changed or not. */
size_t request_resize_here(void *pointer, const struct request *request,
    size_t extra);

/* Into a cache, or where it belongs. */
void request_give(void *pointer, int cache);

/* The usable bytes of what request_take() would give; 0: never available. */
size_t request_usable(size_t size, size_t align);

#endif
