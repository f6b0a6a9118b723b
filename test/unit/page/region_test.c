/* SPDX-License-Identifier: MIT */
/*
 * Goal: a region knows which of its slices are free, dirty and committed, and
 * region_audit() would see if it did not (R1 to R7). Method: a region with
 * queues of its own, no pool; a twin of one state per slice under random
 * operations with calls that fail; broken counts, each in a child. All of it
 * for pages of 4, 16 and 64 KiB, in a process each.
 */
#include "region_bench.h"

enum { LIVES = 20, ROUNDS = 300 };

/* A place for a run, if it need not, or if it does, lie in dirty slices. */
static size_t find(size_t count, size_t step, bool dirty)
{
    size_t warm;
    const size_t first = region_find(at.region, count, step, &warm);
    return dirty && warm < count ? BITMAP_NONE : first;
}

/* -- one thing at a time -- */

static void opens_with_everything_free_and_nothing_committed(void **state)
{
    (void)state;
    audit();
    assert_int_equal((uintptr_t)at.region->base % CHUNK_BYTES, 0);
    assert_true(at.head > 0);
    assert_int_equal(at.region->slices, SLICES);
    assert_int_equal(at.region->free_slices, SLICES - at.head);
    assert_int_equal(at.region->dirty_slices, 0);
    assert_int_equal(at.region->committed, at.head);        /* R7 */
    assert_int_equal(find(1, 1, false), at.head);
    assert_int_equal(find(SLICES - at.head, 1, false), at.head);
    assert_true(find(SLICES - at.head + 1, 1, false) == BITMAP_NONE);
    assert_true(find(1, 1, true) == BITMAP_NONE);
}

static void guards_its_head_and_what_is_not_committed(void **state)
{
    (void)state;
    unit_expect_untouchable(at.region->base);
    unit_expect_untouchable(at.region->base + sys_page_bytes() - 1);
    unit_expect_untouchable(address(at.head) - 1);
    unit_expect_untouchable(address(at.head));
    unit_expect_untouchable(address(SLICES) - 1);
    assert_true(take(at.head, 1));
    unit_expect_untouchable(address(at.head) - 1);
    unit_expect_untouchable(address(CHUNK_SLICES));         /* R7 */
}

static void gives_records_their_place(void **state)
{
    (void)state;
    for (size_t slice = at.head; slice < SLICES; slice++) {
        const struct extent *extent = region_extent(at.region, slice);
        assert_ptr_equal(extent->start, address(slice));
        assert_ptr_equal(extent->region, at.region);
        assert_ptr_equal(extent->pool, &at.pool);
        assert_true((const char *)(extent + 1) <= address(at.head));
    }
}

static void commits_whole_chunks_ahead(void **state)
{
    (void)state;
    unit_count_calls(1u << SYS_COMMIT);
    for (size_t slice = at.head; slice < CHUNK_SLICES; slice++) {
        assert_true(take(slice, 1));
        address(slice)[0] = 1;
        address(slice)[SLICE_BYTES - 1] = 1;
    }
    assert_int_equal(unit_fail_none(), 1);
    assert_int_equal(at.region->committed, CHUNK_SLICES);
    assert_true(take(CHUNK_SLICES + 1, CHUNK_SLICES));
    assert_int_equal(at.region->committed, 3 * CHUNK_SLICES);
}

static void commits_less_when_refused_and_nothing_twice(void **state)
{
    (void)state;
    unit_fail(1u << SYS_COMMIT, 1, 1);
    assert_true(take(at.head, 2));
    assert_int_equal(unit_fail_none(), 2);
    assert_int_equal(at.region->committed, at.head + 2);
    unit_expect_untouchable(address(at.head + 2));

    unit_fail_all(1u << SYS_COMMIT);
    assert_false(take(at.head + 2, 1));
    assert_int_equal(unit_fail_none(), 2);
    assert_int_equal(at.region->committed, at.head + 2);
    assert_int_equal(find(1, 1, false), at.head + 2);

    assert_true(take(at.head + 2, 1));
    assert_int_equal(at.region->committed, CHUNK_SLICES);
}

static void only_touched_slices_become_dirty(void **state)
{
    (void)state;
    assert_true(take(at.head, 10));
    give(at.head, 10, 4, 1);
    assert_int_equal(at.region->dirty_slices, 4);
    assert_int_equal(find(4, 1, true), at.head);
    assert_true(find(5, 1, true) == BITMAP_NONE);

    bool zero = true;
    assert_true(region_take(at.region, at.head + 3, 2, &zero));
    assert_false(zero);
    assert_true(region_take(at.region, at.head + 5, 1, &zero));
    assert_true(zero);
    audit();
    assert_int_equal(at.region->dirty_slices, 3);
}

static void neighbours_merge(void **state)
{
    (void)state;
    const size_t count = SLICES - at.head;
    assert_true(take(at.head, count));
    for (size_t i = 0; i < count; i += 2)
        give(at.head + i, 1, 1, 1);
    assert_true(find(2, 1, false) == BITMAP_NONE);
    for (size_t i = 1; i < count; i += 2)
        give(at.head + i, 1, 1, 1);
    assert_int_equal(find(count, 1, true), at.head);
    assert_int_equal(at.region->dirty_slices, count);
}

static void chunks_are_listed_by_what_is_dirty_and_used(void **state)
{
    (void)state;
    const size_t base = CHUNK_SLICES;
    const struct chunk *chunk = &at.region->chunk[1];
    assert_true(take(base, CHUNK_SLICES));
    assert_int_equal(chunk->list, CHUNK_CLEAN);
    give(base, 1, 0, 1);
    assert_int_equal(chunk->list, CHUNK_CLEAN);
    give(base + 1, 1, 1, 2);
    assert_int_equal(chunk->list, CHUNK_PARTLY);
    assert_int_equal(chunk->stamp_ms, 2);
    give(base + 2, CHUNK_SLICES - 2, 0, 3);
    assert_int_equal(chunk->list, CHUNK_WHOLE);
    assert_int_equal(chunk->stamp_ms, 2);
    assert_true(take(base + 5, 1));
    assert_int_equal(chunk->list, CHUNK_PARTLY);
    assert_true(take(base + 1, 1));
    assert_int_equal(chunk->list, CHUNK_CLEAN);
    /* The head counts as used. */
    assert_true(take(at.head, 1));
    give(at.head, 1, 1, 4);
    assert_int_equal(at.region->chunk[0].list, CHUNK_PARTLY);
    assert_int_equal(at.region->chunk[0].used, at.head);
}

/* Give a slice of each of these chunks back; the queue has them by age. */
static void the_chunk_unused_longest_comes_first(void **state)
{
    (void)state;
    assert_true(take(CHUNK_SLICES, 3 * CHUNK_SLICES));
    give(2 * CHUNK_SLICES, 1, 1, 1);
    give(1 * CHUNK_SLICES, 1, 1, 2);
    give(3 * CHUNK_SLICES, 1, 1, 3);
    give(2 * CHUNK_SLICES + 1, 1, 1, 4);
    const struct chunk *first = at.queues[CHUNK_PARTLY].first;
    assert_ptr_equal(first, &at.region->chunk[1]);
    assert_ptr_equal(first->next, &at.region->chunk[3]);
    assert_ptr_equal(first->next->next, &at.region->chunk[2]);
}

/* A chunk that comes from the other list is as old as it was (P3). */
static void a_chunk_that_changes_lists_keeps_its_age(void **state)
{
    (void)state;
    assert_true(take(CHUNK_SLICES, 2 * CHUNK_SLICES));
    give(1 * CHUNK_SLICES, CHUNK_SLICES, CHUNK_SLICES, 1);
    give(2 * CHUNK_SLICES, 1, 1, 100);
    assert_true(take(1 * CHUNK_SLICES, 1));
    assert_int_equal(at.region->chunk[1].list, CHUNK_PARTLY);
    assert_ptr_equal(at.queues[CHUNK_PARTLY].first, &at.region->chunk[1]);
}

static void purging_gives_the_pages_back(void **state)
{
    (void)state;
    const size_t base = CHUNK_SLICES;
    assert_true(take(base, CHUNK_SLICES));
    memset(address(base), 1, CHUNK_BYTES);
    give(base, 5, 5, 1);
    give(base + 7, 2, 2, 1);
    assert_int_equal(unit_resident_bytes(address(base), CHUNK_BYTES),
        CHUNK_BYTES);
    assert_int_equal(region_purge(&at.region->chunk[1]), 7);
    audit();
    assert_int_equal(unit_resident_bytes(address(base), CHUNK_BYTES),
        CHUNK_BYTES - 7 * SLICE_BYTES);
    assert_int_equal(at.region->dirty_slices, 0);
    assert_int_equal(address(base + 5)[0], 1);

    bool zero = false;
    assert_true(region_take(at.region, base, 5, &zero));
    assert_true(zero);
    EXPECT_ZERO(address(base), 5 * SLICE_BYTES);
    audit();
}

static void purging_survives_refusal(void **state)
{
    (void)state;
    struct chunk *chunk = &at.region->chunk[1];
    const size_t base = CHUNK_SLICES;
    assert_true(take(base, 2 * CHUNK_SLICES));
    give(base, 2, 2, 1);
    give(base + 4, 3, 3, 1);
    give(base + 9, 1, 1, 1);
    give(base + CHUNK_SLICES, 1, 1, 2);
    unit_fail(1u << SYS_PURGE, 2, 2);
    assert_int_equal(region_purge(chunk), 3);
    assert_int_equal(unit_fail_none(), 3);
    audit();
    assert_int_equal(at.region->dirty_slices, 4);
    assert_int_equal(find(1, 1, true), base + 4);
    /* It is tried again last. */
    assert_ptr_equal(at.queues[CHUNK_PARTLY].last, chunk);

    unit_fail_all(1u << SYS_PURGE);
    assert_int_equal(region_purge(chunk), 0);
    (void)unit_fail_none();
    audit();
    assert_int_equal(region_purge(chunk), 3);
    audit();
    assert_int_equal(chunk->list, CHUNK_CLEAN);
    assert_int_equal(region_purge(chunk), 0);
}

static void is_not_opened_without_memory(void **state)
{
    (void)state;
    static const enum sys_call kinds[] = { SYS_RESERVE, SYS_COMMIT };
    for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
        unit_fail_all(1u << kinds[i]);
        /* A leaf of the page map that the first try may need stays. */
        assert_null(region_open(&at.pool, at.queues, BYTES));
        const size_t before = unit_address_bytes();
        assert_null(region_open(&at.pool, at.queues, BYTES));
        (void)unit_fail_none();
        assert_int_equal(unit_address_bytes(), before);
    }
    audit();
}

/* The queues are left without its chunks, or as they were. */
static void closes_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(take(at.head, 1));
    give(at.head, 1, 1, 1);
    struct region *closed = region_open(&at.pool, at.queues, BYTES);
    assert_non_null(closed);
    char *base = closed->base;
    bool zero;
    assert_true(region_take(closed, CHUNK_SLICES, 2, &zero));
    region_give(closed, (struct region_return){
        .first = CHUNK_SLICES, .count = 2, .touched = 2, .now_ms = 1 });

    region_unlist(closed);
    assert_null(at.queues[CHUNK_WHOLE].first);
    unit_fail_all(1u << SYS_RELEASE);
    assert_false(region_close(closed));
    (void)unit_fail_none();
    region_repair(closed);
    region_audit(closed);
    assert_ptr_equal(at.queues[CHUNK_WHOLE].first, &closed->chunk[1]);
    assert_ptr_equal(at.queues[CHUNK_WHOLE].last, &closed->chunk[1]);

    region_unlist(closed);
    assert_true(region_close(closed));
    assert_false(unit_is_mapped(base, BYTES));
    assert_null(at.queues[CHUNK_WHOLE].first);
    audit();
}

/* -- a twin under random operations -- */

enum fate { CLEAN, DIRTY, USED, HEAD };

static struct {
    struct dice dice;
    enum fate fate[SLICES];
    size_t refused;
} twin;

/* The dirty slices of a place; SIZE_MAX: it is not free. */
static size_t twin_dirty(size_t first, size_t count)
{
    size_t dirty = 0;
    for (size_t i = first; i < first + count; i++) {
        if (twin.fate[i] != DIRTY && twin.fate[i] != CLEAN)
            return SIZE_MAX;
        dirty += twin.fate[i] == DIRTY;
    }
    return dirty;
}

/* The most dirty slices that a place can have; SIZE_MAX: there is none. */
static size_t twin_warmest(size_t count, size_t step, size_t *lowest)
{
    size_t most = SIZE_MAX;
    for (size_t first = 0; first + count <= SLICES; first += step) {
        const size_t dirty = twin_dirty(first, count);
        if (dirty == SIZE_MAX || (most != SIZE_MAX && dirty <= most))
            continue;
        most = dirty;
        *lowest = first;
    }
    return most;
}

static size_t twin_find(size_t count, size_t step)
{
    size_t lowest = BITMAP_NONE;
    size_t dirty;
    const size_t most = twin_warmest(count, step, &lowest);
    const size_t first = region_find(at.region, count, step, &dirty);
    assert_int_equal(first == BITMAP_NONE, most == SIZE_MAX);
    if (most == SIZE_MAX)
        return BITMAP_NONE;
    assert_int_equal(first % step, 0);
    assert_int_equal(dirty, twin_dirty(first, count));
    if (most == count || step == 1)
        assert_int_equal(dirty, most);
    if (count == 1 || (most == count && count < 16)
        || at.region->dirty_slices == 0)
        assert_int_equal(first, lowest);
    return first;
}

static void twin_take(void)
{
    const size_t count = dice_between(&twin.dice, 1,
        dice_below(&twin.dice, 8) ? 6 : 40);
    const size_t step = (size_t)1 << dice_below(&twin.dice, 6);
    const size_t first = twin_find(count, step);
    if (first == BITMAP_NONE)
        return;
    bool zero;
    if (!region_take(at.region, first, count, &zero)) {
        twin.refused++;
        return;
    }
    for (size_t i = first; i < first + count; i++) {
        assert_true(!zero || twin.fate[i] == CLEAN);
        if (twin.fate[i] == CLEAN)
            assert_int_equal(address(i)[0], 0);
        twin.fate[i] = USED;
        address(i)[0] = 1;
    }
}

static void twin_give(uint64_t now_ms)
{
    const size_t first = dice_between(&twin.dice, at.head, SLICES - 1);
    size_t count = 0;
    while (first + count < SLICES && twin.fate[first + count] == USED
        && count < 50)
        count++;
    if (count == 0)
        return;
    count = dice_between(&twin.dice, 1, count);
    /* What is given back as untouched has to read as zero. */
    const size_t touched = dice_between(&twin.dice, 0, count);
    for (size_t i = 0; i < count; i++) {
        twin.fate[first + i] = i < touched ? DIRTY : CLEAN;
        if (i >= touched)
            address(first + i)[0] = 0;
    }
    give(first, count, touched, now_ms);
}

static void twin_purge(void)
{
    const size_t chunk = dice_below(&twin.dice, SLICES / CHUNK_SLICES);
    const bool refuse = dice_below(&twin.dice, 4) == 0;
    if (refuse)
        unit_fail_all(1u << SYS_PURGE);
    const size_t purged = region_purge(&at.region->chunk[chunk]);
    size_t expected = 0;
    for (size_t i = chunk * CHUNK_SLICES; i < (chunk + 1) * CHUNK_SLICES;
         i++) {
        if (twin.fate[i] == DIRTY && !refuse) {
            twin.fate[i] = CLEAN;
            expected++;
        }
    }
    (void)unit_fail_none();
    assert_int_equal(purged, expected);
}

static void twin_step(uint64_t now_ms)
{
    const size_t what = dice_below(&twin.dice, 16);
    if (dice_below(&twin.dice, 3) == 0)
        unit_fail(1u << SYS_COMMIT, 1, dice_between(&twin.dice, 1, 2));
    if (what < 8)
        twin_take();
    else if (what < 15)
        twin_give(now_ms);
    else
        twin_purge();
    (void)unit_fail_none();
    audit();
    for (size_t i = at.head; i < SLICES; i++) {
        assert_int_equal(bitmap_test(at.region->free, i),
            twin.fate[i] <= DIRTY);                         /* R1 */
        assert_int_equal(bitmap_test(at.region->dirty, i),
            twin.fate[i] == DIRTY);                         /* R2 */
    }
}

static void random_operations_match_the_twin(void **state)
{
    memset(&twin, 0, sizeof twin);
    for (int life = 0; life < LIVES; life++) {
        assert_int_equal(end(state), 0);
        assert_int_equal(begin(state), 0);
        for (size_t i = 0; i < SLICES; i++)
            twin.fate[i] = i < at.head ? HEAD : CLEAN;
        for (uint64_t round = 0; round < ROUNDS; round++)
            twin_step(round);
    }
    assert_true(twin.refused > 0);
}

/* -- the audit can fail -- */

static void audit_broken(void *argument)
{
    (void)argument;
    region_audit(at.region);
}

static void expect_broken(const char *words)
{
    unit_expect_panic((struct unit_work){ audit_broken, NULL }, words);
}

static void the_audit_sees_each_broken_invariant(void **state)
{
    (void)state;
    struct region *r = at.region;
    const size_t base = CHUNK_SLICES;
    assert_true(take(base, CHUNK_SLICES));
    give(base + 4, 4, 4, 1);

    r->free_slices++;
    expect_broken("region->free_slices");                   /* R1 */
    r->free_slices--;
    r->dirty_slices++;
    expect_broken("region->dirty_slices");                  /* R2 */
    bitmap_set(r->dirty, base, 1);
    expect_broken("region->dirty[i] & ~region->free[i]");   /* R3 */
    bitmap_clear(r->dirty, base, 1);
    r->dirty_slices--;
    r->chunk[1].used++;
    expect_broken("chunk->used");                           /* R4 */
    r->chunk[1].used--;
    r->chunk[1].dirty--;
    expect_broken("chunk->dirty");                          /* R4 */
    r->chunk[1].dirty++;
    const size_t free = r->lowest_free;
    r->lowest_free = base + 5;
    expect_broken("region->lowest_free");                   /* R5 */
    r->lowest_free = free;
    r->lowest_dirty++;
    expect_broken("region->lowest_dirty");                  /* R5 */
    r->lowest_dirty--;
    r->chunk[1].list = CHUNK_WHOLE;
    expect_broken("chunk->list");                           /* R6 */
    r->chunk[1].list = CHUNK_PARTLY;
    r->committed = base + 6;
    expect_broken("region->dirty, region->committed");      /* R3 R7 */
    r->committed = base + 9;
    expect_broken("region->free, region->committed");       /* R7 */
    r->committed = 2 * CHUNK_SLICES;
    audit();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_with_everything_free_and_nothing_committed),
        TEST(guards_its_head_and_what_is_not_committed),
        TEST(gives_records_their_place),
        TEST(commits_whole_chunks_ahead),
        TEST(commits_less_when_refused_and_nothing_twice),
        TEST(only_touched_slices_become_dirty),
        TEST(neighbours_merge),
        TEST(chunks_are_listed_by_what_is_dirty_and_used),
        TEST(the_chunk_unused_longest_comes_first),
        TEST(a_chunk_that_changes_lists_keeps_its_age),
        TEST(purging_gives_the_pages_back),
        TEST(purging_survives_refusal),
        TEST(is_not_opened_without_memory),
        TEST(closes_whole_or_not_at_all),
        TEST(random_operations_match_the_twin),
        TEST(the_audit_sees_each_broken_invariant),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
