/* SPDX-License-Identifier: MIT */
/*
 * Goal: a site counts what is of its stack, thread, arena and size; it holds
 * its trace and its person just as long as it is there; a ticket of a site
 * that was forgotten counts nowhere, also when the site has become another.
 * Method: counts after each step, with and without prof_accum, and without
 * memory.
 */
#include "unit/sys/unit.h"

#include "ledger/site.h"
#include "table/option.h"

static struct trace *trace_of(uintptr_t number)
{
    void *pc[] = { (void *)(number << 4), (void *)(uintptr_t)0x1000 };
    struct trace *trace = trace_hold(pc, 2);
    assert_non_null(trace);
    return trace;
}

static struct site_ticket take(uintptr_t number, size_t usable,
    unsigned arena)
{
    const struct site_key key = { .trace = trace_of(number),
        .person = person_of_thread(), .usable = usable, .arena = arena };
    struct site_ticket ticket;
    assert_true(site_take(&key, &ticket));
    return ticket;
}

static uint64_t holders(void)
{
    return load_relaxed(&person_of_thread()->holders);
}

static int begin(void **state)
{
    (void)state;
    option_now.prof_accum = false;
    site_forget_all();
    return 0;
}

static void counts_what_is_alike(void **state)
{
    (void)state;
    const struct site_ticket a = take(1, 64, 0);
    const struct site_ticket b = take(1, 64, 0);
    assert_ptr_equal(a.site, b.site);
    assert_int_equal(a.site->live, 2);
    assert_true(take(1, 64, 1).site != a.site);
    assert_true(take(1, 80, 0).site != a.site);
    assert_true(take(2, 64, 0).site != a.site);
    assert_int_equal(site_count(), 4);
    site_audit();
    site_give(a);
    assert_int_equal(a.site->live, 1);
    assert_int_equal(a.site->ever, 2);
    site_give(b);
    assert_int_equal(site_count(), 3);
    site_audit();
}

/* A trace has as many holders as it has sites, and so has a person. */
static void holds_what_it_names(void **state)
{
    (void)state;
    struct trace *trace = trace_of(3);
    assert_int_equal(trace->holders, 1);
    const uint64_t before = holders();
    const struct site_ticket a = take(3, 64, 0);
    const struct site_ticket b = take(3, 64, 0);
    assert_int_equal(trace->holders, 2);
    assert_int_equal(holders(), before + 1);
    struct site_key key;
    assert_true(site_hold(a, &key));
    assert_ptr_equal(key.trace, trace);
    assert_int_equal(trace->holders, 3);
    trace_drop(key.trace);
    person_drop(key.person);
    site_give(a);
    site_give(b);
    assert_int_equal(trace->holders, 1);
    assert_int_equal(holders(), before);
    assert_false(site_hold(b, &key));
    trace_drop(trace);
}

static void keeps_what_was_with_accum(void **state)
{
    (void)state;
    option_now.prof_accum = true;
    const struct site_ticket a = take(4, 64, 0);
    site_give(a);
    assert_int_equal(site_count(), 1);
    assert_int_equal(a.site->live, 0);
    assert_int_equal(a.site->ever, 1);
    /* What never was, is not kept. */
    site_undo(take(5, 64, 0));
    assert_int_equal(site_count(), 1);
    site_undo(take(4, 64, 0));
    assert_int_equal(a.site->ever, 1);
    site_audit();
    site_forget_all();
    assert_int_equal(site_count(), 0);
}

static void forgets_late_tickets(void **state)
{
    (void)state;
    const struct site_ticket late = take(6, 64, 0);
    site_forget_all();
    assert_int_equal(site_count(), 0);
    const struct site_ticket fresh = take(6, 64, 0);
    assert_ptr_equal(fresh.site, late.site);
    site_give(late);
    assert_int_equal(fresh.site->live, 1);
    site_undo(late);
    assert_int_equal(fresh.site->ever, 1);
    site_give((struct site_ticket){ .site = NULL });
    site_give(fresh);
    assert_int_equal(site_count(), 0);
    site_audit();
}

/* The trace is then the caller's still. */
static void says_when_there_is_no_memory(void **state)
{
    (void)state;
    struct trace *trace = trace_of(7);
    struct site_key key = { .trace = trace, .person = person_of_thread() };
    struct site_ticket ticket;
    uint32_t taken = 0;
    const uint64_t before = holders();
    unit_fail_all(1u << SYS_RESERVE | 1u << SYS_COMMIT | 1u << SYS_MAP);
    for (;;) {
        key.usable = taken + 1;
        trace_keep(trace);
        if (!site_take(&key, &ticket))
            break;
        taken++;
    }
    assert_int_equal(trace->holders, taken + 2);
    assert_int_equal(holders(), before + taken);
    assert_int_equal(site_count(), taken);
    (void)unit_fail_none();
    assert_true(site_take(&key, &ticket));
    site_audit();
    site_forget_all();
    assert_int_equal(trace->holders, 1);
    assert_int_equal(holders(), before);
    trace_drop(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_what_is_alike, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(holds_what_it_names, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(keeps_what_was_with_accum, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(forgets_late_tickets, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(says_when_there_is_no_memory, begin,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
