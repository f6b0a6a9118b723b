/* SPDX-License-Identifier: MIT */
/*
 * watch - functions of the program that hear of every allocation.
 *
 * Owns     up to four watches, which mallctl installs and removes under the
 *          names experimental.hooks.install and .remove.
 * Used by  second.c (each call of a watched thread), ctl/.
 * Never    costs anything while there is none: with the first, threads become
 *          of the second tier, at their next refill, and with the last removed
 *          they are of the first again.
 *
 * What a watch is told: kind 0 for what came (as by malloc), went (as by free)
 * or changed its size (as by realloc), whichever function was called; and the
 * usable bytes where jemalloc has the arguments of the call. It may allocate
 * and free, which it does not hear of.
 *
 * Tests    test/unit/ctl/leaf_test.c
 */
#ifndef HEAP_WATCH_H
#define HEAP_WATCH_H

#include "util/compiler.h"

enum { WATCH_MAX = 4, WATCH_ARGUMENTS = 4 };

/* The layout is jemalloc's; a function that is NULL is not called. */
struct watch {
    void (*taken)(void *extra, int kind, void *result, uintptr_t result_raw,
        uintptr_t *arguments);
    void (*given)(void *extra, int kind, void *address, uintptr_t *arguments);
    void (*resized)(void *extra, int kind, void *address, size_t old_bytes,
        size_t bytes, uintptr_t result_raw, uintptr_t *arguments);
    void *extra;
};

/* What to remove it by; NULL: there are four already. */
const void *watch_add(const struct watch *watch);

/* false: that is not installed. Calls that have begun may still come. */
MUST_USE bool watch_remove(const void *handle);

/* A watched thread was given an object, gives one back, has another size. */
void watch_take(void *pointer, size_t bytes);
void watch_give(void *pointer, size_t bytes);
void watch_resize(void *pointer, size_t old_bytes, size_t bytes);

#endif
