/* SPDX-License-Identifier: MIT */
/*
 * zeroed - calloc of small records, and now and then of a large table.
 *
 * Stands for programs that ask for zeros as a habit: interpreters, graphics
 * and network code.  Small ones have to be cleared each time.  Of a large
 * one only the ends are written: memory new from the system is zero already,
 * and clearing it would touch every page.
 */
#include "../work.h"

static uint64_t live = 1000;
static uint64_t small_max = 2048;
static uint64_t large_max = 1 << 20;
static uint64_t each = 256;
static uint64_t ops = 1000000;

static const struct work_option options[] = {
    {"live", &live, 1, 1 << 28, NULL},
    {"small", &small_max, 16, 1 << 30, NULL},
    {"large", &large_max, 16384, 1 << 30, NULL},
    {"each", &each, 1, 1 << 30, NULL},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

struct slot {
    char *block;
    size_t size;
};

static void expect_zero(const struct slot *slot)
{
    const size_t at[] = {0, 7, slot->size / 2, slot->size - 1};
    for (size_t i = 0; i < WORK_COUNT(at); i++)
        if (slot->block[at[i]] != 0)
            work_die(1, "byte %zu of %zu from calloc is not zero", at[i],
                     slot->size);
}

static void fill(struct slot *slot, size_t size)
{
    slot->size = size;
    slot->block = calloc(1, size);
    if (slot->block == NULL)
        work_die(1, "calloc(1, %zu) failed", size);
    expect_zero(slot);
    const size_t end = size < 4096 ? size : 4096;
    memset(slot->block, 0xa5, end);
    slot->block[size - 1] = (char)0xa5;
}

static void clear(struct slot *slot)
{
    if (slot->block == NULL)
        return;
    if (slot->block[0] != (char)0xa5 ||
        slot->block[slot->size - 1] != (char)0xa5)
        work_die(1, "a block of %zu bytes is spoilt", slot->size);
    free(slot->block);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    struct slot *slots = work_map(live * sizeof *slots);
    struct work_random random = work_random(0);
    for (uint64_t i = 0; i < ops; i++) {
        struct slot *slot = &slots[work_below(&random, (uint32_t)live)];
        const bool large = work_below(&random, (uint32_t)each) == 0;
        clear(slot);
        fill(slot, large ? work_skewed(&random, 16384, (uint32_t)large_max)
                         : work_skewed(&random, 16, (uint32_t)small_max));
    }
    for (uint64_t i = 0; i < live; i++)
        clear(&slots[i]);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
