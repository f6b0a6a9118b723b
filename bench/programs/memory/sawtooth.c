/* SPDX-License-Identifier: MIT */
/*
 * sawtooth - a heap that grows large and shrinks to a tenth, several times.
 *
 * A tooth allocates blocks of mixed sizes until enough bytes are live.  Then
 * what is left of the last tooth, and all but the first tenth of this one, is
 * freed in random order, and the program pauses: a job is done, its result
 * stays.
 */
#include "item.h"

enum { SHARE = 10 };

static uint64_t mb = 200, teeth = 4, low = 16, high = 8192;

/* Leaves the first tenth, in bytes, of those from `first` on, at the front. */
static void shrink(struct items *items, size_t first,
                   struct work_random *random, struct work_sum *sum)
{
    const uint64_t kept_bytes_max = item_live_bytes / SHARE;
    uint64_t kept_bytes = 0;
    size_t end = first;
    while (end < items->count && kept_bytes < kept_bytes_max)
        kept_bytes += items->at[end++].size;
    items_give(items->at, first, random, sum);
    items_give(items->at + end, items->count - end, random, sum);
    items->count = end - first;
    memmove(items->at, items->at + first, items->count * sizeof *items->at);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"mb", &mb, 1, 4096, NULL},
        {"teeth", &teeth, 1, 1000, NULL},
        {"low", &low, 1, 1 << 30, NULL},
        {"high", &high, 1, 1 << 30, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    struct work_random random = work_random(0);
    struct work_sum sum = work_sum(0);
    struct valley valley = {0};
    struct items items = items_map(&valley, mb << 20, low, high);
    for (uint64_t tooth = 0; tooth < teeth; tooth++) {
        const size_t first = items.count;
        items_grow(&items, mb << 20, &random, &sum);
        shrink(&items, first, &random, &sum);
        valley_note(&valley, item_live_bytes);
    }
    items_give(items.at, items.count, &random, &sum);
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
