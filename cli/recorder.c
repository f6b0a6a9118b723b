/* SPDX-License-Identifier: MIT */
/*
 * recorder - preloaded by `ashlar record`: writes a trace of every call of the
 * allocator, and passes the call on.
 *
 * Owns     the order of events, and the numbers of births and threads.
 * Uses     tape.c for the file, live.c to know objects again, and the malloc
 *          that comes next in the order of libraries.
 * Used by  cli/record.c, which names the file in the environment.
 *
 * There is one file and one lock, held while an event is written and not while
 * the call is served: births are written after the call and frees before it,
 * so the order in the file is one that was possible.
 *
 * Holds    R1  `inside` is set while a thread is in here: what the allocator,
 *              the loader or a signal handler calls meanwhile is passed on
 *              and not written
 *          R2  errno is the allocator's
 *
 * Fork     A child has no `status->on`, for that page is wiped in it: it
 *          passes everything on and leaves the file alone. What it executes
 *          is recorded if that was asked for, in a file of its own, FILE.PID.
 * Never    calls the malloc that it serves; looks at contents.
 * Tests    test/programs/record.py
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"
#include "live.h"
#include "record.h"
#include "tape.h"

#define EXPORT __attribute__((visibility("default")))

enum { EARLY_BYTES = 1 << 14 };

/* Who serves; all or none. */
static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *ptr, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    int (*posix_memalign)(void **result, size_t alignment, size_t size);
    void (*free)(void *ptr);
} next;

static char path[PATH_MAX + 32];    /* fixed by start(), as is calls_max */
static uint64_t calls_max;          /* 0: no limit */

/* Under the lock. */
static uint64_t births;
static uint64_t calls;
static unsigned threads;
static unsigned thread;             /* whose events these are, from 1 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_key_t ends;
static struct { _Atomic bool on; } *status;     /* a fork wipes its page */

static __thread bool inside;
static __thread unsigned self;          /* from 1; 0: no event yet */

/* -- calls that come while we look for who serves -- */

/* The loader's, for an error's text. Small, few, and never given back. */
static _Alignas(64) unsigned char early[EARLY_BYTES];
static size_t early_used;

static bool is_early(const void *ptr)
{
    const uintptr_t at = (uintptr_t)ptr;
    return at >= (uintptr_t)early && at < (uintptr_t)early + sizeof early;
}

static void *early_take(size_t size)
{
    const size_t room = sizeof early - early_used;
    if (size > room - room % 64)
        return NULL;
    void *const taken = early + early_used;
    early_used += (size + 63) / 64 * 64;
    return taken;
}

/* How long the old one was is not known; it ends with the array at most. */
static void *early_resize(void *ptr, size_t size)
{
    void *const fresh = next.malloc ? next.malloc(size) : early_take(size);
    const size_t known = (size_t)(early + sizeof early
        - (unsigned char *)ptr);
    if (fresh)
        memmove(fresh, ptr, size < known ? size : known);
    return fresh;
}

/* -- what is said -- */

__attribute__((format(printf, 1, 2)))
static void say(const char *format, ...)
{
    char text[PATH_MAX + 200];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        return;                 /* nobody listens */
}

static void stop(int error)
{
    const int before = errno;
    status->on = false;
    say("ashlar record: %s: %s; the trace ends after %llu calls\n",
        path, strerrordesc_np(error), (unsigned long long)calls);
    errno = before;             /* R2 */
}

/* -- events; all under the lock -- */

/* Where to write; NULL if there is no place, or no recording any more. */
static unsigned char *begin(void)
{
    if (!status->on)
        return NULL;
    const int error = tape_advance(path);
    if (error) {
        stop(error);
        return NULL;
    }
    if (!self) {
        self = ++threads;
        /* It comes back until the last round of the thread's destructors. */
        pthread_setspecific(ends, (void *)PTHREAD_DESTRUCTOR_ITERATIONS);
    }
    unsigned char *at = tape.at;
    if (thread != self)
        at = trace_put(at, TRACE_THREAD, TRACE_KIND_BITS, self - 1);
    thread = self;
    return at;
}

static void count_call(void)
{
    if (++calls == calls_max)
        status->on = false;
}

static uint64_t age_of(uint64_t birth)
{
    return births - 1 - birth;
}

static void write_free(uint64_t birth)
{
    unsigned char *const at = begin();
    if (!at)
        return;
    tape_commit(trace_put(at, TRACE_FREE, TRACE_KIND_BITS, age_of(birth)));
    count_call();
}

/* Who is still said to live at a new object's address died unseen. */
static void bury(const void *address)
{
    uint64_t birth;
    if (live_take(address, &birth))
        write_free(birth);
}

static void remember(const void *address, uint64_t birth)
{
    if (!live_put(address, birth))
        stop(ENOMEM);
}

static void write_birth(const void *ptr, enum trace_kind kind, size_t size,
    unsigned shift)
{
    bury(ptr);
    unsigned char *at = begin();
    if (!at)
        return;
    if (kind == TRACE_ALIGNED) {
        at = trace_put(at, kind, TRACE_KIND_BITS, shift);
        at = trace_put(at, 0, 0, size);
    } else {
        at = trace_put(at, kind, TRACE_KIND_BITS, size);
    }
    tape_commit(at);
    remember(ptr, births++);
    count_call();
}

static void write_resize(const void *ptr, uint64_t birth, size_t size)
{
    bury(ptr);
    unsigned char *at = begin();
    if (!at)
        return;
    at = trace_put(at, TRACE_REALLOC, TRACE_KIND_BITS, age_of(birth));
    tape_commit(trace_put(at, 0, 0, size));
    remember(ptr, birth);
    count_call();
}

static void thread_ended(void *rounds_left)
{
    const uintptr_t rounds = (uintptr_t)rounds_left;
    if (inside)
        return;
    inside = true;
    pthread_mutex_lock(&lock);
    unsigned char *at = NULL;
    if (rounds > 1)
        pthread_setspecific(ends, (void *)(rounds - 1));
    else if (status->on)
        at = begin();
    if (at)
        tape_commit(trace_put(at, TRACE_END, TRACE_KIND_BITS, 0));
    pthread_mutex_unlock(&lock);
    inside = false;
}

/* -- the start -- */

static void find_next(void)
{
    void *const found[] = {
        dlsym(RTLD_NEXT, "malloc"), dlsym(RTLD_NEXT, "calloc"),
        dlsym(RTLD_NEXT, "realloc"), dlsym(RTLD_NEXT, "memalign"),
        dlsym(RTLD_NEXT, "aligned_alloc"), dlsym(RTLD_NEXT, "posix_memalign"),
        dlsym(RTLD_NEXT, "free"),
    };
    _Static_assert(sizeof found == sizeof next, "a function is missing");
    memcpy(&next, found, sizeof next);
}

/* The environment as the kernel has it: a call may come before libc has set
   up its own. The text stays mapped. */
static const char *setting(void)
{
    enum { TEXT_BYTES = 8 << 20 };      /* the kernel's limit is 6 MiB */
    char *const text = mmap(NULL, TEXT_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int file = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (file < 0 || text == MAP_FAILED)
        return NULL;
    size_t length = 0;
    ssize_t got;
    while ((got = read(file, text + length, TEXT_BYTES - 1 - length)) > 0)
        length += (size_t)got;
    close(file);
    for (const char *at = text; at < text + length; at += strlen(at) + 1)
        if (strncmp(at, RECORD_VARIABLE "=", sizeof RECORD_VARIABLE) == 0)
            return at + sizeof RECORD_VARIABLE;
    return NULL;
}

static void *wiped_page(void)
{
    void *const page = mmap(NULL, sizeof *status, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED
        || madvise(page, sizeof *status, MADV_WIPEONFORK) != 0)
        return NULL;
    return page;
}

/* Fills in the tape; false if this process is not to be recorded. */
static bool read_order(void)
{
    const char *const text = setting();
    const pid_t own = getpid();
    int first = 0;
    int children = 0;
    int name = 0;
    unsigned long long limit = 0;
    if (!text || sscanf(text, RECORD_FORMAT "%n", &first, &children,
            &limit, &name) != 3)
        return false;
    calls_max = limit;
    snprintf(path, sizeof path,
        own == (pid_t)first ? "%s" : "%s.%d", text + name, (int)own);
    return children || own == (pid_t)first;
}

static void start(void)
{
    static typeof(*status) off;
    find_next();
    status = &off;
    if (!read_order())
        return;
    int error = tape_open(path);
    void *const page = wiped_page();
    if (!error && !page)
        error = errno;
    if (!error)
        error = pthread_key_create(&ends, thread_ended);
    if (error) {
        say("ashlar record: %s: %s; nothing is recorded\n", path,
            strerrordesc_np(error));
        return;
    }
    status = page;
    status->on = true;
}

/* Whether this call is to be written; then leave() has to follow. */
static bool enter(void)
{
    if (inside)
        return false;
    inside = true;
    const int before = errno;
    pthread_once(&started, start);
    errno = before;             /* R2 */
    inside = status->on;
    return inside;
}

static void leave(void)
{
    inside = false;
}

/* -- what programs call -- */

static void *born(void *ptr, enum trace_kind kind, size_t size,
    unsigned shift)
{
    if (ptr) {
        pthread_mutex_lock(&lock);
        write_birth(ptr, kind, size, shift);
        pthread_mutex_unlock(&lock);
    }
    leave();
    return ptr;
}

/* The power of two that memalign rounds up to. */
static unsigned shift_of(size_t alignment)
{
    unsigned shift = 0;
    while (shift < 63 && (size_t)1 << shift < alignment)
        shift++;
    return shift;
}

EXPORT void *malloc(size_t size)
{
    const bool seen = enter();
    if (!next.malloc)
        return early_take(size);
    void *const ptr = next.malloc(size);
    return seen ? born(ptr, TRACE_MALLOC, size, 0) : ptr;
}

EXPORT void *calloc(size_t count, size_t size)
{
    const bool seen = enter();
    if (!next.calloc)
        return early_take(count * size);
    void *const ptr = next.calloc(count, size);
    return seen ? born(ptr, TRACE_CALLOC, count * size, 0) : ptr;
}

EXPORT void free(void *ptr)
{
    if (!ptr || is_early(ptr))
        return;
    if (enter()) {
        uint64_t birth;
        pthread_mutex_lock(&lock);
        if (live_take(ptr, &birth))
            write_free(birth);
        else if (status->on)
            tape.head->strangers++;
        pthread_mutex_unlock(&lock);
        next.free(ptr);
        leave();
        return;
    }
    if (next.free)
        next.free(ptr);
}

/* The old address may be another thread's before this call is back, so it is
   taken out before. */
static void *resize(void *ptr, size_t size)
{
    uint64_t birth;
    pthread_mutex_lock(&lock);
    const bool known = live_take(ptr, &birth);
    pthread_mutex_unlock(&lock);
    void *const result = next.realloc(ptr, size);
    pthread_mutex_lock(&lock);
    if (known && result)
        write_resize(result, birth, size);
    else if (known && size == 0)
        write_free(birth);
    else if (known)
        remember(ptr, birth);
    else if (result)
        write_birth(result, TRACE_MALLOC, size, 0);
    if (!known && status->on)
        tape.head->strangers++;
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT void *realloc(void *ptr, size_t size)
{
    if (!ptr)
        return malloc(size);
    if (is_early(ptr) || !next.realloc)
        return early_resize(ptr, size);
    if (!enter())
        return next.realloc(ptr, size);
    void *const result = resize(ptr, size);
    leave();
    return result;
}

/* Where libraries have one of their own, it does not come through realloc. */
EXPORT void *reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(ptr, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    const bool seen = enter();
    if (!next.memalign)
        return NULL;
    void *const ptr = next.memalign(alignment, size);
    return seen ? born(ptr, TRACE_ALIGNED, size, shift_of(alignment)) : ptr;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    const bool seen = enter();
    if (!next.aligned_alloc)
        return NULL;
    void *const ptr = next.aligned_alloc(alignment, size);
    return seen ? born(ptr, TRACE_ALIGNED, size, shift_of(alignment)) : ptr;
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    const bool seen = enter();
    if (!next.posix_memalign)
        return ENOMEM;
    const int error = next.posix_memalign(result, alignment, size);
    if (seen)
        born(error ? NULL : *result, TRACE_ALIGNED, size,
            shift_of(alignment));
    return error;
}

EXPORT void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t over = (page - size % page) % page;
    return memalign(page, size + over < size ? size : size + over);
}

/* An allocator that has these may free here what came from elsewhere there;
   plain free is always right. */
EXPORT void free_sized(void *ptr, size_t size);
EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size);

void free_sized(void *ptr, size_t size)
{
    (void)size;
    free(ptr);
}

void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    free(ptr);
}
