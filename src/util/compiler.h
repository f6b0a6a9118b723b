/* SPDX-License-Identifier: MIT */
/*
 * compiler - what we ask of the compiler, under readable names.
 *
 * Owns     every attribute and builtin spelling; other files use the names.
 * Never    contains a function with a body of more than one line.
 */
#ifndef UTIL_COMPILER_H
#define UTIL_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((cold, noinline))
#define NORETURN __attribute__((noreturn))
#define MUST_USE __attribute__((warn_unused_result))
#define PUBLIC __attribute__((visibility("default")))
#define HIDDEN __attribute__((visibility("hidden")))
#define WEAK __attribute__((weak))

#define CACHE_LINE_BYTES 64
#define CACHE_ALIGNED _Alignas(CACHE_LINE_BYTES)

/* Have the value in a register here, and forget how it was computed: keeps
 * the compiler from a longer way to the same address. */
#define OPAQUE(value) __asm__("" : "+r"(value))

/* What is written above is stored before what is written below. */
#define COMPILER_BARRIER() __asm__ volatile("" : : : "memory")

/* Fetch a cache line to write to it: one that is read first and then written
 * travels twice, if another processor had it. */
#if defined(__x86_64__)
#define PREFETCH_WRITE(address) \
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(address)))
#else
#define PREFETCH_WRITE(address) __builtin_prefetch(address, 1)
#endif

/* Thread-local data that one load from the thread pointer reaches. */
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

#ifndef ASHLAR_DEBUG
#define ASHLAR_DEBUG 0
#endif

#ifndef ASHLAR_CHECKS
#define ASHLAR_CHECKS 1
#endif

/* Small blocks' sizes are multiples of it: 8 or 16. */
#ifndef ASHLAR_QUANTUM
#define ASHLAR_QUANTUM 16
#endif

#endif
