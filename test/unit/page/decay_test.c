/* SPDX-License-Identifier: MIT */
/*
 * Goal: dirty memory is kept where it is needed again soon, and only there.
 * Method: decay is told the time, so a small model of a pool (dirty bytes,
 * purged as pool.c does above the limit) lives through hours in a moment.
 */
#include "unit/sys/unit.h"

#include "page/decay.h"

/* The least by which decay_limit() exceeds what the allowance adds. */
#define BASE DECAY_BASE_BYTES

enum { HOUR_MS = 3600 * 1000, ROUNDS = 100000 };

struct model {
    struct decay decay;
    uint64_t now_ms;
    size_t active;
    size_t dirty;
    size_t purges;
};

/* An hour after the machine started. */
static struct model model_new(void)
{
    return (struct model){ .now_ms = HOUR_MS };
}

static void model_check(const struct model *model)
{
    decay_audit(&model->decay);
    assert_true(model->decay.allowance <= model->decay.peak);   /* D1 */
    assert_true(model->decay.peak >= model->active);            /* D2 */
}

static void model_take(struct model *model, size_t bytes)
{
    const size_t warm = min_size(bytes, model->dirty);
    if (model->dirty > decay_base(model->active))
        decay_note_useful(&model->decay, model->now_ms);
    model->dirty -= warm;
    model->active += bytes;
    decay_advance(&model->decay, model->active, model->now_ms);
    if (warm < bytes)
        decay_note_fresh(&model->decay, bytes - warm, model->now_ms);
    model_check(model);
}

static void model_settle(struct model *model)
{
    decay_advance(&model->decay, model->active, model->now_ms);
    const size_t limit = decay_limit(&model->decay, model->active);
    if (model->dirty > limit) {
        decay_note_purged(&model->decay, model->dirty - limit,
            model->now_ms);
        model->dirty = limit;
        model->purges++;
    }
    model_check(model);
}

static void model_give(struct model *model, size_t bytes)
{
    model->active -= bytes;
    model->dirty += bytes;
    model_settle(model);
}

static void begins_with_base_and_a_share_of_active(void **state)
{
    (void)state;
    const struct decay decay = { 0 };
    assert_int_equal(decay_limit(&decay, 0), BASE);
    assert_int_equal(decay_limit(&decay, 8 * MiB), BASE + MiB);
    assert_int_equal(decay_limit(&decay, 1 * GiB), BASE + GiB / 8);
}

static void a_loop_over_large_blocks_pays_a_few_times_then_never(void **state)
{
    (void)state;
    static const size_t sizes[] = { 5 * MiB, 25 * MiB, 300 * MiB, 4 * GiB };
    static const uint64_t pauses_ms[] = { 0, 1, 20, 200 };
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        for (size_t p = 0; p < UNIT_COUNT(pauses_ms); p++) {
            struct model model = model_new();
            for (int turn = 0; turn < ROUNDS / 10; turn++) {
                model_take(&model, sizes[i]);
                model_give(&model, sizes[i]);
                model.now_ms += pauses_ms[p];
            }
            assert_in_range(model.purges, 1, 3);
        }
    }
}

static void a_slow_loop_is_not_kept_for(void **state)
{
    (void)state;
    struct model model = model_new();
    for (int turn = 0; turn < 100; turn++) {
        model_take(&model, 25 * MiB);
        model_give(&model, 25 * MiB);
        model.now_ms += DECAY_REGRET_MS + 1;
    }
    assert_int_equal(model.purges, 100);
    assert_int_equal(model.decay.allowance, 0);
}

static void freeing_everything_once_keeps_only_the_base(void **state)
{
    (void)state;
    struct model model = model_new();
    for (int block = 0; block < 1024; block++) {
        model_take(&model, MiB);
        model.now_ms += 1;
    }
    for (int block = 0; block < 1024; block++)
        model_give(&model, MiB);
    assert_int_equal(model.active, 0);
    assert_true(model.dirty <= BASE);
}

static void regret_is_worth_what_was_purged(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 100 * MiB, HOUR_MS);
    decay_note_purged(&decay, 10 * MiB, HOUR_MS);
    decay_note_fresh(&decay, 4 * MiB, HOUR_MS);
    assert_int_equal(decay.allowance, 4 * DECAY_REGRET_FACTOR * MiB);
    decay_note_fresh(&decay, 50 * MiB, HOUR_MS + DECAY_REGRET_MS);
    const size_t all = 10 * DECAY_REGRET_FACTOR * MiB;
    assert_int_equal(decay.allowance, all);
    decay_note_fresh(&decay, 50 * MiB, HOUR_MS + DECAY_REGRET_MS);
    assert_int_equal(decay.allowance, all);
    assert_int_equal(decay_limit(&decay, 56 * MiB), BASE + 7 * MiB + all);
}

static void purges_are_regretted_only_soon(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 100 * MiB, HOUR_MS);
    decay_note_purged(&decay, 10 * MiB, HOUR_MS);
    decay_note_fresh(&decay, 10 * MiB, HOUR_MS + DECAY_REGRET_MS + 1);
    assert_int_equal(decay.allowance, 0);

    /* What was purged long ago does not count with what was purged now. */
    decay_note_purged(&decay, MiB, HOUR_MS + DECAY_REGRET_MS + 1);
    decay_note_fresh(&decay, 10 * MiB, HOUR_MS + DECAY_REGRET_MS + 1);
    assert_int_equal(decay.allowance, DECAY_REGRET_FACTOR * MiB);
}

static void purges_close_in_time_add_up(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 100 * MiB, HOUR_MS);
    for (uint64_t i = 0; i < 10; i++)
        decay_note_purged(&decay, MiB, HOUR_MS + i * DECAY_REGRET_MS);
    decay_note_fresh(&decay, 99 * MiB, HOUR_MS + 10 * DECAY_REGRET_MS);
    assert_int_equal(decay.allowance, 10 * DECAY_REGRET_FACTOR * MiB);
}

static void fresh_memory_without_a_purge_is_no_regret(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 100 * MiB, 0);
    decay_note_fresh(&decay, 50 * MiB, 0);
    decay_note_fresh(&decay, 50 * MiB, HOUR_MS);
    assert_int_equal(decay.allowance, 0);
}

static void the_allowance_stops_at_the_peak(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 8 * MiB, HOUR_MS);
    for (int i = 0; i < 100; i++) {
        decay_note_purged(&decay, 3 * MiB, HOUR_MS);
        decay_note_fresh(&decay, 3 * MiB, HOUR_MS);
        decay_audit(&decay);                                /* D1 */
    }
    assert_int_equal(decay.allowance, 8 * MiB);
}

/* An allowance of this size, at this time. */
static struct decay regretful(size_t bytes, uint64_t now_ms)
{
    struct decay decay = { 0 };
    decay_advance(&decay, bytes, now_ms);
    decay_note_purged(&decay, bytes, now_ms);
    decay_note_fresh(&decay, bytes, now_ms);
    return decay;
}

static void the_allowance_fades_with_time(void **state)
{
    (void)state;
    struct decay decay = regretful(64 * MiB, HOUR_MS);
    assert_int_equal(decay.allowance, 64 * MiB);
    decay_advance(&decay, 0, HOUR_MS + DECAY_STEP_MS - 1);
    assert_int_equal(decay.allowance, 64 * MiB);
    decay_advance(&decay, 0, HOUR_MS + DECAY_STEP_MS);
    assert_int_equal(decay.allowance, 32 * MiB);
    assert_int_equal(decay.peak, 32 * MiB);
    decay_advance(&decay, 0, HOUR_MS + 2 * DECAY_STEP_MS);
    assert_int_equal(decay.allowance, 16 * MiB);

    /* Within two seconds it is gone. */
    decay_advance(&decay, 0, HOUR_MS + 2 * 1000);
    assert_true(decay.allowance < MiB);
    decay_advance(&decay, 0, 24 * (uint64_t)HOUR_MS);
    assert_true(decay.allowance < 64 * KiB);
}

static void fading_does_not_depend_on_how_often_it_is_told(void **state)
{
    (void)state;
    struct decay often = regretful(64 * MiB, HOUR_MS);
    struct decay once = often;
    /* No divisor of the steps: what is left over must not be lost. */
    for (uint64_t i = 1; i <= 20; i++)
        decay_advance(&often, 0, HOUR_MS + i * 199);
    decay_advance(&once, 0, HOUR_MS + 20 * 199);
    assert_int_equal(often.allowance, once.allowance);
    assert_int_equal(often.peak, once.peak);
}

static void use_keeps_the_allowance(void **state)
{
    (void)state;
    struct decay decay = regretful(64 * MiB, HOUR_MS);
    for (uint64_t ms = 0; ms < 60000; ms += DECAY_STEP_MS - 1) {
        decay_advance(&decay, 0, HOUR_MS + ms);
        decay_note_useful(&decay, HOUR_MS + ms);
    }
    assert_int_equal(decay.allowance, 64 * MiB);
}

static void the_peak_follows_active_up_at_once_and_down_slowly(void **state)
{
    (void)state;
    struct decay decay = { 0 };
    decay_advance(&decay, 64 * MiB, HOUR_MS);
    assert_int_equal(decay.peak, 64 * MiB);                 /* D2 */
    decay_advance(&decay, 8 * MiB, HOUR_MS);
    assert_int_equal(decay.peak, 64 * MiB);
    decay_advance(&decay, 8 * MiB, HOUR_MS + DECAY_STEP_MS);
    assert_int_equal(decay.peak, 32 * MiB);
    decay_advance(&decay, 8 * MiB, HOUR_MS + 60 * 1000);
    assert_int_equal(decay.peak, 8 * MiB);                  /* D2 */
}

static void active_and_kept_stay_near_the_peak(void **state)
{
    (void)state;
    struct decay decay = regretful(64 * MiB, HOUR_MS);
    for (size_t active = 64 * MiB; active >= 32 * MiB; active -= MiB)
        assert_int_equal(decay_limit(&decay, active), decay_base(active)
            + min_size(decay.allowance, 72 * MiB - active));
    assert_int_equal(decay_limit(&decay, 500 * MiB),
        decay_base(500 * MiB));
}

static void the_allowance_counts_down_to_where_it_was_earned(void **state)
{
    (void)state;
    struct decay decay = regretful(64 * MiB, HOUR_MS);
    assert_int_equal(decay.floor, 64 * MiB);
    assert_int_equal(decay_limit(&decay, 32 * MiB), BASE + 4 * MiB
        + 40 * MiB);
    assert_int_equal(decay_limit(&decay, 32 * MiB - 8), BASE + 4 * MiB - 1);
    assert_int_equal(decay_limit(&decay, 0), BASE);

    /* Went up again from next to nothing: so it may. */
    decay_advance(&decay, MiB, HOUR_MS);
    decay_note_purged(&decay, MiB, HOUR_MS);
    decay_note_fresh(&decay, MiB, HOUR_MS);
    assert_int_equal(decay.floor, MiB);
    assert_int_equal(decay_limit(&decay, 0), BASE + 64 * MiB);
}

static void free_bytes_inside_active_memory_have_the_allowance_too(
    void **state)
{
    (void)state;
    const struct decay decay = regretful(64 * MiB, HOUR_MS);
    assert_int_equal(decay_loose_limit(&decay, 64 * MiB),
        BASE + 8 * MiB + 64 * MiB);
}

static void random_lives_stay_within_the_invariants(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    for (int life = 0; life < 20; life++) {
        struct model model = model_new();
        for (int i = 0; i < ROUNDS / 20; i++) {
            const size_t bytes = dice_next(&dice) >> dice_between(&dice,
                34, 50);
            if (dice_below(&dice, 2) || model.active < bytes)
                model_take(&model, bytes);
            else
                model_give(&model, bytes);
            model_settle(&model);
            model.now_ms += dice_below(&dice, 100) == 0
                ? dice_below(&dice, HOUR_MS) : dice_below(&dice, 10);
            assert_true(model.dirty <= decay_limit(&model.decay,
                model.active));
        }
        /* Idle for an hour: nothing but the base. */
        model.active = 0;
        model.now_ms += HOUR_MS;
        model_settle(&model);
        assert_true(model.dirty <= BASE + model.decay.allowance);
        assert_true(model.decay.allowance < MiB);
    }
}

static void audit_broken(void *argument)
{
    decay_audit(argument);
}

static void the_audit_can_fail(void **state)
{
    (void)state;
    struct decay decay = regretful(8 * MiB, HOUR_MS);
    unit_expect_success((struct unit_work){ audit_broken, &decay });
    decay.allowance = decay.peak + 1;
    unit_expect_panic((struct unit_work){ audit_broken, &decay },
        "allowance <= decay->peak");                        /* D1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_base_and_a_share_of_active),
        cmocka_unit_test(
            a_loop_over_large_blocks_pays_a_few_times_then_never),
        cmocka_unit_test(a_slow_loop_is_not_kept_for),
        cmocka_unit_test(freeing_everything_once_keeps_only_the_base),
        cmocka_unit_test(regret_is_worth_what_was_purged),
        cmocka_unit_test(purges_are_regretted_only_soon),
        cmocka_unit_test(purges_close_in_time_add_up),
        cmocka_unit_test(fresh_memory_without_a_purge_is_no_regret),
        cmocka_unit_test(the_allowance_stops_at_the_peak),
        cmocka_unit_test(the_allowance_fades_with_time),
        cmocka_unit_test(fading_does_not_depend_on_how_often_it_is_told),
        cmocka_unit_test(use_keeps_the_allowance),
        cmocka_unit_test(the_peak_follows_active_up_at_once_and_down_slowly),
        cmocka_unit_test(active_and_kept_stay_near_the_peak),
        cmocka_unit_test(the_allowance_counts_down_to_where_it_was_earned),
        cmocka_unit_test(
            free_bytes_inside_active_memory_have_the_allowance_too),
        cmocka_unit_test(random_lives_stay_within_the_invariants),
        cmocka_unit_test(the_audit_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
