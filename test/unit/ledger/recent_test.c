/* SPDX-License-Identifier: MIT */
/*
 * Goal: the last so many objects are kept, no more and no fewer, with what
 * became of them, and no trace longer than its object; as JSON they are what
 * jemalloc writes. Method: a list of what should be there beside it, sizes as
 * marks, limits that change, calls that fail, threads.
 */
#include "unit/sys/unit.h"

#include <inttypes.h>
#include <pthread.h>

#include "ledger/ledger.h"

enum { TEXT_MAX = 8 * 1024 * 1024, MANY = 3000, THREADS = 4, ROUNDS = 2000 };

static char text[TEXT_MAX];
static size_t length;
static struct trace *trace;

static void collect(void *to, const char *piece)
{
    const size_t more = strlen(piece);
    assert_ptr_equal(to, text);
    assert_true(length + more < TEXT_MAX);
    memcpy(text + length, piece, more + 1);
    length += more;
}

static const char *read_text(void)
{
    length = 0;
    assert_true(recent_write(collect, text));
    return text;
}

static uint64_t take(size_t size)
{
    const struct deed deed = { trace, 3, "", 100 + size };
    return recent_note_take(size, size + 1, &deed);
}

static void give(uint64_t ticket)
{
    const struct deed deed = { trace, 4, "other", 7 };
    recent_note_give(ticket, &deed);
}

/* Are sizes first..last kept, in this order? */
static void expect_sizes(size_t first, size_t last)
{
    const char *at = read_text();
    for (size_t i = first; i <= last; i++) {
        size_t size = 0;
        at = strstr(at, "{\"size\":");
        assert_non_null(at);
        assert_int_equal(sscanf(at++, "{\"size\":%zu", &size), 1);
        assert_int_equal(size, i);
    }
    assert_null(strstr(at, "{\"size\":"));
}

static int begin(void **state)
{
    (void)state;
    void *pc[] = { (void *)0xabc, (void *)0xdef };
    trace = trace_hold(pc, 2);
    assert_non_null(trace);
    assert_int_equal(trace->holders, 1);
    return 0;
}

/* Without notes, nobody else holds the trace. */
static int end(void **state)
{
    recent_set_max(0);
    assert_int_equal(trace->holders, 1);
    trace_drop(trace);
    return unit_teardown(state);
}

static void is_written_to_the_letter(void **state)
{
    (void)state;
    char wanted[1000];
    assert_int_equal(recent_max(), 0);
    assert_false(recent_is_on());
    recent_set_max(5);
    assert_true(recent_is_on());
    const uint64_t ticket = take(1);
    (void)take(2);
    give(ticket);
    (void)snprintf(wanted, sizeof wanted, "{\"sample_interval\":%" PRIu64 ","
        "\"recent_alloc_max\":5,\"recent_alloc\":[{\"size\":1,\"usize\":2,"
        "\"released\":true,\"alloc_thread_uid\":3,\"alloc_time\":101,"
        "\"alloc_trace\":[\"0xabc\",\"0xdef\"],\"dalloc_thread_uid\":4,"
        "\"dalloc_thread_name\":\"other\",\"dalloc_time\":7,"
        "\"dalloc_trace\":[\"0xabc\",\"0xdef\"]},{\"size\":2,\"usize\":3,"
        "\"released\":false,\"alloc_thread_uid\":3,\"alloc_time\":102,"
        "\"alloc_trace\":[\"0xabc\",\"0xdef\"]}]}",
        UINT64_C(1) << ledger_rate_log2());
    assert_string_equal(read_text(), wanted);
    recent_set_max(-1);
    assert_non_null(strstr(read_text(), "\"recent_alloc_max\":-1,"));
}

static void keeps_nothing_while_off(void **state)
{
    (void)state;
    assert_int_equal(take(1), 0);
    give(0);
    expect_sizes(1, 0);
}

static void keeps_the_latest(void **state)
{
    (void)state;
    recent_set_max(100);
    for (size_t i = 1; i <= 100; i++)
        assert_true(take(i) != 0);
    expect_sizes(1, 100);
    for (size_t i = 101; i <= 1000; i++)
        (void)take(i);
    expect_sizes(901, 1000);
    assert_int_equal(trace->holders, 101);
    recent_set_max(10);
    expect_sizes(991, 1000);
    recent_set_max(20);
    expect_sizes(991, 1000);
    for (size_t i = 1001; i <= 1015; i++)
        (void)take(i);
    expect_sizes(996, 1015);
    recent_set_max(0);
    expect_sizes(1, 0);
}

static void keeps_all_without_a_limit(void **state)
{
    (void)state;
    recent_set_max(-1);
    for (size_t i = 1; i <= MANY; i++)
        (void)take(i);
    expect_sizes(1, MANY);
}

static void does_not_mind_the_forgotten(void **state)
{
    (void)state;
    recent_set_max(2);
    const uint64_t old = take(1);
    (void)take(2);
    const uint64_t kept = take(3);
    give(old);
    give(kept + 1);
    give(0);
    assert_null(strstr(read_text(), "true"));
    give(kept);
    assert_non_null(strstr(read_text(), "true"));
    /* Tickets are never given twice. */
    recent_set_max(0);
    recent_set_max(2);
    (void)take(4);
    give(kept);
    assert_null(strstr(read_text(), "true"));
}

static void does_with_the_memory_that_is_there(void **state)
{
    (void)state;
    recent_set_max(-1);
    for (size_t i = 1; i <= 2 * MANY; i++)
        (void)take(i);
    unit_fail_all(1u << SYS_MAP);
    for (size_t i = 2 * MANY + 1; i <= 8 * MANY; i++)
        assert_true(take(i) != 0);
    assert_false(recent_write(collect, text));
    assert_true(unit_fail_none() > 0);
    /* How many fit is its own affair; they are the latest. */
    assert_non_null(strstr(read_text(), "{\"size\":24000,"));
    size_t first = 0;
    assert_int_equal(sscanf(strstr(text, "{\"size\":"), "{\"size\":%zu",
        &first), 1);
    assert_true(first > 1 && first < 6 * MANY);
    expect_sizes(first, 8 * MANY);
}

static void *note_many(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < ROUNDS; i++) {
        const uint64_t ticket = take(i);
        if (i % 2 == 0)
            give(ticket);
        if (i % 100 == 0)
            recent_set_max((int64_t)(10 + i % 300));
    }
    return NULL;
}

static void discard(void *to, const char *piece)
{
    (void)to;
    (void)piece;
}

static void serves_many_threads(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    recent_set_max(50);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, note_many, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_true(recent_write(discard, NULL));
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    (void)read_text();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_written_to_the_letter, begin, end),
        cmocka_unit_test_setup_teardown(keeps_nothing_while_off, begin, end),
        cmocka_unit_test_setup_teardown(keeps_the_latest, begin, end),
        cmocka_unit_test_setup_teardown(keeps_all_without_a_limit, begin,
            end),
        cmocka_unit_test_setup_teardown(does_not_mind_the_forgotten, begin,
            end),
        cmocka_unit_test_setup_teardown(does_with_the_memory_that_is_there,
            begin, end),
        cmocka_unit_test_setup_teardown(serves_many_threads, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
