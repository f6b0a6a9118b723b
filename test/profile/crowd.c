/* SPDX-License-Identifier: MIT */
/*
 * crowd - 200 threads that use the heap and the profiler at once.
 *
 * Usage: crowd FOLDER | crowd calm FILE
 *
 * Each takes, hands on and gives back what it likes, and writes profiles into
 * the folder. Meanwhile one resets the counts, changes the rate and switches
 * profiling off and on; another forks children that take memory and write
 * profiles too, or become this program again, which is calm then. At the end
 * all is quiet, and last.heap has what the line "calm BYTES USABLE OBJECTS"
 * says, for every object is sampled.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jemalloc/jemalloc.h>

#define NOINLINE __attribute__((noinline))

enum { THREADS = 200, ROUNDS = 20, TAKES = 100, SLOTS = 4096, CHILDREN = 20 };

static const char *folder;
static pthread_barrier_t barrier;
static void *_Atomic slot[SLOTS];
static atomic_int busy = THREADS;

static void must(int held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void dump(const char *path)
{
    must(mallctl("prof.dump", NULL, NULL, &path, sizeof(path)) == 0, path);
}

static size_t dice(uint64_t *state, size_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*state >> 33) % limit;
}

static void trade(uint64_t *state)
{
    for (int i = 0; i < TAKES; i++) {
        void *mine = malloc(1 + dice(state, (size_t)1 << dice(state, 16)));
        must(mine != NULL, "memory");
        free(atomic_exchange(&slot[dice(state, SLOTS)], mine));
    }
}

/* Threads die in the middle, and what they took goes on. */
static void *work(void *number)
{
    const size_t self = (size_t)(uintptr_t)number;
    uint64_t state = self;
    char path[300];
    snprintf(path, sizeof(path), "%s/%zu.%s", folder, self,
        self % 2 ? "heap" : "pb.gz");
    pthread_barrier_wait(&barrier);
    for (size_t round = 0; round < ROUNDS - self % 10; round++) {
        trade(&state);
        if (round == 0 || round == self % 10)
            dump(path);
    }
    atomic_fetch_sub(&busy, 1);
    return NULL;
}

static void *meddle(void *none)
{
    uint64_t state = 1;
    pthread_barrier_wait(&barrier);
    while (atomic_load(&busy) > 0) {
        const size_t rate = dice(&state, 18);
        const bool on = dice(&state, 4) != 0;
        const char *name = on ? "meddler" : "muddler";
        if (dice(&state, 8) == 0)
            must(mallctl("prof.reset", NULL, NULL, (void *)&rate,
                sizeof(rate)) == 0, "prof.reset");
        must(mallctl("prof.active", NULL, NULL, (void *)&on, sizeof(on)) == 0,
            "prof.active");
        must(mallctl("thread.prof.name", NULL, NULL, (void *)&name,
            sizeof(name)) == 0, "thread.prof.name");
        trade(&state);
    }
    return none;
}

static void be_child(int number, uint64_t state)
{
    char path[300];
    alarm(20);
    trade(&state);
    snprintf(path, sizeof(path), "%s/child%d.heap", folder, number);
    dump(path);
    if (number % 2)
        execl("/proc/self/exe", "crowd", "calm", path, (char *)NULL);
    _exit(number % 2);
}

static void *bear(void *none)
{
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < CHILDREN && atomic_load(&busy) > 0; i++) {
        const pid_t child = fork();
        int status = -1;
        if (child == 0)
            be_child(i, (uint64_t)i);
        must(child > 0 && waitpid(child, &status, 0) == child, "a child");
        must(status == 0, "a child's status");
    }
    return none;
}

static void *held[1000];

NOINLINE static void calm(void)
{
    for (size_t i = 0; i < 1000; i++)
        held[i] = malloc(1024);
}

static void riot(void)
{
    pthread_t thread[THREADS + 2];
    must(pthread_barrier_init(&barrier, NULL, THREADS + 2) == 0, "barrier");
    for (size_t i = 0; i < THREADS + 2; i++)
        must(pthread_create(&thread[i], NULL, i < THREADS ? work
            : i == THREADS ? meddle : bear, (void *)(uintptr_t)i) == 0,
            "a thread");
    for (size_t i = 0; i < THREADS + 2; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < SLOTS; i++)
        free(slot[i]);
}

int main(int count, char **argument)
{
    char path[300];
    const size_t every = 0;
    const bool on = true;
    must(count > 1, "usage: crowd FOLDER | crowd calm FILE");
    if (count == 3) {
        calm();
        dump(argument[2]);
        return 0;
    }
    folder = argument[1];
    riot();
    must(mallctl("prof.reset", NULL, NULL, (void *)&every, sizeof(every)) == 0
        && mallctl("prof.active", NULL, NULL, (void *)&on, sizeof(on)) == 0,
        "the end");
    calm();
    snprintf(path, sizeof(path), "%s/last.heap", folder);
    dump(path);
    printf("calm 1024 1024 1000\n");
    return 0;
}
