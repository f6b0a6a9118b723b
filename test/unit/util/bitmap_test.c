/* SPDX-License-Identifier: MIT */
/*
 * Goal: every operation on runs of bits is right at every position. Method:
 * a twin of one bool per bit; all runs of a bitmap of three words, and
 * searches over random patterns of several densities. The words before and
 * after are canaries.
 */
#include "unit/sys/unit.h"

#include "util/bitmap.h"

enum { WORDS = 3, BITS = WORDS * 64, ROUNDS = 20000 };

#define CANARY UINT64_C(0xa5a5a5a55a5a5a5a)

struct twin {
    uint64_t guarded[WORDS + 2];
    bool bit[BITS];
};

static uint64_t *twin_words(struct twin *twin)
{
    return twin->guarded + 1;
}

static void twin_fill(struct twin *twin, bool value)
{
    memset(twin->guarded, value ? 0xff : 0, sizeof twin->guarded);
    memset(twin->bit, value, sizeof twin->bit);
    twin->guarded[0] = CANARY;
    twin->guarded[WORDS + 1] = CANARY;
}

/* Every bit set with a chance of share in 256. */
static void twin_scatter(struct twin *twin, struct dice *dice, size_t share)
{
    twin_fill(twin, false);
    for (size_t i = 0; i < BITS; i++) {
        twin->bit[i] = dice_below(dice, 256) < share;
        if (twin->bit[i])
            twin_words(twin)[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

static void twin_check(struct twin *twin)
{
    for (size_t i = 0; i < BITS; i++)
        assert_int_equal(bitmap_test(twin_words(twin), i), twin->bit[i]);
    assert_true(twin->guarded[0] == CANARY);
    assert_true(twin->guarded[WORDS + 1] == CANARY);
}

static void sets_every_run(void **state)
{
    (void)state;
    struct twin twin;
    for (size_t first = 0; first < BITS; first++) {
        for (size_t count = 0; first + count <= BITS; count++) {
            twin_fill(&twin, false);
            bitmap_set(twin_words(&twin), first, count);
            memset(twin.bit + first, true, count);
            twin_check(&twin);
        }
    }
}

static void clears_every_run(void **state)
{
    (void)state;
    struct twin twin;
    for (size_t first = 0; first < BITS; first++) {
        for (size_t count = 0; first + count <= BITS; count++) {
            twin_fill(&twin, true);
            bitmap_clear(twin_words(&twin), first, count);
            memset(twin.bit + first, false, count);
            twin_check(&twin);
        }
    }
}

static void counts_every_run(void **state)
{
    (void)state;
    struct twin twin;
    struct dice dice = { 1 };
    twin_scatter(&twin, &dice, 128);
    for (size_t first = 0; first < BITS; first++) {
        size_t sum = 0;
        for (size_t count = 0; first + count <= BITS; count++) {
            assert_int_equal(
                bitmap_count(twin_words(&twin), first, count), sum);
            sum += first + count < BITS && twin.bit[first + count];
        }
    }
    twin_check(&twin);
}

static size_t twin_next(const struct twin *twin, size_t start, size_t end,
    bool value)
{
    while (start < end && twin->bit[start] != value)
        start++;
    return start < end ? start : end;
}

static void finds_the_next_bit_from_every_start(void **state)
{
    (void)state;
    static const size_t shares[] = { 0, 1, 8, 128, 248, 255, 256 };
    struct twin twin;
    struct dice dice = { 2 };
    for (size_t i = 0; i < UNIT_COUNT(shares); i++) {
        twin_scatter(&twin, &dice, shares[i]);
        for (size_t start = 0; start <= BITS; start++) {
            for (size_t end = 0; end <= BITS; end++) {
                assert_int_equal(
                    bitmap_next(twin_words(&twin), start, end, true),
                    twin_next(&twin, start, end, true));
                assert_int_equal(
                    bitmap_next(twin_words(&twin), start, end, false),
                    twin_next(&twin, start, end, false));
            }
        }
    }
}

static size_t twin_find(const struct twin *twin, struct bitmap_search search)
{
    for (size_t at = 0; at + search.count <= search.end; at += search.step) {
        if (at >= search.start
            && twin_next(twin, at, at + search.count, false)
                == at + search.count)
            return at;
    }
    return BITMAP_NONE;
}

static void finds_the_lowest_run_at_a_step(void **state)
{
    (void)state;
    struct twin twin;
    struct dice dice = { 3 };
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 50 == 0)
            twin_scatter(&twin, &dice, 256 - dice_below(&dice, 100)
                / (1 + dice_below(&dice, 100)));
        const size_t start = dice_below(&dice, BITS + 1);
        const struct bitmap_search search = {
            .start = round % 2 ? start : 0,
            .end = round % 3 ? BITS : start + dice_below(&dice,
                BITS + 1 - start),
            .count = 1 + dice_below(&dice, BITS)
                / (1 + dice_below(&dice, 30)),
            .step = (size_t)1 << dice_below(&dice, 8),
        };
        const size_t at = bitmap_find(twin_words(&twin), search);
        assert_int_equal(at, twin_find(&twin, search));
        found += at != BITMAP_NONE;
    }
    /* Neither answer was the rule. */
    assert_in_range(found, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static void finds_runs_that_touch_both_ends(void **state)
{
    (void)state;
    struct twin twin;
    twin_fill(&twin, true);
    for (size_t count = 1; count <= BITS; count++) {
        struct bitmap_search search = { 0, BITS, count, 1 };
        assert_int_equal(bitmap_find(twin_words(&twin), search), 0);
        search.start = BITS - count;
        assert_int_equal(bitmap_find(twin_words(&twin), search),
            BITS - count);
        search.end = BITS - 1;
        assert_true(bitmap_find(twin_words(&twin), search) == BITMAP_NONE);
    }
    twin_fill(&twin, false);
    assert_true(bitmap_find(twin_words(&twin),
        (struct bitmap_search){ 0, BITS, 1, 1 }) == BITMAP_NONE);
}

static void random_changes_match_the_twin(void **state)
{
    (void)state;
    struct twin twin;
    struct dice dice = { 4 };
    twin_fill(&twin, false);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t first = dice_below(&dice, BITS);
        const size_t count = dice_below(&dice, BITS - first + 1);
        const bool value = dice_below(&dice, 2);
        (value ? bitmap_set : bitmap_clear)(twin_words(&twin), first, count);
        memset(twin.bit + first, value, count);
        twin_check(&twin);
    }
}

static void bits_answers_for_every_position(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        const uint64_t bit = UINT64_C(1) << i;
        assert_int_equal(bits_log2(bit), i);
        assert_int_equal(bits_log2(bit | (bit - 1)), i);
        assert_int_equal(bits_lowest(bit), i);
        assert_int_equal(bits_lowest(~(bit - 1)), i);
        assert_int_equal(bits_count(bit - 1), i);
        assert_int_equal(bits_count(~bit), 63);
    }
    assert_int_equal(bits_count(0), 0);
    assert_int_equal(bits_count(UINT64_MAX), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_every_run),
        cmocka_unit_test(clears_every_run),
        cmocka_unit_test(counts_every_run),
        cmocka_unit_test(finds_the_next_bit_from_every_start),
        cmocka_unit_test(finds_the_lowest_run_at_a_step),
        cmocka_unit_test(finds_runs_that_touch_both_ends),
        cmocka_unit_test(random_changes_match_the_twin),
        cmocka_unit_test(bits_answers_for_every_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
