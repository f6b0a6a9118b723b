/* SPDX-License-Identifier: MIT */
/*
 * Hand-off: blocks allocated by one thread and freed by another.
 *
 * Goal: no block is lost, spoiled or given out twice when its free comes from
 * elsewhere.  Method: threads in a ring, each with a bounded queue to the
 * next.  In one direction, half of them only allocate and the other half only
 * check and free; in both directions every thread does both at once, so that
 * a heap is drained while its owner allocates.
 */
#include "stress.h"

#include <sched.h>

enum { PLACES = 256, THREADS = 4 };

/* From 8 bytes up: too small to describe themselves. */
struct message {
    void *ptr;
    size_t size, alignment; /* alignment 0: natural */
    uint64_t seed;
};

/* One writer, one reader. */
struct queue {
    _Alignas(64) atomic_size_t written;
    _Alignas(64) atomic_size_t consumed;
    struct message messages[PLACES];
};

static struct queue queues[THREADS];
static atomic_size_t freed;

struct task {
    struct queue *from, *to;
    size_t count;
    uint64_t seed;
};

static bool put(struct queue *queue, const struct message *message)
{
    const size_t at = atomic_load_explicit(&queue->written,
                                           memory_order_relaxed);
    /* Pairs with the release in get(): the place has been read. */
    if (at - atomic_load_explicit(&queue->consumed, memory_order_acquire)
        == PLACES)
        return false;
    queue->messages[at % PLACES] = *message;
    /* Pairs with the acquire in get(): the message is complete. */
    atomic_store_explicit(&queue->written, at + 1, memory_order_release);
    return true;
}

static bool get(struct queue *queue, struct message *message)
{
    const size_t at = atomic_load_explicit(&queue->consumed,
                                           memory_order_relaxed);
    /* Pairs with the release in put(). */
    if (at == atomic_load_explicit(&queue->written, memory_order_acquire))
        return false;
    *message = queue->messages[at % PLACES];
    /* Pairs with the acquire in put(). */
    atomic_store_explicit(&queue->consumed, at + 1, memory_order_release);
    return true;
}

static struct message make(struct dice *dice)
{
    const size_t size = dice_below(dice, 8) == 0 ? dice_between(dice, 1, 16)
                                                 : marked_size(dice);
    const size_t way = dice_below(dice, 16);
    struct message message = {.size = size, .seed = dice_next(dice)};
    if (way == 0) {
        message.alignment = (size_t)16 << size % 9;
        message.ptr = subject_aligned_alloc(message.alignment, size);
    } else if (way == 1) {
        message.ptr = subject_calloc(1, size);
        EXPECT_ZERO(message.ptr, size);
    } else {
        message.ptr = subject_malloc(size);
    }
    EXPECT_THAT(message.ptr != NULL, "%zu bytes", size);
    contents_fill(message.ptr, size, message.seed);
    return message;
}

static void consume(const struct message *message)
{
    EXPECT_CONTENTS(message->ptr, message->size, message->seed);
    if (message->seed % 8 == 0) {
        void *larger = subject_realloc(message->ptr, message->size * 2 + 1);
        EXPECT(larger != NULL);
        EXPECT_CONTENTS(larger, message->size, message->seed);
        subject_free(larger);
    } else if (message->alignment != 0) {
        subject_free_aligned_sized(message->ptr, message->alignment,
                                   message->size);
    } else if (message->seed % 8 == 1) {
        subject_free_sized(message->ptr, message->size);
    } else {
        subject_free(message->ptr);
    }
    atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
}

/* Makes and consumes as the queues allow, until both counts are done. */
static void *work(void *argument)
{
    const struct task *task = (const struct task *)argument;
    struct dice dice = {task->seed};
    size_t to_make = task->to != NULL ? task->count : 0;
    size_t to_consume = task->from != NULL ? task->count : 0;
    struct message made = {0};
    bool pending = false;
    while (to_make != 0 || to_consume != 0) {
        bool moved = false;
        struct message message;
        if (to_make != 0) {
            if (!pending)
                made = make(&dice);
            pending = !put(task->to, &made);
            if (!pending) {
                to_make--;
                moved = true;
            }
        }
        if (to_consume != 0 && get(task->from, &message)) {
            consume(&message);
            to_consume--;
            moved = true;
        }
        if (!moved)
            sched_yield();
    }
    return NULL;
}

static size_t one_round(unsigned round, bool both, size_t count)
{
    struct crew crew = {.count = 0};
    struct task tasks[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        struct queue *next = &queues[(i + 1) % THREADS];
        tasks[i].to = both || i % 2 == 0 ? next : NULL;
        tasks[i].from = both || i % 2 == 1 ? &queues[i] : NULL;
        tasks[i].count = count;
        tasks[i].seed = mixed(test.seed + round * 100 + i);
    }
    for (size_t i = 0; i < THREADS; i++)
        crew_add(&crew, work, &tasks[i]);
    crew_join(&crew);
    subject_audit();
    return both ? THREADS * count : THREADS / 2 * count;
}

int main(int argc, char **argv)
{
    test_begin("handoff", argc, argv);
    const size_t count = test.ops != 0 ? test.ops : test_scaled(60000, 15);
    size_t sent = 0;
    for (unsigned round = 0; test_more(round, 4); round++)
        sent += one_round(round, round % 2 == 1, count);
    EXPECT_EQUAL(atomic_load(&freed), sent);
    return test_passed("%zu blocks handed over", sent);
}
