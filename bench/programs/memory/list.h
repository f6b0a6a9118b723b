/* SPDX-License-Identifier: MIT */
/*
 * list - blocks of at least 16 bytes that are linked through themselves, for
 * programs whose tables would be as large as their blocks.
 *
 * Used by  the programs of memory/ with many small blocks.
 */
#ifndef ASHLAR_BENCH_LIST_H
#define ASHLAR_BENCH_LIST_H

#include "valley.h"

struct link {
    uint64_t stamp; /* work.h's */
    struct link *next;
};

struct list {
    struct link *first, *last;
};

static inline void list_push(struct list *list, void *block)
{
    struct link *link = block;
    link->next = NULL;
    if (list->last != NULL)
        list->last->next = link;
    else
        list->first = link;
    list->last = link;
}

/* The oldest, or NULL. */
static inline void *list_shift(struct list *list)
{
    struct link *link = list->first;
    if (link == NULL)
        return NULL;
    list->first = link->next;
    if (list->first == NULL)
        list->last = NULL;
    return link;
}

static inline void list_free(struct list *list, struct work_sum *sum)
{
    for (void *block; (block = list_shift(list)) != NULL;)
        work_free(sum, block, sizeof(struct link));
}

#endif
