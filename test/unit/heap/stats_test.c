/* SPDX-License-Identifier: MIT */
/*
 * Goal: every figure of stats.h is what a program's own books say.
 * Method: children with scripted and random calls, whose blocks are counted by
 * the test; blocks in hand are added, or flushed before.
 */
#include "bench.h"

#include "heap/arenas.h"
#include "heap/stats.h"

static struct stats_arena stats;

static const struct stats_arena *read_now(void)
{
    stats_read(&arena_main, &stats);
    return &stats;
}

static uint64_t in_hand(unsigned cls)
{
    return list_length(thread.shelf[cls]);
}

static void expect_sums(void)
{
    uint64_t bytes = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct stats_bin *bin = &stats.bins[cls];
        CHILD_EXPECT(bin->nmalloc - bin->ndalloc == bin->curregs);
        CHILD_EXPECT(bin->nonfull_slabs <= bin->curslabs);
        bytes += bin->curregs * class_bytes[cls];
    }
    CHILD_EXPECT(stats.small.allocated == bytes);
    CHILD_EXPECT(stats.allocated == bytes + stats.large.allocated);
    CHILD_EXPECT(stats.allocated <= stats.active);
    CHILD_EXPECT(stats.active < stats.mapped);
    CHILD_EXPECT(stats.active < stats.resident);
    CHILD_EXPECT(stats.pactive * sys_page_bytes() == stats.active);
}

/* -- blocks -- */

static int count_class(void *argument)
{
    const unsigned cls = *(const unsigned *)argument;
    const size_t count = 3u * class_blocks[cls] + 7;
    void **block = calloc(count, sizeof *block);
    for (size_t i = 0; i < count; i++)
        block[i] = API(malloc)(class_bytes[cls]);
    const struct stats_bin *bin = &read_now()->bins[cls];
    expect_sums();
    CHILD_EXPECT(bin->curregs == count + in_hand(cls));
    CHILD_EXPECT(bin->ndalloc == 0);
    CHILD_EXPECT(bin->nslabs == bin->curslabs);
    CHILD_EXPECT(bin->curslabs
        == (bin->curregs + class_blocks[cls] - 1) / class_blocks[cls]);
    CHILD_EXPECT(bin->nfills > 0 && bin->nfills <= bin->nmalloc);
    for (size_t i = 0; i < count; i += 2)
        API(free)(block[i]);
    (void)read_now();
    expect_sums();
    CHILD_EXPECT(bin->curregs == count / 2 + in_hand(cls));
    const uint64_t nmalloc = bin->nmalloc;
    for (size_t i = 1; i < count; i += 2)
        API(free)(block[i]);
    CHILD_EXPECT(read_now()->bins[cls].curregs == in_hand(cls));
    thread_flush();
    (void)read_now();
    CHILD_EXPECT(bin->curregs == 0 && bin->curslabs == 0);
    CHILD_EXPECT(bin->nmalloc == nmalloc && bin->ndalloc == nmalloc);
    CHILD_EXPECT(stats.allocated == 0);
    return 0;
}

static void every_block_of_a_class_counts_once(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        child_passes(count_class, &cls);
}

static int count_hands(void *argument)
{
    (void)argument;
    void *block = API(malloc)(64);
    const unsigned cls = class_of(64);
    CHILD_EXPECT(in_hand(cls) > 0);
    CHILD_EXPECT(read_now()->tcache_bytes == in_hand(cls) * 64);
    CHILD_EXPECT(stats.bins[cls].nfills == 1);
    CHILD_EXPECT(stats.bins[cls].nflushes == 0);
    thread_flush();
    CHILD_EXPECT(read_now()->tcache_bytes == 0);
    CHILD_EXPECT(stats.bins[cls].curregs == 1);
    CHILD_EXPECT(stats.bins[cls].nflushes == 1);
    API(free)(block);
    return 0;
}

static void what_is_in_hand_counts_and_can_be_told(void **state)
{
    (void)state;
    child_passes(count_hands, NULL);
}

/* -- other threads -- */

enum { STRANGERS = 2000, SIZES = 5 };
static const size_t sizes[SIZES] = { 16, 100, 640, 5000, 40000 };
static void *handed[STRANGERS];

static void *free_all(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < STRANGERS; i++)
        API(free)(handed[i]);
    return NULL;
}

static int count_strangers(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < STRANGERS; i++)
        handed[i] = API(malloc)(sizes[i % SIZES]);
    thread_run(free_all, NULL);
    /* Without any slow path of the owner's. */
    (void)read_now();
    expect_sums();
    for (size_t i = 0; i < SIZES; i++) {
        const unsigned cls = class_of(sizes[i]);
        CHILD_EXPECT(stats.bins[cls].curregs == in_hand(cls));
    }
    thread_flush();
    CHILD_EXPECT(read_now()->allocated == 0);
    for (size_t i = 0; i < SIZES; i++)
        CHILD_EXPECT(stats.bins[class_of(sizes[i])].curslabs == 0);
    return 0;
}

static void frees_by_another_thread_count_too(void **state)
{
    (void)state;
    child_passes(count_strangers, NULL);
}

static void *take_all(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < STRANGERS; i++)
        handed[i] = API(malloc)(sizes[i % SIZES]);
    return NULL;
}

static int count_the_dead(void *argument)
{
    (void)argument;
    thread_run(take_all, NULL);
    const unsigned cls = class_of(sizes[0]);
    CHILD_EXPECT(read_now()->bins[cls].curregs == STRANGERS / SIZES);
    /* Into slabs that nobody owns. */
    for (size_t i = 0; i < STRANGERS; i++) {
        API(free)(handed[i]);
        if (i % 100 != 0)
            continue;
        /* Frees are counted sixteen at a time. */
        thread_flush();
        const uint64_t out = STRANGERS / SIZES - (i / SIZES + 1);
        const struct stats_bin *bin = &read_now()->bins[cls];
        CHILD_EXPECT(bin->curregs >= out);
        CHILD_EXPECT(bin->curregs < out + 16 * (bin->curslabs + 1));
    }
    thread_flush();
    CHILD_EXPECT(read_now()->allocated == 0);
    CHILD_EXPECT(stats.bins[cls].curslabs == 0);
    return 0;
}

static void what_a_dead_thread_left_counts_until_freed(void **state)
{
    (void)state;
    child_passes(count_the_dead, NULL);
}

/* -- large objects -- */

static uint64_t live_of(size_t bytes)
{
    return stats.lextents[tally_class(bytes)].curlextents;
}

static int count_large(void *argument)
{
    (void)argument;
    static const size_t lengths[] = {
        80 * KiB, 80 * KiB + 1, 512 * KiB, 3 * MiB, 33 * MiB, 1 * GiB
    };
    enum { COUNT = sizeof lengths / sizeof *lengths };
    void *object[COUNT];
    uint64_t bytes = 0;
    for (int i = 0; i < COUNT; i++) {
        object[i] = API(malloc)(lengths[i]);
        bytes += API(malloc_usable_size)(object[i]);
        CHILD_EXPECT(read_now()->large.allocated == bytes);
        CHILD_EXPECT(live_of(lengths[i]) == 1);
        CHILD_EXPECT(stats.large.nmalloc == (uint64_t)i + 1);
        expect_sums();
    }
    for (int i = 0; i < COUNT; i++) {
        API(free)(object[i]);
        thread_flush();
        bytes -= round_up(lengths[i], sys_page_bytes());
        CHILD_EXPECT(read_now()->large.allocated == bytes);
        CHILD_EXPECT(live_of(lengths[i]) == 0);
        CHILD_EXPECT(stats.large.ndalloc == (uint64_t)i + 1);
    }
    return 0;
}

static void large_objects_count_by_length(void **state)
{
    (void)state;
    child_passes(count_large, NULL);
}

/* A run that the thread takes out of its hand again, with another length. */
static int count_recycled(void *argument)
{
    (void)argument;
    API(free)(API(malloc)(90 * KiB));
    CHILD_EXPECT(read_now()->large.allocated == 92 * KiB);
    void *again = API(malloc)(120 * KiB);
    API(free)(again);
    CHILD_EXPECT(read_now()->large.allocated == 120 * KiB);
    thread_flush();
    CHILD_EXPECT(read_now()->large.allocated == 0);
    CHILD_EXPECT(stats.large.nmalloc == 2 && stats.large.ndalloc == 2);
    void *grows = API(malloc)(100 * KiB);
    for (size_t size = 200 * KiB; size < 200 * MiB; size *= 3) {
        grows = API(realloc)(grows, size);
        thread_flush();
        CHILD_EXPECT(read_now()->large.allocated
            == API(malloc_usable_size)(grows));
    }
    grows = API(realloc)(grows, 1 * MiB);
    thread_flush();
    CHILD_EXPECT(read_now()->large.allocated == 1 * MiB);
    API(free)(grows);
    return 0;
}

static void what_changes_its_length_counts_as_what_it_is(void **state)
{
    (void)state;
    child_passes(count_recycled, NULL);
}

/* -- anything at all -- */

enum { OBJECTS = 3000, STEPS = 60000 };
static void *objects[OBJECTS];

static size_t any_size(struct dice *dice)
{
    const size_t kind = dice_below(dice, 100);
    return kind < 80 ? dice_below(dice, 1024)
        : kind < 98 ? dice_below(dice, 80 * KiB) : dice_below(dice, 3 * MiB);
}

static void any_step(struct dice *dice, void **object)
{
    switch (dice_below(dice, 4)) {
    case 0:
        *object = API(realloc)(*object, any_size(dice) + 1);
        break;
    case 1:
        if (*object != NULL && dice_below(dice, 64) == 0) {
            free_elsewhere(*object);
            *object = NULL;
        }
        break;
    default:
        API(free)(*object);
        *object = dice_below(dice, 2) ? API(malloc)(any_size(dice)) : NULL;
    }
}

/* A run that a thread took out of its hand counts as what it was before: less
 * than a slice wrong each. */
static void expect_books(void)
{
    uint64_t small = 0;
    uint64_t large = 0;
    uint64_t unsure = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        const size_t bytes = API(malloc_usable_size)(objects[i]);
        *(bytes > CLASS_BYTES_MAX ? &large : &small) += bytes;
        if (bytes > CLASS_BYTES_MAX
            && bytes <= KEPT_HAND_SLICES * SLICE_BYTES)
            unsure += SLICE_BYTES;
    }
    thread_flush();
    (void)read_now();
    expect_sums();
    CHILD_EXPECT(stats.small.allocated == small);
    CHILD_EXPECT(stats.large.allocated < large + unsure + 1);
    CHILD_EXPECT(stats.large.allocated + unsure + 1 > large);
}

static int count_anything(void *argument)
{
    struct dice dice = { *(const uint64_t *)argument };
    for (size_t i = 0; i < STEPS; i++) {
        any_step(&dice, &objects[dice_below(&dice, OBJECTS)]);
        if (i % (STEPS / 20) == 0)
            expect_books();
    }
    API(audit_all)();
    for (size_t i = 0; i < OBJECTS; i++)
        API(free)(objects[i]);
    thread_flush();
    CHILD_EXPECT(read_now()->allocated == 0);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(stats.bins[cls].curslabs == 0);
    for (unsigned cls = 0; cls < TALLY_CLASSES; cls++)
        CHILD_EXPECT(stats.lextents[cls].curlextents == 0);
    return 0;
}

static void the_sum_is_what_is_usable_after_any_calls(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        child_passes(count_anything, &seed);
}

/* -- memory -- */

static int count_memory(void *argument)
{
    (void)argument;
    struct pool *pool = &arena_main.pool;
    void *object = API(malloc)(20 * MiB);
    memset(object, 1, 20 * MiB);
    CHILD_EXPECT(read_now()->active >= 20 * MiB);
    CHILD_EXPECT(stats.retained > 0);
    API(free)(object);
    thread_flush();
    (void)read_now();
    CHILD_EXPECT(stats.pdirty * sys_page_bytes() == pool->dirty_bytes);
    CHILD_EXPECT(stats.active == pool->taken_bytes);
    (void)API(malloc_trim)(0);
    (void)read_now();
    CHILD_EXPECT(stats.pdirty == 0);
    CHILD_EXPECT(stats.dirty_npurge > 0);
    CHILD_EXPECT(stats.dirty_nmadvise > 0);
    CHILD_EXPECT(stats.dirty_purged >= 20 * MiB / sys_page_bytes());
    CHILD_EXPECT(stats.base > stats.metadata_edata + stats.metadata_rtree);
    return 0;
}

static void memory_is_active_dirty_or_retained(void **state)
{
    (void)state;
    child_passes(count_memory, NULL);
}

static int sum_up(void *argument)
{
    (void)argument;
    void *object = API(malloc)(100);
    struct stats_live live;
    (void)read_now();
    stats_read_live(&live);
    CHILD_EXPECT(live.allocated == stats.allocated);
    CHILD_EXPECT(live.active == stats.active);
    CHILD_EXPECT(live.mapped == stats.mapped);
    CHILD_EXPECT(live.retained == stats.retained);
    CHILD_EXPECT(live.metadata == stats.base);
    static struct stats_arena sum;
    const struct stats_arena one = stats;
    stats_add(&sum, &one);
    stats_add(&sum, &one);
    CHILD_EXPECT(sum.allocated == 2 * one.allocated);
    CHILD_EXPECT(sum.uptime == one.uptime);
    CHILD_EXPECT(sum.extents[STATS_EXTENTS - 1].retained_bytes
        == 2 * one.extents[STATS_EXTENTS - 1].retained_bytes);
    CHILD_EXPECT(sum.bins[class_of(100)].nmalloc
        == 2 * one.bins[class_of(100)].nmalloc);
    API(free)(object);
    return 0;
}

static void sums_add_up(void **state)
{
    (void)state;
    child_passes(sum_up, NULL);
}

/* -- arenas that end -- */

static int end_an_arena(void *argument)
{
    (void)argument;
    unsigned index;
    CHILD_EXPECT(arenas_create(&index));
    struct arena *arena = arenas_at(index);
    CHILD_EXPECT(arena_take_shared(arena, class_of(100)) != NULL);
    CHILD_EXPECT(large_take_from(arena,
        (struct large_request){ 100 * KiB, 1, false }) != NULL);
    CHILD_EXPECT(large_take_from(arena,
        (struct large_request){ 64 * MiB, 1, false }) != NULL);
    stats_read(arena, &stats);
    CHILD_EXPECT(stats.large.allocated == 100 * KiB + 64 * MiB);
    CHILD_EXPECT(stats.small.allocated >= 112);
    CHILD_EXPECT(arenas_reset(index));
    stats_read(arena, &stats);
    CHILD_EXPECT(stats.allocated == 0);
    CHILD_EXPECT(stats.large.ndalloc == 2 && stats.large.nmalloc == 2);
    CHILD_EXPECT(stats.bins[class_of(100)].curslabs == 0);
    static struct stats_arena ended;
    stats_fold(&ended, &stats);
    CHILD_EXPECT(ended.large.nmalloc == 2 && ended.mapped == 0);
    CHILD_EXPECT(arenas_destroy(index));
    CHILD_EXPECT(arenas_create(&index) && arenas_at(index) == arena);
    stats_read(arena, &stats);
    CHILD_EXPECT(stats.large.nmalloc == 0 && stats.small.nmalloc == 0);
    CHILD_EXPECT(stats.dirty_nmadvise == 0);
    return 0;
}

static void an_arena_leaves_its_counters_behind(void **state)
{
    (void)state;
    child_passes(end_an_arena, NULL);
}

/* A thread of one arena frees what is of another. */
static int cross(void *argument)
{
    (void)argument;
    unsigned index;
    CHILD_EXPECT(arenas_create(&index));
    struct arena *arena = arenas_at(index);
    const unsigned cls = class_of(2000);
    for (int i = 0; i < 200; i++)
        handed[i] = arena_take_shared(arena, cls);
    for (int i = 0; i < 200; i++)
        API(free)(handed[i]);
    thread_flush();
    arena_purge(arena);
    stats_read(arena, &stats);
    CHILD_EXPECT(stats.bins[cls].curregs == 0);
    CHILD_EXPECT(stats.bins[cls].curslabs == 0);
    CHILD_EXPECT(stats.bins[cls].ndalloc >= 200);
    CHILD_EXPECT(read_now()->bins[cls].ndalloc == 0);
    return 0;
}

static void frees_count_in_the_arena_of_the_block(void **state)
{
    (void)state;
    child_passes(cross, NULL);
}

/* -- classes, and locks -- */

static void classes_are_four_for_each_doubling(void **state)
{
    (void)state;
    assert_int_equal(stats_lextent_bytes(0), 80 * KiB);
    assert_int_equal(stats_lextent_bytes(STATS_LEXTENTS - 1), (size_t)7 << 60);
    for (unsigned i = 0; i < TALLY_CLASSES; i++) {
        const size_t bytes = stats_lextent_bytes(i);
        assert_int_equal(tally_class(bytes), i);
        assert_int_equal(tally_class(bytes + 1), i + 1);
    }
    assert_int_equal(stats_lextent_bytes(TALLY_RUN_CLASSES - 1), 32 * MiB);
    for (unsigned i = 0; i + 1 < STATS_EXTENTS; i++) {
        const size_t bytes = stats_extent_bytes(i);
        assert_int_equal(census_class(bytes), i);
        assert_int_equal(census_class(bytes + 1), i + 1);
    }
}

static int count_locks(void *argument)
{
    (void)argument;
    API(free)(API(malloc)(40 * MiB));
    CHILD_EXPECT(read_now()
        ->mutexes[STATS_MUTEX_extents_dirty].num_ops > 0);
    CHILD_EXPECT(stats.mutexes[STATS_MUTEX_base].num_ops > 0);
    stats_reset_mutexes();
    const struct lock_counts counts =
        lock_read_counts(&arena_main.pool.lock);
    CHILD_EXPECT(counts.num_ops == 0 && counts.num_owner_switch == 0);
    return 0;
}

static void locks_count_and_begin_anew(void **state)
{
    (void)state;
    child_passes(count_locks, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_of_a_class_counts_once),
        cmocka_unit_test(what_is_in_hand_counts_and_can_be_told),
        cmocka_unit_test(frees_by_another_thread_count_too),
        cmocka_unit_test(what_a_dead_thread_left_counts_until_freed),
        cmocka_unit_test(large_objects_count_by_length),
        cmocka_unit_test(what_changes_its_length_counts_as_what_it_is),
        cmocka_unit_test(the_sum_is_what_is_usable_after_any_calls),
        cmocka_unit_test(memory_is_active_dirty_or_retained),
        cmocka_unit_test(sums_add_up),
        cmocka_unit_test(an_arena_leaves_its_counters_behind),
        cmocka_unit_test(frees_count_in_the_arena_of_the_block),
        cmocka_unit_test(classes_are_four_for_each_doubling),
        cmocka_unit_test(locks_count_and_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
