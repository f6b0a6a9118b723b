/* SPDX-License-Identifier: MIT */
/*
 * stress - what the thread tests share: a block that says what it is, and
 * threads that are started and joined by number.
 *
 * A marked block begins with its size and the seed of the rest, so that any
 * thread that gets hold of it can check all of it.
 */
#ifndef STRESS_H
#define STRESS_H

#include "../expect.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

struct marked {
    size_t size; /* of the whole block */
    uint64_t seed;
};

static inline void mark(struct marked *block, size_t size, uint64_t seed)
{
    block->size = size;
    block->seed = seed;
    contents_fill(block + 1, size - sizeof *block, seed);
}

static inline struct marked *marked_take(size_t size, uint64_t seed)
{
    size = size < sizeof(struct marked) ? sizeof(struct marked) : size;
    struct marked *block = (struct marked *)subject_malloc(size);
    EXPECT_THAT(block != NULL, "%zu bytes", size);
    mark(block, size, seed);
    return block;
}

static inline void marked_check(const struct marked *block)
{
    EXPECT_THAT(block->size >= sizeof *block && block->size <= 2 * MIB,
                "block at %p says it has %zu bytes", (const void *)block,
                block->size);
    EXPECT_CONTENTS(block + 1, block->size - sizeof *block, block->seed);
}

static inline void marked_free(struct marked *block)
{
    marked_check(block);
    subject_free(block);
}

/* Mostly small, some to 100 KiB, a few near 1 MiB. */
static inline size_t marked_size(struct dice *dice)
{
    const size_t kind = dice_below(dice, 2000);
    if (kind == 0)
        return dice_between(dice, 900 * KIB, 1100 * KIB);
    if (kind < 20)
        return dice_between(dice, 10 * KIB, 100 * KIB);
    if (kind < 200)
        return dice_below(dice, 8 * KIB);
    return dice_below(dice, 300);
}

/* How many rounds of thread-specific destructors a test may ask for.  The
 * thread sanitizer takes its own leave in the last round, and instrumented
 * code that runs after it crashes. */
enum {
    DESTRUCTOR_ROUNDS = SUBJECT_TSAN ? PTHREAD_DESTRUCTOR_ITERATIONS - 1
                                     : PTHREAD_DESTRUCTOR_ITERATIONS
};

enum { STRESS_THREADS_MAX = 1024 };

struct crew {
    pthread_t threads[STRESS_THREADS_MAX];
    size_t count;
};

/* A small stack keeps many threads cheap; sanitizers need a larger one. */
static inline void crew_add(struct crew *crew, void *(*work)(void *),
                            void *argument)
{
    pthread_attr_t attributes;
    EXPECT(crew->count < STRESS_THREADS_MAX);
    EXPECT_EQUAL(pthread_attr_init(&attributes), 0);
    EXPECT_EQUAL(pthread_attr_setstacksize(
                     &attributes, SUBJECT_SANITIZED ? MIB : 256 * KIB), 0);
    EXPECT_EQUAL(pthread_create(&crew->threads[crew->count++], &attributes,
                                work, argument), 0);
    EXPECT_EQUAL(pthread_attr_destroy(&attributes), 0);
}

static inline void crew_join(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        EXPECT_EQUAL(pthread_join(crew->threads[i], NULL), 0);
    crew->count = 0;
}

#endif
