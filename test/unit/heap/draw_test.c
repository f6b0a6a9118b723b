/* SPDX-License-Identifier: MIT */
/*
 * Logarithms against libm's, and the distribution of what is drawn.
 */
#include "bench.h"

#include <math.h>

#include "heap/draw.h"

static void logarithms_are_those_of_libm(void **state)
{
    (void)state;
    for (double x = 0x1p-53; x < 0x1p60; x *= 1.0009765) {
        const double off = draw_log(x) - log(x);
        assert_true(fabs(off) <= 1e-13 * fmax(1, fabs(log(x))));
    }
    assert_true(draw_log(1) == 0);
}

enum { DRAWS = 200000, INTERVALS = 20 };

/* In intervals of equal chance; chi squared of 19 degrees of freedom exceeds 60
 * once in 250,000 seeds, and these are fixed. */
static void expect_exponential(uint64_t seed)
{
    struct draw draw;
    draw_begin(&draw, seed);
    uint32_t found[INTERVALS] = { 0 };
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = draw_exponential(&draw);
        assert_true(x > 0);
        sum += x;
        found[(int)(exp(-x) * INTERVALS * (1 - 1e-12))]++;
    }
    double chi = 0;
    for (int i = 0; i < INTERVALS; i++) {
        const double off = found[i] - (double)DRAWS / INTERVALS;
        chi += off * off * INTERVALS / DRAWS;
    }
    assert_true(chi < 60);
    assert_true(fabs(sum / DRAWS - 1) < 0.012);
}

static void draws_are_exponential_for_any_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++)
        expect_exponential(seed * seed * 0x123456789abcdef);
}

static void other_seeds_are_other_sequences(void **state)
{
    (void)state;
    struct draw one;
    struct draw other;
    draw_begin(&one, 1);
    draw_begin(&other, 2);
    int equal = 0;
    for (int i = 0; i < 1000; i++)
        equal += draw_exponential(&one) == draw_exponential(&other);
    assert_int_equal(equal, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_those_of_libm),
        cmocka_unit_test(draws_are_exponential_for_any_seed),
        cmocka_unit_test(other_seeds_are_other_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
