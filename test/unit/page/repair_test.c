/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever a vanished thread left in what follows from the truth, the
 * next one who takes the lock computes anew (P1 to P5, R1 to R8, D1, Q1), and
 * touches nothing of the truth that was sound. Method: a pool after a random
 * life; every field that follows from others is filled with noise; the lock
 * taken over is broken, so the audit repairs first. Then the life goes on. For
 * pages of 4, 16 and 64 KiB.
 */
#include "unit/sys/unit.h"

#include "page/mapping.h"
#include "page/page.h"
#include "util/bitmap.h"

enum { HELD = 30, LIVES = 30, STEPS = 100 };

static struct pool pool;
static struct dice dice;
static struct extent *held[HELD];

static int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(1000);
    pool.region_bytes_next = 8 * MiB;
    dice.state = 12;
    memset(held, 0, sizeof held);
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    for (size_t i = 0; i < HELD; i++) {
        if (held[i] != NULL && held[i]->region != NULL)
            pool_give(held[i]);
        else if (held[i] != NULL)
            pool_unmap(held[i]);
    }
    pool_purge(&pool);
    pool_release_free_regions(&pool);
    return pool.regions == NULL ? 0 : -1;
}

static void live(void)
{
    for (int step = 0; step < STEPS; step++) {
        const size_t i = dice_below(&dice, HELD);
        const size_t slices = dice_between(&dice, 1, 40);
        if (held[i] == NULL && dice_below(&dice, 4) == 0) {
            held[i] = pool_map(&pool, slices * SLICE_BYTES, 1);
        } else if (held[i] == NULL) {
            held[i] = pool_take(&pool, slices, 1);
            held[i]->touched = (uint32_t)dice_between(&dice,
                held[i]->touched, slices);
        } else if (held[i]->region == NULL) {
            pool_unmap(held[i]);
            held[i] = NULL;
        } else {
            pool_give(held[i]);
            held[i] = NULL;
        }
    }
}

/* As if this process were a child, in which who held the lock vanished. */
static void lose_the_holder(void)
{
    lock_take(&pool.lock);
    add_relaxed(&fork_state.generation, 1);
}

static size_t noise(void)
{
    return (size_t)dice_next(&dice) >> dice_below(&dice, 60);
}

static void damage_region(struct region *region)
{
    region->free_slices = noise();
    region->dirty_slices = noise();
    region->lowest_free = noise();
    region->lowest_dirty = noise();
    for (size_t c = 0; c < region->slices / CHUNK_SLICES; c++) {
        struct chunk *chunk = &region->chunk[c];
        chunk->used = (uint16_t)noise();
        chunk->dirty = (uint16_t)noise();
        chunk->list = (uint8_t)dice_below(&dice, CHUNK_CLEAN + 1);
        chunk->next = &region->chunk[0];
        chunk->prev = (struct chunk *)(void *)noise();
    }
    /* What was being taken is dirty and no longer free. */
    const size_t slice = bitmap_next(region->free, 0, region->slices, false);
    bitmap_set(region->dirty, slice, 1);
}

static void damage(void)
{
    pool.taken_bytes = noise();
    pool.dirty_bytes = noise();
    pool.reserved_bytes = noise();
    pool.decay.allowance = pool.decay.peak + noise();
    for (int list = 0; list < CHUNK_LISTS; list++) {
        pool.queues[list].first = (struct chunk *)(void *)noise();
        pool.queues[list].last = &pool.regions->chunk[0];
    }
    for (struct region *r = pool.regions; r; r = r->next)
        damage_region(r);
}

/* The truth of a region, as far as it can be seen from outside. */
struct truth {
    size_t free;
    size_t dirty;
    size_t committed;
};

static struct truth truth_of(const struct region *region)
{
    return (struct truth){
        bitmap_count(region->free, 0, region->slices),
        bitmap_count(region->dirty, 0, region->slices),
        region->committed,
    };
}

static void noise_in_what_follows_is_repaired(void **state)
{
    (void)state;
    enum { REGIONS = 16 };
    for (int i = 0; i < LIVES; i++) {
        live();
        pool_audit(&pool);
        struct truth before[REGIONS];
        const size_t mapped = pool.mapped_bytes;
        const size_t cached = mapping_bytes(pool.cached);
        const size_t taken = pool.taken_bytes, dirty = pool.dirty_bytes;
        size_t count = 0;
        for (const struct region *r = pool.regions; r; r = r->next)
            before[count++ % REGIONS] = truth_of(r);
        assert_true(count < REGIONS);
        lose_the_holder();
        damage();

        pool_audit(&pool);
        assert_false(lock_is_broken(&pool.lock));           /* L3 */
        const struct region *r = pool.regions;
        for (size_t n = 0; n < count; n++, r = r->next) {
            const struct truth after = truth_of(r);
            assert_memory_equal(&after, &before[n], sizeof after);
        }
        assert_int_equal(pool.mapped_bytes, mapped);
        assert_int_equal(mapping_bytes(pool.cached), cached);
        assert_int_equal(pool.taken_bytes, taken);          /* P2 */
        assert_int_equal(pool.dirty_bytes, dirty);          /* P1 */
    }
}

/* Whoever takes the lock repairs, not only the audit. */
static void every_call_repairs_first(void **state)
{
    (void)state;
    live();
    for (size_t call = 0; call < 8; call++) {
        lose_the_holder();
        damage();
        struct extent *extent;
        switch (call) {
        case 0:
            extent = pool_take(&pool, 3, 1);
            assert_non_null(extent);
            pool_give(extent);
            break;
        case 1:
            extent = pool_map(&pool, MiB, 1);
            assert_non_null(extent);
            lose_the_holder();
            damage();
            pool_unmap(extent);
            break;
        case 2:
            pool_purge(&pool);
            assert_int_equal(pool.dirty_bytes, 0);          /* P1 */
            break;
        case 3:
            pool_release_free_regions(&pool);
            break;
        case 4:
            assert_true(pool_lease(&pool, 0, 1) <= 1);
            (void)!pool_lease(&pool, 1, 0);
            break;
        case 5:
            assert_true(pool_reaches(&pool, pool.regions->base
                + CHUNK_BYTES));
            break;
        case 6:
            (void)pool_loose_limit(&pool);
            break;
        default:
            (void)pool_purged_bytes(&pool);
            break;
        }
        assert_false(lock_is_broken(&pool.lock));           /* L3 */
        pool_audit(&pool);
    }
}

/* A chunk keeps its age, so that the queues are in order again (R8). */
static void queues_are_put_together_by_age(void **state)
{
    (void)state;
    pool_set_dirty_decay_ms(&pool, -1);
    struct extent *run = pool_take(&pool, 100, 1);
    assert_non_null(run);
    run->touched = 100;
    pool_give(run);
    const struct region *region = pool.regions;
    for (size_t c = 0; c < region->slices / CHUNK_SLICES; c++)
        region->chunk[c].stamp_ms = dice_below(&dice, 1000);
    lose_the_holder();
    pool_audit(&pool);                                      /* P3 R8 */
    assert_non_null(pool.queues[CHUNK_WHOLE].first);
    assert_non_null(pool.queues[CHUNK_WHOLE].first->next);
}

static bool claim(struct extent *extent, void *argument)
{
    ++*(size_t *)argument;
    return extent == NULL;
}

static void marks_are_summed_up(void **state)
{
    (void)state;
    size_t marks = 0, found = 0;
    live();
    for (size_t i = 0; i < HELD; i++) {
        if (held[i] == NULL || held[i]->region == NULL)
            continue;
        listing_set(held[i], 11);
        marks++;
    }
    assert_true(marks > 0);
    lose_the_holder();
    store_relaxed(&pool.listed, 0);
    for (struct region *r = pool.regions; r; r = r->next)
        store_relaxed(&r->listed, 0);
    pool_audit(&pool);
    assert_null(listing_take(&pool, 11, claim, &found));    /* Q1 */
    assert_int_equal(found, marks);
}

/* A lease that was counted half, returned: no less than nothing. */
static void leases_do_not_fall_below_nothing(void **state)
{
    (void)state;
    live();
    const size_t granted = pool_lease(&pool, 0, MiB);
    assert_true(granted > 0);
    pool.leased_bytes -= granted / 2;
    assert_int_equal(pool_lease(&pool, granted, 0), 0);
    assert_int_equal(pool.leased_bytes, 0);
    pool_audit(&pool);
}

/* The only sum that cannot be found out again may be too low. */
static void mappings_do_not_fall_below_nothing(void **state)
{
    (void)state;
    struct extent *mapping = pool_map(&pool, MiB, 1);
    assert_non_null(mapping);
    lose_the_holder();
    pool.mapped_bytes = SLICE_BYTES;
    pool_audit(&pool);
    pool_unmap(mapping);
    assert_int_equal(pool.mapped_bytes, 0);
    assert_int_equal(pool.taken_bytes, 0);                  /* P2 */
    pool_audit(&pool);
}

static void reach_is_what_regions_hand_out(void **state)
{
    (void)state;
    struct extent *run = pool_take(&pool, 2, 1);
    struct extent *mapping = pool_map(&pool, MiB, 1);
    assert_non_null(run);
    assert_non_null(mapping);
    const struct region *region = pool.regions;
    const char *end_of_region = region->base + region->slices * SLICE_BYTES;
    assert_true(pool_reaches(&pool, run->start));
    assert_true(pool_reaches(&pool, run->start + 2 * SLICE_BYTES - 1));
    assert_true(pool_reaches(&pool, end_of_region - 1));
    assert_false(pool_reaches(&pool, end_of_region));
    assert_false(pool_reaches(&pool, run->start - 1));
    assert_false(pool_reaches(&pool, region));
    assert_false(pool_reaches(&pool, region->base - 1));
    assert_false(pool_reaches(&pool, mapping->start));
    assert_false(pool_reaches(&pool, NULL));
    assert_false(pool_reaches(&pool, &pool));
    assert_false(pool_reaches(&pool, (void *)UINTPTR_MAX));
    pool_give(run);
    pool_unmap(mapping);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        TEST(noise_in_what_follows_is_repaired),
        TEST(every_call_repairs_first),
        TEST(queues_are_put_together_by_age),
        TEST(marks_are_summed_up),
        TEST(leases_do_not_fall_below_nothing),
        TEST(mappings_do_not_fall_below_nothing),
        TEST(reach_is_what_regions_hand_out),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
