/* SPDX-License-Identifier: MIT */
/*
 * exchange - threads that swap new blocks for old ones in shared places.
 *
 * Each thread allocates a block of a random size, exchanges it with what lies
 * in a random place, and frees what it got, whoever made it.  With n threads
 * all but one in n of the frees come from another thread.
 */
#include "../pages.h"
#include "crew.h"

#include <stdatomic.h>

static uint64_t threads = 2, places = 4096, ops = 1000000;
static uint64_t low = 8, high = 16384;

static _Atomic(void *) *shelf;

static void work(size_t number, struct work_sum *sum)
{
    struct work_random random = work_random(number);
    for (uint64_t left = ops / threads; left != 0; left--) {
        const size_t size = work_skewed(&random, (uint32_t)low,
                                        (uint32_t)high);
        void *block = pages_malloc(sum, size);
        const uint32_t place = work_below(&random, (uint32_t)places);
        /* Both ways: the contents go over with the pointer. */
        block = atomic_exchange_explicit(&shelf[place], block,
                                         memory_order_acq_rel);
        if (block != NULL)
            work_free(sum, block, low);
    }
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 1, CREW_MAX, NULL},
        {"places", &places, 1, 1 << 24, NULL},
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"low", &low, 8, 1 << 24, NULL},
        {"high", &high, 8, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    shelf = work_map(places * sizeof *shelf);
    struct work_sum total = work_sum(0);
    crew_run(work, threads, &total);
    for (size_t i = 0; i < places; i++) {
        void *block = atomic_load_explicit(&shelf[i], memory_order_relaxed);
        if (block != NULL)
            work_free(&total, block, low);
    }
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
