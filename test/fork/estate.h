/* SPDX-License-Identifier: MIT */
/*
 * estate - what several threads own when one of them forks, and what the
 * child does with it.
 *
 * Owns     a table of filled blocks, each taken by one of the threads; the
 *          child's whole life; what it leaves in memory at its end.
 * Used by  torture.c.
 */
#ifndef FORK_ESTATE_H
#define FORK_ESTATE_H

#include "../expect.h"

#include <pthread.h>
#include <sys/wait.h>

#if SUBJECT_PREFIXED
#include "heap/heap.h"
#endif

enum { CHILD_SECONDS = 10 };

/* One size of every kind: small, middle, run. */
static const size_t estate_sizes[] = {
    8, 48, 112, 256, 700, 2000, 5000, 20000, 60000, 100000,
};
enum { ESTATE_SIZES = sizeof estate_sizes / sizeof *estate_sizes };

struct holding {
    void *block;
    size_t size;
    uint64_t seed;
};

enum { HOLDINGS_MAX = 100 };
static struct holding holdings[HOLDINGS_MAX];
static size_t holding_count;

static inline void holding_take(size_t size)
{
    struct holding *holding = &holdings[holding_count++];
    EXPECT(holding_count <= HOLDINGS_MAX);
    *holding = (struct holding){subject_malloc(size), size,
                                mixed(test.seed + holding_count)};
    EXPECT_THAT(holding->block != NULL, "%zu bytes", size);
    sparse_fill(holding->block, size, holding->seed);
}

static inline void holding_give(struct holding *holding)
{
    if (holding->block == NULL)
        return;
    EXPECT_SPARSE(holding->block, holding->size, holding->size,
                  holding->seed);
    subject_free(holding->block);
    holding->block = NULL;
}

/* The calling thread takes two of each size. */
static inline void estate_take(void)
{
    for (size_t i = 0; i < 2 * (size_t)ESTATE_SIZES; i++)
        holding_take(estate_sizes[i / 2]);
}

/* The calling thread gives every `step`th holding, from `first` on. */
static inline void estate_give(size_t first, size_t step)
{
    for (size_t i = first; i < holding_count; i += step)
        holding_give(&holdings[i]);
}

/* How much memory the process has in use, by the best book there is. */
static inline size_t estate_bytes(void)
{
#if SUBJECT_PREFIXED
    return arena_main.pool.taken_bytes;
#else
    return resident_bytes();
#endif
}

/* -- the child -- */

/* Allocate and free some of every kind. */
static inline void child_work(uint64_t seed)
{
    void *blocks[3 * ESTATE_SIZES];
    const size_t count = sizeof blocks / sizeof *blocks;
    for (size_t i = 0; i < count; i++) {
        const size_t size = estate_sizes[i % ESTATE_SIZES];
        blocks[i] = i % 7 == 3 ? subject_calloc(1, size)
                               : subject_malloc(size);
        EXPECT_THAT(blocks[i] != NULL, "%zu bytes", size);
        sparse_fill(blocks[i], size, seed + i);
    }
    for (size_t i = 0; i < count; i++) {
        const size_t size = estate_sizes[i % ESTATE_SIZES];
        EXPECT_SPARSE(blocks[i], size, size, seed + i);
        if (i % 5 == 2) {
            blocks[i] = subject_realloc(blocks[i], size * 2);
            EXPECT(blocks[i] != NULL);
            EXPECT_SPARSE(blocks[i], size, size - 1, seed + i);
        }
        subject_free(blocks[i]);
    }
    subject_free(subject_malloc(5 * MIB));
}

static inline void *child_thread(void *argument)
{
    child_work((uint64_t)(uintptr_t)argument);
    return NULL;
}

static inline void child_starts_thread(uint64_t seed)
{
    pthread_t thread_id;
    EXPECT_EQUAL(pthread_create(&thread_id, NULL, child_thread,
                                (void *)(uintptr_t)seed), 0);
    EXPECT_EQUAL(pthread_join(thread_id, NULL), 0);
}

/* What a child does first. */
enum child_kind {
    CHILD_TAKES, CHILD_GIVES, CHILD_TRIMS, CHILD_STARTS_THREAD, CHILD_FORKS,
    CHILD_KINDS
};

static const char *const child_kinds[CHILD_KINDS] = {
    "allocated first", "freed first", "trimmed first",
    "started a thread first", "forked first",
};

static inline void child_life(enum child_kind kind, uint64_t seed);

/* A child of a child: all that had vanished has vanished again. */
static inline void child_forks(uint64_t seed)
{
    int status;
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        child_life(CHILD_TAKES, seed);
        _exit(0);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(status == 0, "status %x of the child's child",
                (unsigned)status);
}

static inline void child_life(enum child_kind kind, uint64_t seed)
{
    alarm(CHILD_SECONDS);
    switch (kind) {
    case CHILD_GIVES: estate_give(0, 3); break;
    case CHILD_TRIMS: subject_trim(0); break;
    case CHILD_STARTS_THREAD: child_starts_thread(seed); break;
    case CHILD_FORKS: child_forks(seed); break;
    default: break;
    }
    child_work(seed);
    estate_give(0, 2);
    subject_audit();
    estate_give(0, 1);
    subject_trim(0);
    subject_audit();
}

#endif
