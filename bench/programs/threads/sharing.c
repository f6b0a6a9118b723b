/* SPDX-License-Identifier: MIT */
/*
 * sharing - do small blocks of different threads lie in one cache line?
 *
 * Each thread holds a few small blocks, and again and again replaces the oldest
 * by a new one and writes to each many times.  An allocator that deals
 * neighbouring blocks to different threads makes every write wait for the
 * other core: active false sharing.  In the passive kind, the main thread first
 * deals neighbouring blocks of its own to the threads, which free them: an
 * allocator must not hand them out again where they were freed.
 */
#include "crew.h"

/* The stamp is a block's first bytes, what is written often its last one. */
enum { HELD = 8, STAMP_BYTES = 8 };

static uint64_t threads = 2, size = 16, rounds = 10000, writes = 100;
static uint64_t kind;

/* A line for each thread: the probe must not share one of its own. */
static _Alignas(64) void *dealt[CREW_MAX][HELD];
static pthread_barrier_t barrier;

static void write_often(void *const *held)
{
    for (uint64_t i = 0; i < writes; i++)
        for (size_t h = 0; h < HELD; h++)
            ++((volatile unsigned char *)held[h])[size - 1];
}

static void work(size_t number, struct work_sum *sum)
{
    void **held = dealt[number];
    for (size_t h = 0; h < HELD; h++) {
        if (held[h] != NULL)
            work_free(sum, held[h], STAMP_BYTES);
        held[h] = NULL;
    }
    pthread_barrier_wait(&barrier);
    for (size_t h = 0; h < HELD; h++)
        held[h] = work_malloc(sum, size);
    for (uint64_t round = 0; round < rounds; round++) {
        void **oldest = &held[round % HELD];
        work_free(sum, *oldest, STAMP_BYTES);
        *oldest = work_malloc(sum, size);
        write_often(held);
    }
    for (size_t h = 0; h < HELD; h++)
        work_free(sum, held[h], STAMP_BYTES);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"kind", &kind, 0, 0, "active|passive"},
        {"threads", &threads, 1, CREW_MAX, NULL},
        {"size", &size, STAMP_BYTES + 1, 4096, NULL},
        {"rounds", &rounds, 1, UINT32_MAX, NULL},
        {"writes", &writes, 1, UINT32_MAX, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    struct work_sum total = work_sum(CREW_MAX);
    for (size_t h = 0; h < HELD && kind == 1; h++)
        for (size_t i = 0; i < threads; i++)
            dealt[i][h] = work_malloc(&total, size);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    crew_run(work, threads, &total);
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)(threads * rounds));
    return 0;
}
