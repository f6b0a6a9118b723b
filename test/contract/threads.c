/* SPDX-License-Identifier: MIT */
/*
 * threads - the counters that threads keep of themselves.
 *
 * Goal: allocated and deallocated move at every call, by the size of the
 * block, seen through the name, through the pointer, and by another thread.
 * Method: the change at each call is a line.
 */
#include "contract.h"

#include <pthread.h>

struct counters {
    uint64_t *allocated;
    uint64_t *deallocated;
    uint64_t allocated_was;
    uint64_t deallocated_was;
};

static uint64_t *pointer(const char *name)
{
    uint64_t *value = NULL;
    size_t bytes = sizeof value;
    mallctl(name, &value, &bytes, NULL, 0);
    return value;
}

static void begin(struct counters *counters)
{
    counters->allocated_was = *counters->allocated;
    counters->deallocated_was = *counters->deallocated;
}

/* Whether both have moved by so much. */
static bool moved(struct counters *counters, size_t up, size_t down)
{
    const bool same = *counters->allocated == read_u64("thread.allocated")
                      && *counters->deallocated
                             == read_u64("thread.deallocated");
    const bool right = *counters->allocated - counters->allocated_was == up
                       && *counters->deallocated - counters->deallocated_was
                              == down;
    begin(counters);
    return same && right;
}

static void say_size(struct counters *counters, const char *who, size_t size)
{
    char what[64];
    begin(counters);
    void *ptr = malloc(size);
    const size_t whole = malloc_usable_size(ptr);
    const bool at_malloc = moved(counters, whole, 0);
    ptr = realloc(ptr, size * 3);
    const size_t more = malloc_usable_size(ptr);
    const bool at_realloc = moved(counters, more, whole);
    free(ptr);
    const bool at_free = moved(counters, 0, more);
    ptr = mallocx(size, MALLOCX_ZERO | MALLOCX_TCACHE_NONE);
    const bool at_mallocx = moved(counters, whole, 0);
    sdallocx(ptr, size, MALLOCX_TCACHE_NONE);
    const bool at_sdallocx = moved(counters, 0, whole);
    free(calloc(3, size));
    const size_t three = nallocx(3 * size, 0);
    const bool at_calloc = moved(counters, three, three);
    snprintf(what, sizeof what, "%s: %zu bytes", who, size);
    say(what, "malloc %s, realloc %s, free %s, mallocx %s, sdallocx %s, "
        "calloc %s", yes_no(at_malloc), yes_no(at_realloc), yes_no(at_free),
        yes_no(at_mallocx), yes_no(at_sdallocx), yes_no(at_calloc));
}

static void count(const char *who)
{
    struct counters counters = {
        .allocated = pointer("thread.allocatedp"),
        .deallocated = pointer("thread.deallocatedp"),
    };
    for (size_t size = 1; size <= 16 * MIB; size = size * 4 + 1)
        say_size(&counters, who, size);
    begin(&counters);
    void *ptr = mallocx(4 * MIB, 0);
    const size_t grown = xallocx(ptr, 2 * MIB, 0, 0);
    char what[64];
    snprintf(what, sizeof what, "%s: xallocx", who);
    say(what, "%s", yes_no(moved(&counters, 4 * MIB + grown, 4 * MIB)));
    dallocx(ptr, 0);
    snprintf(what, sizeof what, "%s: same pointer again", who);
    say(what, "%s",
        yes_no(pointer("thread.allocatedp") == counters.allocated));
}

/* -- another thread looks -- */

static struct {
    pthread_barrier_t step;
    uint64_t *allocated;
} watched;

static void *be_watched(void *unused)
{
    watched.allocated = pointer("thread.allocatedp");
    pthread_barrier_wait(&watched.step);
    pthread_barrier_wait(&watched.step);
    void *ptr = malloc(1000);
    pthread_barrier_wait(&watched.step);
    pthread_barrier_wait(&watched.step);
    free(ptr);
    return unused;
}

static void watch(void)
{
    pthread_t thread;
    pthread_barrier_init(&watched.step, NULL, 2);
    pthread_create(&thread, NULL, be_watched, NULL);
    pthread_barrier_wait(&watched.step);
    const uint64_t before = *(volatile uint64_t *)watched.allocated;
    pthread_barrier_wait(&watched.step);
    pthread_barrier_wait(&watched.step);
    const uint64_t after = *(volatile uint64_t *)watched.allocated;
    say("seen by another thread", "%s",
        yes_no(after - before == nallocx(1000, 0)));
    pthread_barrier_wait(&watched.step);
    pthread_join(thread, NULL);
}

/* -- peaks, and the rest of thread.* -- */

static void peaks(void)
{
    say("peak.reset", "%s", error_name(act("thread.peak.reset")));
    const uint64_t low = read_u64("thread.peak.read");
    say("peak after a reset", "%s",
        low <= 1 * MIB ? "at most 1 MiB" : "more");
    void *ptr = malloc(10 * MIB);
    free(ptr);
    const uint64_t high = read_u64("thread.peak.read");
    say("peak after 10 MiB", "%s",
        high >= 9 * MIB && high <= 13 * MIB ? "about 10 MiB" : "another");
    act("thread.peak.reset");
    say("peak after another reset", "%s",
        read_u64("thread.peak.read") <= 1 * MIB ? "at most 1 MiB" : "more");
}

static void *count_in_thread(void *unused)
{
    count("a thread");
    return unused;
}

int main(void)
{
    count("main");
    pthread_t thread;
    pthread_create(&thread, NULL, count_in_thread, NULL);
    pthread_join(thread, NULL);
    watch();
    peaks();
    return 0;
}
