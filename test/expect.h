/* SPDX-License-Identifier: MIT */
/*
 * expect - what every test program shares: expectations, a seeded generator,
 * contents that can be checked, and readings of this process's memory.
 *
 * A failed expectation prints file:line, what was expected, what came and the
 * seed, and ends the process with status 1, from any thread.  Nothing here
 * allocates, so that a test of malloc may use all of it at any moment.
 *
 * A program calls test_begin() first and returns test_passed() last.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

/* ctest's SKIP_RETURN_CODE: this program has nothing to say in this build. */
#define TEST_SKIPPED 77

static struct {
    const char *name;
    uint64_t seed;
    bool seed_given;
    uint64_t ops;        /* 0: the program's own default */
    unsigned seconds;    /* 0: a fixed amount of work */
    struct timespec began;
} test;

/* -- failing -- */

/* Writes on behind what is used of a text, cut off at its end; the bytes that
 * are used then. */
__attribute__((format(printf, 4, 0)))
static inline int text_append(char *text, int bytes, int used,
                              const char *format, va_list arguments)
{
    used += vsnprintf(text + used, (size_t)(bytes - used), format, arguments);
    return used < bytes ? used : bytes - 1;
}

__attribute__((format(printf, 2, 3), noreturn, cold))
static inline void test_fail(const char *here, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    int used = snprintf(text, sizeof text, "%s: ", here);
    va_start(arguments, format);
    used = text_append(text, sizeof text - 128, used, format, arguments);
    va_end(arguments);
    used += snprintf(text + used, sizeof text - (size_t)used,
                     " [seed %llu, on %.40s]\n",
                     (unsigned long long)test.seed, subject_name());
    if (write(STDERR_FILENO, text, (size_t)used) != used)
        _exit(2);
    _exit(1);
}

#define TEXT_OF(number) TEXT_OF_VALUE(number)
#define TEXT_OF_VALUE(number) #number
#define HERE __FILE__ ":" TEXT_OF(__LINE__)

#define FAIL(...) test_fail(HERE, __VA_ARGS__)

#define EXPECT(condition)                                                     \
    do {                                                                      \
        if (!(condition))                                                     \
            FAIL("expected %s", #condition);                                  \
    } while (0)

/* An expectation with the values that explain it. */
#define EXPECT_THAT(condition, ...)                                           \
    do {                                                                      \
        if (!(condition))                                                     \
            FAIL("expected " #condition ": " __VA_ARGS__);                    \
    } while (0)

#define EXPECT_EQUAL(actual, expected)                                        \
    do {                                                                      \
        const long long came = (long long)(actual);                           \
        const long long want = (long long)(expected);                         \
        if (came != want)                                                     \
            FAIL("expected %s == %s (%lld), came %lld", #actual, #expected,   \
                 want, came);                                                 \
    } while (0)

#define EXPECT_AT_MOST(actual, limit)                                         \
    do {                                                                      \
        const long long came = (long long)(actual);                           \
        const long long most = (long long)(limit);                            \
        if (came > most)                                                      \
            FAIL("expected %s <= %lld, came %lld", #actual, most, came);      \
    } while (0)

#define EXPECT_ALIGNED(ptr, alignment)                                        \
    do {                                                                      \
        const uintptr_t where = (uintptr_t)(ptr);                             \
        if (where % (alignment) != 0)                                         \
            FAIL("expected %s = 0x%llx to be a multiple of %llu", #ptr,       \
                 (unsigned long long)where,                                   \
                 (unsigned long long)(alignment));                            \
    } while (0)

/* -- the command line and the summary -- */

static inline uint64_t test_number(const char *text)
{
    char *end;
    errno = 0;
    const uint64_t number = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0')
        FAIL("not a number: %s", text);
    return number;
}

#if SUBJECT_PREFIXED
void sys_pretend_page_bytes(size_t bytes);

/* TEST_PAGE_BYTES: have the core believe in larger pages. */
static inline void test_pretend_pages(void)
{
    const char *text = getenv("TEST_PAGE_BYTES");
    if (text != NULL)
        sys_pretend_page_bytes((size_t)test_number(text));
}
#else
static inline void test_pretend_pages(void)
{
}
#endif

/* Options: --seed N, --ops N, --seconds N. */
static inline void test_begin(const char *name, int argc, char **argv)
{
    test_pretend_pages();
    test.name = name;
    test.seed = 1;
    clock_gettime(CLOCK_MONOTONIC, &test.began);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            FAIL("option %s needs a number", argv[i]);
        const uint64_t number = test_number(argv[i + 1]);
        if (strcmp(argv[i], "--seed") == 0) {
            test.seed = number;
            test.seed_given = true;
        } else if (strcmp(argv[i], "--ops") == 0) {
            test.ops = number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            test.seconds = (unsigned)number;
        } else {
            FAIL("unknown option %s (--seed --ops --seconds)", argv[i]);
        }
    }
}

static inline double test_elapsed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - test.began.tv_sec)
           + (double)(now.tv_nsec - test.began.tv_nsec) * 1e-9;
}

/* Whether another round is due: a fixed number, unless --seconds was given. */
static inline bool test_more(unsigned round, unsigned rounds)
{
    if (test.seconds != 0)
        return test_elapsed() < (double)test.seconds;
    return round < rounds;
}

/* Less work where every access is watched. */
static inline unsigned test_scaled(unsigned work, unsigned divisor)
{
    const unsigned less = SUBJECT_SANITIZED ? work / divisor : work;
    return less == 0 ? 1 : less;
}

__attribute__((format(printf, 1, 2)))
static inline int test_passed(const char *format, ...)
{
    char text[512];
    va_list arguments;
    int used = snprintf(text, sizeof text, "%s: ok on %.60s: ", test.name,
                        subject_name());
    va_start(arguments, format);
    used = text_append(text, sizeof text - 64, used, format, arguments);
    va_end(arguments);
    used += snprintf(text + used, sizeof text - (size_t)used,
                     ", seed %llu, %.1f s\n", (unsigned long long)test.seed,
                     test_elapsed());
    return write(STDOUT_FILENO, text, (size_t)used) == used ? 0 : 1;
}

static inline int test_skipped(const char *why)
{
    char text[256];
    const int used = snprintf(text, sizeof text, "%s: skipped on %.60s: %s\n",
                              test.name, subject_name(), why);
    return write(STDOUT_FILENO, text, (size_t)used) == used ? TEST_SKIPPED : 1;
}

/* -- a seeded generator -- */

struct dice {
    uint64_t state;
};

/* A 64-bit mixer: every bit of the result depends on every bit of the word. */
static inline uint64_t mixed(uint64_t word)
{
    word = (word ^ (word >> 31)) * 0x7fb5d329728ea185u;
    word = (word ^ (word >> 27)) * 0x81dadef4bc2dd44du;
    return word ^ (word >> 33);
}

static inline uint64_t dice_next(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    return mixed(dice->state);
}

/* 0 <= result < limit */
static inline size_t dice_below(struct dice *dice, size_t limit)
{
    return (size_t)(dice_next(dice) % limit);
}

/* low <= result <= high */
static inline size_t dice_between(struct dice *dice, size_t low, size_t high)
{
    return low + dice_below(dice, high - low + 1);
}

/* -- contents derived from a seed -- */

static inline uint64_t contents_word(uint64_t seed, size_t index)
{
    return (seed ^ ((uint64_t)index * 0x9e3779b97f4a7c15u)) | 1;
}

/* Any prefix of the contents of n bytes is the contents of fewer bytes, so
 * what realloc keeps can be checked with the seed alone. */
static inline void contents_fill(void *ptr, size_t size, uint64_t seed)
{
    unsigned char *bytes = (unsigned char *)ptr;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        const uint64_t word = contents_word(seed, i);
        memcpy(bytes + i, &word, 8);
    }
    const uint64_t word = contents_word(seed, i);
    memcpy(bytes + i, &word, size - i);
}

static inline void contents_check(const void *ptr, size_t size, uint64_t seed,
                                  const char *here)
{
    const unsigned char *bytes = (const unsigned char *)ptr;
    for (size_t i = 0; i < size; i += 8) {
        const size_t step = size - i < 8 ? size - i : 8;
        const uint64_t word = contents_word(seed, i);
        uint64_t came = word;
        memcpy(&came, bytes + i, step);
        if (came != word)
            test_fail(here,
                      "expected %016llx at offset %zu of the block of %zu "
                      "bytes at %p, came %016llx",
                      (unsigned long long)word, i, size, ptr,
                      (unsigned long long)came);
    }
}

#define EXPECT_CONTENTS(ptr, size, seed)                                      \
    contents_check((ptr), (size), (seed), HERE)

/* For large blocks: a word in every 2,048 bytes, which is every page, and the
 * last byte. */
enum { SPARSE_STEP = 2048 };

static inline void sparse_fill(void *ptr, size_t size, uint64_t seed)
{
    unsigned char *bytes = (unsigned char *)ptr;
    for (size_t i = 0; i + 8 <= size; i += SPARSE_STEP)
        contents_fill(bytes + i, 8, seed + i);
    if (size % SPARSE_STEP != 8 && size != 0)
        bytes[size - 1] = (unsigned char)(seed + size);
}

/* Checks the first `kept` bytes of what sparse_fill put into `size` bytes. */
static inline void sparse_check(const void *ptr, size_t size, size_t kept,
                                uint64_t seed, const char *here)
{
    const unsigned char *bytes = (const unsigned char *)ptr;
    for (size_t i = 0; i + 8 <= kept; i += SPARSE_STEP)
        contents_check(bytes + i, 8, seed + i, here);
    if (kept == size && size % SPARSE_STEP != 8 && size != 0
        && bytes[size - 1] != (unsigned char)(seed + size))
        test_fail(here,
                  "expected %02x in the last of %zu bytes, came %02x",
                  (unsigned char)(seed + size), size, bytes[size - 1]);
}

#define EXPECT_SPARSE(ptr, size, kept, seed)                                  \
    sparse_check((ptr), (size), (kept), (seed), HERE)

static inline void zero_check(const void *ptr, size_t size, const char *here)
{
    const unsigned char *bytes = (const unsigned char *)ptr;
    if (size == 0
        || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0))
        return;
    size_t i = 0;
    while (bytes[i] == 0)
        i++;
    test_fail(here,
              "expected zero at offset %zu of the block of %zu bytes at %p, "
              "came %02x",
              i, size, ptr, bytes[i]);
}

#define EXPECT_ZERO(ptr, size) zero_check((ptr), (size), HERE)

/* -- this process's memory -- */

/* Memory for a test's own books, from the system, so that they neither use nor
 * disturb the allocator under test. */
static inline void *test_map(size_t bytes)
{
    void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED)
        FAIL("no memory for the test itself (%zu bytes)", bytes);
    return ptr;
}

static inline size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The number after a word in a file of /proc; KiB for most of them. */
static inline size_t proc_number(const char *path, const char *word)
{
    char text[8192];
    const int file = open(path, O_RDONLY);
    if (file < 0)
        FAIL("cannot open %s", path);
    size_t used = 0;
    ssize_t got;
    while ((got = read(file, text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    close(file);
    text[used] = '\0';
    const char *found = strstr(text, word);
    if (found == NULL)
        FAIL("no %s in %s", word, path);
    return (size_t)strtoull(found + strlen(word), NULL, 10);
}

static inline size_t resident_bytes(void)
{
    char text[128];
    const int file = open("/proc/self/statm", O_RDONLY);
    const ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    if (got <= 0)
        FAIL("cannot read /proc/self/statm");
    text[got] = '\0';
    const char *second = strchr(text, ' ');
    if (second == NULL)
        FAIL("/proc/self/statm reads \"%s\"", text);
    return (size_t)strtoull(second, NULL, 10) * page_bytes();
}

static inline size_t peak_resident_bytes(void)
{
    return proc_number("/proc/self/status", "VmHWM:") * KIB;
}

#endif
