/* SPDX-License-Identifier: MIT */
/*
 * One store of kept runs against kept.h: the limit of the hand, the chains
 * and their lease, what a sweep takes, and a thief at work while the owner is.
 * The runs come from the pool of the main arena; at the end of every test it
 * has them back.
 */
#include "bench.h"

#include "heap/kept.h"

static struct pool *const pool = &arena_main.pool;

/* A run as a large object would leave it. */
static struct extent *take_run(size_t slices)
{
    struct extent *extent = pool_take(pool, slices, 1);
    assert_non_null(extent);
    extent->touched = (uint32_t)slices;
    map_set(extent->start, 1, OWNER_RUN, extent);
    store_relaxed(&extent->state, EXTENT_LARGE);
    return extent;
}

static size_t hand_sum(const struct kept *kept)
{
    size_t sum = 0;
    for (size_t i = 0; i < KEPT_HAND_SLICES; i++) {
        for (const struct extent *at = kept->hand[i]; at; at = at->next) {
            assert_int_equal(at->slices, i + 1);                /* K1 */
            assert_int_equal(load_relaxed(&at->state), EXTENT_KEPT);
            assert_int_equal(owner_of(at->start), OWNER_RUN);   /* K4 */
            sum += at->slices;
        }
    }
    return sum;
}

static size_t chain_sum(struct kept *kept)
{
    size_t sum = 0;
    for (size_t i = 0; i < KEPT_SLICES_MAX; i++) {
        const struct extent *at = load_relaxed(&kept->chain[i]);
        for (; at != NULL; at = at->next) {
            assert_int_equal(at->slices, i + 1);                /* K1 */
            assert_int_equal(load_relaxed(&at->state), EXTENT_KEPT);
            sum += at->slices * SLICE_BYTES;
        }
    }
    return sum;
}

static void check_kept(struct kept *kept)
{
    assert_int_equal(hand_sum(kept), kept->hand_slices);        /* K2 */
    assert_true(kept->hand_slices <= KEPT_HAND_SLICES);         /* K2 */
    assert_int_equal(chain_sum(kept),
        kept->chain_bytes - load_relaxed(&kept->stolen_bytes)); /* K3 */
    pool_audit(pool);
}

/* The same, when no thief was there since the lease was last asked for. */
static void check_alone(struct kept *kept)
{
    check_kept(kept);
    assert_true(kept->chain_bytes <= load_relaxed(&kept->lease_bytes));
}

static void the_hand_holds_eight_slices_and_spills_the_rest(void **state)
{
    struct kept *kept = *state;
    for (size_t slices = 1; slices <= KEPT_HAND_SLICES; slices++) {
        for (int i = 0; i < 10; i++) {
            assert_true(kept_push_hand(kept, take_run(slices)));
            assert_true(kept->hand_slices >= slices);
            check_alone(kept);
        }
    }
    assert_true(kept->chain_bytes > 0);
}

static void a_run_too_long_for_the_hand_is_refused(void **state)
{
    struct kept *kept = *state;
    struct extent *extent = take_run(KEPT_HAND_SLICES + 1);
    assert_false(kept_push_hand(kept, extent));
    assert_int_equal(kept->hand_slices, 0);
    assert_int_equal(load_relaxed(&extent->state), EXTENT_LARGE);
    map_clear(extent->start, 1);
    pool_give(extent);
}

static void what_came_last_goes_first(void **state)
{
    struct kept *kept = *state;
    struct extent *one = take_run(2);
    struct extent *two = take_run(2);
    struct extent *other = take_run(3);
    assert_true(kept_push_hand(kept, one));
    assert_true(kept_push_hand(kept, two));
    assert_true(kept_push_hand(kept, other));
    assert_null(kept_pop_hand(kept, 1));
    assert_ptr_equal(kept_pop_hand(kept, 2), two);
    assert_ptr_equal(kept_pop_hand(kept, 2), one);
    assert_null(kept_pop_hand(kept, 2));
    assert_ptr_equal(kept_pop_hand(kept, 3), other);
    assert_int_equal(kept->hand_slices, 0);
    assert_true(kept_push(kept, one));
    assert_true(kept_push(kept, two));
    assert_true(kept_push(kept, other));
    check_alone(kept);
    assert_null(kept_pop(kept, 1));
    assert_ptr_equal(kept_pop(kept, 2), two);
    assert_ptr_equal(kept_pop(kept, 2), one);
    assert_null(kept_pop(kept, 2));
    assert_ptr_equal(kept_pop(kept, 3), other);
    check_alone(kept);
    assert_true(kept_push(kept, one));
    assert_true(kept_push(kept, two));
    assert_true(kept_push(kept, other));
}

static void runs_of_every_length_are_kept_and_found(void **state)
{
    struct kept *kept = *state;
    for (size_t slices = 1; slices <= KEPT_SLICES_MAX; slices++) {
        struct extent *extent = take_run(slices);
        extent->zero = true;
        assert_true(kept_push(kept, extent));
        assert_false(extent->zero);
        check_alone(kept);
        assert_ptr_equal(kept_pop(kept, slices), extent);
        assert_true(kept_push(kept, extent));
        kept_empty(kept, pool);
        assert_int_equal(owner_of(extent->start), MAP_NOBODY);
    }
}

static void popping_by_hand_brings_more_than_one(void **state)
{
    struct kept *kept = *state;
    for (size_t slices = 1; slices <= KEPT_HAND_SLICES; slices++) {
        for (int i = 0; i < 12; i++)
            assert_true(kept_push(kept, take_run(slices)));
        struct extent *extent = kept_pop_by_hand(kept, slices);
        assert_non_null(extent);
        assert_int_equal(extent->slices, slices);
        check_alone(kept);
        assert_int_equal(kept->hand_slices,
            (KEPT_HAND_SLICES / slices - 1) * slices);
        assert_true(kept_push(kept, extent));
        kept_empty_hand(kept);
        kept_empty(kept, pool);
        check_kept(kept);
    }
    assert_null(kept_pop_by_hand(kept, 1));
}

static void the_lease_counts_in_the_pool(void **state)
{
    struct kept *kept = *state;
    const size_t leased = pool->leased_bytes;
    for (int i = 0; i < 10; i++) {
        assert_true(kept_push(kept, take_run(3)));
        assert_int_equal(pool->leased_bytes - leased,
            load_relaxed(&kept->lease_bytes));
    }
    assert_true(load_relaxed(&kept->lease_bytes) >= 30 * SLICE_BYTES);
    kept_empty(kept, pool);
    assert_int_equal(pool->leased_bytes, leased);
    assert_int_equal(load_relaxed(&kept->lease_bytes), 0);
    check_kept(kept);
}

static void runs_of_the_wrong_lengths_make_room(void **state)
{
    struct kept *kept = *state;
    const int64_t before = load_relaxed(&pool->dirty_decay_ms);
    pool_set_dirty_decay_ms(pool, -1);
    for (size_t slices = 1; slices <= KEPT_SLICES_MAX; slices++) {
        assert_true(kept_push(kept, take_run(slices)));
        check_alone(kept);
        assert_true(kept->chain_bytes <= KEPT_CHAIN_BYTES_MAX);
        assert_non_null(load_relaxed(&kept->chain[slices - 1]));
    }
    pool_set_dirty_decay_ms(pool, before);
}

static void without_a_lease_nothing_is_kept_beyond_the_hand(void **state)
{
    struct kept *kept = *state;
    const int64_t before = load_relaxed(&pool->dirty_decay_ms);
    pool_set_dirty_decay_ms(pool, 0);
    struct extent *extent = take_run(1);
    assert_false(kept_push(kept, extent));
    map_clear(extent->start, 1);
    pool_give(extent);
    for (int i = 0; i < 3 * KEPT_HAND_SLICES; i++) {
        assert_true(kept_push_hand(kept, take_run(1)));
        assert_int_equal(kept->chain_bytes, 0);
        check_alone(kept);
    }
    pool_set_dirty_decay_ms(pool, before);
}

static void a_sweep_takes_what_was_idle_since_the_last(void **state)
{
    struct kept *kept = *state;
    assert_true(kept_push(kept, take_run(4)));
    kept_sweep(kept, pool);
    assert_int_equal(chain_sum(kept), 4 * SLICE_BYTES);
    /* In use in between: it stays. */
    struct extent *extent = kept_pop(kept, 4);
    assert_true(kept_push(kept, extent));
    kept_sweep(kept, pool);
    assert_int_equal(chain_sum(kept), 4 * SLICE_BYTES);
    kept_sweep(kept, pool);
    assert_int_equal(chain_sum(kept), 0);
    assert_int_equal(load_relaxed(&kept->lease_bytes), 0);
    check_kept(kept);
    assert_null(kept_pop(kept, 4));
}

/* -- a thief -- */

struct theft {
    struct kept *kept;
    _Atomic bool over;
    _Atomic uint64_t rounds;
};

static void *steal(void *argument)
{
    struct theft *theft = argument;
    do {
        kept_empty(theft->kept, pool);
        add_relaxed(&theft->rounds, 1);
    } while (!load_acquire(&theft->over));
    return NULL;
}

enum { OWNER_STEPS = 20000 };

static void a_thief_and_the_owner_lose_nothing(void **state)
{
    struct kept *kept = *state;
    struct theft theft = { .kept = kept };
    pthread_t thief;
    assert_int_equal(pthread_create(&thief, NULL, steal, &theft), 0);
    struct dice dice = { .state = 7 };
    size_t found = 0;
    for (int step = 0; step < OWNER_STEPS; step++) {
        const size_t slices = 1 + dice_below(&dice, 4);
        struct extent *extent = dice_below(&dice, 2) == 0
            ? kept_pop(kept, slices) : kept_pop_by_hand(kept, slices);
        found += extent != NULL;
        if (extent == NULL)
            extent = take_run(slices);
        memset(extent->start, 1, 8);
        map_set(extent->start, 1, OWNER_RUN, extent);
        extent->touched = extent->slices;
        const bool kept_it = dice_below(&dice, 2) == 0
            ? kept_push(kept, extent) : kept_push_hand(kept, extent);
        if (!kept_it) {
            map_clear(extent->start, 1);
            pool_give(extent);
        }
    }
    store_release(&theft.over, true);
    assert_int_equal(pthread_join(thief, NULL), 0);
    assert_true(found > 0);
    assert_true(load_relaxed(&theft.rounds) > 0);
    check_kept(kept);
}

/*
 * The thief has passed a chain when the owner, whose lease still stands, puts
 * a run there; then the thief takes the lease. If the owner sleeps now, the
 * run must not stay for ever.
 */
static void a_sweep_takes_runs_whose_lease_a_thief_took(void **state)
{
    struct kept *kept = *state;
    assert_true(kept_push(kept, take_run(30)));
    const size_t held = exchange_relaxed(&kept->lease_bytes, 0);
    assert_int_equal(pool_lease(pool, held, 0), 0);
    kept_sweep(kept, pool);
    kept_sweep(kept, pool);
    assert_int_equal(chain_sum(kept), 0);
    check_kept(kept);
}

/* Its owner vanished in the middle of anything: no count is believed. */
static void a_reset_returns_everything_whatever_the_counts_say(void **state)
{
    struct kept *kept = *state;
    for (size_t slices = 1; slices <= 4; slices++) {
        assert_true(kept_push_hand(kept, take_run(slices)));
        assert_true(kept_push(kept, take_run(8 * slices)));
    }
    kept->hand_slices = 0;
    kept->chain_bytes = 99;
    store_relaxed(&kept->stolen_bytes, 98);
    kept_reset(kept, pool);
    assert_int_equal(pool->taken_bytes, 0);
    assert_int_equal(pool->leased_bytes, 0);
    assert_int_equal(kept->hand_slices, 0);
    assert_int_equal(kept->chain_bytes, 0);
    check_alone(kept);
    assert_true(kept_push(kept, take_run(3)));
    check_alone(kept);
}

static int begin(void **state)
{
    *state = calloc(1, sizeof(struct kept));
    return *state == NULL || pool->taken_bytes != 0;
}

static int end(void **state)
{
    struct kept *kept = *state;
    kept_empty_hand(kept);
    kept_empty(kept, pool);
    const bool empty = pool->taken_bytes == 0 && pool->leased_bytes == 0;
    API(audit_all)();
    free(kept);
    (void)pool_purge(pool);
    return empty ? 0 : -1;
}

int main(void)
{
#define WITH_KEPT(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_KEPT(the_hand_holds_eight_slices_and_spills_the_rest),
        WITH_KEPT(a_run_too_long_for_the_hand_is_refused),
        WITH_KEPT(what_came_last_goes_first),
        WITH_KEPT(runs_of_every_length_are_kept_and_found),
        WITH_KEPT(popping_by_hand_brings_more_than_one),
        WITH_KEPT(the_lease_counts_in_the_pool),
        WITH_KEPT(runs_of_the_wrong_lengths_make_room),
        WITH_KEPT(without_a_lease_nothing_is_kept_beyond_the_hand),
        WITH_KEPT(a_sweep_takes_what_was_idle_since_the_last),
        WITH_KEPT(a_reset_returns_everything_whatever_the_counts_say),
        WITH_KEPT(a_thief_and_the_owner_lose_nothing),
        WITH_KEPT(a_sweep_takes_runs_whose_lease_a_thief_took),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
