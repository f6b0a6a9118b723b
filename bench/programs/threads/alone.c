/* SPDX-License-Identifier: MIT */
/*
 * alone - threads that allocate and free for themselves, and share nothing.
 *
 * The work of each thread is the same however many there are: with two
 * threads on two cores it should take as long as with one.  Even a single
 * thread is a started one, and the time is that of the threads alone, so that
 * the runs can be compared.
 */
#include "../pages.h"
#include "crew.h"

static uint64_t threads = 1, objects = 4000, ops = 1000000;
static uint64_t low = 16, high = 1024;
static void **tables[CREW_MAX];
static pthread_barrier_t start, end;

static void churn(size_t number, struct work_sum *sum)
{
    struct work_random random = work_random(number);
    void **table = tables[number];
    for (uint64_t i = 0; i < ops; i++) {
        void **object = &table[work_below(&random, (uint32_t)objects)];
        if (*object != NULL)
            work_free(sum, *object, low);
        *object = pages_malloc(
            sum, work_skewed(&random, (uint32_t)low, (uint32_t)high));
    }
    for (size_t i = 0; i < objects; i++)
        if (table[i] != NULL)
            work_free(sum, table[i], low);
}

static void work(size_t number, struct work_sum *sum)
{
    pthread_barrier_wait(&start);
    churn(number, sum);
    pthread_barrier_wait(&end);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 1, CREW_MAX, NULL},
        {"objects", &objects, 1, 1 << 24, NULL},
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"low", &low, 8, 1 << 24, NULL},
        {"high", &high, 8, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    for (size_t i = 0; i < threads; i++)
        tables[i] = work_map(objects * sizeof(void *));
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
    struct work_sum total = work_sum(0);
    crew_begin(work, threads);
    /* Before the threads can begin, or the first part would go uncounted. */
    const double began = work_now();
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    const double ended = work_now();
    crew_end(threads, &total);
    work_check(&total);
    work_say("ops=%llu seconds=%.6f", (unsigned long long)(threads * ops),
             ended - began);
    return 0;
}
