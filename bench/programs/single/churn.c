/* SPDX-License-Identifier: MIT */
/*
 * churn - a set of live blocks, of which a random one is replaced each time.
 *
 * Stands for what a program does after it has run for a while: caches, tables
 * of sessions, object graphs that change here and there.  With few blocks of
 * many sizes it shows how well sizes are told apart; with many blocks of one
 * size it shows what it costs to free far away from the last free, when
 * neither the block nor what is known of it lies in a cache.
 */
#include "../work.h"

static uint64_t live = 1000;
static uint64_t low = 16;
static uint64_t high = 512;
static uint64_t spread;
static uint64_t ops = 1000000;

static const struct work_option options[] = {
    {"live", &live, 1, 1 << 28, NULL},
    {"low", &low, 1, 1 << 30, NULL},
    {"high", &high, 1, 1 << 30, NULL},
    {"spread", &spread, 0, 0, "even|skewed"},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

struct slot {
    void *block;
    size_t size;
};

static inline size_t any_size(struct work_random *random, uint32_t from,
                              uint32_t to)
{
    if (from == to)
        return from;
    return spread ? work_skewed(random, from, to)
                  : work_between(random, from, to);
}

static void churn(struct slot *slots, struct work_sum *sum)
{
    const uint32_t count = (uint32_t)live;
    const uint32_t from = (uint32_t)low;
    const uint32_t to = (uint32_t)high;
    struct work_random random = work_random(0);
    for (uint32_t i = 0; i < count; i++) {
        slots[i].size = any_size(&random, from, to);
        slots[i].block = work_malloc(sum, slots[i].size);
    }
    for (uint64_t i = ops; i > 0; i--) {
        struct slot *slot = &slots[work_below(&random, count)];
        work_free(sum, slot->block, slot->size);
        slot->size = any_size(&random, from, to);
        slot->block = work_malloc(sum, slot->size);
    }
    for (uint32_t i = 0; i < count; i++)
        work_free(sum, slots[i].block, slots[i].size);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    struct slot *slots = work_map(live * sizeof *slots);
    struct work_sum sum = work_sum(0);
    churn(slots, &sum);
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)(ops + live));
    return 0;
}
