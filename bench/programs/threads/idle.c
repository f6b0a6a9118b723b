/* SPDX-License-Identifier: MIT */
/*
 * idle - many threads that did a little and now sleep, and one that works.
 *
 * Each idle thread allocates one block of each of many sizes, frees every
 * second, and sleeps until the end.  What it costs is memory: whatever the
 * allocator set aside for a thread that may never come back.
 */
#include "crew.h"

enum { SIZES_MAX = 1024, STEP = 16 };

static uint64_t threads = 200, sizes = 64, ops = 1000000, objects = 10000;
static pthread_barrier_t asleep, over;

static void sleeper(size_t number, struct work_sum *sum)
{
    (void)number;
    void *blocks[SIZES_MAX];
    for (size_t i = 0; i < sizes; i++)
        blocks[i] = work_malloc(sum, (i + 1) * STEP);
    for (size_t i = 0; i < sizes; i += 2)
        work_free(sum, blocks[i], STEP);
    pthread_barrier_wait(&asleep);
    pthread_barrier_wait(&over);
    for (size_t i = 1; i < sizes; i += 2)
        work_free(sum, blocks[i], STEP);
}

static void churn(void **table, struct work_sum *sum)
{
    struct work_random random = work_random(CREW_MAX);
    for (uint64_t i = 0; i < ops; i++) {
        void **object = &table[work_below(&random, (uint32_t)objects)];
        if (*object != NULL)
            work_free(sum, *object, STEP);
        *object = work_malloc(
            sum, work_skewed(&random, STEP, (uint32_t)sizes * STEP));
    }
    for (size_t i = 0; i < objects; i++)
        if (table[i] != NULL)
            work_free(sum, table[i], STEP);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 1, CREW_MAX, NULL},
        {"sizes", &sizes, 1, SIZES_MAX, NULL},
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"objects", &objects, 1, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    void **table = work_map(objects * sizeof *table);
    struct work_sum total = work_sum(CREW_MAX);
    pthread_barrier_init(&asleep, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&over, NULL, (unsigned)threads + 1);
    crew_begin(sleeper, threads);
    pthread_barrier_wait(&asleep);
    churn(table, &total);
    pthread_barrier_wait(&over);
    crew_end(threads, &total);
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
