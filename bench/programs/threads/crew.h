/* SPDX-License-Identifier: MIT */
/*
 * crew - threads that are started, joined, and add up their sums.
 *
 * Used by  the programs of threads/.
 */
#ifndef ASHLAR_BENCH_CREW_H
#define ASHLAR_BENCH_CREW_H

#include "../work.h"

#include <pthread.h>

enum { CREW_MAX = 1024, CREW_STACK_BYTES = 256 << 10 };

/* Small stacks, so that what is measured is the heap. */
static inline pthread_t crew_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, CREW_STACK_BYTES);
    const int error = pthread_create(&thread, &attributes, run, argument);
    if (error != 0)
        work_die(1, "pthread_create: %s", strerror(error));
    pthread_attr_destroy(&attributes);
    return thread;
}

static inline void crew_join(pthread_t thread)
{
    const int error = pthread_join(thread, NULL);
    if (error != 0)
        work_die(1, "pthread_join: %s", strerror(error));
}

/* What a member of a crew does; `number` counts from 0. */
typedef void crew_work(size_t number, struct work_sum *sum);

struct crew_member {
    crew_work *work;
    size_t number;
    struct work_sum sum;
    pthread_t thread;
};

static inline void *crew_member_run(void *argument)
{
    struct crew_member *member = argument;
    /* On the thread's own stack: no line is shared with other members. */
    struct work_sum sum = work_sum(member->number);
    member->work(member->number, &sum);
    member->sum = sum;
    return NULL;
}

static struct crew_member crew_members[CREW_MAX];

static inline void crew_begin(crew_work *work, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        crew_members[i].work = work;
        crew_members[i].number = i;
        crew_members[i].thread = crew_start(crew_member_run, &crew_members[i]);
    }
}

static inline void crew_end(size_t count, struct work_sum *total)
{
    for (size_t i = 0; i < count; i++) {
        crew_join(crew_members[i].thread);
        work_add(total, &crew_members[i].sum);
    }
}

static inline void crew_run(crew_work *work, size_t count,
                            struct work_sum *total)
{
    crew_begin(work, count);
    crew_end(count, total);
}

#endif
