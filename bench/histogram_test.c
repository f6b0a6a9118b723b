/* SPDX-License-Identifier: MIT */
/*
 * histogram_test - percentiles against lists whose percentiles are known.
 *
 * Each list is sorted in the plain way; the histogram's answer must be the
 * number of that rank or up to 1/32 above it, never below.
 */
#include "histogram.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBERS_MAX = 100000 };

static const double shares[] = {0.0001, 0.25, 0.5, 0.99, 0.999, 0.9999, 1.0};
static int failures;

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void expect(const char *what, uint64_t found, uint64_t low,
                   uint64_t high)
{
    if (found >= low && found <= high)
        return;
    printf("%s: %llu, expected %llu to %llu\n", what,
           (unsigned long long)found, (unsigned long long)low,
           (unsigned long long)high);
    failures++;
}

/* Half of the numbers go through a second histogram and a merge. */
static void check(const char *what, uint64_t *numbers, size_t count)
{
    static struct histogram empty;
    struct histogram *all = calloc(2, sizeof *all);
    if (all == NULL)
        exit(1);
    for (size_t i = 0; i < count; i++)
        histogram_add(&all[i % 2], numbers[i]);
    histogram_merge(&all[0], &all[1]);
    histogram_merge(&all[0], &empty);
    expect(what, histogram_total(&all[0]), count, count);
    qsort(numbers, count, sizeof *numbers, compare);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        size_t rank = (size_t)(shares[i] * (double)count);
        if ((double)rank < shares[i] * (double)count || rank == 0)
            rank++;
        const uint64_t known = numbers[rank - 1];
        expect(what, histogram_percentile(&all[0], shares[i]), known,
               known + known / 32);
    }
    free(all);
}

/* Bucket after bucket, without a gap, to the highest number there is. */
static void check_buckets(void)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        const uint64_t highest = histogram_highest(i);
        expect("the bucket of its highest", histogram_bucket(highest), i, i);
        if (highest < UINT64_MAX)
            expect("the bucket after", histogram_bucket(highest + 1), i + 1,
                   i + 1);
    }
    expect("the last", histogram_highest(HISTOGRAM_BUCKETS - 1), UINT64_MAX,
           UINT64_MAX);
}

int main(void)
{
    static uint64_t numbers[NUMBERS_MAX];
    static struct histogram empty;
    check_buckets();
    expect("of none", histogram_percentile(&empty, 0.5), 0, 0);
    numbers[0] = 12345678;
    check("one number", numbers, 1);
    for (uint64_t i = 0; i < NUMBERS_MAX; i++)
        numbers[i] = i * 7919 % NUMBERS_MAX;
    check("each number once", numbers, NUMBERS_MAX);
    uint64_t state = 1;
    for (size_t i = 0; i < NUMBERS_MAX; i++) {
        state = state * 0xd1342543de82ef95 + 1;
        numbers[i] = state >> (state >> 58);
    }
    check("all sizes", numbers, NUMBERS_MAX);
    for (size_t i = 0; i < NUMBERS_MAX; i++)
        numbers[i] = i % 10000 == 9999 ? 1000000 : 25;
    check("one in 10,000", numbers, NUMBERS_MAX);
    return failures > 0;
}
