/* SPDX-License-Identifier: MIT */
/*
 * replay - makes the calls of a recorded trace, with as many threads.
 *
 *     replay trace=FILE [rounds=N]  plays it; the allocator comes by LD_PRELOAD
 *     replay trace=FILE print=1     shows it, one event a line
 *
 * Stands for the program that was recorded, without what it did between the
 * calls.  The trace is read beforehand (score.h); what is timed is calls, a
 * write to each page of what they return, and a look at it before it is freed.
 * What is left at the end of a round is freed before the next.
 * Of one thread the processor's time is told, of more the clock's.  The peak is
 * that of the process less the score.
 *
 * Exit status: 2 for a bad argument or trace, 1 for an allocator that returned
 * nothing, or memory that is not as it must be.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "score.h"

enum {
    PAGE_BYTES = 4096,
    SPINS = 200,        /* before a waiting thread gives up its processor, */
    YIELDS = 20,        /* and before it sleeps */
    SLEEP_US = 50,
};

struct object {
    unsigned char *at;
    uint64_t size;
};

struct player {
    _Alignas(128) _Atomic uint64_t steps_done;
};

static struct score score;
static struct player players[READER_THREADS_MAX];
static struct object *objects;
static _Atomic uint32_t playing;
static sem_t all_played;
static sem_t round_over;
static bool together;       /* somebody may wait for our steps */

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("replay: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

/* -- what is in the memory -- */

/* Nobody else's mark; its bytes are all different from those of neighbours. */
static uint64_t mark_of(const struct object *object)
{
    const uint64_t slot = (uint64_t)(object - objects) + 1;
    return slot * UINT64_C(0x9e3779b97f4a7c15);
}

static void stamp(const struct object *object)
{
    const uint64_t mark = mark_of(object);
    if (object->size >= sizeof mark)
        *(uint64_t *)(void *)object->at = mark;
    else
        for (unsigned i = 0; i < object->size; i++)
            object->at[i] = (unsigned char)(mark >> 8 * i);
    for (uint64_t i = PAGE_BYTES; i < object->size; i += PAGE_BYTES)
        object->at[i] = (unsigned char)mark;
}

/* The first bytes and the first of the last page, or of what is left. */
static void check(const struct object *object, uint64_t size)
{
    const uint64_t mark = mark_of(object);
    bool right = true;
    if (size >= sizeof mark)
        right = *(uint64_t *)(void *)object->at == mark;
    else
        for (unsigned i = 0; i < size; i++)
            right &= object->at[i] == (unsigned char)(mark >> 8 * i);
    if (size > PAGE_BYTES)
        right &= object->at[(size - 1) / PAGE_BYTES * PAGE_BYTES]
            == (unsigned char)mark;
    if (!right)
        fail("object of %llu bytes at %p: its contents have changed",
            (unsigned long long)object->size, (void *)object->at);
}

static void check_zero(const struct object *object)
{
    unsigned char any = 0;
    for (unsigned i = 0; i < 8 && i < object->size; i++)
        any |= object->at[i];
    for (uint64_t i = PAGE_BYTES; i < object->size; i += PAGE_BYTES)
        any |= object->at[i];
    if (any)
        fail("calloc of %llu bytes at %p: not zero",
            (unsigned long long)object->size, (void *)object->at);
}

/* -- steps -- */

static void keep(struct object *object, void *at, const struct step *step)
{
    if (!at && step->size)
        fail("no memory for %llu bytes", (unsigned long long)step->size);
    object->at = at;
    object->size = at ? step->size : 0;
}

static void *aligned(const struct step *step)
{
    const size_t alignment = (size_t)1 << step->shift;
    void *at = NULL;
    if (posix_memalign(&at, alignment < sizeof at ? sizeof at : alignment,
            step->size) != 0)
        at = NULL;
    if ((uintptr_t)at % alignment)
        fail("%p is not aligned to %zu", at, alignment);
    return at;
}

/* A size of 0 would free the object. */
static void resize(struct object *object, const struct step *step)
{
    const uint64_t size = step->size ? step->size : 1;
    const uint64_t common = object->size < size ? object->size : size;
    void *const at = realloc(object->at, size);
    keep(object, at, &(struct step){.size = size});
    check(object, common);
}

static void wait_for(const struct step *step)
{
    struct player *const other = &players[step->slot];
    /* pairs with the store in play() */
    for (unsigned spins = 0; atomic_load_explicit(&other->steps_done,
            memory_order_acquire) < step->size; spins++) {
        if (spins < SPINS)
            __builtin_ia32_pause();
        else if (spins < SPINS + YIELDS)
            sched_yield();
        else
            usleep(SLEEP_US);
    }
}

static void spawn(uint32_t thread);

static void make(const struct step *step)
{
    struct object *const object = &objects[step->slot];
    switch ((enum step_kind)step->kind) {
    case STEP_MALLOC:
        keep(object, malloc(step->size), step);
        stamp(object);
        break;
    case STEP_CALLOC:
        keep(object, calloc(1, step->size), step);
        check_zero(object);
        stamp(object);
        break;
    case STEP_ALIGNED:
        keep(object, aligned(step), step);
        stamp(object);
        break;
    case STEP_REALLOC:
        resize(object, step);
        stamp(object);
        break;
    case STEP_FREE:
        check(object, object->size);
        free(object->at);
        object->at = NULL;
        break;
    case STEP_WAIT:
        wait_for(step);
        break;
    case STEP_SPAWN:
        spawn(step->slot);
        break;
    }
}

static void play(uint32_t thread)
{
    const struct part *const part = &score.parts[thread];
    const struct step *const steps = part_steps(part);
    for (uint64_t i = 0; i < part->count; i++) {
        make(&steps[i]);
        /* pairs with the load in wait_for() */
        if (together)
            atomic_store_explicit(&players[thread].steps_done, i + 1,
                memory_order_release);
    }
    if (atomic_fetch_sub(&playing, 1) == 1)
        sem_post(&all_played);
}

/* A thread whose end is not in the trace was there until the program's. */
static void *play_part(void *number)
{
    const uint32_t thread = (uint32_t)(uintptr_t)number;
    play(thread);
    if (!score.parts[thread].ends)
        sem_wait(&round_over);
    return NULL;
}

static void spawn(uint32_t thread)
{
    pthread_t made;
    const int error =
        pthread_create(&made, NULL, play_part, (void *)(uintptr_t)thread);
    if (error)
        fail("thread %u: %s", thread, strerror(error));
    pthread_detach(made);
}

/* -- time and memory -- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(together ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Makes the peak what is resident now, so that reading does not count. */
static void forget_peak(void)
{
    const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "5", 1) != 1)
        fail("/proc/self/clear_refs: %s", strerror(errno));
    close(file);
}

static uint64_t peak_kb(void)
{
    char text[4096];
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
    const char *const line = strstr(text, "\nVmHWM:");
    if (!line)
        fail("/proc/self/status does not tell the peak");
    close(file);
    return strtoull(line + strlen("\nVmHWM:"), NULL, 10);
}

/* -- the commands -- */

static void print_event(const struct reader *reader,
    const struct event *event)
{
    static const char *const names[] = {"malloc", "calloc", "aligned",
        "realloc", "free"};
    if (event->kind == TRACE_THREAD)
        return;
    printf("%u ", reader->thread);
    if (event->kind == TRACE_END) {
        puts("end");
        return;
    }
    printf("%s #%llu", names[event->kind], (unsigned long long)event->object);
    if (event->kind == TRACE_ALIGNED)
        printf(" %llu", 1ULL << event->shift);
    if (event->kind != TRACE_FREE)
        printf(" %llu", (unsigned long long)event->size);
    putchar('\n');
}

static int print(const char *path)
{
    struct reader reader = reader_open(path);
    const struct trace_head *const head = reader_head(&reader);
    struct event event = {0};
    printf("program %.*s\n", (int)sizeof head->program, head->program);
    while (reader_next(&reader, &event))
        print_event(&reader, &event);
    printf("strangers %llu\n", (unsigned long long)head->strangers);
    return fflush(stdout) == 0 ? 0 : 1;
}

static void play_round(void)
{
    atomic_store(&playing, score.threads);
    play(0);
    sem_wait(&all_played);
}

static void end_round(void)
{
    for (uint32_t i = 0; i < score.slots; i++)
        if (objects[i].at) {
            check(&objects[i], objects[i].size);
            free(objects[i].at);
            objects[i].at = NULL;
        }
    for (uint32_t i = 0; i < score.threads; i++) {
        atomic_store(&players[i].steps_done, 0);
        if (i > 0 && !score.parts[i].ends)
            sem_post(&round_over);
    }
}

static int replay(const char *path, unsigned rounds)
{
    score_read(&score, path);
    if (score.threads == 0) {
        fprintf(stderr, "replay: %s: no calls were recorded\n", path);
        return 2;
    }
    together = score.threads > 1;
    const size_t objects_bytes = (score.slots + 1) * sizeof *objects;
    objects = score_map(objects_bytes, MAP_POPULATE);
    sem_init(&all_played, 0, 0);
    sem_init(&round_over, 0, 0);
    forget_peak();
    const double begin = seconds();
    play_round();
    for (unsigned i = 1; i < rounds; i++) {
        end_round();
        play_round();
    }
    const double taken = seconds() - begin;
    const uint64_t own = (score.bytes + objects_bytes) / 1024;
    const uint64_t peak = peak_kb();
    end_round();
    printf("seconds=%.6f peak_kb=%llu ops=%llu\n", taken,
        (unsigned long long)(peak > own ? peak - own : 0),
        (unsigned long long)(score.calls * rounds));
    return fflush(stdout) == 0 ? 0 : 1;
}

static unsigned number_of(const char *text)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    return *end || number > 10000 ? 0 : (unsigned)number;
}

int main(int count, char **arguments)
{
    const char *path = NULL;
    bool shown = false;
    unsigned rounds = 1;
    for (int i = 1; i < count; i++) {
        const char *const word = arguments[i];
        if (strncmp(word, "trace=", 6) == 0)
            path = word + 6;
        else if (strncmp(word, "rounds=", 7) == 0)
            rounds = number_of(word + 7);
        else if (strcmp(word, "print=1") == 0)
            shown = true;
        else
            rounds = 0;
        if (rounds == 0) {
            fprintf(stderr, "replay: '%s' is not trace=FILE, rounds=1 to "
                "10000, or print=1\n", word);
            return 2;
        }
    }
    if (!path) {
        fprintf(stderr, "Usage: replay trace=FILE [rounds=N] [print=1]\n");
        return 2;
    }
    return shown ? print(path) : replay(path, rounds);
}
