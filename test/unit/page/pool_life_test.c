/* SPDX-License-Identifier: MIT */
/*
 * Goal: P1 to P5 hold through whatever a program does, and pool_audit() would
 * see if they did not. Method: random lives of runs and mappings with contents
 * and failing calls, audited after every step; threads on one pool; broken
 * sums and queues, each in a child. For pages of 4, 16 and 64 KiB.
 */
#include "unit/sys/unit.h"

#include <pthread.h>

#include "page/mapping.h"
#include "page/page.h"

enum { LIVES = 6, ROUNDS = 250, HELD = 40, THREADS = 4, TURNS = 2000 };

static struct pool pool;

static int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(1000);
    return 0;
}

static int end(void **state)
{
    (void)unit_teardown(state);
    pool_purge(&pool);
    pool_release_free_regions(&pool);
    while (pool.regions != NULL) {
        struct region *region = pool.regions;
        pool.regions = region->next;
        if (!sys_release(region->base, region->slices * SLICE_BYTES))
            return -1;
    }
    return pool.cached == NULL ? 0 : -1;
}

/* -- a random life -- */

struct held {
    struct extent *extent;      /* NULL: nothing is held here */
    size_t bytes;
    uint64_t seed;
};

static struct {
    struct dice dice;
    struct held held[HELD];
    size_t refused;
} life;

static void life_fill(struct held *held, size_t bytes)
{
    held->bytes = bytes;
    held->seed = dice_next(&life.dice);
    sparse_fill(held->extent->start, bytes, held->seed);
    if (held->extent->region != NULL)
        held->extent->touched = held->extent->slices;
}

static void life_take(struct held *held)
{
    const bool run = dice_below(&life.dice, 4) != 0;
    const size_t slices = dice_between(&life.dice, 1, 60);
    const size_t step = (size_t)1 << dice_below(&life.dice, 6);
    held->extent = run ? pool_take(&pool, slices, step)
        : pool_map(&pool, slices * SLICE_BYTES, step * SLICE_BYTES);
    if (held->extent == NULL) {
        life.refused++;
        return;
    }
    if (held->extent->zero) {
        for (size_t at = 0; at < slices * SLICE_BYTES; at += 2048)
            assert_int_equal(held->extent->start[at], 0);
    }
    life_fill(held, slices * SLICE_BYTES);
}

static void life_give(struct held *held)
{
    EXPECT_SPARSE(held->extent->start, held->bytes, held->bytes, held->seed);
    if (held->extent->region != NULL)
        pool_give(held->extent);
    else
        pool_unmap(held->extent);
    held->extent = NULL;
}

static void life_resize(struct held *held)
{
    struct extent *extent = held->extent;
    const size_t slices = dice_between(&life.dice, 1, 80);
    size_t kept = held->bytes;
    if (extent->region == NULL) {
        if (pool_remap(extent, slices * SLICE_BYTES))
            kept = extent->bytes;
        else
            life.refused++;
    } else if (slices < extent->slices) {
        pool_shrink(extent, slices);
        kept = slices * SLICE_BYTES;
    } else if (slices > extent->slices && pool_grow(extent, slices)) {
        kept = slices * SLICE_BYTES;
    }
    EXPECT_SPARSE(extent->start, held->bytes, min_size(kept, held->bytes),
        held->seed);
    life_fill(held, kept);
}

static void life_step(void)
{
    struct held *held = &life.held[dice_below(&life.dice, HELD)];
    if (dice_below(&life.dice, 3) == 0)
        unit_fail((uint32_t)dice_next(&life.dice),
            dice_between(&life.dice, 1, 3), dice_between(&life.dice, 1, 9));
    if (held->extent == NULL)
        life_take(held);
    else if (dice_below(&life.dice, 3) == 0)
        life_resize(held);
    else
        life_give(held);
    if (dice_below(&life.dice, 200) == 0)
        pool_purge(&pool);
    if (dice_below(&life.dice, 200) == 0)
        pool_release_free_regions(&pool);
    (void)unit_fail_none();
    pool_audit(&pool);
}

static void random_lives_keep_contents_and_sums(void **state)
{
    static const int64_t decays[] = { 1000, 0, -1 };
    memset(&life, 0, sizeof life);
    for (size_t i = 0; i < LIVES; i++) {
        pool_set_dirty_decay_ms(&pool, decays[i % UNIT_COUNT(decays)]);
        for (int round = 0; round < ROUNDS; round++)
            life_step();
        for (size_t h = 0; h < HELD; h++) {
            if (life.held[h].extent != NULL)
                life_give(&life.held[h]);
        }
        pool_audit(&pool);
        assert_int_equal(pool.taken_bytes, 0);              /* P2 */
        assert_int_equal(pool.mapped_bytes, 0);
        assert_int_equal(end(state), 0);
        assert_int_equal(pool.dirty_bytes, 0);              /* P1 */
        assert_int_equal(begin(state), 0);
    }
    assert_true(life.refused > 0);
}

static void *live_beside_others(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    struct extent *held[4] = { NULL };
    for (int turn = 0; turn < TURNS; turn++) {
        const size_t i = dice_below(&dice, 4);
        if (held[i] == NULL) {
            held[i] = i == 0 ? pool_map(&pool, 9 * SLICE_BYTES, 1)
                : pool_take(&pool, dice_between(&dice, 1, 9), 1);
            if (held[i] == NULL)
                return argument;
            held[i]->touched = held[i]->slices;
            *(uint64_t *)(void *)held[i]->start = dice.state;
            *(uint64_t *)(void *)held[i]->payload = dice.state;
            continue;
        }
        if (*(uint64_t *)(void *)held[i]->start
            != *(uint64_t *)(void *)held[i]->payload)
            return argument;
        if (i == 0)
            pool_unmap(held[i]);
        else
            pool_give(held[i]);
        held[i] = NULL;
    }
    for (size_t i = 0; i < 4; i++) {
        if (held[i] != NULL && i == 0)
            pool_unmap(held[i]);
        else if (held[i] != NULL)
            pool_give(held[i]);
    }
    return NULL;
}

static void threads_share_a_pool(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL,
            live_beside_others, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        pool_audit(&pool);
    }
    assert_int_equal(pool.taken_bytes, 0);
}

/* -- the audit can fail -- */

static void audit_broken(void *argument)
{
    (void)argument;
    pool_audit(&pool);
}

static void expect_broken(const char *words)
{
    unit_expect_panic((struct unit_work){ audit_broken, NULL }, words);
}

/* Two dirty chunks, a used slice, a live mapping and a kept one. */
static void prepare(void)
{
    struct extent *runs[3];
    for (size_t i = 0; i < 3; i++) {
        runs[i] = pool_take(&pool, 16, 16);
        assert_non_null(runs[i]);
        runs[i]->touched = 8;
    }
    pool_give(runs[0]);
    pool_give(runs[2]);
    struct extent *live = pool_map(&pool, MiB, 1);
    struct extent *kept = pool_map(&pool, MiB, 1);
    assert_non_null(live);
    assert_non_null(kept);
    pool_unmap(kept);
    pool_audit(&pool);
    assert_int_equal(pool.dirty_bytes, MiB + 16 * SLICE_BYTES);
}

static void the_audit_sees_each_broken_sum(void **state)
{
    (void)state;
    prepare();
    pool.dirty_bytes -= SLICE_BYTES;
    expect_broken("sums.dirty_bytes == pool->");           /* P1 */
    pool.dirty_bytes += SLICE_BYTES;
    pool.cached->bytes += SLICE_BYTES;
    expect_broken("sums.dirty_bytes == pool->");           /* P1 */
    pool.cached->bytes -= SLICE_BYTES;
    pool.taken_bytes++;
    expect_broken("sums.taken_bytes == pool->");           /* P2 */
    pool.taken_bytes--;
    pool.mapped_bytes--;
    expect_broken("sums.mapped_bytes == pool->");          /* P6 */
    pool.mapped_bytes++;
    pool.reserved_bytes -= MiB;
    expect_broken("sums.reserved_bytes == pool->");         /* P5 */
    pool.reserved_bytes += MiB;
    pool.regions->free_slices++;
    expect_broken("region->free_slices");                   /* P4 */
    pool.regions->free_slices--;
    pool.decay.allowance = pool.decay.peak + 1;
    expect_broken("decay->allowance <= decay->peak");       /* D1 */
    pool.decay.allowance = 0;
    pool_audit(&pool);
}

static void the_audit_sees_each_broken_queue(void **state)
{
    (void)state;
    prepare();
    struct chunk_queue *queue = &pool.queues[CHUNK_PARTLY];
    struct chunk *first = queue->first;
    assert_non_null(first);
    assert_non_null(first->next);

    queue->last = first;
    expect_broken("queue->last == before");                 /* P3 */
    queue->last = first->next;
    first->next->prev = NULL;
    expect_broken("at->prev == before");                    /* P3 */
    first->next->prev = first;
    pool.queues[CHUNK_WHOLE] = *queue;
    expect_broken("at->list == list");                      /* P3 */
    pool.queues[CHUNK_WHOLE] = (struct chunk_queue){ NULL, NULL };
    pool_audit(&pool);
}

/* "Exactly" the chunks whose list says so: none may be missing (P3). */
static void the_audit_sees_a_chunk_that_is_on_no_queue(void **state)
{
    (void)state;
    prepare();
    struct chunk_queue *queue = &pool.queues[CHUNK_PARTLY];
    struct chunk *first = queue->first;
    queue->first = first->next;
    queue->first->prev = NULL;
    expect_broken("pool.c:");                               /* P3 */
    queue->first->prev = first;
    queue->first = first;
    pool_audit(&pool);
}

/* "By age": the queues are ordered by stamp (P3). */
static void the_audit_sees_a_queue_out_of_order(void **state)
{
    (void)state;
    prepare();
    struct chunk *first = pool.queues[CHUNK_PARTLY].first;
    const uint64_t stamp_ms = first->stamp_ms;
    first->stamp_ms = first->next->stamp_ms + 1;
    expect_broken("pool.c:");                               /* P3 */
    first->stamp_ms = stamp_ms;
    pool_audit(&pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        TEST(random_lives_keep_contents_and_sums),
        TEST(threads_share_a_pool),
        TEST(the_audit_sees_each_broken_sum),
        TEST(the_audit_sees_each_broken_queue),
        TEST(the_audit_sees_a_chunk_that_is_on_no_queue),
        TEST(the_audit_sees_a_queue_out_of_order),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
