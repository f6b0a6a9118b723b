/* SPDX-License-Identifier: MIT */
/*
 * pairs - one block, taken and given back at once, again and again.
 *
 * Stands for the shortest of lifetimes: a buffer for one call, a temporary
 * object, an iterator.  Everything is in the first cache, so it shows the
 * length of the fast path and nothing else.
 */
#include "../work.h"

static uint64_t size = 64;
static uint64_t ops = 1000000;

static const struct work_option options[] = {
    {"size", &size, 1, 1 << 30, NULL},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    struct work_sum sum = work_sum(0);
    for (uint64_t i = 0; i < ops; i++)
        work_free(&sum, work_malloc(&sum, size), size);
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
