/* SPDX-License-Identifier: MIT */
/*
 * giver - one thread allocates everything, the others free it all.
 *
 * Rounds: thread 0 allocates many blocks while the others wait; then each of
 * them frees every n-th, so that they meet in the same slabs, while thread 0
 * waits.  The next round should use the memory of the last.
 */
#include "crew.h"

static uint64_t threads = 4, rounds = 10, blocks = 100000;
static uint64_t low = 16, high = 512;

static void **given;
static pthread_barrier_t barrier;

static void give(struct work_random *random, struct work_sum *sum)
{
    for (size_t i = 0; i < blocks; i++)
        given[i] = work_malloc(
            sum, work_skewed(random, (uint32_t)low, (uint32_t)high));
}

static void receive(size_t number, struct work_sum *sum)
{
    for (size_t i = number - 1; i < blocks; i += threads - 1)
        work_free(sum, given[i], low);
}

static void work(size_t number, struct work_sum *sum)
{
    struct work_random random = work_random(number);
    for (uint64_t round = 0; round < rounds; round++) {
        if (number == 0)
            give(&random, sum);
        pthread_barrier_wait(&barrier);
        if (number != 0)
            receive(number, sum);
        pthread_barrier_wait(&barrier);
    }
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 2, CREW_MAX, NULL},
        {"rounds", &rounds, 1, 1000000, NULL},
        {"blocks", &blocks, 1, 100000000, NULL},
        {"low", &low, 8, 1 << 20, NULL},
        {"high", &high, 8, 1 << 20, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    given = work_map(blocks * sizeof *given);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    struct work_sum total = work_sum(0);
    crew_run(work, threads, &total);
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)(rounds * blocks));
    return 0;
}
