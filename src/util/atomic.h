/* SPDX-License-Identifier: MIT */
/*
 * atomic - shared words, with the memory order in the name.
 *
 * Owns     every use of <stdatomic.h>. Each acquire and each release in the
 *          tree names its partner in a comment.
 * Never    offers sequential consistency but as a fence, for one purpose.
 */
#ifndef UTIL_ATOMIC_H
#define UTIL_ATOMIC_H

#include <stdatomic.h>

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define load_acquire(word) atomic_load_explicit(word, memory_order_acquire)

#define store_relaxed(word, value) \
    atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) \
    atomic_store_explicit(word, value, memory_order_release)

#define exchange_relaxed(word, value) \
    atomic_exchange_explicit(word, value, memory_order_relaxed)
#define exchange_acquire(word, value) \
    atomic_exchange_explicit(word, value, memory_order_acquire)
#define exchange_release(word, value) \
    atomic_exchange_explicit(word, value, memory_order_release)

#define exchange_acquire_release(word, value) \
    atomic_exchange_explicit(word, value, memory_order_acq_rel)

#define add_relaxed(word, value) \
    atomic_fetch_add_explicit(word, value, memory_order_relaxed)

/* The same for a counter that nobody else writes now: no locked instruction. */
#define bump_relaxed(word, value) \
    store_relaxed(word, load_relaxed(word) + (value))

#define add_release(word, value) \
    atomic_fetch_add_explicit(word, value, memory_order_release)

#define or_relaxed(word, value) \
    atomic_fetch_or_explicit(word, value, memory_order_relaxed)

#define and_relaxed(word, value) \
    atomic_fetch_and_explicit(word, value, memory_order_relaxed)

#define fence_acquire() atomic_thread_fence(memory_order_acquire)
#define fence_release() atomic_thread_fence(memory_order_release)

/* For two threads that each write one word and then read the other's. */
#define fence_total() atomic_thread_fence(memory_order_seq_cst)

/* Compare and swap; on failure *expected holds what was found. */
#define cas_relaxed(word, expected, value)                        \
    atomic_compare_exchange_strong_explicit(word, expected, value, \
        memory_order_relaxed, memory_order_relaxed)
#define cas_acquire(word, expected, value)                        \
    atomic_compare_exchange_strong_explicit(word, expected, value, \
        memory_order_acquire, memory_order_relaxed)
#define cas_acquire_release(word, expected, value)                \
    atomic_compare_exchange_weak_explicit(word, expected, value,   \
        memory_order_acq_rel, memory_order_relaxed)
#define cas_release(word, expected, value)                        \
    atomic_compare_exchange_weak_explicit(word, expected, value,   \
        memory_order_release, memory_order_relaxed)

#endif
