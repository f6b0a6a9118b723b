/* SPDX-License-Identifier: MIT */
/*
 * subject - the allocator under test, by whatever name it was built.
 *
 * A test program calls subject_malloc and its family.  Two ways to build it:
 *
 *   -DSUBJECT_PREFIXED=1  linked with a static core whose names are ash_...;
 *                         the program itself keeps the C library's malloc, so
 *                         that sanitizers keep theirs.  With -DSUBJECT_AUDIT=1
 *                         as well, subject_audit() checks the whole heap.
 *   otherwise             calls malloc...; run it under LD_PRELOAD of the
 *                         library to be tested, or with none.
 *
 * Every call passes through subject_hide(), because a compiler that knows what
 * malloc and free mean may remove a pair of them, and warns about sizes that
 * these programs ask for on purpose.
 *
 * Expectations that only Ashlar meets are guarded by subject_is_ashlar(),
 * which asks the dynamic linker which file serves malloc.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

/* For dladdr; hence this header comes before any of the system's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifndef SUBJECT_PREFIXED
#define SUBJECT_PREFIXED 0
#endif

#ifndef SUBJECT_AUDIT
#define SUBJECT_AUDIT 0
#endif

/* As in src/util/compiler.h: the build's. */
#ifndef ASHLAR_QUANTUM
#define ASHLAR_QUANTUM 16
#endif

#if defined(__SANITIZE_THREAD__)
#define SUBJECT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SUBJECT_TSAN 1
#endif
#endif
#ifndef SUBJECT_TSAN
#define SUBJECT_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SUBJECT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SUBJECT_ASAN 1
#endif
#endif
#ifndef SUBJECT_ASAN
#define SUBJECT_ASAN 0
#endif

/* A sanitizer's own shadow makes resident memory and RLIMIT_AS useless. */
#define SUBJECT_SANITIZED (SUBJECT_TSAN || SUBJECT_ASAN)

#ifdef __cplusplus
extern "C" {
#endif

#if SUBJECT_PREFIXED
#define SUBJECT_NAME(name) ash_##name
void *ash_malloc(size_t size);
void *ash_calloc(size_t count, size_t size);
void *ash_realloc(void *ptr, size_t size);
void *ash_reallocarray(void *ptr, size_t count, size_t size);
void ash_free(void *ptr);
void ash_free_sized(void *ptr, size_t size);
void ash_free_aligned_sized(void *ptr, size_t alignment, size_t size);
void *ash_aligned_alloc(size_t alignment, size_t size);
int ash_posix_memalign(void **out, size_t alignment, size_t size);
void *ash_memalign(size_t alignment, size_t size);
void *ash_valloc(size_t size);
void *ash_pvalloc(size_t size);
size_t ash_malloc_usable_size(void *ptr);
int ash_malloc_trim(size_t pad);
#else
#define SUBJECT_NAME(name) name
/* C23; a C library or another allocator may lack them. */
__attribute__((weak)) void free_sized(void *ptr, size_t size);
__attribute__((weak)) void free_aligned_sized(void *ptr, size_t alignment,
                                              size_t size);
#endif

#if SUBJECT_AUDIT
void ash_audit_all(void);
#endif

#ifdef __cplusplus
}
#endif

static inline void *subject_hide(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

static inline size_t subject_hide_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static inline void *subject_malloc(size_t size)
{
    return subject_hide(SUBJECT_NAME(malloc)(subject_hide_size(size)));
}

static inline void *subject_calloc(size_t count, size_t size)
{
    return subject_hide(SUBJECT_NAME(calloc)(subject_hide_size(count),
                                             subject_hide_size(size)));
}

static inline void *subject_realloc(void *ptr, size_t size)
{
    return subject_hide(
        SUBJECT_NAME(realloc)(subject_hide(ptr), subject_hide_size(size)));
}

static inline void *subject_reallocarray(void *ptr, size_t count, size_t size)
{
    return subject_hide(SUBJECT_NAME(reallocarray)(subject_hide(ptr),
                                                   subject_hide_size(count),
                                                   subject_hide_size(size)));
}

static inline void subject_free(void *ptr)
{
    SUBJECT_NAME(free)(subject_hide(ptr));
}

/* Whether free_sized and free_aligned_sized are really there. */
static inline bool subject_has_sized_free(void)
{
#if SUBJECT_PREFIXED
    return true;
#else
    return free_sized != NULL && free_aligned_sized != NULL;
#endif
}

static inline void subject_free_sized(void *ptr, size_t size)
{
    if (subject_has_sized_free())
        SUBJECT_NAME(free_sized)(subject_hide(ptr), subject_hide_size(size));
    else
        subject_free(ptr);
}

static inline void subject_free_aligned_sized(void *ptr, size_t alignment,
                                              size_t size)
{
    if (subject_has_sized_free())
        SUBJECT_NAME(free_aligned_sized)(subject_hide(ptr),
                                         subject_hide_size(alignment),
                                         subject_hide_size(size));
    else
        subject_free(ptr);
}

static inline void *subject_aligned_alloc(size_t alignment, size_t size)
{
    return subject_hide(SUBJECT_NAME(aligned_alloc)(
        subject_hide_size(alignment), subject_hide_size(size)));
}

static inline int subject_posix_memalign(void **out, size_t alignment,
                                         size_t size)
{
    const int result = SUBJECT_NAME(posix_memalign)(
        out, subject_hide_size(alignment), subject_hide_size(size));
    subject_hide(out);
    return result;
}

static inline void *subject_memalign(size_t alignment, size_t size)
{
    return subject_hide(SUBJECT_NAME(memalign)(subject_hide_size(alignment),
                                               subject_hide_size(size)));
}

static inline void *subject_valloc(size_t size)
{
    return subject_hide(SUBJECT_NAME(valloc)(subject_hide_size(size)));
}

static inline void *subject_pvalloc(size_t size)
{
    return subject_hide(SUBJECT_NAME(pvalloc)(subject_hide_size(size)));
}

static inline size_t subject_usable_size(void *ptr)
{
    return SUBJECT_NAME(malloc_usable_size)(subject_hide(ptr));
}

static inline int subject_trim(size_t pad)
{
    return SUBJECT_NAME(malloc_trim)(subject_hide_size(pad));
}

/* Checks every invariant of the whole heap; only when no other thread is
 * inside the allocator. */
static inline void subject_audit(void)
{
#if SUBJECT_AUDIT
    ash_audit_all();
#endif
}

#if !SUBJECT_PREFIXED
/* The file whose definition of a function this process uses, or "?". */
static inline const char *subject_file_of(const char *function)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, function);
    if (address == NULL || dladdr(address, &info) == 0)
        return "?";
    const char *slash = strrchr(info.dli_fname, '/');
    return slash == NULL ? info.dli_fname : slash + 1;
}
#endif

/* What is being tested, for the summary line. */
static inline const char *subject_name(void)
{
#if SUBJECT_PREFIXED && SUBJECT_TSAN
    return "ashlar core, thread sanitizer";
#elif SUBJECT_PREFIXED && SUBJECT_ASAN
    return "ashlar core, address sanitizer";
#elif SUBJECT_PREFIXED && SUBJECT_AUDIT
    return "ashlar core, audited";
#elif SUBJECT_PREFIXED
    return "ashlar core";
#else
    return subject_file_of("malloc");
#endif
}

static inline bool subject_is_ashlar(void)
{
#if SUBJECT_PREFIXED
    return true;
#else
    return strncmp(subject_file_of("malloc"), "libashlar", 9) == 0;
#endif
}

/* What a block that size bytes were asked for is aligned to: with a quantum of
 * 8, one of an odd number of eights only to 8. */
static inline size_t subject_natural_alignment(void *ptr, size_t size)
{
    const bool odd = ASHLAR_QUANTUM == 8 && subject_usable_size(ptr) / 8 % 2;
    return size < 16 || odd ? 8 : 16;
}

/* Whether the library that serves malloc also serves this function.  Where it
 * does not, the C library's version works on another heap, and mixing the two
 * would crash. */
static inline bool subject_serves(const char *function)
{
#if SUBJECT_PREFIXED
    (void)function;
    return true;
#else
    return strcmp(subject_file_of(function), subject_file_of("malloc")) == 0;
#endif
}

#endif
