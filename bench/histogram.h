/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - counts of numbers, by size, for percentiles of times.
 *
 * Numbers below 32 have a bucket each; from there on each doubling is cut into
 * 32 buckets, so a percentile is known to 1 part in 32.  It is given as the
 * highest number of its bucket: too high rather than too low.  One thread
 * adds; any thread may read meanwhile.
 */
#ifndef ASHLAR_BENCH_HISTOGRAM_H
#define ASHLAR_BENCH_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    HISTOGRAM_BITS = 5,
    HISTOGRAM_CUTS = 1 << HISTOGRAM_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_CUTS
};

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
    _Atomic uint64_t max;
};

static inline uint32_t histogram_bucket(uint64_t number)
{
    if (number < HISTOGRAM_CUTS)
        return (uint32_t)number;
    const uint32_t shift =
        63 - (uint32_t)__builtin_clzll(number) - HISTOGRAM_BITS;
    return shift * HISTOGRAM_CUTS + (uint32_t)(number >> shift);
}

static inline uint64_t histogram_highest(uint32_t bucket)
{
    if (bucket < HISTOGRAM_CUTS)
        return bucket;
    const uint32_t shift = bucket / HISTOGRAM_CUTS - 1;
    const uint64_t top = bucket % HISTOGRAM_CUTS + HISTOGRAM_CUTS;
    return (top << shift) + (((uint64_t)1 << shift) - 1);
}

static inline void histogram_raise(_Atomic uint64_t *count, uint64_t by)
{
    const uint64_t old = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, old + by, memory_order_relaxed);
}

static inline void histogram_add(struct histogram *to, uint64_t number)
{
    histogram_raise(&to->counts[histogram_bucket(number)], 1);
    if (number > atomic_load_explicit(&to->max, memory_order_relaxed))
        atomic_store_explicit(&to->max, number, memory_order_relaxed);
}

static inline void histogram_merge(struct histogram *to,
                                   const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram_raise(&to->counts[i], atomic_load_explicit(
                            &from->counts[i], memory_order_relaxed));
    const uint64_t max =
        atomic_load_explicit(&from->max, memory_order_relaxed);
    if (max > atomic_load_explicit(&to->max, memory_order_relaxed))
        atomic_store_explicit(&to->max, max, memory_order_relaxed);
}

static inline uint64_t histogram_total(const struct histogram *of)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += atomic_load_explicit(&of->counts[i], memory_order_relaxed);
    return total;
}

/* The least number that at least `share` of all are not above, 0 of none;
 * never above the highest number there was. */
static inline uint64_t histogram_percentile(const struct histogram *of,
                                            double share)
{
    const double wanted = share * (double)histogram_total(of);
    const uint64_t max = atomic_load_explicit(&of->max, memory_order_relaxed);
    uint64_t below = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += atomic_load_explicit(&of->counts[i], memory_order_relaxed);
        if (below > 0 && (double)below >= wanted)
            return histogram_highest(i) < max ? histogram_highest(i) : max;
    }
    return max;
}

#endif
