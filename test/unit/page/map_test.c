/* SPDX-License-Identifier: MIT */
/*
 * Goal: the page map answers for any 64-bit value, and what was set is found
 * for exactly the slices it was set for (M1), in leaves that stay (M2).
 * Method: addresses that nothing is mapped at (the map never looks there):
 * random ones, edges, ranges over the border of two leaves against a twin.
 */
#include "unit/sys/unit.h"

#include <pthread.h>

#include "page/extent.h"
#include "page/map.h"

#define LEAF_BYTES (MAP_LEAF_SLICES * SLICE_BYTES)
#define ADDRESS_BITS (SLICE_LOG2 + MAP_LEAF_LOG2 + MAP_ROOT_LOG2)

enum { RANDOM_LOOKUPS = 1000000, WINDOW = 512, ROUNDS = 2000, THREADS = 4 };

static struct extent extents[8];

static uintptr_t owner_of(uintptr_t address)
{
    return load_relaxed(map_owner(map_find((void *)address)));
}

static struct extent *extent_of(uintptr_t address)
{
    return load_relaxed(map_extent(map_find((void *)address)));
}

/* The border below the leaf of this index, as an address. */
static uintptr_t border(uintptr_t leaf)
{
    return leaf * LEAF_BYTES;
}

static void knows_nobody_at_any_value(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    for (int i = 0; i < RANDOM_LOOKUPS; i++)
        assert_true(owner_of(dice_next(&dice)) == MAP_NOBODY);
    for (unsigned i = 0; i < 64; i++) {
        const uintptr_t bit = (uintptr_t)1 << i;
        assert_true(owner_of(bit) == MAP_NOBODY);
        assert_true(owner_of(bit - 1) == MAP_NOBODY);
        assert_true(owner_of(~bit) == MAP_NOBODY);
        assert_true(owner_of(-bit) == MAP_NOBODY);
    }
    assert_true(owner_of(0) == MAP_NOBODY);
    assert_true(owner_of(UINTPTR_MAX) == MAP_NOBODY);
}

static void finds_a_slice_by_each_of_its_bytes(void **state)
{
    (void)state;
    const uintptr_t at = border(100) + 17 * SLICE_BYTES;
    assert_true(map_cover((void *)at, SLICE_BYTES));
    map_set((void *)at, 1, 42, &extents[0]);
    for (size_t i = 0; i < SLICE_BYTES; i++) {
        assert_int_equal(owner_of(at + i), 42);
        assert_ptr_equal(extent_of(at + i), &extents[0]);
    }
    assert_true(owner_of(at - 1) == MAP_NOBODY);
    assert_true(owner_of(at + SLICE_BYTES) == MAP_NOBODY);
    map_clear((void *)at, 1);
    assert_true(owner_of(at) == MAP_NOBODY);                /* M1 */
}

static void ignores_the_high_bits(void **state)
{
    (void)state;
    struct dice dice = { 2 };
    const uintptr_t at = border(200) + 3 * SLICE_BYTES;
    assert_true(map_cover((void *)at, SLICE_BYTES));
    map_set((void *)at, 1, 43, &extents[1]);
    for (int i = 0; i < 10000; i++) {
        const uintptr_t high = dice_next(&dice) << ADDRESS_BITS;
        assert_int_equal(owner_of(high | at), 43);
        assert_true(owner_of(high | (at - 1)) == MAP_NOBODY);
    }
    map_clear((void *)at, 1);
}

/* Beside the one slice that is set, nobody is anywhere. */
static void one_owner_is_found_nowhere_else(void **state)
{
    (void)state;
    struct dice dice = { 3 };
    const uintptr_t low_bits = ((uintptr_t)1 << ADDRESS_BITS) - 1;
    const uintptr_t at = border(300);
    assert_true(map_cover((void *)at, SLICE_BYTES));
    map_set((void *)at, 1, 44, &extents[2]);
    for (int i = 0; i < RANDOM_LOOKUPS; i++) {
        uintptr_t value = dice_next(&dice);
        if (i % 2)
            value = at ^ ((uintptr_t)1 << dice_below(&dice, 64));
        const bool same = ((value & low_bits) - at) < SLICE_BYTES;
        assert_int_equal(owner_of(value), same ? 44 : MAP_NOBODY);
    }
    map_clear((void *)at, 1);
}

static void ranges_cross_leaf_borders(void **state)
{
    (void)state;
    const uintptr_t at = border(401) - 3 * SLICE_BYTES;
    assert_true(map_cover((void *)at, 7 * SLICE_BYTES));
    map_set((void *)at, 7, 45, &extents[3]);
    for (uintptr_t i = 0; i < 7; i++) {
        assert_int_equal(owner_of(at + i * SLICE_BYTES), 45);
        assert_ptr_equal(extent_of(at + i * SLICE_BYTES), &extents[3]);
    }
    assert_true(owner_of(at - 1) == MAP_NOBODY);
    assert_true(owner_of(at + 7 * SLICE_BYTES) == MAP_NOBODY);

    map_clear((void *)(at + 2 * SLICE_BYTES), 2);
    for (uintptr_t i = 0; i < 7; i++)
        assert_int_equal(owner_of(at + i * SLICE_BYTES),
            i == 2 || i == 3 ? MAP_NOBODY : 45);            /* M1 */
    map_clear((void *)at, 7);
}

static void random_ranges_match_the_twin(void **state)
{
    (void)state;
    struct dice dice = { 4 };
    static uintptr_t owner[WINDOW];
    static struct extent *extent[WINDOW];
    const uintptr_t at = border(501) - WINDOW / 2 * SLICE_BYTES;
    assert_true(map_cover((void *)at, WINDOW * SLICE_BYTES));
    for (int round = 0; round < ROUNDS; round++) {
        const size_t first = dice_below(&dice, WINDOW);
        const size_t count = dice_below(&dice, WINDOW - first + 1)
            / (1 + dice_below(&dice, 8));
        const uintptr_t value = dice_below(&dice, 3) == 0 ? MAP_NOBODY
            : dice_next(&dice) | 1;
        struct extent *about = &extents[dice_below(&dice, 8)];
        if (value == MAP_NOBODY)
            map_clear((void *)(at + first * SLICE_BYTES), count);
        else
            map_set((void *)(at + first * SLICE_BYTES), count, value, about);
        for (size_t i = first; i < first + count; i++) {
            owner[i] = value;
            extent[i] = about;
        }
        for (size_t i = 0; i < WINDOW; i++) {
            const uintptr_t slice = at + i * SLICE_BYTES
                + dice_below(&dice, SLICE_BYTES);
            assert_true(owner_of(slice) == owner[i]);
            if (owner[i] != MAP_NOBODY)
                assert_ptr_equal(extent_of(slice), extent[i]);
        }
    }
    map_clear((void *)at, WINDOW);
}

/* -- covering -- */

static void covers_a_leaf_once(void **state)
{
    (void)state;
    const uintptr_t at = border(600);
    unit_count_calls(1u << SYS_MAP);
    assert_true(map_cover((void *)at, 1));
    assert_int_equal(sys_fault.calls, 1);
    const intptr_t distance = map.distance[600];
    assert_true(distance != 0);
    assert_true(map_cover((void *)at, LEAF_BYTES));
    assert_true(map_cover((void *)(at + LEAF_BYTES - 1), 1));
    assert_int_equal(unit_fail_none(), 1);

    map_set((void *)at, 1, 46, &extents[0]);
    map_clear((void *)at, 1);
    assert_true(map.distance[600] == distance);  /* M2 */
}

static void covers_every_leaf_of_a_range(void **state)
{
    (void)state;
    unit_count_calls(1u << SYS_MAP);
    assert_true(map_cover((void *)(border(700) - 1), 2 * LEAF_BYTES + 2));
    assert_int_equal(unit_fail_none(), 4);
    for (uintptr_t leaf = 699; leaf <= 702; leaf++)
        assert_true(map.distance[leaf] != 0);
    assert_true(map.distance[698] == 0);
    assert_true(map.distance[703] == 0);
}

static void covers_the_first_and_the_last_address(void **state)
{
    (void)state;
    const uintptr_t end = (uintptr_t)1 << ADDRESS_BITS;
    assert_true(map_cover((void *)0, SLICE_BYTES));
    assert_true(map_cover((void *)(end - SLICE_BYTES), SLICE_BYTES));
    map_set((void *)(end - SLICE_BYTES), 1, 47, &extents[4]);
    assert_int_equal(owner_of(end - 1), 47);
    assert_true(owner_of(end) == MAP_NOBODY);
    map_clear((void *)(end - SLICE_BYTES), 1);
}

static void refuses_addresses_beyond_the_root(void **state)
{
    (void)state;
    const uintptr_t end = (uintptr_t)1 << ADDRESS_BITS;
    unit_count_calls(1u << SYS_MAP);
    assert_false(map_cover((void *)end, 1));
    assert_false(map_cover((void *)(end - 1), 2));
    assert_false(map_cover((void *)(UINTPTR_MAX - 1), 1));
    assert_int_equal(unit_fail_none(), 0);
}

static void stays_sound_without_memory(void **state)
{
    (void)state;
    const uintptr_t at = border(801) - SLICE_BYTES;
    unit_fail_all(1u << SYS_MAP);
    assert_false(map_cover((void *)at, 2 * SLICE_BYTES));
    unit_fail(1u << SYS_MAP, 2, 2);
    assert_false(map_cover((void *)at, 2 * SLICE_BYTES));
    (void)unit_fail_none();
    assert_true(owner_of(at) == MAP_NOBODY);
    assert_true(owner_of(at + SLICE_BYTES) == MAP_NOBODY);

    assert_true(map_cover((void *)at, 2 * SLICE_BYTES));
    map_set((void *)at, 2, 48, &extents[5]);
    assert_int_equal(owner_of(at), 48);
    assert_int_equal(owner_of(at + SLICE_BYTES), 48);
    map_clear((void *)at, 2);
}

static void *cover_and_set(void *argument)
{
    const uintptr_t number = (uintptr_t)argument;
    for (uintptr_t leaf = 900; leaf < 964; leaf++) {
        const uintptr_t at = border(leaf) + number * SLICE_BYTES;
        if (!map_cover((void *)at, SLICE_BYTES))
            return argument;
        map_set((void *)at, 1, leaf + number, &extents[number]);
    }
    return NULL;
}

/* If two threads made a leaf each, what one of them set would be lost. */
static void threads_share_new_leaves(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, cover_and_set, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (uintptr_t leaf = 900; leaf < 964; leaf++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            assert_int_equal(owner_of(border(leaf) + i * SLICE_BYTES),
                leaf + i);
        map_clear((void *)border(leaf), THREADS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_nobody_at_any_value),
        cmocka_unit_test(finds_a_slice_by_each_of_its_bytes),
        cmocka_unit_test(ignores_the_high_bits),
        cmocka_unit_test(one_owner_is_found_nowhere_else),
        cmocka_unit_test(ranges_cross_leaf_borders),
        cmocka_unit_test(random_ranges_match_the_twin),
        cmocka_unit_test_teardown(covers_a_leaf_once, unit_teardown),
        cmocka_unit_test_teardown(covers_every_leaf_of_a_range,
            unit_teardown),
        cmocka_unit_test(covers_the_first_and_the_last_address),
        cmocka_unit_test_teardown(refuses_addresses_beyond_the_root,
            unit_teardown),
        cmocka_unit_test_teardown(stays_sound_without_memory,
            unit_teardown),
        cmocka_unit_test(threads_share_new_leaves),
        cmocka_unit_test(knows_nobody_at_any_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
