/* SPDX-License-Identifier: MIT */
/*
 * Goal: a mark that is set is found, once, by the next who looks; a process
 * without marks touches no memory for them; and what a vanished setter or
 * taker left is summed up again (Q1). Method: marks of all kinds in several
 * regions against a plain list; threads that announce in the extents' records
 * and set, while others take, until the books agree. Pages of 4, 16, 64 KiB.
 */
#include "unit/sys/unit.h"

#include <pthread.h>
#include <sched.h>

#include "page/page.h"

enum { EXTENTS = 600, SETTERS = 3, TAKERS = 2, ROUNDS = 30000 };

static struct pool pool;
static struct extent *extents[EXTENTS];

/* The marks of one kind that should be there. */
static bool twin[EXTENTS];

/* What a user keeps in a record: how often it was announced, and met. */
struct user {
    _Atomic uint32_t announced;
    _Atomic uint32_t met;
};

static struct user *user_of(struct extent *extent)
{
    return (struct user *)(void *)extent->payload;
}

/* Regions of 120 slices or so, and extents in all of them, in the order of
 * regions and addresses. */
static int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(-1);
    memset(twin, 0, sizeof twin);
    for (size_t i = 0; i < EXTENTS; i++) {
        pool.region_bytes_next = 8 * MiB;
        extents[i] = pool_take(&pool, 1, 1);
        if (extents[i] == NULL)
            return -1;
        memset(extents[i]->payload, 0, sizeof extents[i]->payload);
    }
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    for (size_t i = 0; i < EXTENTS; i++)
        pool_give(extents[i]);
    pool_release_free_regions(&pool);
    return pool.regions == NULL ? 0 : -1;
}

static bool claim_any(struct extent *extent, void *argument)
{
    (void)extent;
    (void)argument;
    return true;
}

static bool claim_none(struct extent *extent, void *argument)
{
    (void)extent;
    ++*(size_t *)argument;
    return false;
}

static bool claim_only(struct extent *extent, void *argument)
{
    return extent == argument;
}

static struct extent *take(unsigned kind)
{
    return listing_take(&pool, kind, claim_any, NULL);
}

/* -- one thread -- */

static void nothing_is_listed_at_first(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
        assert_false(listing_any(&pool, kind));
        assert_null(take(kind));
    }
}

static void marks_cost_no_memory_before_they_are_set(void **state)
{
    (void)state;
    const struct region *region = pool.regions;
    char *first = (char *)region->mark;
    assert_int_equal((uintptr_t)first % sys_page_bytes(), 0);
    assert_int_equal(unit_resident_bytes(first,
        round_up(region->slices * 8, page_bytes())), 0);
    assert_true((const char *)(region->extent + region->slices) <= first);
    assert_true(first + region->slices * 8
        < region->base + (region->slices
            - region_capacity(region->slices * SLICE_BYTES)) * SLICE_BYTES);
}

static void a_mark_is_found_once_under_its_kind(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
        struct extent *extent = extents[kind * 37 % EXTENTS];
        listing_set(extent, kind);
        listing_set(extent, kind);
        for (unsigned other = 0; other < REGION_KINDS; other++)
            assert_int_equal(listing_any(&pool, other), other == kind);
        assert_null(take((kind + 1) % REGION_KINDS));
        assert_ptr_equal(take(kind), extent);
        assert_null(take(kind));
        assert_false(listing_any(&pool, kind));
    }
}

static void the_lowest_of_the_first_region_comes_first(void **state)
{
    (void)state;
    for (size_t i = EXTENTS; i > 0; i--)
        listing_set(extents[i - 1], 5);
    for (size_t i = 0; i < EXTENTS; i++)
        assert_ptr_equal(take(5), extents[i]);
    assert_null(take(5));
}

static void what_is_refused_is_gone_and_the_rest_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXTENTS; i++)
        listing_set(extents[i], 63);
    assert_ptr_equal(listing_take(&pool, 63, claim_only,
        extents[EXTENTS / 2]), extents[EXTENTS / 2]);
    assert_true(listing_any(&pool, 63));
    size_t left = 0;
    assert_null(listing_take(&pool, 63, claim_none, &left));
    assert_int_equal(left, EXTENTS - EXTENTS / 2 - 1);
    assert_false(listing_any(&pool, 63));
}

static void what_is_cleared_is_not_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXTENTS; i++)
        listing_set(extents[i], 7);
    for (size_t i = 0; i < EXTENTS; i++) {
        if (i % 3 != 0)
            listing_clear(extents[i], 7);
    }
    listing_clear(extents[0], 8);
    size_t left = 0;
    assert_null(listing_take(&pool, 7, claim_none, &left));
    assert_int_equal(left, (EXTENTS + 2) / 3);
}

static void marks_go_with_their_region(void **state)
{
    listing_set(extents[EXTENTS - 1], 1);
    listing_set(extents[0], 2);
    assert_int_equal(end(state), 0);
    assert_null(take(1));
    assert_false(listing_any(&pool, 1));
    assert_int_equal(begin(state), 0);
    assert_null(take(2));
}

/* The twin knows what is found. */
static void twin_take(size_t wanted)
{
    struct extent *found =
        listing_take(&pool, 9, claim_only, extents[wanted]);
    assert_ptr_equal(found, twin[wanted] ? extents[wanted] : NULL);
    /* What came before it was refused. */
    memset(twin, 0, twin[wanted] ? wanted + 1 : sizeof twin);
}

static void random_marks_agree_with_a_plain_list(void **state)
{
    (void)state;
    struct dice dice = { 4 };
    for (int round = 0; round < ROUNDS; round++) {
        const size_t i = dice_below(&dice, EXTENTS);
        const bool set = dice_below(&dice, 5) != 0;
        if (set)
            listing_set(extents[i], 9);
        else if (dice_below(&dice, 2) == 0)
            listing_clear(extents[i], 9);
        else
            twin_take(i);
        twin[i] = set;
        if (memchr(twin, true, sizeof twin) != NULL)
            assert_true(listing_any(&pool, 9));             /* Q1 */
    }
    for (size_t i = 0; i < EXTENTS; i++) {
        if (twin[i])
            assert_ptr_equal(take(9), extents[i]);
    }
    assert_null(take(9));
}

/* -- threads -- */

static _Atomic uint32_t setting;        /* threads that still set */

/* Announce in the record by a locked operation, then set the mark. */
static void *set_at_random(void *argument)
{
    struct dice dice = { (uint64_t)(uintptr_t)argument };
    for (int round = 0; round < ROUNDS; round++) {
        struct extent *extent = extents[dice_below(&dice, EXTENTS)];
        add_relaxed(&user_of(extent)->announced, 1);
        listing_set(extent, (unsigned)dice_below(&dice, 2));
    }
    return NULL;
}

/* Does the record say more than was met? */
static bool meet(struct extent *extent, void *argument)
{
    (void)argument;
    struct user *user = user_of(extent);
    const uint32_t announced = load_relaxed(&user->announced);
    return exchange_relaxed(&user->met, announced) != announced;
}

static void *take_at_random(void *argument)
{
    const unsigned first = (unsigned)(uintptr_t)argument;
    while (load_relaxed(&setting) > 0) {
        for (unsigned kind = 0; kind < 2; kind++)
            (void)!listing_take(&pool, (kind + first) % 2, meet, NULL);
    }
    return NULL;
}

/* What was announced last is met: by a taker, or by a mark that is left. */
static void check_that_all_are_met(void)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        while (listing_take(&pool, kind, meet, NULL) != NULL)
            ;
        assert_false(listing_any(&pool, kind));
    }
    for (size_t i = 0; i < EXTENTS; i++)
        assert_int_equal(user_of(extents[i])->met,
            user_of(extents[i])->announced);
}

static void threads_lose_no_mark(void **state)
{
    (void)state;
    pthread_t setters[SETTERS], takers[TAKERS];
    store_relaxed(&setting, 1);
    for (uintptr_t i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_at_random,
            (void *)i), 0);
    for (uintptr_t i = 0; i < SETTERS; i++)
        assert_int_equal(pthread_create(&setters[i], NULL, set_at_random,
            (void *)(i + 1)), 0);
    for (int i = 0; i < SETTERS; i++)
        assert_int_equal(pthread_join(setters[i], NULL), 0);
    store_relaxed(&setting, 0);
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    check_that_all_are_met();
}

/*
 * Later marks may hide the loss of an earlier one, so this looks after each:
 * one thread sets, the other takes at the same moment, then all is quiet.
 */
static struct {
    _Atomic uint32_t go;        /* the number of the round */
    _Atomic uint32_t done;
} duel;

static void pause_at_random(struct dice *dice)
{
    for (size_t i = dice_below(dice, 200); i > 0; i--)
        COMPILER_BARRIER();
}

static void *set_one_by_one(void *argument)
{
    struct dice dice = { 9 };
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        while (load_relaxed(&duel.go) != round)
            (void)sched_yield();
        pause_at_random(&dice);
        struct extent *extent = extents[dice_below(&dice, 5) * 100];
        add_relaxed(&user_of(extent)->announced, 1);
        listing_set(extent, 0);
        /* pairs with no_mark_is_lost_in_a_duel() */
        store_release(&duel.done, round);
    }
    return argument;
}

static void no_mark_is_lost_in_a_duel(void **state)
{
    (void)state;
    struct dice dice = { 8 };
    pthread_t setter;
    memset(&duel, 0, sizeof duel);
    assert_int_equal(pthread_create(&setter, NULL, set_one_by_one, NULL), 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        /* Sometimes there is one already. */
        if (dice_below(&dice, 2) == 0)
            listing_set(extents[dice_below(&dice, 5) * 100], 0);
        store_relaxed(&duel.go, round);
        pause_at_random(&dice);
        (void)!listing_take(&pool, 0, meet, NULL);
        /* pairs with set_one_by_one() */
        while (load_acquire(&duel.done) != round)
            (void)sched_yield();
        check_that_all_are_met();
    }
    assert_int_equal(pthread_join(setter, NULL), 0);
}

/* -- after a fork -- */

/* As if its setter had vanished after the mark, or after the region's bit. */
static void marks_without_sums_are_found_after_a_repair(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXTENTS; i += 50)
        listing_set(extents[i], (unsigned)i / 50);
    store_relaxed(&pool.listed, 0);
    for (struct region *r = pool.regions; r; r = r->next) {
        if (r != pool.regions->next)
            store_relaxed(&r->listed, 0);
    }
    lock_take(&pool.lock);
    listing_repair(&pool);
    lock_give(&pool.lock);
    for (size_t i = 0; i < EXTENTS; i += 50) {
        assert_ptr_equal(take((unsigned)i / 50), extents[i]);
        assert_null(take((unsigned)i / 50));
    }
}

/* Setting what is set already completes what is missing above it. */
static void setting_again_sums_up(void **state)
{
    (void)state;
    listing_set(extents[3], 3);
    store_relaxed(&pool.listed, 0);
    listing_set(extents[3], 3);
    assert_true(listing_any(&pool, 3));
    store_relaxed(&pool.regions->listed, 0);
    listing_set(extents[3], 3);
    assert_ptr_equal(take(3), extents[3]);
}

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_listed_at_first, begin,
            end),
        cmocka_unit_test_setup_teardown(
            marks_cost_no_memory_before_they_are_set, begin, end),
        cmocka_unit_test_setup_teardown(a_mark_is_found_once_under_its_kind,
            begin, end),
        cmocka_unit_test_setup_teardown(
            the_lowest_of_the_first_region_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(
            what_is_refused_is_gone_and_the_rest_stays, begin, end),
        cmocka_unit_test_setup_teardown(what_is_cleared_is_not_found, begin,
            end),
        cmocka_unit_test_setup_teardown(marks_go_with_their_region, begin,
            end),
        cmocka_unit_test_setup_teardown(random_marks_agree_with_a_plain_list,
            begin, end),
        cmocka_unit_test_setup_teardown(threads_lose_no_mark, begin, end),
        cmocka_unit_test_setup_teardown(no_mark_is_lost_in_a_duel, begin,
            end),
        cmocka_unit_test_setup_teardown(
            marks_without_sums_are_found_after_a_repair, begin, end),
        cmocka_unit_test_setup_teardown(setting_again_sums_up, begin, end),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
