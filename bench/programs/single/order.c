/* SPDX-License-Identifier: MIT */
/*
 * order - blocks that die in the order of their births, or the other way.
 *
 * As a ring it stands for a queue: messages between parts of a program, the
 * lines of a log on their way out.  The oldest goes when a new one comes, so a
 * block that was just freed is the one that will be needed last.
 *
 * As a stack it stands for recursion: a parser, a search, nested scopes.  The
 * depth wanders at random, and the newest block is always freed first.
 */
#include "../work.h"

static uint64_t kind;
static uint64_t live = 5000;
static uint64_t low = 32;
static uint64_t high = 1024;
static uint64_t ops = 1000000;

static const struct work_option options[] = {
    {"kind", &kind, 0, 0, "ring|stack"},
    {"live", &live, 1, 1 << 28, NULL},
    {"low", &low, 1, 1 << 30, NULL},
    {"high", &high, 1, 1 << 30, NULL},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

struct slot {
    void *block;
    size_t size;
};

static struct work_sum sum;
static struct work_random numbers;

static void fill(struct slot *slot)
{
    slot->size = work_between(&numbers, (uint32_t)low, (uint32_t)high);
    slot->block = work_malloc(&sum, slot->size);
}

static void clear(struct slot *slot)
{
    work_free(&sum, slot->block, slot->size);
    slot->block = NULL;
}

static void ring(struct slot *slots)
{
    uint64_t at = 0;
    for (uint64_t i = 0; i < ops; i++) {
        if (slots[at].block != NULL)
            clear(&slots[at]);
        fill(&slots[at]);
        at = at + 1 < live ? at + 1 : 0;
    }
    for (uint64_t i = 0; i < live; i++, at = at + 1 < live ? at + 1 : 0)
        if (slots[at].block != NULL)
            clear(&slots[at]);
}

/* Climbs to a random height, and falls to a random one below it. */
static void stack(struct slot *slots)
{
    uint64_t depth = 0;
    uint64_t left = ops;
    while (left > 0) {
        uint64_t top = depth + work_below(&numbers, (uint32_t)(live - depth));
        for (; depth <= top && left > 0; left--)
            fill(&slots[depth++]);
        uint64_t down = work_below(&numbers, (uint32_t)depth);
        while (depth > down)
            clear(&slots[--depth]);
    }
    while (depth > 0)
        clear(&slots[--depth]);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    struct slot *slots = work_map(live * sizeof *slots);
    sum = work_sum(0);
    numbers = work_random(0);
    if (kind == 0)
        ring(slots);
    else
        stack(slots);
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
