/* SPDX-License-Identifier: MIT */
/*
 * Many: a thousand threads alive at once, each with a few blocks.
 *
 * Goal: any number of threads can hold memory, what they hold can be freed by
 * others while they live and after they are dead, and a thread costs little.
 * Method: all threads allocate and meet at a barrier; the main thread frees a
 * third of everybody's blocks; each frees a third of its neighbour's; they
 * exit; the main thread checks and frees the rest.  Then all again.
 */
#include "stress.h"

enum { THREADS_MAX = 1000, BLOCKS = 9 };

struct resident {
    size_t number;
    uint64_t seed;
    struct marked *blocks[BLOCKS];
};

static struct resident residents[THREADS_MAX];
static size_t threads;
static pthread_barrier_t barrier;

static void meet(void)
{
    const int result = pthread_barrier_wait(&barrier);
    EXPECT(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void free_third(struct resident *of, size_t third)
{
    for (size_t i = third; i < BLOCKS; i += 3) {
        marked_free(of->blocks[i]);
        of->blocks[i] = NULL;
    }
}

static void *live(void *argument)
{
    struct resident *self = (struct resident *)argument;
    struct dice dice = {self->seed};
    for (size_t i = 0; i < BLOCKS; i++)
        self->blocks[i] = marked_take(dice_below(&dice, 700),
                                      dice_next(&dice));
    meet(); /* all hold their blocks */
    meet(); /* main has read the cost and freed a third */
    free_third(&residents[(self->number + 1) % threads], 1);
    return NULL;
}

static size_t one_round(unsigned round)
{
    struct crew crew = {.count = 0};
    const size_t before = resident_bytes();
    EXPECT_EQUAL(
        pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1), 0);
    for (size_t i = 0; i < threads; i++) {
        residents[i].number = i;
        residents[i].seed = mixed(test.seed + round * THREADS_MAX + i);
        crew_add(&crew, live, &residents[i]);
    }
    meet();
    const size_t after = resident_bytes();
    for (size_t i = 0; i < threads; i++)
        free_third(&residents[i], 0);
    meet();
    crew_join(&crew);
    subject_audit();
    for (size_t i = 0; i < threads; i++)
        free_third(&residents[i], 2);
    subject_audit();
    EXPECT_EQUAL(pthread_barrier_destroy(&barrier), 0);
    return after > before ? (after - before) / threads : 0;
}

int main(int argc, char **argv)
{
    size_t cost = 0;
    unsigned rounds = 0;
    test_begin("many", argc, argv);
    threads = SUBJECT_SANITIZED ? 150 : THREADS_MAX;
    for (; test_more(rounds, 4); rounds++) {
        const size_t each = one_round(rounds);
        cost = each > cost ? each : cost;
    }
    /* About 3 KB of blocks in many sizes, and the touched part of a stack. */
    if (!SUBJECT_SANITIZED)
        EXPECT_AT_MOST(cost, 128 * KIB);
    return test_passed("%u rounds of %zu threads, %zu bytes resident each",
                       rounds, threads, cost);
}
