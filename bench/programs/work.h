/* SPDX-License-Identifier: MIT */
/*
 * work.h - what the workload programs share.
 *
 * Goal: the same calls with the same sizes in every run under every
 * allocator, with as little of our own work between them as can be, and a
 * broken allocator noticed.
 *
 * A program takes arguments `key=value` only.  Its random numbers come from a
 * fixed seed.  Each block gets a stamp that nobody else has, which is read
 * back before the block is freed: at the end the sums of the stamps written
 * and read must agree.  Nothing here allocates; arrays for book-keeping come
 * from mmap and are in memory before the work begins.
 */
#ifndef ASHLAR_BENCH_WORK_H
#define ASHLAR_BENCH_WORK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WORK_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORK_PRINTF(at) __attribute__((format(printf, at, at + 1)))

/* -- what is said -- */

/* A line without stdio's buffer, which would come from malloc. */
static inline void work_write(int file, const char *format, va_list arguments)
{
    char line[256];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    if (write(file, line, (size_t)length + 1) < 0)
        _exit(1);
}

/* Ends the program: status 2 for a bad argument, 1 for anything else. */
WORK_PRINTF(2) _Noreturn
static inline void work_die(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    work_write(STDERR_FILENO, format, arguments);
    va_end(arguments);
    exit(status);
}

/* The last line, `key=value ...`, for the harness. */
WORK_PRINTF(1)
static inline void work_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    work_write(STDOUT_FILENO, format, arguments);
    va_end(arguments);
}

/* -- arguments -- */

struct work_option {
    const char *name;
    uint64_t *value;   /* holds the default */
    uint64_t low;
    uint64_t high;
    const char *words; /* "one|two": the value is the word's place, from 0 */
};

/* The place of `word` among `words`, or -1. */
static inline int work_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    for (int place = 0; words != NULL; place++) {
        const char *bar = strchr(words, '|');
        const size_t here = bar ? (size_t)(bar - words) : strlen(words);
        if (here == length && memcmp(words, word, length) == 0)
            return place;
        words = bar ? bar + 1 : NULL;
    }
    return -1;
}

static inline void work_set(const struct work_option *option, const char *text)
{
    if (option->words != NULL) {
        const int place = work_word(option->words, text);
        if (place < 0)
            work_die(2, "%s=%s: one of %s", option->name, text, option->words);
        *option->value = (uint64_t)place;
        return;
    }
    char *end;
    errno = 0;
    *option->value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        *option->value < option->low || *option->value > option->high)
        work_die(2, "%s=%s: a number from %llu to %llu", option->name, text,
                 (unsigned long long)option->low,
                 (unsigned long long)option->high);
}

static inline void work_options(int argc, char **argv,
                                const struct work_option *options, size_t count)
{
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        const size_t length = value ? (size_t)(value - argv[i]) : 0;
        size_t o = 0;
        while (o < count && !(strlen(options[o].name) == length &&
                              memcmp(options[o].name, argv[i], length) == 0))
            o++;
        if (value == NULL || o == count)
            work_die(2, "%s: no such option of %s", argv[i], argv[0]);
        work_set(&options[o], value + 1);
    }
}

/* The ends of a range of sizes, an option each. */
static inline void work_range(uint64_t low, uint64_t high)
{
    if (low > high)
        work_die(2, "low is above high");
}

/* -- random numbers -- */

/* One per thread; the same `thread` gives the same numbers. */
struct work_random {
    uint64_t state;
};

static inline struct work_random work_random(uint64_t thread)
{
    return (struct work_random){(thread + 1) * 0x9e3779b97f4a7c15};
}

/* 32 random bits: the better half of a linear congruential step. */
static inline uint32_t work_next(struct work_random *random)
{
    random->state = random->state * 0xd1342543de82ef95 + 1;
    return (uint32_t)(random->state >> 32);
}

/* A number below `limit`. */
static inline uint32_t work_below(struct work_random *random, uint32_t limit)
{
    return (uint32_t)((uint64_t)work_next(random) * limit >> 32);
}

/* A number from low to high, both included. */
static inline uint32_t work_between(struct work_random *random, uint32_t low,
                                    uint32_t high)
{
    return low + work_below(random, high - low + 1);
}

/* The same, each doubling equally likely: small ones are frequent, as in most
 * programs.  `low` is not 0. */
static inline uint32_t work_skewed(struct work_random *random, uint32_t low,
                                   uint32_t high)
{
    const uint32_t octaves = 32 - (uint32_t)__builtin_clz(high / low);
    uint64_t size;
    do {
        const uint64_t octave = (uint64_t)low << work_below(random, octaves);
        size = octave + work_below(random, (uint32_t)octave);
    } while (size > high);
    return (uint32_t)size;
}

/* -- blocks -- */

/* One per thread, added up at the end. */
struct work_sum {
    uint64_t written;
    uint64_t read;
    uint64_t stamp;
};

static inline struct work_sum work_sum(uint64_t thread)
{
    return (struct work_sum){.stamp = thread << 40};
}

/* Stamps a new block.  Blocks are at least 1 byte; below 8 the stamp is one. */
static inline void work_put(struct work_sum *sum, void *block, size_t size)
{
    sum->stamp += 0x9e3779b97f4a7c15;
    if (size >= sizeof sum->stamp) {
        __builtin_memcpy(block, &sum->stamp, sizeof sum->stamp);
        sum->written += sum->stamp;
    } else {
        *(unsigned char *)block = (unsigned char)sum->stamp;
        sum->written += (unsigned char)sum->stamp;
    }
}

/* Reads the stamp, before the block is freed. */
static inline void work_get(struct work_sum *sum, const void *block,
                            size_t size)
{
    uint64_t stamp = 0;
    if (size >= sizeof stamp)
        __builtin_memcpy(&stamp, block, sizeof stamp);
    else
        stamp = *(const unsigned char *)block;
    sum->read += stamp;
}

static inline void work_add(struct work_sum *sum, const struct work_sum *more)
{
    sum->written += more->written;
    sum->read += more->read;
}

/* At the end, when every stamped block was read. */
static inline void work_check(const struct work_sum *sum)
{
    if (sum->written != sum->read)
        work_die(1, "a block has lost its contents: %llx written, %llx read",
                 (unsigned long long)sum->written,
                 (unsigned long long)sum->read);
}

/* malloc that ends the program when there is no memory, and a stamp. */
static inline void *work_malloc(struct work_sum *sum, size_t size)
{
    void *block = malloc(size);
    if (block == NULL)
        work_die(1, "malloc(%zu) failed", size);
    work_put(sum, block, size);
    return block;
}

static inline void work_free(struct work_sum *sum, void *block, size_t size)
{
    work_get(sum, block, size);
    free(block);
}

/* -- around the work -- */

/* An array for book-keeping: zeros, not from malloc, already in memory. */
static inline void *work_map(size_t bytes)
{
    void *array = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (array == MAP_FAILED)
        work_die(1, "no memory for %zu bytes of book-keeping", bytes);
    return array;
}

/* Seconds of a clock that never goes back. */
static inline double work_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A field of a file in /proc/self, in KiB. */
static inline uint64_t work_proc_kb(const char *path, const char *field)
{
    char text[4096];
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length < 0)
        work_die(1, "%s cannot be read", path);
    close(file);
    text[length] = '\0';
    const char *line = strstr(text, field);
    if (line == NULL)
        work_die(1, "%s has no %s", path, field);
    return strtoull(line + strlen(field), NULL, 10);
}

/* What is resident now, from the page table: VmRSS may lag behind by 64 pages
 * for each thread. */
static inline uint64_t work_rss_kb(void)
{
    return work_proc_kb("/proc/self/smaps_rollup", "\nRss:");
}

static inline uint64_t work_peak_kb(void)
{
    return work_proc_kb("/proc/self/status", "\nVmHWM:");
}

#endif
