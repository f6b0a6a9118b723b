/* SPDX-License-Identifier: MIT */
/*
 * Goal: region_find() gives the place that region.h promises. Method: gaps of
 * known lengths and warmth in a region whose other slices are all in use; that
 * any other place is right too is seen in region_test.c, by a twin.
 */
#include "region_bench.h"

/* A region of which nothing is free. */
static int begin_full(void **state)
{
    if (begin(state) != 0)
        return -1;
    return take(at.head, SLICES - at.head) ? 0 : -1;
}

/* Free slices, the first of them dirty. */
static void gap(size_t first, size_t count, size_t dirty)
{
    give(first, count, dirty, 1);
}

/* What is found, and that so many slices of it are dirty. */
static void expect(size_t count, size_t step, size_t first, size_t dirty)
{
    size_t warm = SIZE_MAX;
    assert_int_equal(region_find(at.region, count, step, &warm), first);
    if (first != BITMAP_NONE)
        assert_int_equal(warm, dirty);
}

static void nothing_is_found_where_nothing_is_free(void **state)
{
    (void)state;
    expect(1, 1, BITMAP_NONE, 0);
    expect(20, 1, BITMAP_NONE, 0);
}

static void finds_the_lowest_fit_at_the_step(void **state)
{
    (void)state;
    const size_t base = CHUNK_SLICES;
    gap(base + 3, 2, 0);
    gap(base + 9, 8, 0);
    expect(1, 1, base + 3, 0);
    expect(1, 4, base + 4, 0);
    expect(2, 1, base + 3, 0);
    expect(3, 1, base + 9, 0);
    expect(3, 4, base + 12, 0);
    expect(1, 16, base + 16, 0);
    expect(6, 8, BITMAP_NONE, 0);
    expect(9, 1, BITMAP_NONE, 0);
    expect(1, CHUNK_SLICES, BITMAP_NONE, 0);
}

static void finds_the_warmest_place(void **state)
{
    (void)state;
    const size_t base = CHUNK_SLICES;
    /* Dirty: 2 to 7 of [0, 10), 12 to 15 of [12, 20), all of [22, 26). */
    gap(base, 2, 0);
    gap(base + 2, 8, 6);
    gap(base + 12, 8, 4);
    gap(base + 22, 4, 4);
    expect(1, 1, base + 2, 1);
    expect(2, 1, base + 2, 2);
    expect(6, 1, base + 2, 6);
    expect(7, 1, base + 2, 6);
    expect(9, 1, base, 6);
    expect(8, 4, base, 6);
    expect(4, 4, base + 4, 4);
    expect(11, 1, BITMAP_NONE, 0);
}

static void a_long_run_fills_the_tightest_gap(void **state)
{
    (void)state;
    const size_t low = CHUNK_SLICES;
    const size_t high = 2 * CHUNK_SLICES;
    gap(low, 24, 24);
    gap(high, 16, 16);
    expect(15, 1, low, 15);
    expect(16, 1, high, 16);
    expect(17, 1, low, 17);
    expect(25, 1, BITMAP_NONE, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_full, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_found_where_nothing_is_free),
        TEST(finds_the_lowest_fit_at_the_step),
        TEST(finds_the_warmest_place),
        TEST(a_long_run_fills_the_tightest_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
