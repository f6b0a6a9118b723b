/* SPDX-License-Identifier: MIT */
/*
 * large - blocks from kilobytes to tens of megabytes, taken and given in turn.
 *
 * Stands for images, matrices, decoded files, buffers of a codec: a few are
 * live, small ones are more frequent than big ones, and no two have the same
 * size.  With touch=page every page is written once, as when the buffer is
 * filled: this shows whether memory that is still warm is used again or comes
 * anew from the system, which is a fault for each page.  With touch=head only
 * the first 4 KiB are written, as when a buffer is sized for the worst case:
 * this shows what the allocator itself does, and whether it keeps the rest
 * untouched.
 */
#include "../work.h"

static uint64_t touch;
static uint64_t live = 6;
static uint64_t low = 5 << 10;
static uint64_t high = 25 << 20;
static uint64_t ops = 1000;

static const struct work_option options[] = {
    {"touch", &touch, 0, 0, "page|head"},
    {"live", &live, 1, 1 << 20, NULL},
    {"low", &low, 4104, 1 << 30, NULL},
    {"high", &high, 4104, 1 << 30, NULL},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

enum { PAGE = 4096 };

struct slot {
    char *block;
    size_t size;
};

static struct work_sum sum;

static void fill(struct slot *slot, size_t size)
{
    slot->size = size;
    slot->block = work_malloc(&sum, size);
    if (touch == 1) {
        memset(slot->block + sizeof sum.stamp, 1, PAGE - sizeof sum.stamp);
        return;
    }
    for (size_t at = PAGE; at < size; at += PAGE)
        slot->block[at] = (char)at;
    work_put(&sum, slot->block + size - sizeof sum.stamp, sizeof sum.stamp);
}

static void clear(struct slot *slot)
{
    if (slot->block == NULL)
        return;
    if (touch == 0)
        work_get(&sum, slot->block + slot->size - sizeof sum.stamp,
                 sizeof sum.stamp);
    work_free(&sum, slot->block, slot->size);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    struct slot *slots = work_map(live * sizeof *slots);
    struct work_random random = work_random(0);
    sum = work_sum(0);
    for (uint64_t i = 0; i < ops; i++) {
        struct slot *slot = &slots[work_below(&random, (uint32_t)live)];
        clear(slot);
        fill(slot, work_skewed(&random, (uint32_t)low, (uint32_t)high));
    }
    for (uint64_t i = 0; i < live; i++)
        clear(&slots[i]);
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
