/* SPDX-License-Identifier: MIT */
/*
 * ashlar - a general-purpose memory allocator: the public interface.
 *
 * The functions are those of ISO C, POSIX and glibc, under their own names:
 * a program that is linked to the library, or runs with it preloaded, needs
 * no header but <stdlib.h> and <malloc.h>. This one declares in one place
 * everything that the library offers, with the contract of each.
 *
 * For all of them:
 * - sizes are in bytes; a size above PTRDIFF_MAX is never available;
 * - size 0 gives a pointer of its own, which may be freed and not read;
 * - memory is aligned to 16 bytes, or to 8 if at most 8 bytes were asked
 *   for, or as asked (in a build of quantum 8 also to 8 where the size that
 *   is usable is 24, 40 or 56);
 * - no memory: NULL, with errno ENOMEM, and nothing has changed;
 * - any thread may call at any time, and may free what another allocated;
 * - not async-signal-safe, like every malloc;
 * - a pointer that is no live block of this library is reported on stderr,
 *   and the process aborts (MALLOC_CONF=on_misuse:abort|warn|ignore).
 *
 * In a prefix build (-DASHLAR_PREFIX=je_) every name begins with the prefix;
 * define ASHLAR_PREFIX alike before including this header.
 */
#ifndef ASHLAR_ASHLAR_H
#define ASHLAR_ASHLAR_H

#include <stddef.h>

#define ASHLAR_VERSION_MAJOR 0
#define ASHLAR_VERSION_MINOR 1
#define ASHLAR_VERSION_PATCH 0
#define ASHLAR_VERSION_STRING "0.1.0"

#define ASHLAR_JOIN_(prefix, name) prefix##name
#define ASHLAR_JOIN(prefix, name) ASHLAR_JOIN_(prefix, name)
#if defined(ASHLAR_PREFIX)
#define ASHLAR_NAME(name) ASHLAR_JOIN(ASHLAR_PREFIX, name)
#else
#define ASHLAR_NAME(name) name
#endif

#if defined(__cplusplus)
#define ASHLAR_NOTHROW noexcept
extern "C" {
#else
#define ASHLAR_NOTHROW __attribute__((nothrow))
#endif

/* At least size bytes, contents undefined. [ISO C 7.24.3.6] */
void *ASHLAR_NAME(malloc)(size_t size) ASHLAR_NOTHROW;

/* count * size bytes, all zero, the usable rest too; the product may not
 * overflow. Fresh large memory is not touched. [ISO C 7.24.3.2] */
void *ASHLAR_NAME(calloc)(size_t count, size_t size) ASHLAR_NOTHROW;

/*
 * The block with size bytes, moved or not; the contents up to the smaller
 * size stay. pointer NULL: as malloc. size 0: frees, returns NULL, errno as
 * it was, unless option zero_realloc says otherwise. NULL otherwise: no memory,
 * the old block is untouched.
 * [ISO C 7.24.3.7; size 0 as glibc and jemalloc do]
 */
void *ASHLAR_NAME(realloc)(void *pointer, size_t size) ASHLAR_NOTHROW;

/* realloc(pointer, count * size); ENOMEM where that overflows. [POSIX] */
void *ASHLAR_NAME(reallocarray)(void *pointer, size_t count, size_t size)
    ASHLAR_NOTHROW;

/* Free a block. NULL does nothing. errno stays as it is. [ISO C, POSIX] */
void ASHLAR_NAME(free)(void *pointer) ASHLAR_NOTHROW;

/* free, with the size that was asked for. [C23 7.24.3.4] */
void ASHLAR_NAME(free_sized)(void *pointer, size_t size) ASHLAR_NOTHROW;

/* free, with the alignment and size that were asked for. [C23 7.24.3.5] */
void ASHLAR_NAME(free_aligned_sized)(void *pointer, size_t alignment,
    size_t size) ASHLAR_NOTHROW;

/* size bytes at a multiple of alignment, a power of two (else EINVAL); size
 * need not be a multiple of it. [ISO C 7.24.3.1] */
void *ASHLAR_NAME(aligned_alloc)(size_t alignment, size_t size)
    ASHLAR_NOTHROW;

/* The same. [glibc] */
void *ASHLAR_NAME(memalign)(size_t alignment, size_t size) ASHLAR_NOTHROW;

/*
 * The same, into *result; alignment is a power of two and a multiple of
 * sizeof(void *). Returns 0, EINVAL or ENOMEM; errno stays as it is, and on
 * an error *result too. [POSIX]
 */
int ASHLAR_NAME(posix_memalign)(void **result, size_t alignment,
    size_t size) ASHLAR_NOTHROW;

/* size bytes at the start of a page, also for size 0. [glibc] */
void *ASHLAR_NAME(valloc)(size_t size) ASHLAR_NOTHROW;

/* Whole pages: size rounded up to at least one. [glibc] */
void *ASHLAR_NAME(pvalloc)(size_t size) ASHLAR_NOTHROW;

/* The bytes of a live block that may be used, at least those asked for; the
 * same until it is freed or resized. NULL: 0. [glibc] */
size_t ASHLAR_NAME(malloc_usable_size)(void *pointer) ASHLAR_NOTHROW;

/*
 * Give everything that is free back to the system, at once, but for what
 * other living threads have in hand. pad is not used. 1: something went
 * back; 0: nothing. [glibc]
 */
int ASHLAR_NAME(malloc_trim)(size_t pad) ASHLAR_NOTHROW;

/*
 * Called, if not NULL, with each message of the library in place of stderr;
 * what reports a misuse goes to stderr all the same. cbopaque is NULL. It must
 * not allocate. NULL at start. [jemalloc]
 */
extern void (*ASHLAR_NAME(malloc_message))(void *cbopaque, const char *s);

/* The version of the library at run time, as ASHLAR_VERSION_STRING. */
const char *ASHLAR_NAME(ashlar_version)(void) ASHLAR_NOTHROW;

#if defined(__cplusplus)
}
#endif

#endif
