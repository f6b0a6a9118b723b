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
#define WEAK __attribute__((weak))

#define CACHE_LINE_BYTES 64
#define CACHE_ALIGNED _Alignas(CACHE_LINE_BYTES)

/* Have the value in a register here, and forget how it was computed: keeps
 * the compiler from a longer way to the same address. */
#define OPAQUE(value) __asm__("" : "+r"(value))

/* Thread-local data that one load from the thread pointer reaches. */
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

#ifndef ASHLAR_DEBUG
#define ASHLAR_DEBUG 0
#endif

#endif
