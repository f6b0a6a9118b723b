/* SPDX-License-Identifier: MIT */
/*
 * survivors - a stream of short-lived blocks, of which one in a hundred stays.
 *
 * A block lives until a random later one takes its place in a window.  At the
 * end the window is freed, and only the survivors are left, spread over all
 * the memory that the program had.
 */
#include "item.h"
#include "list.h"

static uint64_t ops = 1000000, window = 20000, keep = 100;
static uint64_t low = 16, high = 1024;

static struct work_sum sum;
static struct list kept;

/* Returns the bytes that stay. */
static uint64_t stream(struct item *items)
{
    struct work_random random = work_random(0);
    uint64_t kept_bytes = 0;
    for (uint64_t i = 1; i <= ops; i++) {
        const size_t size = work_skewed(&random, (uint32_t)low,
                                        (uint32_t)high);
        if (i % keep == 0) {
            list_push(&kept, pages_malloc(&sum, size));
            kept_bytes += size;
            continue;
        }
        struct item *item = &items[work_below(&random, (uint32_t)window)];
        item_give(&sum, item);
        *item = item_take(&sum, size);
    }
    return kept_bytes;
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"window", &window, 1, 1 << 24, NULL},
        {"keep", &keep, 2, UINT32_MAX, NULL}, /* one in so many stays */
        {"low", &low, 16, 1 << 24, NULL},
        {"high", &high, 16, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    struct valley valley = {0};
    struct item *items = valley_map(&valley, window * sizeof *items);
    sum = work_sum(0);
    const uint64_t kept_bytes = stream(items);
    for (size_t i = 0; i < window; i++)
        item_give(&sum, &items[i]);
    valley_note(&valley, kept_bytes);
    list_free(&kept, &sum);
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
