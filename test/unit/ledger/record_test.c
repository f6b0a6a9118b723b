/* SPDX-License-Identifier: MIT */
/*
 * Goal: what was put down for an address is found by it, until it is taken,
 * and nothing by any other; those of an arena can be taken one by one. Method:
 * a model of many objects; every field.
 */
#include "unit/sys/unit.h"

#include "ledger/record.h"

enum { COUNT = 5000, ARENAS = 3 };

static struct record_data data_of(size_t i)
{
    return (struct record_data){
        .object = { .pointer = (void *)(0x10000 + i * 16),
            .reserved = (void *)(i * 48), .size = i, .usable = i + 7,
            .arena = (unsigned)(i % ARENAS) },
        .site = { .site = NULL, .life = i },
        .ns = i * 3,
        .recent = i * 5,
    };
}

static void expect_same(const struct record_data *a,
    const struct record_data *b)
{
    assert_ptr_equal(a->object.pointer, b->object.pointer);
    assert_ptr_equal(a->object.reserved, b->object.reserved);
    assert_int_equal(a->object.size, b->object.size);
    assert_int_equal(a->object.usable, b->object.usable);
    assert_int_equal(a->object.arena, b->object.arena);
    assert_int_equal(a->site.life, b->site.life);
    assert_int_equal(a->ns, b->ns);
    assert_int_equal(a->recent, b->recent);
}

static void put_all(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        const struct record_data data = data_of(i);
        assert_true(record_put(&data));
    }
    assert_int_equal(record_count(), COUNT);
    record_audit();
}

static void finds_what_was_put(void **state)
{
    (void)state;
    put_all();
    struct record_data found;
    for (size_t i = 0; i < COUNT; i++) {
        const struct record_data data = data_of(i);
        assert_true(record_find(data.object.pointer, &found));
        expect_same(&found, &data);
        assert_false(record_find((char *)data.object.pointer + 8, &found));
    }
    for (size_t i = 0; i < COUNT; i++) {
        const struct record_data data = data_of(i);
        assert_true(record_take(data.object.pointer, &found));
        expect_same(&found, &data);
        assert_false(record_take(data.object.pointer, &found));
        assert_false(record_find(data.object.pointer, &found));
    }
    assert_int_equal(record_count(), 0);
    record_audit();
}

static void takes_those_of_an_arena(void **state)
{
    (void)state;
    put_all();
    struct book_walk walk = { 0 };
    struct record_data found;
    size_t count = 0;
    while (record_take_next(1, &walk, &found)) {
        assert_int_equal(found.object.arena, 1);
        assert_false(record_find(found.object.pointer, &found));
        count++;
    }
    assert_int_equal(count, (COUNT - 1 + ARENAS - 1) / ARENAS);
    assert_int_equal(record_count(), COUNT - count);
    record_audit();
    for (unsigned arena = 0; arena < ARENAS; arena++) {
        walk = (struct book_walk){ 0 };
        while (record_take_next(arena, &walk, &found))
            continue;
    }
    assert_int_equal(record_count(), 0);
}

static void keeps_its_ticket(void **state)
{
    (void)state;
    const struct record_data data = data_of(1);
    struct record_data found;
    assert_true(record_put(&data));
    record_set_recent(data.object.pointer, 99);
    record_set_recent(&found, 98);      /* nothing is known of that */
    assert_true(record_take(data.object.pointer, &found));
    assert_int_equal(found.recent, 99);
    assert_int_equal(record_count(), 0);
}

static void says_when_there_is_no_memory(void **state)
{
    (void)state;
    put_all();
    unit_fail_all(1u << SYS_RESERVE | 1u << SYS_COMMIT | 1u << SYS_MAP);
    size_t i = COUNT;
    struct record_data data;
    do {
        data = data_of(i++);
    } while (record_put(&data));
    struct record_data found;
    assert_false(record_find(data.object.pointer, &found));
    assert_int_equal(record_count(), i - 1);
    record_audit();
    (void)unit_fail_none();
    while (i-- > 0)
        (void)!record_take(data_of(i).object.pointer, &found);
    assert_int_equal(record_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(finds_what_was_put, unit_teardown),
        cmocka_unit_test_teardown(takes_those_of_an_arena, unit_teardown),
        cmocka_unit_test_teardown(keeps_its_ticket, unit_teardown),
        cmocka_unit_test_teardown(says_when_there_is_no_memory,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
