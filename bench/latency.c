/* SPDX-License-Identifier: MIT */
/*
 * latency - how long single calls of malloc and free take, as a preload.
 *
 *     BENCH_LATENCY=FILE LD_PRELOAD="liblatency.so libX.so" COMMAND
 *
 * It stands before the allocator and times each call of malloc and free by
 * the processor's time stamp counter; calloc, realloc and the aligned family
 * go to the allocator directly.  At exit each process adds a line to FILE:
 *
 *     program=NAME pid=N clock=NS malloc_calls=N malloc_p50=NS malloc_p99=NS
 *     malloc_p99.9=NS malloc_p99.99=NS malloc_max=NS free_calls=N ...
 *     quiet_malloc_calls=N ... quiet_free_calls=N ...
 *
 * Times are in nanoseconds; a percentile is up to 1/32 too high.  `clock` is
 * what reading the clock twice takes; it has been subtracted.  A command that
 * starts others leaves several lines: the one with the most calls is meant.
 *
 * The quiet ones are the calls in which there was neither a page fault nor a
 * preemption.  To know that, getrusage is called before a call and, if the
 * call took longer than SLOW, after it.  This disturbs the caches and would
 * triple the run, so it is done for one call in EACH, chosen at random, and
 * those calls are in the quiet histogram only; the other figures are of calls
 * before which nothing was asked.  quiet_calls counts those sampled that were
 * quiet; the highest of all may have escaped the sample.
 *
 * A wait for a lock is no preemption: it stays.  What cannot be told apart: a
 * fault that took less than SLOW counts as quiet, at that time; interrupts and
 * a host that runs another machine are invisible, and in every allocator's
 * figures alike.  What is not seen: operator new where the allocator has its
 * own; calls inside calls; calls of a thread after its keys were destroyed; a
 * process that ends by _exit or a signal; a child of fork before exec.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "histogram.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum {
    SLOW = 4096, /* cycles of the counter: one or two microseconds */
    EACH = 4
};

enum kind { MALLOC, FREE, KINDS };

/* A thread's counts.  When it ends, the next thread goes on with them. */
struct record {
    struct record *next;
    _Atomic bool used;
    uint64_t random;
    struct histogram plain[KINDS];
    struct histogram quiet[KINDS];
};

/* A call being timed. */
struct timing {
    struct record *record; /* NULL: not timed */
    bool sampled;
    long disturbed;        /* faults and preemptions of the thread so far */
    uint64_t start;
};

static struct {
    void *(*malloc)(size_t);
    void (*free)(void *);
} below;

static const char *path;
static pid_t pid;
static pthread_key_t key;
static bool has_key;
static _Atomic(struct record *) records;
static uint64_t clock_ticks;
static uint64_t start_ticks;
static double start_seconds;

#define OF_THREAD \
    static _Thread_local __attribute__((tls_model("initial-exec")))
OF_THREAD struct record *own;
OF_THREAD bool inside; /* a call of ours, or the thread's end */

/* -- the functions below -- */

/* dlsym may allocate while it looks for malloc.  It never resizes or reads
 * the size of such a block. */
static alignas(16) char early[4096];
static size_t early_used;

static void *early_malloc(size_t size)
{
    const size_t bytes = (size + 15) & ~(size_t)15;
    if (bytes < size || bytes > sizeof early - early_used)
        abort();
    early_used += bytes;
    return early + early_used - bytes;
}

static bool is_early(const void *block)
{
    return (uintptr_t)block - (uintptr_t)early < sizeof early;
}

/* In the first call of all, when there is one thread. */
static void find_below(void)
{
    static bool finding;
    if (finding)
        return;
    finding = true;
    *(void **)&below.free = dlsym(RTLD_NEXT, "free");
    *(void **)&below.malloc = dlsym(RTLD_NEXT, "malloc");
    if (below.malloc == NULL || below.free == NULL)
        abort();
}

/* -- time -- */

static inline uint64_t ticks_before(void)
{
    _mm_lfence();
    const uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}

static inline uint64_t ticks_after(void)
{
    unsigned processor;
    const uint64_t now = __rdtscp(&processor);
    _mm_lfence();
    return now;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What the clock itself takes, at best. */
static uint64_t ticks_of_clock(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        const uint64_t start = ticks_before();
        const uint64_t ticks = ticks_after() - start;
        least = ticks < least ? ticks : least;
    }
    return least;
}

static long disturbances(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt + usage.ru_nivcsw;
}

/* -- records -- */

static struct record *new_record(void)
{
    struct record *record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (record == MAP_FAILED)
        return NULL;
    atomic_store(&record->used, true);
    record->next = atomic_load(&records);
    while (!atomic_compare_exchange_weak(&records, &record->next, record))
        continue;
    return record;
}

/* One that an ended thread has left, or a new one. */
static struct record *open_record(void)
{
    struct record *record = atomic_load(&records);
    while (record != NULL && atomic_exchange(&record->used, true))
        record = record->next;
    if (record == NULL)
        record = new_record();
    if (record != NULL && has_key)
        pthread_setspecific(key, record);
    return record;
}

/* The thread's end. */
static void close_record(void *record)
{
    inside = true;
    atomic_store(&((struct record *)record)->used, false);
}

/* -- calls -- */

/* A thread that got no record stays `inside`: it does not ask again. */
static inline struct timing begin(void)
{
    struct timing timing = {NULL, false, 0, 0};
    if (inside || path == NULL)
        return timing;
    inside = true;
    if (own == NULL)
        own = open_record();
    timing.record = own;
    if (own == NULL)
        return timing;
    own->random = own->random * 0xd1342543de82ef95 + 1;
    timing.sampled = (own->random >> 32) % EACH == 0;
    if (timing.sampled)
        timing.disturbed = disturbances();
    timing.start = ticks_before();
    return timing;
}

static inline void end(const struct timing *timing, enum kind kind)
{
    if (timing->record == NULL)
        return;
    const uint64_t ticks = ticks_after() - timing->start;
    const uint64_t net = ticks > clock_ticks ? ticks - clock_ticks : 0;
    if (!timing->sampled)
        histogram_add(&timing->record->plain[kind], net);
    else if (ticks < SLOW || disturbances() == timing->disturbed)
        histogram_add(&timing->record->quiet[kind], net);
    inside = false;
}

void *malloc(size_t size)
{
    if (below.malloc == NULL)
        find_below();
    if (below.malloc == NULL)
        return early_malloc(size);
    const struct timing timing = begin();
    void *block = below.malloc(size);
    end(&timing, MALLOC);
    return block;
}

void free(void *block)
{
    if (is_early(block))
        return;
    if (below.free == NULL)
        find_below();
    const struct timing timing = begin();
    below.free(block);
    end(&timing, FREE);
}

/* -- the report -- */

static int add_text(char *text, size_t size, const char *name,
                    const struct histogram *of, double tick_ns)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999},
                {"p99.99", 0.9999}, {"max", 1.0}};
    int used = snprintf(text, size, " %s_calls=%llu", name,
                        (unsigned long long)histogram_total(of));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t ticks = histogram_percentile(of, rows[i].share);
        used += snprintf(text + used, size - (size_t)used, " %s_%s=%.1f",
                         name, rows[i].name, (double)ticks * tick_ns);
    }
    return used;
}

static void write_line(const char *line, size_t length)
{
    const int file =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || write(file, line, length) != (ssize_t)length)
        dprintf(STDERR_FILENO, "liblatency: %s cannot be written: %s\n", path,
                strerror(errno));
    if (file >= 0)
        close(file);
}

__attribute__((destructor)) static void report(void)
{
    static struct histogram all[2 * KINDS];
    static const char *const names[] = {"malloc", "free", "quiet_malloc",
                                        "quiet_free"};
    static char line[2048];
    if (path == NULL || getpid() != pid)
        return;
    inside = true;
    for (struct record *r = atomic_load(&records); r != NULL; r = r->next)
        for (int kind = 0; kind < KINDS; kind++) {
            histogram_merge(&all[kind], &r->plain[kind]);
            histogram_merge(&all[KINDS + kind], &r->quiet[kind]);
        }
    const double tick_ns = (seconds() - start_seconds) * 1e9 /
                           (double)(ticks_after() - start_ticks);
    int used = snprintf(line, sizeof line, "program=%.64s pid=%d clock=%.1f",
                        program_invocation_short_name, (int)pid,
                        (double)clock_ticks * tick_ns);
    for (int i = 0; i < 2 * KINDS; i++)
        used += add_text(line + used, sizeof line - (size_t)used, names[i],
                         &all[i], tick_ns);
    line[used++] = '\n';
    write_line(line, (size_t)used);
}

/* Calls before this are not timed: `path` is not known yet. */
__attribute__((constructor)) static void start(void)
{
    clock_ticks = ticks_of_clock();
    has_key = pthread_key_create(&key, close_record) == 0;
    pid = getpid();
    start_seconds = seconds();
    start_ticks = ticks_before();
    path = getenv("BENCH_LATENCY");
}
