/* SPDX-License-Identifier: MIT */
/*
 * TiKV: each thread leaves the addresses of its two counters in a table, and
 * one thread reads them all while they work.  Needed: plain loads see every
 * call, the addresses hold until the thread ends, and nothing goes backwards.
 */
#include "pattern.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct worker {
    pthread_t thread;
    volatile uint64_t *allocated;
    volatile uint64_t *deallocated;
    size_t up;            /* by the thread's own books */
    size_t down;
} workers[THREADS];

static pthread_barrier_t step;

static volatile uint64_t *counter(const char *name)
{
    uint64_t *pointer = NULL;
    size_t bytes = sizeof pointer;
    REQUIRE(mallctl(name, &pointer, &bytes, NULL, 0) == 0, "%s", name);
    return pointer;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    self->allocated = counter("thread.allocatedp");
    self->deallocated = counter("thread.deallocatedp");
    const uint64_t up = *self->allocated;
    const uint64_t down = *self->deallocated;
    pthread_barrier_wait(&step);
    void *kept[16] = {NULL};
    for (size_t i = 0; i < ROUNDS; i++) {
        const size_t slot = i * 7 % 16;
        self->down += kept[slot] == NULL ? 0 : malloc_usable_size(kept[slot]);
        free(kept[slot]);
        kept[slot] = malloc(i % 3000 + (i % 500 == 0 ? 100 * KIB : 1));
        self->up += malloc_usable_size(kept[slot]);
    }
    REQUIRE(*self->allocated - up == self->up, "%llu",
            (unsigned long long)*self->allocated);
    REQUIRE(*self->deallocated - down == self->down, "%llu",
            (unsigned long long)*self->deallocated);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < 16; i++)
        free(kept[i]);
    return NULL;
}

int main(void)
{
    uint64_t last[THREADS] = {0};
    pthread_barrier_init(&step, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    pthread_barrier_wait(&step);
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < THREADS; i++) {
            const uint64_t now = *workers[i].allocated;
            REQUIRE(now >= last[i], "thread %d went backwards", i);
            last[i] = now;
        }
    }
    pthread_barrier_wait(&step);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(*workers[i].allocated >= workers[i].up, "thread %d", i);
    pthread_barrier_wait(&step);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    return 0;
}
