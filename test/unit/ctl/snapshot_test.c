/* SPDX-License-Identifier: MIT */
/*
 * Epochs: statistics change with them and only then, an arena is seen from the
 * next one on, and the sums of one fit together.
 */
#include "ask.h"

#include <pthread.h>

static void a_write_takes_a_snapshot_and_counts_it(void **state)
{
    (void)state;
    const uint64_t before = ask_u64("epoch");
    assert_int_equal(ask_u64("epoch"), before);
    uint64_t after;
    size_t bytes = sizeof after;
    const uint64_t any = 77;
    assert_int_equal(ctl_by_name("epoch", &after, &bytes, &any, sizeof any), 0);
    assert_int_equal(after, before + 1);
    /* The write is done though the answer has no room. */
    uint32_t half;
    bytes = sizeof half;
    assert_int_equal(
        ctl_by_name("epoch", &half, &bytes, &any, sizeof any), EINVAL);
    assert_int_equal(ask_u64("epoch"), before + 2);
}

static void statistics_change_with_an_epoch_and_not_before(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    const unsigned index = create();
    ask_epoch();
    const uint64_t before = ask_u64("stats.allocated");
    const uint64_t live = ask_u64("live.allocated");
    void *pointer = take(BYTES, (int)index);
    assert_int_equal(ask_u64("stats.allocated"), before);
    assert_true(ask_u64("live.allocated") >= live + BYTES);
    assert_int_equal(
        ask_u64(ask_name("stats.arenas.", index, ".large.allocated")), 0);
    ask_epoch();
    assert_true(ask_u64("stats.allocated") >= before + BYTES);
    assert_true(ask_u64(ask_name("stats.arenas.", index, ".large.allocated"))
        >= BYTES);
    request_give(pointer, REQUEST_NO_CACHE);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

static void a_new_arena_is_seen_from_the_next_epoch_on(void **state)
{
    (void)state;
    ask_epoch();
    const unsigned index = create();
    bool seen = true;
    assert_int_equal(ASK(ask_name("arena.", index, ".initialized"), &seen), 0);
    assert_false(seen);
    assert_int_equal(DO(ask_name("stats.arenas.", index, ".mapped")), ENOENT);
    ask_epoch();
    assert_int_equal(ASK(ask_name("arena.", index, ".initialized"), &seen), 0);
    assert_true(seen);
    assert_int_equal(DO(ask_name("stats.arenas.", index, ".mapped")), 0);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

static void a_destroyed_arena_leaves_its_counters(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    const unsigned index = create();
    take(BYTES, (int)index);
    take(BYTES, (int)index);
    ask_epoch();
    assert_int_equal(
        ask_u64(ask_name("stats.arenas.", index, ".large.nmalloc")), 2);
    uint64_t before = 0;
    (void)ASK("stats.arenas.4097.large.nmalloc", &before);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
    assert_int_equal(DO(ask_name("stats.arenas.", index, ".mapped")), ENOENT);
    assert_int_equal(ask_u64("stats.arenas.4097.large.nmalloc"), before + 2);
    assert_int_equal(ask_u64("stats.arenas.4097.large.allocated"), 0);
    bool seen = false;
    assert_int_equal(ASK("arena.4097.initialized", &seen), 0);
    assert_true(seen);
    /* Its number is used again, by one that has counted nothing. */
    assert_int_equal(create(), index);
    ask_epoch();
    assert_int_equal(
        ask_u64(ask_name("stats.arenas.", index, ".large.nmalloc")), 0);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

static void the_sum_is_the_sum(void **state)
{
    (void)state;
    static const char *const figures[] = {
        ".small.allocated", ".large.allocated", ".pactive", ".mapped",
        ".small.nmalloc", ".large.ndalloc", ".bins.0.curslabs",
        ".bins.5.nmalloc", ".lextents.2.curlextents", ".base", ".resident",
    };
    const unsigned index = create();
    void *large = take(100000, (int)index);
    void *small = take(100, (int)index);
    ask_epoch();
    const unsigned count = ask_unsigned("arenas.narenas");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        uint64_t sum = 0;
        for (unsigned arena = 0; arena < count; arena++) {
            uint64_t one = 0;
            if (ASK(ask_name("stats.arenas.", arena, figures[i]), &one) == 0)
                sum += one;
        }
        assert_int_equal(
            ask_u64(ask_name("stats.arenas.", SNAPSHOT_ALL, figures[i])), sum);
        assert_int_equal(
            ask_u64(ask_name("stats.arenas.", count, figures[i])), sum);
    }
    request_give(large, REQUEST_NO_CACHE);
    request_give(small, REQUEST_NO_CACHE);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

/* Of all classes, the one. */
static void expect_one(unsigned arena, const char *kind, const char *count,
    unsigned classes, unsigned wanted)
{
    for (unsigned i = 0; i < classes; i++) {
        char name[ASK_NAME_BYTES];
        (void)snprintf(name, sizeof name, "stats.arenas.%u.%s.%u.%s", arena,
            kind, i, count);
        assert_int_equal(ask_u64(name) != 0, i == wanted);
    }
}

static void an_object_counts_in_its_class(void **state)
{
    (void)state;
    const unsigned index = create();
    take(100, (int)index);
    take(100000, (int)index);
    ask_epoch();
    expect_one(index, "bins", "nmalloc", CLASS_COUNT, class_of(100));
    /* 81,920 and 98,304 are the two below. */
    expect_one(index, "lextents", "curlextents", STATS_LEXTENTS, 2);
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

/* -- while other threads work -- */

static _Atomic bool working;

/* Most of what is allocated comes and goes all the time. */
static void *work(void *argument)
{
    enum { LARGE = 20000000 };
    uint32_t random = (uint32_t)(uintptr_t)argument;
    while (load_relaxed(&working)) {
        random = random * 1664525u + 1013904223u;
        const struct request request = {
            .size = random / 65536 % 2 == 0 ? LARGE : 1 + random % 3000,
            .arena = REQUEST_AUTO,
            .cache = REQUEST_AUTO,
        };
        void *pointer = request_take(&request);
        if (pointer != NULL)
            request_give(pointer, REQUEST_AUTO);
    }
    return NULL;
}

static void look(void)
{
    ask_epoch();
    const uint64_t active = ask_u64("stats.active");
    assert_true(ask_u64("stats.allocated") <= active);
    assert_true(active <= ask_u64("stats.resident"));
    assert_true(active <= ask_u64("stats.mapped"));
    assert_int_equal(ask_u64("stats.arenas.4096.pactive")
        * ask_u64("arenas.page"), active);
    assert_int_equal(ask_u64("stats.arenas.4096.small.allocated")
        + ask_u64("stats.arenas.4096.large.allocated"),
        ask_u64("stats.allocated"));
}

static void the_figures_of_one_epoch_fit_together(void **state)
{
    (void)state;
    enum { THREADS = 2, LOOKS = 2000 };
    pthread_t threads[THREADS];
    store_relaxed(&working, true);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < LOOKS; i++)
        look();
    store_relaxed(&working, false);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_takes_a_snapshot_and_counts_it),
        cmocka_unit_test(statistics_change_with_an_epoch_and_not_before),
        cmocka_unit_test(a_new_arena_is_seen_from_the_next_epoch_on),
        cmocka_unit_test(a_destroyed_arena_leaves_its_counters),
        cmocka_unit_test(the_sum_is_the_sum),
        cmocka_unit_test(an_object_counts_in_its_class),
        cmocka_unit_test(the_figures_of_one_epoch_fit_together),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
