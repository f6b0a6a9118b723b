/* SPDX-License-Identifier: MIT */
/*
 * settle - a program that frees everything and then has nearly nothing to do.
 *
 * It fills memory with blocks of mixed sizes, frees them all in random order,
 * and then for a while allocates and frees one small block now and then: the
 * only calls from which an allocator without a thread of its own can give
 * memory back.  The time of the waiting does not count.
 */
#include "item.h"

enum { BEAT_MS = 10, SMALL = 64 };

static uint64_t mb = 200, rounds = 2, wait_ms = 1000, low = 16, high = 65536;

static double cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void beat(struct work_sum *sum)
{
    for (uint64_t ms = 0; ms < wait_ms; ms += BEAT_MS) {
        valley_sleep(BEAT_MS);
        work_free(sum, work_malloc(sum, SMALL), SMALL);
    }
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"mb", &mb, 1, 4096, NULL},
        {"rounds", &rounds, 1, 1000, NULL},
        {"wait_ms", &wait_ms, 0, 1000000, NULL},
        {"low", &low, 8, 1 << 24, NULL},
        {"high", &high, 8, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    struct work_random random = work_random(0);
    struct work_sum sum = work_sum(0);
    struct valley valley = {0};
    struct items items = items_map(&valley, mb << 20, low, high);
    for (uint64_t round = 0; round < rounds; round++) {
        items_grow(&items, mb << 20, &random, &sum);
        items_give(items.at, items.count, &random, &sum);
        items.count = 0;
    }
    const double seconds = cpu_seconds();
    beat(&sum);
    valley_note(&valley, 0);
    work_check(&sum);
    work_say("seconds=%.6f live_kb=%llu rss_kb=%llu", seconds,
             (unsigned long long)valley.live_kb,
             (unsigned long long)valley.rss_kb);
    return 0;
}
