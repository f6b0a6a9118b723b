/* SPDX-License-Identifier: MIT */
/*
 * vector - an array grows by half of its size each time it is full.
 *
 * Stands for the one large array of a program: a file read to its end, the
 * rows of a table, a list in an interpreter.  It grows from a few bytes to
 * tens of megabytes with realloc, is dropped, and the next one grows.  It
 * shows whether a large object is copied, moved by its pages or grown in
 * place.
 */
#include "../work.h"

static uint64_t size_max = 64 << 20;
static uint64_t rounds = 1;

static const struct work_option options[] = {
    {"size", &size_max, 64, (uint64_t)1 << 40, NULL},
    {"rounds", &rounds, 1, UINT64_MAX, NULL},
};

struct vector {
    uint64_t *items;
    size_t length;
    size_t capacity;
};

static void grow(struct vector *vector)
{
    vector->capacity += vector->capacity / 2 + 2;
    const size_t bytes = vector->capacity * sizeof *vector->items;
    vector->items = realloc(vector->items, bytes);
    if (vector->items == NULL)
        work_die(1, "realloc(%zu) failed", bytes);
}

/* Every number is looked at just after a move would have spoilt it, by
 * samples: the last, the first and one between. */
static void look(const struct vector *vector)
{
    const size_t at[] = {0, vector->length / 3, vector->length - 1};
    for (size_t i = 0; vector->length > 0 && i < WORK_COUNT(at); i++)
        if (vector->items[at[i]] != at[i])
            work_die(1, "item %zu of %zu is spoilt", at[i], vector->length);
}

static uint64_t fill(struct vector *vector, size_t length)
{
    uint64_t grown = 0;
    while (vector->length < length) {
        if (vector->length == vector->capacity) {
            grow(vector);
            look(vector);
            grown++;
        }
        size_t end = vector->capacity < length ? vector->capacity : length;
        for (size_t i = vector->length; i < end; i++)
            vector->items[i] = i;
        vector->length = end;
    }
    return grown;
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    uint64_t ops = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        struct vector vector = {NULL, 0, 0};
        ops += fill(&vector, size_max / sizeof *vector.items);
        look(&vector);
        free(vector.items);
    }
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
