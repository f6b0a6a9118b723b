/* SPDX-License-Identifier: MIT */
/*
 * The full path against alloc.h: which kind of memory serves a size, what a
 * resize keeps in place and what it moves, and the sizes at the boundaries.
 */
#include "bench.h"

#include "heap/alloc.h"

static void fill(unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
}

static void check(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != (unsigned char)(i * 7 + i / 251))
            fail_msg("byte %zu of %zu differs", i, count);
    }
}

static void the_size_chooses_the_kind(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uintptr_t owner;        /* 0: the thread's heap */
        size_t usable;
    } rows[] = {
        { 0, 0, ASHLAR_QUANTUM }, { 1, 0, ASHLAR_QUANTUM }, { 16, 0, 16 },
        { 17, 0, 16 + ASHLAR_QUANTUM }, { 57, 0, 64 }, { 65, 0, 80 },
        { 128, 0, 128 }, { 129, 0, 160 }, { 256, 0, 256 }, { 257, 0, 320 },
        { 65535, 0, 65536 }, { 65536, 0, 65536 },
        { 65537, OWNER_RUN, 69632 }, { 8 * 65536, OWNER_RUN, 524288 },
        { 8 * 65536 + 1, OWNER_RUN, 528384 },
        { 32 * MiB, OWNER_RUN, 32 * MiB },
        { 32 * MiB + 1, OWNER_MAPPING, 32 * MiB + 4096 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *pointer = API(malloc)(rows[i].size);
        assert_non_null(pointer);
        assert_int_equal(owner_of(pointer), rows[i].owner != 0
            ? rows[i].owner : (uintptr_t)thread.heap);
        if (sys_page_bytes() == 4096)
            assert_int_equal(heap_usable_bytes(pointer), rows[i].usable);
        alloc_give(pointer);
    }
}

static void every_class_serves_its_last_size(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (size_t size = class_bytes[cls] - 1u; size <= class_bytes[cls];
             size++) {
            void *pointer = alloc_zero(size);
            assert_int_equal(heap_usable_bytes(pointer), class_bytes[cls]);
            memset(pointer, 0xff, class_bytes[cls]);
            alloc_give(pointer);
            const unsigned char *zero = alloc_zero(size);
            for (size_t i = 0; i < class_bytes[cls]; i++)
                assert_int_equal(zero[i], 0);
            alloc_give((void *)(uintptr_t)zero);
        }
    }
}

static void a_size_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4095, SIZE_MAX
    };
    void *block = API(malloc)(100);
    fill(block, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_null(API(malloc)(sizes[i]));
        assert_null(alloc_zero(sizes[i]));
        assert_null(alloc_aligned(1, sizes[i]));
        assert_null(alloc_aligned(4 * MiB, sizes[i]));
        assert_null(alloc_resize(block, sizes[i]));
        check(block, 100);
    }
    assert_null(alloc_aligned((size_t)1 << 63, 1));
    alloc_give(block);
    API(audit_all)();
}

static void an_aligned_block_is_in_the_smallest_class(void **state)
{
    (void)state;
    for (size_t align = 1; align <= CLASS_BYTES_MAX; align *= 2) {
        for (size_t size = 0; size <= CLASS_BYTES_MAX; size += size / 5 + 1) {
            void *pointer = alloc_aligned(align, size);
            assert_non_null(pointer);
            assert_int_equal((uintptr_t)pointer % align, 0);
            assert_int_equal(heap_usable_bytes(pointer),
                class_bytes[class_of_aligned(size, align)]);
            alloc_give(pointer);
        }
    }
}

/* -- resize -- */

static void a_block_stays_while_it_wastes_at_most_a_quarter(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const size_t bytes = class_bytes[cls];
        for (size_t size = bytes; size > 0; size -= max_size(1, bytes / 50)) {
            unsigned char *block = API(malloc)(bytes);
            fill(block, bytes);
            unsigned char *resized = alloc_resize(block, size);
            assert_non_null(resized);
            check(resized, size);
            if (size >= bytes - bytes / 4)
                assert_ptr_equal(resized, block);
            else if (class_of(size) != cls)
                assert_ptr_not_equal(resized, block);
            assert_true(heap_usable_bytes(resized) >= size);
            alloc_give(resized);
            if (size < max_size(1, bytes / 50) + 1)
                break;
        }
    }
}

static void a_block_that_grows_keeps_its_contents(void **state)
{
    (void)state;
    unsigned char *pointer = API(malloc)(1);
    size_t size = 1;
    fill(pointer, size);
    while (size < 20 * MiB) {
        const size_t grown = size + size / 3 + 1;
        pointer = alloc_resize(pointer, grown);
        assert_non_null(pointer);
        assert_true(heap_usable_bytes(pointer) >= grown);
        check(pointer, size);
        for (size_t i = size; i < grown; i++)
            pointer[i] = (unsigned char)(i * 7 + i / 251);
        size = grown;
    }
    while (size > 1) {
        size = size / 2;
        pointer = alloc_resize(pointer, size);
        assert_non_null(pointer);
        check(pointer, size);
    }
    alloc_give(pointer);
    API(audit_all)();
}

static void crossing_a_boundary_changes_the_kind(void **state)
{
    (void)state;
    unsigned char *pointer = API(malloc)(CLASS_BYTES_MAX);
    fill(pointer, CLASS_BYTES_MAX);
    pointer = alloc_resize(pointer, CLASS_BYTES_MAX + 1);
    assert_int_equal(owner_of(pointer), OWNER_RUN);
    check(pointer, CLASS_BYTES_MAX);
    pointer = alloc_resize(pointer, 1 * MiB);
    assert_int_equal(owner_of(pointer), OWNER_RUN);
    check(pointer, CLASS_BYTES_MAX);
    pointer = alloc_resize(pointer, 1 * MiB + 1);
    assert_int_equal(owner_of(pointer), OWNER_MAPPING);
    check(pointer, CLASS_BYTES_MAX);
    pointer = alloc_resize(pointer, 900 * KiB);
    assert_int_equal(owner_of(pointer), OWNER_RUN);
    check(pointer, CLASS_BYTES_MAX);
    pointer = alloc_resize(pointer, CLASS_BYTES_MAX);
    assert_int_equal(owner_of(pointer), (uintptr_t)thread.heap);
    check(pointer, CLASS_BYTES_MAX);
    alloc_give(pointer);
    API(audit_all)();
}

static int resize_without_memory(void *argument)
{
    (void)argument;
    /* What is freed goes back at once, so that all comes from the system. */
    pool_set_dirty_decay_ms(&arena_main.pool, 0);
    static const size_t sizes[] = {
        10, 3000, 60000, 100 * KiB, 2 * MiB, 6 * MiB
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *pointer = API(malloc)(sizes[i]);
        CHILD_EXPECT(pointer != NULL);
        memset(pointer, 0x3c, sizes[i]);
        fail_calls(UINT32_MAX);
        CHILD_EXPECT(alloc_resize(pointer, 90 * MiB) == NULL);
        fail_no_calls();
        for (size_t b = 0; b < sizes[i]; b++)
            CHILD_EXPECT(pointer[b] == 0x3c);
        API(audit_all)();
        unsigned char *moved = alloc_resize(pointer, 90 * MiB);
        CHILD_EXPECT(moved != NULL);
        for (size_t b = 0; b < sizes[i]; b++)
            CHILD_EXPECT(moved[b] == 0x3c);
        alloc_give(moved);
    }
    return 0;
}

static void a_refused_resize_changes_nothing(void **state)
{
    (void)state;
    child_passes(resize_without_memory, NULL);
}

/* With no memory at all, a block or object may still become smaller. */
static int shrink_without_memory(void *argument)
{
    (void)argument;
    static const size_t sizes[] = {
        60000, 200 * KiB, 3 * MiB, 9 * MiB
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *bytes = API(malloc)(sizes[i]);
        CHILD_EXPECT(bytes != NULL);
        fill(bytes, 100);
        fail_calls(UINT32_MAX);
        for (size_t size = sizes[i] / 2; size > 100; size /= 3) {
            bytes = API(realloc)(bytes, size);
            CHILD_EXPECT(bytes != NULL);
            CHILD_EXPECT(API(malloc_usable_size)(bytes) >= size);
        }
        fail_no_calls();
        check(bytes, 100);
        API(free)(bytes);
        API(audit_all)();
    }
    return 0;
}

static void what_shrinks_needs_no_memory(void **state)
{
    (void)state;
    child_passes(shrink_without_memory, NULL);
}

static void what_is_given_is_taken_again(void **state)
{
    (void)state;
    static const size_t sizes[] = { 16, 200, 300, 20000, 100 * KiB };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *pointer = API(malloc)(sizes[i]);
        alloc_give(pointer);
        bool again = false;
        void *kept[9000];
        size_t count = 0;
        while (!again && count < 9000) {
            kept[count] = API(malloc)(sizes[i]);
            assert_non_null(kept[count]);
            again = kept[count++] == pointer;
        }
        assert_true(again);
        while (count > 0)
            alloc_give(kept[--count]);
    }
}

static int end(void **state)
{
    (void)state;
    return nothing_is_left() ? 0 : -1;
}

int main(void)
{
#define AND_NOTHING_STAYS(test) cmocka_unit_test_teardown(test, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_resize_changes_nothing),
        cmocka_unit_test(what_shrinks_needs_no_memory),
        AND_NOTHING_STAYS(the_size_chooses_the_kind),
        AND_NOTHING_STAYS(every_class_serves_its_last_size),
        AND_NOTHING_STAYS(a_size_that_cannot_be_is_refused),
        AND_NOTHING_STAYS(an_aligned_block_is_in_the_smallest_class),
        AND_NOTHING_STAYS(a_block_stays_while_it_wastes_at_most_a_quarter),
        AND_NOTHING_STAYS(a_block_that_grows_keeps_its_contents),
        AND_NOTHING_STAYS(crossing_a_boundary_changes_the_kind),
        AND_NOTHING_STAYS(what_is_given_is_taken_again),
    };
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
