/* SPDX-License-Identifier: MIT */
/*
 * Goal: a pool hands out warm memory before fresh, gives back what is above
 * the limit or too old, and no failing call leaves its sums wrong (P1 to P4).
 * Method: a pool of the test's own; mincore() says what really went back;
 * calls fail on command. All of it for pages of 4, 16 and 64 KiB.
 */
#include "unit/sys/unit.h"

#include "page/mapping.h"
#include "page/page.h"

enum { DECAY_MS = 100000 };

static struct pool pool;

static int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(DECAY_MS);
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    pool_purge(&pool);
    int result = pool.cached == NULL ? 0 : -1;
    while (pool.regions != NULL) {
        struct region *region = pool.regions;
        pool.regions = region->next;
        if (!sys_release(region->base, region->slices * SLICE_BYTES))
            result = -1;
    }
    return result;
}

static struct extent *take(size_t slices, size_t step)
{
    const size_t taken = pool.taken_bytes;
    struct extent *extent = pool_take(&pool, slices, step);
    pool_audit(&pool);
    assert_non_null(extent);
    assert_int_equal((uintptr_t)extent->start % (step * SLICE_BYTES), 0);
    assert_int_equal(extent->bytes, slices * SLICE_BYTES);
    assert_int_equal(extent->slices, slices);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_FREE);
    assert_ptr_equal(extent->pool, &pool);
    assert_int_equal(pool.taken_bytes, taken + slices * SLICE_BYTES);
    return extent;
}

/* A run of which every byte was written. */
static struct extent *take_written(size_t slices)
{
    struct extent *extent = take(slices, 1);
    memset(extent->start, 1, slices * SLICE_BYTES);
    extent->touched = (uint32_t)slices;
    return extent;
}

static void give(struct extent *extent)
{
    pool_give(extent);
    pool_audit(&pool);
}

static size_t resident(const struct extent *extent)
{
    return unit_resident_bytes(extent->start, extent->bytes);
}

static size_t limit_now(void)
{
    return decay_limit(&pool.decay, pool.taken_bytes);
}

/* -- handing out -- */

static void begins_with_nothing(void **state)
{
    (void)state;
    pool_audit(&pool);
    pool_purge(&pool);
    pool_release_free_regions(&pool);
    assert_int_equal(pool_purged_bytes(&pool), 0);
    assert_null(pool.regions);
}

static void a_fresh_run_reads_as_zero(void **state)
{
    (void)state;
    struct extent *extent = take(20, 1);
    assert_true(extent->zero);
    assert_int_equal(extent->touched, 0);
    EXPECT_ZERO(extent->start, 20 * SLICE_BYTES);
    assert_int_equal(pool.reserved_bytes, POOL_REGION_BYTES_FIRST);
    give(extent);
    assert_int_equal(pool.dirty_bytes, 0);
}

static void takes_dirty_memory_before_fresh(void **state)
{
    (void)state;
    struct extent *clean = take(8, 1);
    struct extent *dirty = take_written(2);
    struct extent *wall = take(1, 1);
    char *start = dirty->start;
    assert_true(clean->start < start);
    give(clean);
    give(dirty);
    assert_int_equal(pool.dirty_bytes, 2 * SLICE_BYTES);
    struct extent *again = take(2, 1);
    assert_ptr_equal(again->start, start);
    assert_false(again->zero);
    assert_int_equal(again->touched, 2);
    assert_int_equal(pool.dirty_bytes, 0);
    /* With none that is dirty, the lowest. */
    assert_true(take(1, 1)->start < start);
    give(again);
    give(wall);
}

static void neighbours_merge(void **state)
{
    (void)state;
    enum { RUNS = 24 };
    struct extent *runs[RUNS];
    for (size_t i = 0; i < RUNS; i++)
        runs[i] = take_written(1);
    char *start = runs[0]->start;
    for (size_t i = 0; i < RUNS; i++)
        give(runs[i * 7 % RUNS]);
    struct extent *whole = take(RUNS, 1);
    assert_ptr_equal(whole->start, start);
    give(whole);
}

static void obeys_every_step(void **state)
{
    (void)state;
    for (size_t step = 1; step <= CHUNK_SLICES; step *= 2) {
        for (size_t slices = 1; slices < 70; slices += 17) {
            (void)take(1, 1);
            (void)take(slices, step);
        }
    }
}

static void opens_regions_of_growing_size(void **state)
{
    (void)state;
    const size_t most = region_capacity(POOL_REGION_BYTES_FIRST);
    (void)take(most, 1);
    assert_null(pool.regions->next);
    (void)take(1, 1);
    assert_int_equal(pool.reserved_bytes, 3 * POOL_REGION_BYTES_FIRST);
    /* Larger than the next size: as large as it has to be. */
    const size_t slices = 512 * MiB / SLICE_BYTES;
    (void)take(slices, CHUNK_SLICES);
    assert_true(pool.reserved_bytes > 704 * MiB);
    assert_true(pool.reserved_bytes < 720 * MiB);
}

/* -- resizing -- */

static void grows_in_place_until_something_is_there(void **state)
{
    (void)state;
    struct extent *extent = take_written(2);
    contents_fill(extent->start, 2 * SLICE_BYTES, 1);
    assert_true(pool_grow(extent, 5));
    pool_audit(&pool);
    assert_int_equal(extent->slices, 5);
    assert_int_equal(pool.taken_bytes, 5 * SLICE_BYTES);
    EXPECT_CONTENTS(extent->start, 2 * SLICE_BYTES, 1);
    EXPECT_ZERO(extent->start + 2 * SLICE_BYTES, 3 * SLICE_BYTES);

    struct extent *wall = take(1, 1);
    const struct extent before = *extent;
    assert_false(pool_grow(extent, 6));
    pool_audit(&pool);
    assert_memory_equal(extent, &before, sizeof before);
    give(wall);
    assert_true(pool_grow(extent, 6));
    pool_audit(&pool);

    unit_fail_all(1u << SYS_COMMIT);
    assert_false(pool_grow(extent, 100));
    (void)unit_fail_none();
    pool_audit(&pool);
    assert_int_equal(extent->slices, 6);
    assert_false(pool_grow(extent, extent->region->slices));
    assert_true(pool_grow(extent,
        region_capacity(POOL_REGION_BYTES_FIRST)));
    pool_audit(&pool);
    assert_false(pool_grow(extent, extent->slices + 1));
    pool_audit(&pool);
}

static void growing_over_dirty_memory_is_not_zero(void **state)
{
    (void)state;
    struct extent *extent = take(2, 1);
    struct extent *dirty = take_written(2);
    give(dirty);
    assert_true(pool_grow(extent, 4));
    assert_false(extent->zero);
    assert_int_equal(extent->touched, 4);
    assert_int_equal(pool.dirty_bytes, 0);
    pool_audit(&pool);
}

static void shrinking_gives_the_tail_back(void **state)
{
    (void)state;
    struct extent *extent = take_written(40);
    contents_fill(extent->start, 40 * SLICE_BYTES, 2);
    pool_shrink(extent, 3);
    pool_audit(&pool);
    assert_int_equal(extent->slices, 3);
    assert_int_equal(pool.taken_bytes, 3 * SLICE_BYTES);
    assert_int_equal(pool.dirty_bytes, 37 * SLICE_BYTES);
    pool_purge(&pool);
    EXPECT_CONTENTS(extent->start, 3 * SLICE_BYTES, 2);
    assert_int_equal(unit_resident_bytes(extent->start, 40 * SLICE_BYTES),
        3 * SLICE_BYTES);
    assert_ptr_equal(take(1, 1)->start, extent->start + 3 * SLICE_BYTES);
}

/* -- going back -- */

static void above_the_limit_goes_back_at_once(void **state)
{
    (void)state;
    struct extent *extent = take_written(32 * MiB / SLICE_BYTES);
    assert_int_equal(resident(extent), 32 * MiB);
    give(extent);
    assert_true(pool.dirty_bytes <= DECAY_BASE_BYTES);
    assert_true(resident(extent) <= DECAY_BASE_BYTES);
    assert_true(resident(extent) > 0);
    assert_int_equal(pool_purged_bytes(&pool), 32 * MiB - pool.dirty_bytes);
}

static void below_the_limit_stays(void **state)
{
    (void)state;
    struct extent *active = take(48 * MiB / SLICE_BYTES, 1);
    struct extent *extent = take_written(10 * MiB / SLICE_BYTES);
    give(extent);
    assert_int_equal(resident(extent), 10 * MiB);
    assert_int_equal(pool_purged_bytes(&pool), 0);
    /* The share of active goes with it: active->touched is 0. */
    give(active);
    assert_true(pool.dirty_bytes <= DECAY_BASE_BYTES);
    assert_true(resident(extent) <= DECAY_BASE_BYTES);
}

static void mappings_go_before_runs(void **state)
{
    (void)state;
    struct extent *run = take_written(3 * MiB / SLICE_BYTES);
    struct extent *mapping = pool_map(&pool, 3 * MiB, 1);
    char *start = mapping->start;
    give(run);
    pool_unmap(mapping);
    pool_audit(&pool);
    assert_false(unit_is_mapped(start, 3 * MiB));
    assert_int_equal(resident(run), 3 * MiB);
}

static void a_decay_of_zero_keeps_nothing(void **state)
{
    (void)state;
    pool_set_dirty_decay_ms(&pool, 0);
    struct extent *run = take_written(5);
    struct extent *mapping = pool_map(&pool, MiB, 1);
    char *start = mapping->start;
    give(run);
    assert_int_equal(resident(run), 0);
    pool_unmap(mapping);
    assert_false(unit_is_mapped(start, MiB));
    assert_int_equal(pool.dirty_bytes, 0);
}

static void a_decay_of_never_keeps_everything_until_purged(void **state)
{
    (void)state;
    pool_set_dirty_decay_ms(&pool, -1);
    struct extent *run = take_written(32 * MiB / SLICE_BYTES);
    struct extent *wall = take(1, 1);
    give(run);
    pool_unmap(pool_map(&pool, 8 * MiB, 1));
    (void)usleep(10000);
    (void)!pool_lease(&pool, 0, 0);
    assert_int_equal(resident(run), 32 * MiB);
    assert_int_equal(pool.dirty_bytes, 40 * MiB);

    pool_purge(&pool);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 0);
    assert_int_equal(resident(run), 0);
    assert_null(pool.cached);
    assert_int_equal(pool_purged_bytes(&pool), 40 * MiB);
    give(wall);
}

static void what_is_old_goes_when_somebody_comes_by(void **state)
{
    (void)state;
    pool_set_dirty_decay_ms(&pool, 30);
    struct extent *wall = take(1, 1);
    struct extent *run = take_written(3);
    struct extent *mapping = pool_map(&pool, MiB, 1);
    const uint64_t before_ms = sys_now_ms();
    give(run);
    pool_unmap(mapping);
    const size_t kept = pool.dirty_bytes;
    /* On a machine that is too busy this says nothing. */
    if (sys_now_ms() - before_ms < 30)
        assert_int_equal(kept, MiB + 3 * SLICE_BYTES);
    (void)usleep(60000);
    (void)!pool_lease(&pool, 0, 0);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 0);
    assert_int_equal(resident(run), 0);
    assert_null(pool.cached);
    give(wall);
}

static void an_explicit_purge_is_nobodys_mistake(void **state)
{
    (void)state;
    struct extent *run = take_written(3 * MiB / SLICE_BYTES);
    for (int i = 0; i < 5; i++) {
        give(run);
        pool_purge(&pool);
        run = take_written(3 * MiB / SLICE_BYTES);
    }
    assert_int_equal(pool.decay.allowance, 0);
    assert_int_equal(pool_purged_bytes(&pool), 15 * MiB);
}

static void a_loop_over_a_large_run_pays_a_few_times(void **state)
{
    (void)state;
    enum { TURNS = 2000 };
    size_t paid = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        const uint64_t before = pool_purged_bytes(&pool);
        struct extent *run = take(25 * MiB / SLICE_BYTES, 1);
        run->touched = run->slices;
        give(run);
        paid += pool_purged_bytes(&pool) > before;
    }
    assert_in_range(paid, 1, 3);
}

static void a_refused_purge_leaves_the_sums_right(void **state)
{
    (void)state;
    struct extent *run = take_written(16 * MiB / SLICE_BYTES);
    unit_fail_all(1u << SYS_PURGE);
    give(run);
    assert_int_equal(pool.dirty_bytes, 16 * MiB);           /* P1 */
    pool_purge(&pool);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 16 * MiB);
    unit_fail(1u << SYS_PURGE, 2, 2);
    pool_purge(&pool);
    pool_audit(&pool);
    (void)unit_fail_none();
    pool_purge(&pool);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 0);
    assert_int_equal(resident(run), 0);
}

/* -- leases -- */

static void leases_share_the_limit(void **state)
{
    (void)state;
    (void)take(8 * MiB / SLICE_BYTES, 1);
    const size_t first = pool_lease(&pool, 0, MiB);
    assert_int_equal(first, MiB);
    assert_int_equal(pool.leased_bytes, MiB);
    /* What is leased is not active, and counts as dirty. */
    const size_t limit = decay_limit(&pool.decay, 7 * MiB);
    assert_int_equal(pool_lease(&pool, 0, GiB), limit - MiB);
    assert_int_equal(pool_lease(&pool, 0, 1), 0);
    pool_audit(&pool);
    assert_int_equal(pool_lease(&pool, limit - MiB, MiB), MiB);
    assert_int_equal(pool_lease(&pool, MiB, 0), 0);
    assert_int_equal(pool_lease(&pool, MiB, 0), 0);
    assert_int_equal(pool.leased_bytes, 0);

    struct extent *run = take_written(2 * MiB / SLICE_BYTES);
    give(run);
    assert_int_equal(pool_lease(&pool, 0, GiB), limit_now() - 2 * MiB);
    pool_set_dirty_decay_ms(&pool, 0);
    assert_int_equal(pool_lease(&pool, pool.leased_bytes, 1), 0);
    pool_set_dirty_decay_ms(&pool, -1);
    assert_int_equal(pool_lease(&pool, 0, GiB), GiB);
    assert_int_equal(pool_lease(&pool, GiB, 0), 0);
}

static void leases_press_dirty_memory_out(void **state)
{
    (void)state;
    struct extent *run = take_written(3 * MiB / SLICE_BYTES);
    struct extent *held = take(3 * MiB / SLICE_BYTES, 1);
    assert_int_equal(pool_lease(&pool, 0, 3 * MiB), 3 * MiB);
    give(run);
    assert_true(pool.dirty_bytes + 3 * MiB <= limit_now());
    assert_true(resident(run) < 2 * MiB);
    assert_int_equal(pool_lease(&pool, 3 * MiB, 0), 0);
    give(held);
}

/* -- failures -- */

static void refused_memory_is_no_memory_and_changes_nothing(void *argument)
{
    const enum sys_call kind = *(enum sys_call *)argument;
    static const size_t sizes[] = { 1, 13, 15, 16, 100, 2000 };
    /* No leaf of the map is there yet. */
    memset(&map.distance, 0, sizeof map.distance);
    const size_t space = unit_address_bytes();
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        unit_fail_all(1u << kind);
        EXPECT(pool_take(&pool, sizes[i], 1) == NULL);
        (void)unit_fail_none();
        pool_audit(&pool);
        EXPECT(pool.reserved_bytes == 0);
        EXPECT(pool.taken_bytes == 0);
    }
    /* Leaves of the map stay (M2), regions do not. */
    EXPECT_AT_MOST(unit_address_bytes(),
        space + 3 * sizeof(struct map_leaf));
    struct extent *extent = pool_take(&pool, 20, 2);
    EXPECT(extent != NULL);
    extent->start[0] = 1;
    pool_audit(&pool);
}

static void survives_every_refusal(void **state)
{
    (void)state;
    enum sys_call kinds[] = { SYS_RESERVE, SYS_COMMIT, SYS_MAP };
    for (size_t i = 0; i < UNIT_COUNT(kinds); i++)
        unit_expect_success((struct unit_work){
            refused_memory_is_no_memory_and_changes_nothing, &kinds[i] });
}

static void asks_for_less_when_refused(void **state)
{
    (void)state;
    unit_fail(1u << SYS_RESERVE, 1, 3);
    (void)take(10, 1);
    assert_int_equal(unit_fail_none(), 4);
    assert_int_equal(pool.reserved_bytes, POOL_REGION_BYTES_FIRST / 8);
}

static void the_reserve_gives_way_to_a_run(void **state)
{
    (void)state;
    pool_unmap(pool_map(&pool, 2 * MiB, 1));
    assert_non_null(pool.cached);
    /* How often a first region is tried for. */
    struct pool other = POOL_INITIAL(DECAY_MS);
    unit_fail_all(1u << SYS_RESERVE);
    assert_null(pool_take(&other, 1, 1));
    unit_fail(1u << SYS_RESERVE, 1, unit_fail_none());
    (void)take(1, 1);
    (void)unit_fail_none();
    assert_null(pool.cached);
    assert_int_equal(pool.dirty_bytes, 0);
}

/* -- whole regions -- */

static void free_regions_go_back_and_used_ones_stay(void **state)
{
    (void)state;
    struct extent *run =
        take(region_capacity(POOL_REGION_BYTES_FIRST), 1);
    struct extent *other = take_written(2);
    char *base = run->region->base;
    run->touched = 20;
    give(run);
    unit_fail_all(1u << SYS_RELEASE);
    pool_release_free_regions(&pool);
    (void)unit_fail_none();
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 20 * SLICE_BYTES);
    assert_int_equal(pool.reserved_bytes, 3 * POOL_REGION_BYTES_FIRST);

    pool_release_free_regions(&pool);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, 0);
    assert_int_equal(pool_purged_bytes(&pool), 20 * SLICE_BYTES);
    assert_int_equal(pool.reserved_bytes, 2 * POOL_REGION_BYTES_FIRST);
    assert_false(unit_is_mapped(base, POOL_REGION_BYTES_FIRST));
    assert_ptr_equal(pool.regions, other->region);
    assert_int_equal(other->start[0], 1);
    give(other);
    pool_release_free_regions(&pool);
    pool_audit(&pool);
    assert_null(pool.regions);
    assert_int_equal(pool.reserved_bytes, 0);
    give(take(1, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_with_nothing),
        TEST(a_fresh_run_reads_as_zero),
        TEST(takes_dirty_memory_before_fresh),
        TEST(neighbours_merge),
        TEST(obeys_every_step),
        TEST(opens_regions_of_growing_size),
        TEST(grows_in_place_until_something_is_there),
        TEST(growing_over_dirty_memory_is_not_zero),
        TEST(shrinking_gives_the_tail_back),
        TEST(above_the_limit_goes_back_at_once),
        TEST(below_the_limit_stays),
        TEST(mappings_go_before_runs),
        TEST(a_decay_of_zero_keeps_nothing),
        TEST(a_decay_of_never_keeps_everything_until_purged),
        TEST(what_is_old_goes_when_somebody_comes_by),
        TEST(an_explicit_purge_is_nobodys_mistake),
        TEST(a_loop_over_a_large_run_pays_a_few_times),
        TEST(a_refused_purge_leaves_the_sums_right),
        TEST(leases_share_the_limit),
        TEST(leases_press_dirty_memory_out),
        TEST(survives_every_refusal),
        TEST(asks_for_less_when_refused),
        TEST(the_reserve_gives_way_to_a_run),
        TEST(free_regions_go_back_and_used_ones_stay),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
