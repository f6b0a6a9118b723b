/* SPDX-License-Identifier: MIT */
/*
 * Goal: a census finds what a pool consists of: sums and free runs.
 * Method: runs and mappings taken and given in patterns whose outcome is
 * counted by hand, and the pool's own sums.
 */
#include "unit/sys/unit.h"

#include "page/page.h"

static struct census_runs runs[CENSUS_CLASSES];

static struct census count_now(struct pool *pool)
{
    struct census census;
    census_take(pool, &census);
    memset(runs, 0, sizeof runs);
    census_take_runs(pool, runs);
    return census;
}

/* What the classes say adds up to what the sums say. */
static void expect_whole(struct pool *pool)
{
    const struct census census = count_now(pool);
    uint64_t dirty = 0;
    uint64_t clean = 0;
    for (unsigned cls = 0; cls < CENSUS_CLASSES; cls++) {
        dirty += runs[cls].dirty_bytes;
        clean += runs[cls].clean_bytes;
        assert_true(runs[cls].dirty_bytes
            <= runs[cls].dirty * census_bytes(cls));
        assert_true(cls == 0 || runs[cls].dirty_bytes
            >= runs[cls].dirty * census_bytes(cls - 1));
    }
    assert_int_equal(dirty, census.dirty);
    assert_int_equal(clean, census.clean);
    assert_int_equal(census.taken, pool->taken_bytes);
    assert_int_equal(census.dirty, pool->dirty_bytes);
}

static struct census_runs *runs_of(size_t slices)
{
    return &runs[census_class(slices * SLICE_BYTES)];
}

static void take_and_give(struct pool *pool)
{
    enum { COUNT = 6 };
    struct extent *extent[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        extent[i] = pool_take(pool, i + 1, 1);
        assert_non_null(extent[i]);
        extent[i]->touched = extent[i]->slices;
    }
    expect_whole(pool);
    /* Not beside each other: each is a run of its own. */
    pool_give(extent[1]);
    pool_give(extent[3]);
    expect_whole(pool);
    assert_int_equal(runs_of(2)->dirty, 1);
    assert_int_equal(runs_of(4)->dirty, 1);
    /* Now the two and what was between them are one. */
    pool_give(extent[2]);
    expect_whole(pool);
    assert_int_equal(runs_of(2)->dirty + runs_of(4)->dirty, 0);
    assert_int_equal(runs_of(9)->dirty, 1);
    for (size_t i = 0; i < COUNT; i += i == 0 ? 4 : 1)
        pool_give(extent[i]);
    expect_whole(pool);
    const struct census census = count_now(pool);
    assert_int_equal(census.dirty, 21 * SLICE_BYTES);
    assert_true(census.records >= 21 * sizeof(struct extent));
    assert_true(census.entries > 0 && census.heads > 0);
}

static void runs_are_counted_by_length(void **state)
{
    (void)state;
    static struct pool pool = POOL_INITIAL(-1);
    take_and_give(&pool);
    const struct census before = count_now(&pool);
    pool_purge(&pool);
    expect_whole(&pool);
    const struct census after = count_now(&pool);
    assert_int_equal(after.dirty, 0);
    assert_int_equal(after.sweeps, before.sweeps + 1);
    assert_true(after.purges > before.purges);
    assert_int_equal(after.purged, before.purged + 21 * SLICE_BYTES);
}

static void freed_mappings_are_dirty_runs(void **state)
{
    (void)state;
    static struct pool pool = POOL_INITIAL(-1);
    struct extent *mapping = pool_map(&pool, 5 * MiB, 1);
    assert_non_null(mapping);
    store_relaxed(&mapping->state, EXTENT_OWN);
    assert_int_equal(count_now(&pool).taken, 5 * MiB);
    assert_int_equal(count_now(&pool).records, sizeof(struct extent));
    pool_unmap(mapping);
    expect_whole(&pool);
    assert_int_equal(runs[census_class(5 * MiB)].dirty, 1);
    pool_purge(&pool);
    assert_int_equal(count_now(&pool).spares, 1);
    assert_int_equal(count_now(&pool).dirty, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_counted_by_length),
        cmocka_unit_test(freed_mappings_are_dirty_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
