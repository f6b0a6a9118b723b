/* SPDX-License-Identifier: MIT */
/*
 * Large objects against large.h: which are runs and which have a mapping, how
 * many bytes are usable, what is known to be zero, how they grow and shrink,
 * and what alignment costs.
 */
#include "bench.h"

static const size_t alignments_max = 1 * GiB;

static void *take(size_t size, size_t align)
{
    void *pointer = large_take(thread_heap(),
        (struct large_request){ .size = size, .align = align });
    assert_non_null(pointer);
    return pointer;
}

static struct extent *extent_of(const void *pointer)
{
    return heap_find(pointer).extent;
}

static void give(void *pointer)
{
    large_give(thread_heap(), extent_of(pointer), pointer);
}

/* A pattern in the first word of every page. */
static void mark(void *pointer, size_t bytes)
{
    uint64_t *word = pointer;
    for (size_t i = 0; i < bytes / 8; i += 512)
        word[i] = i + 1;
}

static void check_marks(const void *pointer, size_t bytes)
{
    const uint64_t *word = pointer;
    for (size_t i = 0; i < bytes / 8; i += 512)
        assert_int_equal(word[i], i + 1);
}

static void usable_sizes_are_whole_pages_and_no_more(void **state)
{
    (void)state;
    static const size_t around[] = {
        64 * KiB, 128 * KiB, 512 * KiB, 1 * MiB, 4 * MiB, 32 * MiB
    };
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        for (size_t size = around[i] - 2; size <= around[i] + 2; size++) {
            char *pointer = take(size, 1);
            const size_t bytes = heap_usable_bytes(pointer);
            assert_int_equal(bytes, round_up(size, sys_page_bytes()));
            pointer[0] = 1;
            pointer[bytes - 1] = 1;
            give(pointer);
        }
    }
}

static void runs_end_and_mappings_begin_at_32_mib(void **state)
{
    (void)state;
    void *run = take(LARGE_RUN_BYTES_MAX, 1);
    assert_int_equal(owner_of(run), OWNER_RUN);
    assert_non_null(extent_of(run)->region);
    assert_int_equal(load_relaxed(&extent_of(run)->state), EXTENT_LARGE);
    void *mapping = take(LARGE_RUN_BYTES_MAX + 1, 1);
    assert_int_equal(owner_of(mapping), OWNER_MAPPING);
    assert_null(extent_of(mapping)->region);
    assert_int_equal(load_relaxed(&extent_of(mapping)->state), EXTENT_OWN);
    give(run);
    give(mapping);
    /* The map remembers, but it is nobody's. */
    assert_int_equal(owner_of(mapping), OWNER_GONE);
    assert_int_equal(heap_find(mapping).owner, MAP_NOBODY);
    assert_null(heap_find(mapping).extent);
}

static void every_alignment_up_to_a_gib_is_met(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        1, 64 * KiB + 1, 300 * KiB, 5 * MiB, 33 * MiB
    };
    for (size_t align = 1; align <= alignments_max; align *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char *pointer = take(sizes[i], align);
            assert_int_equal((uintptr_t)pointer % align, 0);
            assert_int_equal(owner_of(pointer), align <= CHUNK_BYTES
                && sizes[i] <= LARGE_RUN_BYTES_MAX
                ? OWNER_RUN : OWNER_MAPPING);
            memset(pointer, 1, sizes[i]);
            give(pointer);
        }
    }
    API(audit_all)();
}

static void a_size_beyond_the_address_space_is_refused(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)1 << 62; align *= 2)
        assert_null(large_take(thread_heap(),
            (struct large_request){ PTRDIFF_MAX, align, false }));
    assert_null(large_take(thread_heap(),
        (struct large_request){ 1, (size_t)1 << 62, false }));
    API(audit_all)();
}

/* -- zero -- */

static int calloc_of_fresh_memory(void *argument)
{
    const size_t size = *(size_t *)argument;
    char *pointer = API(calloc)(1, size);
    CHILD_EXPECT(pointer != NULL);
    CHILD_EXPECT(resident_bytes(pointer, size) == 0);
    pointer[size / 2] = 1;
    return 0;
}

static void zeroed_fresh_memory_is_not_touched(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        128 * KiB, 800 * KiB, 4 * MiB, 65 * MiB
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i];
        child_passes(calloc_of_fresh_memory, &size);
    }
}

static void zeroed_used_memory_is_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        65 * KiB, 128 * KiB, 512 * KiB, 1 * MiB, 4 * MiB, 6 * MiB,
        40 * MiB
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int round = 0; round < 4; round++) {
            unsigned char *pointer = large_take(thread_heap(),
                (struct large_request){ sizes[i], 1, true });
            assert_non_null(pointer);
            assert_true(pointer[0] == 0 && memcmp(pointer, pointer + 1,
                heap_usable_bytes(pointer) - 1) == 0);
            memset(pointer, 0x5a, heap_usable_bytes(pointer));
            /* By the hand, by the chains, and over the pool. */
            large_give(round % 2 ? NULL : thread_heap(),
                extent_of(pointer), pointer);
            if (round == 2)
                kept_spill_hand(&thread_heap()->kept);
        }
    }
}

/* -- resizing -- */

static void a_run_shrinks_where_it_lies(void **state)
{
    (void)state;
    char *run = take(2 * MiB, 1);
    struct extent *extent = extent_of(run);
    mark(run, 2 * MiB);
    for (size_t size = 2 * MiB; size > 65 * KiB; size -= 61 * KiB) {
        assert_ptr_equal(large_resize(extent, size), run);
        assert_int_equal(heap_usable_bytes(run),
            round_up(size, sys_page_bytes()));
        assert_int_equal(extent->slices,
            (size + SLICE_BYTES - 1) / SLICE_BYTES);
        check_marks(run, size);
        API(audit_all)();
    }
    /* That small, a block of a slab serves better. */
    assert_null(large_resize(extent, CLASS_BYTES_MAX));
    give(run);
}

static void a_run_grows_where_it_lies_while_there_is_room(void **state)
{
    (void)state;
    char *run = take(900 * KiB, 1);
    struct extent *extent = extent_of(run);
    assert_ptr_equal(large_resize(extent, 100 * KiB), run);
    mark(run, 100 * KiB);
    for (size_t size = 100 * KiB; size <= 900 * KiB; size += 50 * KiB) {
        assert_ptr_equal(large_resize(extent, size), run);
        assert_int_equal(heap_usable_bytes(run),
            round_up(size, sys_page_bytes()));
        memset(run + size - 50, 2, 50);
        check_marks(run, 100 * KiB);
        API(audit_all)();
    }
    assert_null(large_resize(extent, LARGE_GROW_BYTES_MAX + 1));
    /* What follows is in use now. */
    assert_ptr_equal(large_resize(extent, 100 * KiB), run);
    struct extent *next = pool_take(&arena_main.pool, 1, 1);
    assert_non_null(next);
    if (next->start == run + 128 * KiB) {
        assert_null(large_resize(extent, 200 * KiB));
        assert_int_equal(heap_usable_bytes(run), 100 * KiB);
    }
    assert_ptr_equal(next->start, run + 128 * KiB);
    pool_give(next);
    give(run);
}

static void a_grown_run_moves_into_a_mapping(void **state)
{
    (void)state;
    char *run = take(1 * MiB, 1);
    mark(run, 1 * MiB);
    char *mapping = large_promote(thread_heap(), extent_of(run), 3 * MiB);
    assert_non_null(mapping);
    assert_int_equal(owner_of(mapping), OWNER_MAPPING);
    assert_int_equal(heap_usable_bytes(mapping), 3 * MiB);
    check_marks(mapping, 1 * MiB);
    assert_int_equal(heap_usable_bytes(run), 0);
    give(mapping);
    API(audit_all)();
}

static int promote_sparse(void *argument)
{
    (void)argument;
    char *run = API(calloc)(1, 1 * MiB);
    CHILD_EXPECT(run != NULL);
    run[0] = 1;
    run[MiB / 2] = 2;
    char *mapping = large_promote(thread_heap(), extent_of(run), 8 * MiB);
    CHILD_EXPECT(mapping != NULL);
    CHILD_EXPECT(mapping[0] == 1 && mapping[MiB / 2] == 2);
    CHILD_EXPECT(resident_bytes(mapping, 8 * MiB)
        == 2 * sys_page_bytes());
    return 0;
}

static void promoting_touches_only_pages_with_contents(void **state)
{
    (void)state;
    child_passes(promote_sparse, NULL);
}

static void a_mapping_keeps_its_contents_in_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        46 * MiB, 47 * MiB, 5 * MiB + 1, 90 * MiB, 1 * MiB, 49 * MiB
    };
    char *pointer = take(45 * MiB, 1);
    mark(pointer, 1 * MiB);
    /* Another in the way, perhaps, so that it may have to move. */
    char *other = take(45 * MiB, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct extent *extent = extent_of(pointer);
        char *resized = large_resize(extent, sizes[i]);
        assert_non_null(resized);
        assert_ptr_equal(extent->start, resized);
        assert_ptr_equal(extent_of(resized), extent);
        assert_int_equal(owner_of(resized), OWNER_MAPPING);
        if (resized != pointer)
            assert_int_equal(owner_of(pointer), MAP_NOBODY);
        pointer = resized;
        const size_t bytes = heap_usable_bytes(pointer);
        assert_int_equal(bytes, round_up(sizes[i], sys_page_bytes()));
        check_marks(pointer, 1 * MiB);
        pointer[bytes - 1] = 3;
        API(audit_all)();
    }
    give(pointer);
    give(other);
}

static void a_small_mapping_is_left_to_be_copied(void **state)
{
    (void)state;
    char *pointer = take(45 * MiB, 1);
    assert_null(large_resize(extent_of(pointer), LARGE_GROW_BYTES_MAX
        - sys_page_bytes()));
    assert_int_equal(heap_usable_bytes(pointer), 45 * MiB);
    give(pointer);
}

/* -- reuse -- */

static void a_freed_run_is_the_next_of_its_length(void **state)
{
    (void)state;
    for (size_t slices = 2; slices <= KEPT_HAND_SLICES; slices++) {
        void *run = take(slices * SLICE_BYTES, 1);
        give(run);
        assert_int_equal(heap_usable_bytes(run), 0);
        void *again = take(slices * SLICE_BYTES - sys_page_bytes(), 1);
        assert_ptr_equal(again, run);
        assert_int_equal(heap_usable_bytes(again),
            slices * SLICE_BYTES - sys_page_bytes());
        give(again);
    }
}

static void only_the_start_of_a_live_object_is_one(void **state)
{
    (void)state;
    static const size_t sizes[] = { 200 * KiB, 5 * MiB, 45 * MiB };
    for (int i = 0; i < 3; i++) {
        char *pointer = take(sizes[i], 1);
        const struct extent *extent = extent_of(pointer);
        assert_true(large_usable_bytes(extent, pointer) > 0);
        assert_int_equal(large_usable_bytes(extent, pointer + 16), 0);
        assert_int_equal(heap_usable_bytes(pointer + 16), 0);
        assert_int_equal(heap_usable_bytes(pointer + 100 * KiB), 0);
        give(pointer);
        assert_int_equal(large_usable_bytes(extent, pointer), 0);
    }
}

/* Nothing stays behind. */
static int end(void **state)
{
    (void)state;
    return nothing_is_left() && arena_main.pool.dirty_bytes == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_fresh_memory_is_not_touched),
        cmocka_unit_test(promoting_touches_only_pages_with_contents),
        cmocka_unit_test_teardown(usable_sizes_are_whole_pages_and_no_more,
            end),
        cmocka_unit_test_teardown(runs_end_and_mappings_begin_at_32_mib,
            end),
        cmocka_unit_test_teardown(every_alignment_up_to_a_gib_is_met, end),
        cmocka_unit_test_teardown(a_size_beyond_the_address_space_is_refused,
            end),
        cmocka_unit_test_teardown(zeroed_used_memory_is_zero, end),
        cmocka_unit_test_teardown(a_run_shrinks_where_it_lies, end),
        cmocka_unit_test_teardown(
            a_run_grows_where_it_lies_while_there_is_room, end),
        cmocka_unit_test_teardown(a_grown_run_moves_into_a_mapping, end),
        cmocka_unit_test_teardown(a_mapping_keeps_its_contents_in_every_size,
            end),
        cmocka_unit_test_teardown(a_small_mapping_is_left_to_be_copied, end),
        cmocka_unit_test_teardown(a_freed_run_is_the_next_of_its_length,
            end),
        cmocka_unit_test_teardown(only_the_start_of_a_live_object_is_one,
            end),
    };
    return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
