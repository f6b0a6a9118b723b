/* SPDX-License-Identifier: MIT */
/*
 * Goal: own mappings are reused where they fit, resized without losing their
 * contents, kept only within the pool's limit, and no failing call changes
 * anything. Method: a pool of the test's own that never decays unless a test
 * says so; sums and O1 are checked after every step; calls fail on command.
 */
#include "unit/sys/unit.h"

#include "page/mapping.h"

#define ONE ((size_t)1 * MiB)

enum { ROUNDS = 2000, HELD = 16 };

static struct pool pool;

/* Mappings never return by themselves: decay -1. */
static int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(-1);
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    pool_purge(&pool);
    return pool.cached == NULL ? 0 : -1;
}

static void check(size_t mapped, size_t cached)
{
    pool_audit(&pool);
    assert_int_equal(pool.mapped_bytes, mapped);
    assert_int_equal(pool.taken_bytes, mapped);             /* P2 */
    assert_int_equal(pool.dirty_bytes, cached);             /* P1 */
    assert_int_equal(mapping_bytes(pool.cached), cached);
    uint64_t before_ms = UINT64_MAX;
    for (const struct extent *at = pool.cached; at; at = at->next) {
        assert_true(at->stamp_ms <= before_ms);             /* O1 */
        before_ms = at->stamp_ms;
    }
    assert_true(mapping_oldest_ms(&pool) == before_ms);
}

/* A mapping with contents derived from a seed. */
static struct extent *map_filled(size_t bytes, uint64_t seed)
{
    struct extent *extent = pool_map(&pool, bytes, 1);
    assert_non_null(extent);
    assert_true(extent->bytes >= bytes);
    contents_fill(extent->start, extent->bytes, seed);
    return extent;
}

static void begins_zero_aligned_and_at_least_a_slice_long(void **state)
{
    (void)state;
    struct extent *extent = pool_map(&pool, sys_page_bytes(), 1);
    assert_non_null(extent);
    check(SLICE_BYTES, 0);
    assert_int_equal(extent->bytes, SLICE_BYTES);
    assert_int_equal(extent->slices, 0);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_FREE);
    assert_null(extent->region);
    assert_ptr_equal(extent->pool, &pool);
    assert_true(extent->zero);
    assert_int_equal((uintptr_t)extent->start % sys_page_bytes(), 0);
    EXPECT_ZERO(extent->start, extent->bytes);
    /* There is room in the map. */
    map_set(extent->start, 1, 1, extent);
    map_clear(extent->start, 1);
    pool_unmap(extent);
    check(0, SLICE_BYTES);
}

static void obeys_every_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= GiB; align *= 2) {
        struct extent *extent = pool_map(&pool, ONE, align);
        assert_non_null(extent);
        assert_int_equal((uintptr_t)extent->start % align, 0);
        extent->start[0] = 1;
        extent->start[ONE - 1] = 1;
        pool_unmap(extent);
        check(0, pool.dirty_bytes);
    }
}

static void reuses_the_tightest_that_fits(void **state)
{
    (void)state;
    static const size_t sizes[] = { 8 * MiB, 17 * MiB / 2, 9 * MiB };
    struct extent *held[UNIT_COUNT(sizes)];
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++)
        held[i] = map_filled(sizes[i], i);
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++)
        pool_unmap(held[i]);
    const size_t all = 8 * MiB + 17 * MiB / 2 + 9 * MiB;
    check(0, all);

    char *start = held[1]->start;
    struct extent *extent = pool_map(&pool, 17 * MiB / 2, 1);
    assert_ptr_equal(extent, held[1]);
    assert_ptr_equal(extent->start, start);
    assert_false(extent->zero);
    check(17 * MiB / 2, all - 17 * MiB / 2);
    extent = pool_map(&pool, 17 * MiB / 2, 1);
    assert_ptr_equal(extent, held[2]);
    check(17 * MiB, 8 * MiB);
    pool_unmap(held[1]);
    pool_unmap(held[2]);
}

/* What is handed out again is as a new one, except for its contents. */
static void a_reused_mapping_is_in_state_free(void **state)
{
    (void)state;
    struct extent *extent = map_filled(ONE, 1);
    pool_unmap(extent);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_CACHED);
    assert_ptr_equal(pool_map(&pool, ONE, 1), extent);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_FREE);
    pool_unmap(extent);
}

static void leaves_alone_what_is_an_eighth_too_long(void **state)
{
    (void)state;
    struct extent *kept = map_filled(8 * MiB, 1);
    pool_unmap(kept);
    struct extent *extent = pool_map(&pool, 7 * MiB - sys_page_bytes(), 1);
    assert_true(extent != kept);
    assert_true(extent->zero);
    check(extent->bytes, 8 * MiB);
    struct extent *longer = pool_map(&pool, 8 * MiB + sys_page_bytes(), 1);
    assert_true(longer != kept);
    struct extent *fit = pool_map(&pool, 7 * MiB, 1);
    assert_ptr_equal(fit, kept);
    pool_unmap(extent);
    pool_unmap(longer);
    pool_unmap(fit);
}

static void cuts_the_tail_of_what_is_too_long(void **state)
{
    (void)state;
    struct extent *kept = map_filled(8 * MiB, 1);
    char *start = kept->start;
    pool_unmap(kept);
    assert_ptr_equal(pool_map(&pool, 7 * MiB, 1), kept);
    assert_int_equal(kept->bytes, 7 * MiB);
    check(7 * MiB, 0);
    EXPECT_CONTENTS(start, 7 * MiB, 1);
    assert_false(unit_is_mapped(start + 7 * MiB, sys_page_bytes()));
    pool_unmap(kept);
}

static void hands_out_the_whole_where_it_cannot_cut(void **state)
{
    (void)state;
    struct extent *kept = map_filled(8 * MiB, 1);
    pool_unmap(kept);
    unit_fail_all(1u << SYS_RELEASE);
    assert_ptr_equal(pool_map(&pool, 7 * MiB, 1), kept);
    assert_int_equal(unit_fail_none(), 1);
    assert_int_equal(kept->bytes, 8 * MiB);
    check(8 * MiB, 0);
    EXPECT_CONTENTS(kept->start, 8 * MiB, 1);
    pool_unmap(kept);
}

static void reuse_minds_the_alignment(void **state)
{
    (void)state;
    struct extent *kept = pool_map(&pool, ONE, 64 * MiB);
    /* Move its start off every alignment but the page's. */
    assert_true(sys_release(kept->start, sys_page_bytes()));
    kept->start += sys_page_bytes();
    kept->bytes -= sys_page_bytes();
    pool.taken_bytes -= sys_page_bytes();
    pool.mapped_bytes -= sys_page_bytes();
    pool_unmap(kept);
    const size_t bytes = kept->bytes;
    struct extent *extent = pool_map(&pool, bytes, 2 * MiB);
    assert_true(extent != kept);
    assert_ptr_equal(pool_map(&pool, bytes, sys_page_bytes()), kept);
    pool_unmap(kept);
    pool_unmap(extent);
}

static void the_oldest_goes_first(void **state)
{
    (void)state;
    struct extent *held[3];
    for (size_t i = 0; i < 3; i++)
        held[i] = map_filled((i + 1) * ONE, i);
    for (size_t i = 0; i < 3; i++) {
        pool_unmap(held[2 - i]);
        (void)usleep(6000);
    }
    check(0, 6 * ONE);
    assert_true(mapping_oldest_ms(&pool) == held[2]->stamp_ms);
    for (size_t i = 0; i < 3; i++) {
        char *start = held[2 - i]->start;
        const size_t bytes = mapping_drop_oldest(&pool);
        pool.dirty_bytes -= bytes;
        assert_int_equal(bytes, (3 - i) * ONE);
        assert_false(unit_is_mapped(start, bytes));
        assert_ptr_equal(pool.records, held[2 - i]);
        check(0, pool.dirty_bytes);
    }
    assert_true(mapping_oldest_ms(&pool) == UINT64_MAX);
    check(0, 0);
}

static void records_are_used_again(void **state)
{
    (void)state;
    struct extent *extent = map_filled(ONE, 1);
    pool_unmap(extent);
    pool_purge(&pool);
    assert_int_equal(pool_purged_bytes(&pool), ONE);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_FREE);
    check(0, 0);
    /* Another size could not be served from the reserve. */
    assert_ptr_equal(pool_map(&pool, 3 * ONE, 1), extent);
    assert_true(extent->zero);
    EXPECT_ZERO(extent->start, 3 * ONE);
    check(3 * ONE, 0);
    pool_unmap(extent);
}

/* -- resizing -- */

static void grows_and_shrinks_with_its_contents(void **state)
{
    (void)state;
    static const size_t sizes[] = { 2 * MiB, 64 * MiB, 65 * MiB, 3 * MiB,
        4 * KiB, 1 * MiB, 100 * MiB, 100 * MiB };
    struct extent *extent = map_filled(ONE, 7);
    size_t kept = ONE;
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        char *old = extent->start;
        assert_true(pool_remap(extent, sizes[i]));
        const size_t bytes = max_size(sizes[i], SLICE_BYTES);
        assert_int_equal(extent->bytes, bytes);
        check(bytes, 0);
        if (bytes < kept) {
            assert_ptr_equal(extent->start, old);
            assert_false(unit_is_mapped(old + bytes, sys_page_bytes()));
        }
        kept = min_size(kept, bytes);
        EXPECT_CONTENTS(extent->start, kept, 7);
        extent->start[bytes - 1] = extent->start[bytes - 1];
        map_set(extent->start + bytes - 1, 1, 1, extent);
        map_clear(extent->start + bytes - 1, 1);
    }
    pool_unmap(extent);
}

static void moves_where_it_cannot_stay(void **state)
{
    (void)state;
    struct extent *extent = map_filled(ONE, 8);
    char *old = extent->start;
    unit_fail_all(1u << SYS_RESIZE);
    assert_true(pool_remap(extent, 4 * ONE));
    assert_int_equal(unit_fail_none(), 1);
    assert_true(extent->start != old);
    assert_false(unit_is_mapped(old, ONE));
    assert_int_equal(extent->bytes, 4 * ONE);
    check(4 * ONE, 0);
    EXPECT_CONTENTS(extent->start, ONE, 8);
    EXPECT_ZERO(extent->start + ONE, 3 * ONE);
    pool_unmap(extent);
}

/* -- failures -- */

static void a_failed_remap_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        uint32_t kinds;
        size_t bytes;
    } cases[] = {
        { 1u << SYS_RESIZE | 1u << SYS_MAP, 4 * ONE },
        { 1u << SYS_RESIZE | 1u << SYS_MOVE, 4 * ONE },
        { 1u << SYS_RELEASE, ONE / 2 },
    };
    struct extent *extent = map_filled(ONE, 9);
    const struct extent before = *extent;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        const size_t space = unit_address_bytes();
        unit_fail_all(cases[i].kinds);
        assert_false(pool_remap(extent, cases[i].bytes));
        (void)unit_fail_none();
        assert_int_equal(unit_address_bytes(), space);
        assert_ptr_equal(extent->start, before.start);
        assert_int_equal(extent->bytes, before.bytes);
        check(ONE, 0);
        EXPECT_CONTENTS(extent->start, ONE, 9);
    }
    assert_true(pool_remap(extent, 4 * ONE));
    EXPECT_CONTENTS(extent->start, ONE, 9);
    pool_unmap(extent);
}

/* A size that no address space has, with the system's own refusal. */
static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct extent *extent = map_filled(ONE, 10);
    const size_t sizes[] = { (size_t)1 << 47, (size_t)1 << 62,
        (size_t)PTRDIFF_MAX / SLICE_BYTES * SLICE_BYTES };
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        assert_null(pool_map(&pool, sizes[i], 1));
        assert_null(pool_map(&pool, sizes[i], GiB));
        assert_false(pool_remap(extent, sizes[i]));
        check(ONE, 0);
    }
    EXPECT_CONTENTS(extent->start, ONE, 10);
    pool_unmap(extent);
}

static void a_failed_map_changes_nothing_and_keeps_the_record(void **state)
{
    (void)state;
    struct extent *first = map_filled(ONE, 1);
    pool_unmap(first);
    pool_purge(&pool);
    static const enum sys_call kinds[] = { SYS_MAP, SYS_RESERVE, SYS_COMMIT };
    for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
        const size_t align = kinds[i] == SYS_MAP ? 1 : ONE;
        const size_t space = unit_address_bytes();
        unit_fail_all(1u << kinds[i]);
        assert_null(pool_map(&pool, ONE, align));
        assert_true(unit_fail_none() > 0);
        assert_int_equal(unit_address_bytes(), space);
        assert_ptr_equal(pool.records, first);
        check(0, 0);
    }
    assert_ptr_equal(pool_map(&pool, ONE, 1), first);
    check(ONE, 0);
    pool_unmap(first);
}

/* The map has no room: the second mapping of the call is a leaf of it. */
static void a_map_without_room_gives_the_pages_back(void **state)
{
    (void)state;
    struct extent *extent = map_filled(ONE, 1);
    pool_unmap(extent);
    pool_purge(&pool);
    /* Enough to span a leaf that is not there yet. */
    const size_t bytes = 2 * MAP_LEAF_SLICES * SLICE_BYTES;
    const size_t space = unit_address_bytes();
    unit_fail(1u << SYS_MAP, 2, UINT64_MAX);
    assert_null(pool_map(&pool, bytes, 1));
    (void)unit_fail_none();
    assert_int_equal(unit_address_bytes(), space);
    assert_ptr_equal(pool.records, extent);
    check(0, 0);
}

/* When memory is short, the reserve goes before the caller goes without. */
static void the_reserve_gives_way(void **state)
{
    (void)state;
    struct extent *kept = map_filled(8 * MiB, 1);
    char *start = kept->start;
    pool_unmap(kept);
    unit_fail(1u << SYS_MAP, 1, 1);
    struct extent *extent = pool_map(&pool, ONE, 1);
    (void)unit_fail_none();
    assert_non_null(extent);
    assert_true(extent->start != start
        || !unit_is_mapped(start + ONE, SLICE_BYTES));
    check(ONE, 0);
    pool_unmap(extent);
}

static void what_cannot_be_unmapped_is_emptied(void **state)
{
    (void)state;
    struct extent *kept = map_filled(8 * MiB, 1);
    char *start = kept->start;
    pool_unmap(kept);
    unit_fail_all(1u << SYS_RELEASE);
    pool_purge(&pool);
    (void)unit_fail_none();
    assert_int_equal(pool_purged_bytes(&pool), 8 * MiB);
    check(0, 0);
    assert_true(unit_is_mapped(start, 8 * MiB));
    assert_int_equal(unit_resident_bytes(start, 8 * MiB), 0);
    assert_true(sys_release(start, 8 * MiB));
}

/* -- at random -- */

static void random_lives_keep_contents_and_sums(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    struct extent *held[HELD] = { NULL };
    size_t mapped = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const size_t i = dice_below(&dice, HELD);
        const size_t bytes = round_up(dice_between(&dice, SLICE_BYTES, ONE),
            sys_page_bytes());
        const uint32_t kinds = (uint32_t)dice_next(&dice)
            & (1u << SYS_MAP | 1u << SYS_RESIZE | 1u << SYS_MOVE);
        if (dice_below(&dice, 2))
            unit_fail(kinds, 1, dice_between(&dice, 1, 3));
        if (held[i] == NULL) {
            held[i] = pool_map(&pool, bytes, 1);
            if (held[i] != NULL) {
                mapped += held[i]->bytes;
                sparse_fill(held[i]->start, held[i]->bytes, i);
            }
        } else if (dice_below(&dice, 2)) {
            const size_t old = held[i]->bytes;
            const bool done = pool_remap(held[i], bytes);
            EXPECT_SPARSE(held[i]->start, old,
                min_size(old, held[i]->bytes) / 2, i);
            assert_int_equal(held[i]->bytes, done ? bytes : old);
            mapped += held[i]->bytes - old;
            sparse_fill(held[i]->start, held[i]->bytes, i);
        } else {
            EXPECT_SPARSE(held[i]->start, held[i]->bytes, held[i]->bytes, i);
            mapped -= held[i]->bytes;
            pool_unmap(held[i]);
            held[i] = NULL;
        }
        (void)unit_fail_none();
        check(mapped, pool.dirty_bytes);
    }
    for (size_t i = 0; i < HELD; i++) {
        if (held[i] != NULL)
            pool_unmap(held[i]);
    }
    check(0, pool.dirty_bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_zero_aligned_and_at_least_a_slice_long),
        TEST(obeys_every_alignment),
        TEST(reuses_the_tightest_that_fits),
        TEST(a_reused_mapping_is_in_state_free),
        TEST(leaves_alone_what_is_an_eighth_too_long),
        TEST(cuts_the_tail_of_what_is_too_long),
        TEST(hands_out_the_whole_where_it_cannot_cut),
        TEST(reuse_minds_the_alignment),
        TEST(the_oldest_goes_first),
        TEST(records_are_used_again),
        TEST(grows_and_shrinks_with_its_contents),
        TEST(moves_where_it_cannot_stay),
        TEST(a_failed_remap_changes_nothing),
        TEST(refuses_what_cannot_be),
        TEST(a_failed_map_changes_nothing_and_keeps_the_record),
        TEST(a_map_without_room_gives_the_pages_back),
        TEST(the_reserve_gives_way),
        TEST(what_cannot_be_unmapped_is_emptied),
        TEST(random_lives_keep_contents_and_sums),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
