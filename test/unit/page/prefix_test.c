/* SPDX-License-Identifier: MIT */
/*
 * Goal: after any prefix of any operation of page/, at most that operation's
 * memory is lost, nothing is handed out twice, and dirty memory is never taken
 * for zeroed memory; the first who takes the lock repairs the rest. Method:
 * each operation one instruction at a time, with a child after each that
 * changed something (step.h); the child closes the books (books.h).
 */
#include "unit/sys/step.h"

#include "unit/page/books.h"

/* -- one instruction at a time -- */

static uint64_t sum(void)
{
    uint64_t total = step_add(0, &pool, sizeof pool);
    for (struct region *r = pool.regions; r; r = r->next) {
        /* A child will not survive this. */
        if (!unit_is_mapped((char *)r - (uintptr_t)r % page_bytes(),
                page_bytes()))
            return 0;
        total = step_add(total, r,
            (size_t)((const char *)r->extent - (const char *)r));
        total = step_add(total, r->extent, 64 * sizeof(struct extent));
        total = step_add(total, (const void *)r->mark, 8 * r->slices);
    }
    for (const struct extent *at = pool.cached; at; at = at->next)
        total = step_add(total, at, sizeof *at);
    for (const struct extent *at = pool.records; at; at = at->next)
        total = step_add(total, at, sizeof *at);
    return total;
}

/* What the work works on, and made. */
static struct extent *operand, *result;

static struct extent *hold(int slot, struct extent *extent)
{
    assert_non_null(extent);
    fill(&books.held[slot], extent, (uint64_t)slot << 32 | 1);
    return extent;
}

/* Take a run that is not in the books. */
static struct extent *take_run(size_t slices)
{
    struct extent *extent = pool_take(&pool, slices, 1);
    assert_non_null(extent);
    store_relaxed(&extent->state, EXTENT_LARGE);
    return extent;
}

/* Write the first slices of a run. */
static void touch(struct extent *extent, size_t slices)
{
    memset(extent->start, 1, slices * SLICE_BYTES);
    extent->touched = (uint32_t)max_size(slices, extent->touched);
}

/* Runs of 3 slices that are held, with gaps of 5 between them: dirty, only
 * their first 2 dirty, clean, and again. */
static void prepare_gaps(void)
{
    static const size_t dirty[] = { 5, 2, 0, 5, 2 };
    struct extent *gaps[UNIT_COUNT(dirty)];
    for (size_t i = 0; i < UNIT_COUNT(dirty); i++) {
        (void)hold((int)i, take_run(3));
        gaps[i] = take_run(5);
        touch(gaps[i], dirty[i]);
    }
    for (size_t i = 0; i < UNIT_COUNT(dirty); i++)
        pool_give(gaps[i]);
    pool_audit(&pool);
}

/* Too long for the gaps, so it lies behind them, and between others. */
static void prepare_operand(void)
{
    prepare_gaps();
    (void)hold(5, take_run(6));
    operand = take_run(6);
    touch(operand, 3);
    (void)hold(6, take_run(6));
}

/* What follows the operand is free: some of it dirty, the rest clean. */
static void prepare_to_grow(void)
{
    prepare_operand();
    pool_give(books.held[6].extent);
    books.held[6].extent = NULL;
}

/* A second region that is free and dirty, and a third with something. */
static void prepare_regions(void)
{
    prepare_gaps();
    struct extent *runs[3];
    for (size_t i = 0; i < 3; i++) {
        pool.region_bytes_next = 4 * MiB;
        runs[i] = take_run(40);
        touch(runs[i], 20);
    }
    (void)hold(7, take_run(10));
    pool_give(runs[0]);
    pool_give(runs[1]);
    (void)hold(8, runs[2]);
    assert_non_null(pool.regions->next->next);
}

/* Three mappings in reserve, one that is live. */
static void prepare_mappings(void)
{
    prepare_gaps();
    struct extent *mappings[4];
    for (size_t i = 0; i < 4; i++) {
        mappings[i] = pool_map(&pool, (i + 8) * SLICE_BYTES, 1);
        assert_non_null(mappings[i]);
        memset(mappings[i]->start, 1, mappings[i]->bytes);
    }
    for (size_t i = 0; i < 3; i++)
        pool_unmap(mappings[i]);
    operand = mappings[3];
    (void)hold(9, pool_map(&pool, 30 * SLICE_BYTES, 1));
}

static void prepare_run_and_mapping(void)
{
    prepare_operand();
    touch(operand, 6);
    result = pool_map(&pool, 7 * SLICE_BYTES, 1);
    assert_non_null(result);
}

static void take_five(void)
{
    result = pool_take(&pool, 5, 1);
}

static void take_three_at_a_step(void)
{
    result = pool_take(&pool, 3, 2);
}

static void take_forty(void)
{
    result = pool_take(&pool, 40, 1);
}

static void give(void)
{
    pool_give(operand);
}

static void give_what_is_purged_at_once(void)
{
    pool_set_dirty_decay_ms(&pool, 0);
    pool_give(operand);
}

static void shrink(void)
{
    pool_shrink(operand, 1);
}

static void grow(void)
{
    EXPECT(pool_grow(operand, 16));
}

static void purge(void)
{
    pool_purge(&pool);
}

static void release_regions(void)
{
    pool_release_free_regions(&pool);
}

static void fail_to_release_regions(void)
{
    unit_fail_all(1u << SYS_RELEASE);
    pool_release_free_regions(&pool);
    (void)unit_fail_none();
}

static void map_anew(void)
{
    result = pool_map(&pool, 20 * SLICE_BYTES, 1);
}

static void map_what_is_cached(void)
{
    result = pool_map(&pool, 9 * SLICE_BYTES, 1);
}

static void map_and_cut(void)
{
    result = pool_map(&pool, 9 * SLICE_BYTES + SLICE_BYTES / 2, 1);
}

static void unmap(void)
{
    pool_unmap(operand);
}

static void unmap_for_good(void)
{
    pool_set_dirty_decay_ms(&pool, 0);
    pool_unmap(operand);
}

static void remap_longer(void)
{
    (void)!pool_remap(operand, 40 * SLICE_BYTES);
}

static void remap_shorter(void)
{
    (void)!pool_remap(operand, 2 * SLICE_BYTES);
}

static void move_contents(void)
{
    pool_move_contents(result, operand);
}

static void lease(void)
{
    (void)!pool_lease(&pool, 0, MiB);
    (void)!pool_lease(&pool, MiB, 0);
}

static bool claim(struct extent *extent, void *argument)
{
    (void)argument;
    return extent == books.held[3].extent;
}

static void list_and_take(void)
{
    for (int i = 0; i < 5; i++)
        listing_set(books.held[i].extent, 3);
    listing_clear(books.held[0].extent, 3);
    result = listing_take(&pool, 3, claim, NULL);
}

/* Something comes behind the one who looks, so that the sums stay. */
static bool refuse_and_set(struct extent *extent, void *argument)
{
    (void)argument;
    if (extent == books.held[4].extent)
        listing_set(books.held[1].extent, 3);
    return false;
}

static void list_and_take_nothing(void)
{
    listing_set(books.held[2].extent, 3);
    listing_set(books.held[4].extent, 3);
    result = listing_take(&pool, 3, refuse_and_set, NULL);
}

struct scenario {
    void (*prepare)(void);
    void (*work)(void);
    size_t lost;                /* slices that vanishing may cost */
    bool gives;                 /* a child gives the operand back */
};

static void vanish_everywhere(void **state)
{
    const struct scenario *scenario = *state;
    const struct step step = { scenario->work, check, sum };
    if (!STEP_CAN)
        skip();
    scenario->prepare();
    books.lost_slices_max = scenario->lost;
    /* One is in the hands of whoever works. */
    books.records_min = count_records() - (count_records() > 0);
    books.orphan = scenario->gives ? operand : NULL;
    const size_t children = step_run(&step);
    assert_true(children > 1);
    check();
}

/* -- the map, and memory for our own structures -- */

/* What changes there cannot be seen from here: a child after each step. */
static uint64_t sum_that_always_changes(void)
{
    static uint64_t steps;
    return ++steps;
}

/* Addresses whose entries are in two leaves; nothing is there. */
static char *leaf_address[] = {
    (char *)((uintptr_t)3 << 32), (char *)((uintptr_t)5 << 32),
};

static void cover_one(void)
{
    (void)!map_cover(leaf_address[0], 1);
}

static void check_that_leaves_are_two(void)
{
    struct extent extent[2];
    for (uintptr_t i = 0; i < 2; i++) {
        /* Whether it is covered yet or not, it can be looked up. */
        EXPECT(load_relaxed(map_owner(map_find(leaf_address[i])))
            == MAP_NOBODY);
        EXPECT(map_cover(leaf_address[i], 1));
        map_set(leaf_address[i], 1, 100 + i, &extent[i]);
    }
    for (uintptr_t i = 0; i < 2; i++) {
        const struct map_entry entry = map_find(leaf_address[i]);
        EXPECT(load_relaxed(map_owner(entry)) == 100 + i);
        EXPECT(load_relaxed(map_extent(entry)) == &extent[i]);
    }
    EXPECT(load_relaxed(map_owner(map_find(NULL))) == MAP_NOBODY);
}

/* Before any other test, for the first leaf is another's memory. */
static void no_leaf_is_used_twice(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    const struct step step = { cover_one, check_that_leaves_are_two,
        sum_that_always_changes };
    fork_mind_slow();
    assert_true(step_run(&step) > 10);
    /* Now it is there, and the next one is not the first. */
    leaf_address[0] += (uintptr_t)1 << 32;
    assert_true(step_run(&step) > 10);
}

static unsigned char *meta_before, *meta_result;

static void take_meta(void)
{
    meta_result = meta_take(100);
}

static void check_meta(void)
{
    unsigned char *block[8];
    for (int i = 0; i < 8; i++) {
        block[i] = meta_take(100);
        EXPECT(block[i] != NULL);
        EXPECT(block[i] != meta_result);
        EXPECT_ZERO(block[i], 100);
        memset(block[i], i + 1, 100);
    }
    for (int i = 0; i < 8; i++)
        EXPECT(block[i][0] == i + 1 && block[i][99] == i + 1);
    EXPECT(meta_before[0] == 99 && meta_before[99] == 99);
}

static void no_structure_is_handed_out_twice(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    const struct step step = { take_meta, check_meta,
        sum_that_always_changes };
    meta_before = meta_take(100);
    assert_non_null(meta_before);
    memset(meta_before, 99, 100);
    meta_result = NULL;
    assert_true(step_run(&step) > 10);
    /* Until a new area has to be opened. */
    unit_fail_all(1u << SYS_RESERVE);
    while (meta_take(64) != NULL)
        ;
    (void)unit_fail_none();
    meta_result = NULL;
    assert_true(step_run(&step) > 10);
}

#define STEP(prepare, work, lost, gives)                           \
    { "vanish: " #work, vanish_everywhere, begin, end,             \
        &(struct scenario){ prepare, work, lost, gives } }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_leaf_is_used_twice),
        cmocka_unit_test(no_structure_is_handed_out_twice),
        STEP(prepare_gaps, take_five, 5, false),
        STEP(prepare_gaps, take_three_at_a_step, 3, false),
        STEP(prepare_gaps, take_forty, 40, false),
        STEP(prepare_operand, give, 6, false),
        STEP(prepare_operand, give_what_is_purged_at_once, 6, false),
        STEP(prepare_operand, shrink, 5, true),
        STEP(prepare_to_grow, grow, 10, true),
        STEP(prepare_gaps, purge, 0, false),
        STEP(prepare_mappings, purge, 0, false),
        STEP(prepare_regions, release_regions, 0, false),
        STEP(prepare_regions, fail_to_release_regions, 0, false),
        STEP(prepare_mappings, map_anew, 0, false),
        STEP(prepare_mappings, map_what_is_cached, 0, false),
        STEP(prepare_mappings, map_and_cut, 0, false),
        STEP(prepare_mappings, unmap, 0, false),
        STEP(prepare_mappings, unmap_for_good, 0, false),
        STEP(prepare_mappings, remap_longer, 0, false),
        STEP(prepare_mappings, remap_shorter, 0, false),
        STEP(prepare_run_and_mapping, move_contents, 0, true),
        STEP(prepare_operand, lease, 6, false),
        STEP(prepare_gaps, list_and_take, 0, false),
        STEP(prepare_gaps, list_and_take_nothing, 0, false),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
