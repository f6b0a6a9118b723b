/* SPDX-License-Identifier: MIT */
/*
 * generations - a server whose threads come and go, and leave their objects
 * to their successors.
 *
 * A chain is an array of objects and one thread after another.  A thread
 * replaces random objects of its chain by new ones, starts the next thread
 * and ends; that one waits for the end, and goes on with objects that a dead
 * thread allocated.  Chains run at the same time and share nothing.
 */
#include "crew.h"

#include <semaphore.h>

static uint64_t threads = 2, generations = 50, objects = 2000, ops = 1000000;
static uint64_t low = 16, high = 1024;

struct chain {
    _Alignas(64) void **objects;
    struct work_random random;
    struct work_sum sum;
    uint64_t generation;
    pthread_t last;
};

static struct chain chains[CREW_MAX];
static sem_t ended;

static void replace(struct chain *chain, uint64_t count)
{
    struct work_random random = chain->random;
    struct work_sum sum = chain->sum;
    for (uint64_t i = 0; i < count; i++) {
        void **object = &chain->objects[work_below(&random, (uint32_t)objects)];
        if (*object != NULL)
            work_free(&sum, *object, low);
        *object = work_malloc(&sum, work_skewed(&random, (uint32_t)low,
                                                (uint32_t)high));
    }
    chain->random = random;
    chain->sum = sum;
}

static void *live(void *argument)
{
    struct chain *chain = argument;
    if (chain->generation != 0)
        crew_join(chain->last);
    replace(chain, ops / threads / generations);
    chain->last = pthread_self();
    if (++chain->generation < generations)
        crew_start(live, chain);
    else
        sem_post(&ended);
    return NULL;
}

static void finish(struct chain *chain, struct work_sum *total)
{
    crew_join(chain->last);
    for (size_t i = 0; i < objects; i++)
        if (chain->objects[i] != NULL)
            work_free(&chain->sum, chain->objects[i], low);
    work_add(total, &chain->sum);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 1, CREW_MAX, NULL},
        {"generations", &generations, 1, 1000000, NULL},
        {"objects", &objects, 1, 1000000, NULL},
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"low", &low, 8, 1 << 20, NULL},
        {"high", &high, 8, 1 << 20, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    sem_init(&ended, 0, 0);
    for (size_t i = 0; i < threads; i++) {
        chains[i].objects = work_map(objects * sizeof(void *));
        chains[i].random = work_random(i);
        chains[i].sum = work_sum(i);
        crew_start(live, &chains[i]);
    }
    for (size_t i = 0; i < threads; i++)
        while (sem_wait(&ended) != 0)
            continue;
    struct work_sum total = work_sum(0);
    for (size_t i = 0; i < threads; i++)
        finish(&chains[i], &total);
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
