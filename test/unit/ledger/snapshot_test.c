/* SPDX-License-Identifier: MIT */
/*
 * Goal: a snapshot has every site once, in order, with its counts, and holds
 * the traces; it fails without memory; weights are 1 / (1 - exp(-size/rate)).
 * Method: sites of known counts; the weights against libm.
 */
#include "unit/sys/unit.h"

#include <math.h>
#include <pthread.h>

#include "ledger/ledger.h"
#include "ledger/snapshot.h"
#include "table/option.h"

enum { TRACES = 20, SIZES = 10, THREADS = 3 };

/* How many objects there are of a trace, a size, and a thread. */
static unsigned count_of(size_t trace, size_t size)
{
    return (unsigned)(1 + (trace * 7 + size * 3) % 5);
}

static void take(size_t number, size_t usable)
{
    void *pc[] = { (void *)(number + 1) };
    const struct site_key key = { .trace = trace_hold(pc, 1),
        .person = person_of_thread(), .usable = usable };
    struct site_ticket ticket;
    EXPECT(key.trace != NULL);
    EXPECT(site_take(&key, &ticket));
}

static void *take_all(void *argument)
{
    EXPECT(person_set_name(argument));
    for (size_t trace = 0; trace < TRACES; trace++) {
        for (size_t size = 0; size < SIZES; size++) {
            for (unsigned i = 0; i < count_of(trace, size); i++)
                take(trace, 16 * (size + 1));
        }
    }
    person_end();
    return NULL;
}

static void begin_sites(void)
{
    static char names[THREADS][2] = { "a", "b", "c" };
    option_now.prof_accum = false;
    site_forget_all();
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        assert_int_equal(
            pthread_create(&thread, NULL, take_all, names[i]), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

/* In the order that the header promises, and never the same twice. */
static void expect_order(const struct snapshot *snapshot)
{
    for (size_t i = 1; i < snapshot->count; i++) {
        const struct snapshot_row *a = &snapshot->row[i - 1];
        const struct snapshot_row *b = &snapshot->row[i];
        assert_true(a->trace <= b->trace);
        if (a->trace != b->trace)
            continue;
        assert_true(a->thread <= b->thread);
        assert_true(a->thread != b->thread || a->usable < b->usable);
    }
}

static void has_every_site(void **state)
{
    (void)state;
    begin_sites();
    struct snapshot snapshot;
    assert_true(snapshot_take(&snapshot));
    assert_int_equal(snapshot.count, TRACES * SIZES * THREADS);
    assert_int_equal(snapshot.rate_log2, ledger_rate_log2());
    assert_false(snapshot.has_ever);
    expect_order(&snapshot);
    site_forget_all();                  /* the traces stay */
    unsigned named[THREADS] = { 0 };
    for (size_t i = 0; i < snapshot.count; i++) {
        const struct snapshot_row *row = &snapshot.row[i];
        assert_int_equal(row->trace->count, 1);
        const size_t trace = (size_t)row->trace->pc[0] - 1;
        assert_true(trace < TRACES);
        assert_int_equal(row->objects, count_of(trace, row->usable / 16 - 1));
        assert_int_equal(row->objects_ever, 0);
        assert_true(row->name[0] >= 'a' && row->name[0] < 'a' + THREADS);
        named[row->name[0] - 'a']++;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(named[i], TRACES * SIZES);
    snapshot_drop(&snapshot);
    assert_null(snapshot.row);
}

static void has_what_was(void **state)
{
    (void)state;
    site_forget_all();
    option_now.prof_accum = true;
    void *pc[] = { &pc };
    struct trace *trace = trace_hold(pc, 1);
    assert_non_null(trace);
    const struct site_key key = { .trace = trace, .arena = 5,
        .person = person_of_thread(), .usable = 4096 };
    struct site_ticket ticket;
    for (int i = 0; i < 3; i++) {
        trace_keep(trace);
        assert_true(site_take(&key, &ticket));
        if (i > 0)
            site_give(ticket);
    }
    struct snapshot snapshot;
    assert_true(snapshot_take(&snapshot));
    assert_true(snapshot.has_ever);
    assert_int_equal(snapshot.count, 1);
    assert_int_equal(snapshot.row[0].objects, 1);
    assert_int_equal(snapshot.row[0].objects_ever, 3);
    assert_int_equal(snapshot.row[0].arena, 5);
    assert_int_equal(trace->holders, 3);
    snapshot_drop(&snapshot);
    site_forget_all();
    assert_int_equal(trace->holders, 1);
    trace_drop(trace);
    option_now.prof_accum = false;
}

static void may_be_empty_or_not_to_be_had(void **state)
{
    (void)state;
    site_forget_all();
    struct snapshot snapshot;
    assert_true(snapshot_take(&snapshot));
    assert_int_equal(snapshot.count, 0);
    snapshot_drop(&snapshot);
    unit_fail_all(1u << SYS_MAP);
    assert_false(snapshot_take(&snapshot));
}

/* Every size from 1 byte to 2^40 and some between, at every rate. */
static void weighs_by_chance(void **state)
{
    (void)state;
    struct dice dice = { 3 };
    for (unsigned rate = 0; rate < 64; rate++) {
        for (unsigned log2 = 0; log2 < 41; log2++) {
            const size_t size = ((size_t)1 << log2)
                + dice_below(&dice, (size_t)1 << log2);
            const double x = ldexp((double)size, -(int)rate);
            const double expected = -1 / expm1(-x);
            const double weight = snapshot_weight((double)size, rate);
            assert_true(fabs(weight / expected - 1) < 1e-14);
        }
    }
    assert_true(snapshot_weight(1e6, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(has_every_site, unit_teardown),
        cmocka_unit_test_teardown(has_what_was, unit_teardown),
        cmocka_unit_test_teardown(may_be_empty_or_not_to_be_had,
            unit_teardown),
        cmocka_unit_test_teardown(weighs_by_chance, unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
