/* SPDX-License-Identifier: MIT */
/*
 * figure - leaves as numbers, for who prints many of them.
 *
 * Owns     looking a name up once, and reading it for one number after the
 *          other of those in it.
 * Used by  print*.c.
 * Never    reads anything but by ctl_by_mib(): what is printed is what
 *          mallctl() answers.
 *
 * Tests    test/unit/ctl/print_test.c
 */
#ifndef CTL_FIGURE_H
#define CTL_FIGURE_H

#include "ctl/tree.h"

struct figure {
    const char *key;
    size_t mib[TREE_DEPTH_MAX];
    size_t depth;
    size_t bytes;               /* of its type; 0: there is no such leaf */
    uint8_t numbers[2];         /* which parts they are; 0: none */
};

/* Three pieces of a name, put together. */
enum { FIGURE_NAME_BYTES = 128 };
struct figure_name {
    char bytes[FIGURE_NAME_BYTES];
};
struct figure_name figure_name(const char *one, const char *two,
    const char *three);

/* The leaf of a name: path, then key. Where numbers belong it has 0. */
struct figure figure_find(const char *path, const char *key);

/* Its value with these as the first and the second number in its name, as far
 * as it has any. */
uint64_t figure_at(const struct figure *figure, size_t i, size_t j);

/* The same of a leaf that has two numbers; one is in its name. */
prof_stats_t figure_stats_at(const struct figure *figure, size_t i);

/* A leaf that is read but for its own sake. */
uint64_t figure_of(const char *path, const char *key, size_t i);
const char *figure_text(const char *path, const char *key, size_t i);

/* All leaves of a list of keys that ends with NULL, at most FIGURE_KEYS_MAX;
 * how many there are. */
enum { FIGURE_KEYS_MAX = 12 };
size_t figure_find_all(struct figure *figures, const char *path,
    const char *const *keys);

#endif
