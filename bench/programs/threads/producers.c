/* SPDX-License-Identifier: MIT */
/*
 * producers - some threads only allocate, others only free.
 *
 * Blocks travel in batches through one bounded queue, so that the queue costs
 * little and the number of live blocks has a limit.  Who finds it full or
 * empty sleeps, until it is half empty or holds some batches: one wake for
 * many blocks.
 */
#include "crew.h"

enum { BATCH = 128, PLACES = 64, ENOUGH = 8 };

static uint64_t producers = 1, consumers = 1, blocks = 1000000;
static uint64_t low = 64, high = 64;

struct batch {
    void *blocks[BATCH];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t room, goods;
    uint64_t put, taken, all; /* batches */
    struct batch batches[PLACES];
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .room = PTHREAD_COND_INITIALIZER,
    .goods = PTHREAD_COND_INITIALIZER,
};

static void queue_put(const struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.put - queue.taken == PLACES)
        pthread_cond_wait(&queue.room, &queue.lock);
    queue.batches[queue.put++ % PLACES] = *batch;
    if (queue.put - queue.taken == ENOUGH || queue.put == queue.all)
        pthread_cond_broadcast(&queue.goods);
    pthread_mutex_unlock(&queue.lock);
}

/* False when all have been taken. */
static bool queue_take(struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.put == queue.taken && queue.taken < queue.all)
        pthread_cond_wait(&queue.goods, &queue.lock);
    const bool more = queue.taken < queue.all;
    if (more)
        *batch = queue.batches[queue.taken++ % PLACES];
    if (queue.put - queue.taken == PLACES / 2)
        pthread_cond_broadcast(&queue.room);
    pthread_mutex_unlock(&queue.lock);
    return more;
}

static void produce(size_t number, struct work_sum *sum)
{
    struct work_random random = work_random(number);
    struct batch batch;
    for (uint64_t left = queue.all / producers; left != 0; left--) {
        for (size_t i = 0; i < BATCH; i++)
            batch.blocks[i] = work_malloc(
                sum, work_between(&random, (uint32_t)low, (uint32_t)high));
        queue_put(&batch);
    }
}

static void consume(struct work_sum *sum)
{
    struct batch batch;
    while (queue_take(&batch))
        for (size_t i = 0; i < BATCH; i++)
            work_free(sum, batch.blocks[i], low);
}

static void work(size_t number, struct work_sum *sum)
{
    if (number < producers)
        produce(number, sum);
    else
        consume(sum);
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"producers", &producers, 1, CREW_MAX / 2, NULL},
        {"consumers", &consumers, 1, CREW_MAX / 2, NULL},
        {"blocks", &blocks, 1, UINT32_MAX, NULL},
        {"low", &low, 8, 1 << 20, NULL},
        {"high", &high, 8, 1 << 20, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    work_range(low, high);
    /* The same whole number of batches for each producer. */
    queue.all = (blocks / BATCH / producers + 1) * producers;
    struct work_sum total = work_sum(0);
    crew_run(work, producers + consumers, &total);
    work_check(&total);
    work_say("ops=%llu", (unsigned long long)(queue.all * BATCH));
    return 0;
}
