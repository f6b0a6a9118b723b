/* SPDX-License-Identifier: MIT */
/*
 * misuse - what the files of this program share.
 *
 * misuse.c    saying what happened, and the way on afterwards
 * scenes.c    the blocks, the threads, and how they came to be so
 * twice.c     mistakes: blocks that are given back twice, and wrong sizes
 * astray.c    mistakes: pointers that are no block
 * lists.c     mistakes: free blocks that are written to
 */
#ifndef MISUSE_H
#define MISUSE_H

#define _GNU_SOURCE 1

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* -- misuse.c -- */

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The scene did not come about: say so, and end. */
void insist(bool held, const char *what);

/* Say which pointer will be misused. */
void *misused(const void *pointer);

/* -- tables: each ends with a NULL -- */

struct named {
    const char *name;
    void (*run)(void);
};
#define NAMED(name) { #name, name }

extern const struct named scenes[], twice_mistakes[], astray_mistakes[],
    list_mistakes[];

/* -- scenes.c -- */

struct scene {
    size_t bytes;
    char **block;               /* live ones; NULL: given back */
    size_t count;
    size_t victim;
    bool elsewhere;             /* the helper does wrong, not this thread */
    bool helped;                /* there is a helper */
};
extern struct scene scene;

/* Memory that is nobody's block. */
extern char static_data[4096];

char *victim(void);
bool is_large(void);

/* The memory of one slab of such blocks. */
size_t slab_bytes(void);

/* Have the helper work. */
void elsewhere(void (*work)(void *), void *argument);

/* Work in the thread that does wrong. */
void commit(void (*work)(void *), void *argument);

/* Calls, of which the pointer is all that matters. */
void call_free(void *pointer);
void call_realloc(void *pointer);
void call_realloc_longer(void *pointer);
void call_usable_size(void *pointer);
void call_free_sized(void *pointer);
void call_free_aligned_sized(void *pointer);
void call_delete(void *pointer);

/* Give block i back, as one should. */
void give(size_t i);

/*
 * Every second neighbour, down from the victim's: an eighth of a slab and one,
 * so that a full slab is worth taking from, none becomes empty, and what is
 * given next is not the first of a list.
 */
void give_neighbours(void);

/* Give the victim and a neighbour back, and take blocks until the neighbour
 * comes: the refill that brought it has the victim in hand. */
char *take_in_hand(void);

/* Take blocks until every list of free ones was taken over, in both threads,
 * for either may own the victim's slab by now. */
void take_over(void);

#endif
