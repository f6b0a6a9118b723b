/* SPDX-License-Identifier: MIT */
/*
 * Goal: pointers end up in order, each as often as before, and within n log n
 * comparisons. Method: random numbers, with and without equals, against a
 * count of each; what is sorted already, and the other way round.
 */
#include "unit/sys/unit.h"

#include "util/sort.h"

enum { MOST = 3000, VALUES = 100 };

static uint32_t value[MOST];
static void *pointer[MOST];
static size_t comparisons;

static bool is_before(const void *left, const void *right)
{
    comparisons++;
    return *(const uint32_t *)left < *(const uint32_t *)right;
}

/* The pointers to the first `count` values, sorted. */
static void sort_and_check(size_t count)
{
    size_t seen[MOST] = { 0 };
    for (size_t i = 0; i < count; i++)
        pointer[i] = &value[i];
    comparisons = 0;
    sort_pointers(pointer, count, is_before);
    size_t log2 = 1;
    while ((size_t)1 << log2 < count)
        log2++;
    assert_true(comparisons <= 2 * count * (log2 + 1));
    for (size_t i = 0; i < count; i++) {
        seen[(uint32_t *)pointer[i] - value]++;
        if (i > 0)
            assert_true(*(uint32_t *)pointer[i - 1]
                <= *(uint32_t *)pointer[i]);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(seen[i], 1);
}

static void sorts_random_numbers(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (size_t count = 0; count < MOST; count += 1 + count / 7) {
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            value[i] = random >> 8;
        }
        sort_and_check(count);
        for (size_t i = 0; i < count; i++)
            value[i] %= VALUES;
        sort_and_check(count);
    }
}

static void sorts_what_has_an_order(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MOST; i++)
        value[i] = i;
    sort_and_check(MOST);
    for (uint32_t i = 0; i < MOST; i++)
        value[i] = MOST - i;
    sort_and_check(MOST);
    for (uint32_t i = 0; i < MOST; i++)
        value[i] = 7;
    sort_and_check(MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_random_numbers),
        cmocka_unit_test(sorts_what_has_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
