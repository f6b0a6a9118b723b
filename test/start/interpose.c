/* SPDX-License-Identifier: MIT */
/*
 * interpose - a library to preload beside Ashlar, of the kind that tracing
 * tools are: it stands in front of functions that an allocator may use to
 * start, finds the real ones by dlsym(RTLD_NEXT) at the first call, and
 * allocates while it does. An allocator that calls any of these through the
 * loader before it can serve goes round in a circle, or deadlocks on its own
 * lock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "early.h"

#define EXPORT __attribute__((visibility("default")))

/* As such tools do: an own record per function, from malloc. */
struct record {
    void *real;
    long calls;
};

static struct record *find(struct record **place, const char *name)
{
    if (*place == NULL) {
        struct record *const record = calloc(1, sizeof *record);
        if (record == NULL)
            early_fail(name);
        record->real = dlsym(RTLD_NEXT, name);
        if (record->real == NULL)
            early_fail(name);
        *place = record;
    }
    (*place)->calls++;
    free(strdup(name));
    return *place;
}

#define REAL(name, type)                                                    \
    static struct record *record_of;                                        \
    type real;                                                              \
    *(void **)&real = find(&record_of, name)->real

typedef void *mmap_call(void *, size_t, int, int, int, off_t);
EXPORT void *mmap(void *start, size_t size, int protection, int flags,
                  int file, off_t offset)
{
    REAL("mmap", mmap_call *);
    return real(start, size, protection, flags, file, offset);
}

typedef int munmap_call(void *, size_t);
EXPORT int munmap(void *start, size_t size)
{
    REAL("munmap", munmap_call *);
    return real(start, size);
}

typedef int madvise_call(void *, size_t, int);
EXPORT int madvise(void *start, size_t size, int advice)
{
    REAL("madvise", madvise_call *);
    return real(start, size, advice);
}

typedef int open_call(const char *, int, ...);
EXPORT int open(const char *path, int flags, ...)
{
    REAL("open", open_call *);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE)
        ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return real(path, flags, mode);
}

typedef ssize_t read_call(int, void *, size_t);
EXPORT ssize_t read(int file, void *bytes, size_t count)
{
    REAL("read", read_call *);
    return real(file, bytes, count);
}

typedef ssize_t write_call(int, const void *, size_t);
EXPORT ssize_t write(int file, const void *bytes, size_t count)
{
    REAL("write", write_call *);
    return real(file, bytes, count);
}

typedef char *getenv_call(const char *);
EXPORT char *getenv(const char *name)
{
    REAL("getenv", getenv_call *);
    return real(name);
}

EXPORT char *secure_getenv(const char *name)
{
    REAL("secure_getenv", getenv_call *);
    return real(name);
}

typedef long sysconf_call(int);
EXPORT long sysconf(int name)
{
    REAL("sysconf", sysconf_call *);
    return real(name);
}
