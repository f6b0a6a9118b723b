/* SPDX-License-Identifier: MIT */
/*
 * births - thousands of threads that live for a moment.
 *
 * A thread frees the blocks that a thread before it left in a box, fills the
 * box with new ones, and ends.  `live` boxes, and one thread at each.
 */
#include "crew.h"

static uint64_t threads = 1000, live = 2, blocks = 100;
static uint64_t low = 16, high = 1024;

struct box {
    void **blocks;
    struct work_random random;
    struct work_sum sum;
    pthread_t thread;
};

static struct box boxes[CREW_MAX];

static void box_empty(struct box *box)
{
    for (size_t i = 0; i < blocks; i++) {
        if (box->blocks[i] != NULL)
            work_free(&box->sum, box->blocks[i], low);
        box->blocks[i] = NULL;
    }
}

static void *work(void *argument)
{
    struct box *box = argument;
    box_empty(box);
    for (size_t i = 0; i < blocks; i++)
        box->blocks[i] = work_malloc(
            &box->sum, work_skewed(&box->random, (uint32_t)low,
                                   (uint32_t)high));
    return NULL;
}

static void run(void)
{
    for (size_t i = 0; i < threads; i++) {
        struct box *box = &boxes[i % live];
        if (i >= live)
            crew_join(box->thread);
        box->thread = crew_start(work, box);
    }
    for (size_t i = 0; i < live && i < threads; i++)
        crew_join(boxes[i].thread);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"threads", &threads, 1, 10000000, NULL},
        {"live", &live, 1, CREW_MAX, NULL},
        {"blocks", &blocks, 1, 1000000, NULL},
        {"low", &low, 8, 1 << 20, NULL},
        {"high", &high, 8, 1 << 20, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    for (size_t i = 0; i < live; i++) {
        boxes[i].blocks = work_map(blocks * sizeof(void *));
        boxes[i].random = work_random(i);
        boxes[i].sum = work_sum(i);
    }
    run();
    struct work_sum total = work_sum(0);
    for (size_t i = 0; i < live; i++) {
        box_empty(&boxes[i]);
        work_add(&total, &boxes[i].sum);
    }
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)(threads * blocks));
    return 0;
}
