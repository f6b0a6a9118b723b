/* SPDX-License-Identifier: MIT */
/*
 * burst - very many blocks are taken, then all of them are given back.
 *
 * Stands for work in batches: a request that builds its answer and drops it, a
 * compiler's function, the rows of a query.  Freed in order, in reverse or
 * shuffled; the order decides what the next burst finds.  Much passes between
 * the fast path and what lies behind it.  Each burst has another length.
 */
#include "../work.h"

static uint64_t order;
static uint64_t least = 10000;
static uint64_t most = 100000;
static uint64_t low = 16;
static uint64_t high = 256;
static uint64_t bursts = 10;

static const struct work_option options[] = {
    {"order", &order, 0, 0, "forward|reverse|shuffled"},
    {"least", &least, 1, 1 << 28, NULL},
    {"most", &most, 1, 1 << 28, NULL},
    {"low", &low, 8, 1 << 30, NULL},
    {"high", &high, 8, 1 << 30, NULL},
    {"bursts", &bursts, 1, UINT64_MAX, NULL},
};

enum { FORWARD, REVERSE, SHUFFLED };

static struct work_sum sum;
static struct work_random numbers;

static void take(void **blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t size =
            work_between(&numbers, (uint32_t)low, (uint32_t)high);
        blocks[i] = work_malloc(&sum, size);
    }
}

static void shuffle(void **blocks, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t other = work_below(&numbers, i);
        void *block = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = block;
    }
}

/* Sizes are at least that of a stamp, so they need not be remembered. */
static void give(void **blocks, uint32_t count)
{
    if (order == REVERSE)
        for (uint32_t i = count; i > 0; i--)
            work_free(&sum, blocks[i - 1], sizeof sum.stamp);
    else
        for (uint32_t i = 0; i < count; i++)
            work_free(&sum, blocks[i], sizeof sum.stamp);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    if (low > high || least > most)
        work_die(2, "low is above high, or least above most");
    void **blocks = work_map(most * sizeof *blocks);
    sum = work_sum(0);
    numbers = work_random(0);
    uint64_t ops = 0;
    for (uint64_t i = 0; i < bursts; i++) {
        const uint32_t count =
            work_between(&numbers, (uint32_t)least, (uint32_t)most);
        take(blocks, count);
        if (order == SHUFFLED)
            shuffle(blocks, count);
        give(blocks, count);
        ops += count;
    }
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
