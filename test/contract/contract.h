/* SPDX-License-Identifier: MIT */
/*
 * contract - what a program built for libjemalloc.so.2 knows of it, declared
 * once more, so that these programs need neither library's header; and the
 * few words in which they tell what happened.
 *
 * The programs of this folder are linked with no allocator: run.py preloads
 * one.  Each prints lines "what was done <tab> what came of it"; run.py
 * compares the lines of the same program on two libraries.  What differs by
 * nature (addresses, counts, times) is said as a class, not as a number.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)

/* -- the interface -- */

#define MALLOCX_LG_ALIGN(lg) ((int)(lg))
#define MALLOCX_ALIGN(align) (__builtin_ffsl((long)(align)) - 1)
#define MALLOCX_ZERO ((int)0x40)
#define MALLOCX_TCACHE(id) ((int)((unsigned)(id) + 2) << 8)
#define MALLOCX_TCACHE_NONE MALLOCX_TCACHE(-1)
#define MALLOCX_ARENA(index) ((int)(((unsigned)(index) + 1) << 20))
#define ARENAS_ALL 4096
#define ARENAS_DESTROYED 4097

void *mallocx(size_t size, int flags);
void *rallocx(void *ptr, size_t size, int flags);
size_t xallocx(void *ptr, size_t size, size_t extra, int flags);
size_t sallocx(const void *ptr, int flags);
void dallocx(void *ptr, int flags);
void sdallocx(void *ptr, size_t size, int flags);
size_t nallocx(size_t size, int flags);
int mallctl(const char *name, void *old, size_t *old_bytes, void *new,
            size_t new_bytes);
int mallctlnametomib(const char *name, size_t *mib, size_t *depth);
int mallctlbymib(const size_t *mib, size_t depth, void *old,
                 size_t *old_bytes, void *new, size_t new_bytes);
void malloc_stats_print(void (*write)(void *, const char *), void *opaque,
                        const char *opts);
size_t malloc_usable_size(void *ptr);
void *memalign(size_t align, size_t size);
void *valloc(size_t size);

struct extent_hooks;
typedef void *hook_alloc(struct extent_hooks *, void *, size_t, size_t,
                         bool *, bool *, unsigned);
typedef bool hook_dalloc(struct extent_hooks *, void *, size_t, bool, unsigned);
typedef void hook_destroy(struct extent_hooks *, void *, size_t, bool,
                          unsigned);
typedef bool hook_range(struct extent_hooks *, void *, size_t, size_t, size_t,
                        unsigned);
typedef bool hook_split(struct extent_hooks *, void *, size_t, size_t, size_t,
                        bool, unsigned);
typedef bool hook_merge(struct extent_hooks *, void *, size_t, void *, size_t,
                        bool, unsigned);

/* In this order; only alloc has to be there.  false is success. */
struct extent_hooks {
    hook_alloc *alloc;
    hook_dalloc *dalloc;
    hook_destroy *destroy;
    hook_range *commit;
    hook_range *decommit;
    hook_range *purge_lazy;
    hook_range *purge_forced;
    hook_split *split;
    hook_merge *merge;
};

/* -- telling -- */

/* The name of what a call of mallctl returns, or of errno. */
static inline const char *error_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
        {0, "ok"}, {EINVAL, "EINVAL"}, {ENOENT, "ENOENT"}, {EPERM, "EPERM"},
        {EAGAIN, "EAGAIN"}, {EFAULT, "EFAULT"}, {ENOMEM, "ENOMEM"},
        {777, "untouched"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].error == error)
            return names[i].name;
    }
    return "another";
}

/* Writes one line at once: a crash later does not take it away, and nothing
 * here allocates. */
__attribute__((format(printf, 2, 3)))
static inline void say(const char *what, const char *format, ...)
{
    char text[2048];
    const int room = (int)sizeof text - 1;
    int used = snprintf(text, sizeof text, "%s\t", what);
    va_list arguments;
    va_start(arguments, format);
    used += vsnprintf(text + used, (size_t)(room - used), format, arguments);
    va_end(arguments);
    used = used < room ? used : room - 1;
    text[used++] = '\n';
    if (write(STDOUT_FILENO, text, (size_t)used) != used)
        _exit(2);
}

static inline const char *yes_no(bool answer)
{
    return answer ? "yes" : "no";
}

/* -- mallctl, for what is no question of the test at hand -- */

#define READ_AS(type, what)                                                   \
    static inline type read_##what(const char *name)                          \
    {                                                                         \
        type value = 0;                                                       \
        size_t bytes = sizeof value;                                          \
        if (mallctl(name, &value, &bytes, NULL, 0) != 0)                      \
            return 0;                                                         \
        return value;                                                         \
    }

READ_AS(unsigned, unsigned)
READ_AS(size_t, size)
READ_AS(uint64_t, u64)
READ_AS(bool, bool)
READ_AS(uint32_t, u32)
#undef READ_AS

static inline void refresh(void)
{
    uint64_t epoch = 1;
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
}

/* The result of a call that neither reads nor writes. */
static inline int act(const char *name)
{
    return mallctl(name, NULL, NULL, NULL, 0);
}

/* The same with an index put where the name has "%u". */
__attribute__((format(printf, 1, 2)))
static inline int act_on(const char *format, ...)
{
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return act(name);
}

/* -- what may end the process -- */

/* Calls it in a child; its exit status, or 1000 and the signal. */
static inline int in_child(void (*function)(void))
{
    const pid_t child = fork();
    if (child == 0) {
        function();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status)
                               : WEXITSTATUS(status);
}

/* As a last word: how a child ended. */
static inline void say_ending(const char *what, int ending)
{
    if (ending == 0)
        say(what, "ended well");
    else if (ending > 1000)
        say(what, "died of %s", sigabbrev_np(ending - 1000));
    else
        say(what, "ended with %d", ending);
}

#endif
