/* SPDX-License-Identifier: MIT */
/*
 * leak - a program that forgets a small share of its blocks.
 *
 * A window of live blocks, of which a random one is replaced each time; of so
 * many replaced ones, one is not freed.  Nothing can be done about the lost
 * blocks, but they should cost their own bytes and no more.
 */
#include "item.h"

static uint64_t ops = 1000000, window = 20000, forget = 200;
static uint64_t low = 16, high = 2048;

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"window", &window, 1, 1 << 24, NULL},
        {"forget", &forget, 2, UINT32_MAX, NULL}, /* one in so many */
        {"low", &low, 8, 1 << 24, NULL},
        {"high", &high, 8, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    struct work_random random = work_random(0);
    struct work_sum sum = work_sum(0);
    struct valley valley = {0};
    struct item *items = valley_map(&valley, window * sizeof *items);
    for (uint64_t i = 1; i <= ops; i++) {
        struct item *item = &items[work_below(&random, (uint32_t)window)];
        if (i % forget != 0)
            item_give(&sum, item);
        else if (item->block != NULL)
            work_get(&sum, item->block, item->size);
        *item = item_take(&sum, work_skewed(&random, (uint32_t)low,
                                            (uint32_t)high));
    }
    valley_note(&valley, item_live_bytes);
    for (size_t i = 0; i < window; i++)
        item_give(&sum, &items[i]);
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
