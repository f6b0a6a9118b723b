/* SPDX-License-Identifier: MIT */
/*
 * chill_test - free pages inside slabs that are still in use go back.
 *
 * Method: blocks of one class are taken straight from the thread's heap, most
 * are freed so that no slab becomes empty, and mincore says which pages of the
 * slabs are resident. Every step ends with the audit of the whole heap.
 */
#include "bench.h"

#include "heap/chill.h"
#include "heap/slab.h"

enum { BLOCKS_MAX = 40000 };

static unsigned char *blocks[BLOCKS_MAX];

static size_t page_bytes(void)
{
    return sys_page_bytes();
}

/* Pages of a block that are resident. */
static size_t resident_pages(const unsigned char *block, size_t bytes)
{
    unsigned char pages[64];
    const uintptr_t from = round_down((uintptr_t)block, page_bytes());
    const uintptr_t to = round_up((uintptr_t)block + bytes, page_bytes());
    assert_int_equal(mincore((void *)from, to - from, pages), 0);
    size_t count = 0;
    for (size_t i = 0; i < (to - from) / page_bytes(); i++)
        count += pages[i] & 1;
    return count;
}

static void fill(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = API(malloc)(bytes);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)(i % 251) + 1, bytes);
    }
}

/* Free all blocks but every keep-th; the kept must be as they were. */
static void free_most(size_t count, size_t keep)
{
    for (size_t i = 0; i < count; i++) {
        if (i % keep != 0) {
            API(free)(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

static void check_kept(size_t count, size_t bytes, size_t keep)
{
    for (size_t i = 0; i < count; i += keep) {
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(blocks[i][k], (int)(i % 251) + 1);
    }
}

static void free_kept(size_t count, size_t keep)
{
    for (size_t i = 0; i < count; i += keep)
        API(free)(blocks[i]);
}

static struct heap *own_heap(void)
{
    API(free)(API(malloc)(1));
    assert_non_null(thread.heap);
    return thread.heap;
}

static void a_trim_leaves_only_pages_with_live_blocks(void **state)
{
    (void)state;
    const size_t sizes[] = { 1024, 2048, 4096, 5120, 8192, 16384, 65536 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t bytes = sizes[s];
        const size_t count = 8 * MiB / bytes;
        fill(count, bytes);
        unsigned char *freed = blocks[count / 2 + 1];
        assert_true(resident_pages(freed, bytes) > 0);
        free_most(count, 8);
        API(malloc_trim)(0);
        API(audit_all)();
        check_kept(count, bytes, 8);
        /* A block of two pages or more has a page of its own for certain. */
        if (bytes >= 2 * page_bytes())
            assert_true(resident_pages(freed, bytes) <= 2);
        free_kept(count, 8);
        API(malloc_trim)(0);
        API(audit_all)();
    }
}

static void too_much_loose_memory_goes_back_by_itself(void **state)
{
    (void)state;
    struct heap *heap = own_heap();
    const size_t count = 64 * MiB / 4096;
    const uint64_t before = pool_purged_bytes(&arena_main.pool);
    fill(count, 4096);
    free_most(count, 5);
    assert_true(pool_purged_bytes(&arena_main.pool) - before > 24 * MiB);
    assert_true(heap->loose_bytes <= 24 * MiB);
    API(audit_all)();
    check_kept(count, 4096, 5);
    free_kept(count, 5);
    API(malloc_trim)(0);
    API(audit_all)();
}

static void cold_blocks_are_handed_out_again_before_new_slabs(void **state)
{
    (void)state;
    const size_t count = 1024;
    struct heap *heap = own_heap();
    fill(count, 8192);
    free_most(count, 4);
    API(malloc_trim)(0);
    const size_t taken = arena_main.pool.taken_bytes;
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            continue;
        blocks[i] = API(malloc)(8192);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)(i % 251) + 1, 8192);
        if (i % 100 == 1)
            API(audit_all)();
    }
    assert_int_equal(arena_main.pool.taken_bytes, taken);
    check_kept(count, 8192, 1);
    assert_null(heap->bin[class_of(8192)].list[SLAB_COLD].first);
    free_kept(count, 1);
    API(malloc_trim)(0);
    API(audit_all)();
}

static void a_refused_purge_loses_nothing(void **state)
{
    (void)state;
    const size_t count = 512;
    (void)own_heap();
    fill(count, 8192);
    free_most(count, 4);
    fail_calls(1u << SYS_PURGE);
    API(malloc_trim)(0);
    assert_true(load_relaxed(&sys_fault.calls) > 0);
    fail_no_calls();
    API(audit_all)();
    check_kept(count, 8192, 4);
    free_kept(count, 4);
    API(malloc_trim)(0);
    API(audit_all)();
}

static void slabs_of_many_small_blocks_are_left_alone(void **state)
{
    (void)state;
    struct heap *heap = own_heap();
    fill(20000, 512);
    free_most(20000, 4);
    assert_int_equal(heap->loose_bytes, 0);
    API(malloc_trim)(0);
    assert_null(heap->bin[class_of(512)].list[SLAB_COLD].first);
    check_kept(20000, 512, 4);
    free_kept(20000, 4);
    API(malloc_trim)(0);
    API(audit_all)();
}

static void random_lives_keep_the_count_of_loose_bytes(void **state)
{
    (void)state;
    enum { SLOTS = 3000 };
    struct heap *heap = own_heap();
    uint64_t seed = 12345;
    memset(blocks, 0, sizeof blocks);
    for (unsigned step = 0; step < 200000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const size_t slot = (size_t)(seed >> 33) % SLOTS;
        API(free)(blocks[slot]);
        blocks[slot] = NULL;
        if ((seed >> 20) % 3 != 0 || step < 20000)
            blocks[slot] = API(malloc)(1000 + (size_t)(seed >> 40) % 30000);
        if (step % 10000 == 0)
            chill_all(heap);
        if (step % 5000 == 0)
            API(audit_all)();
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        API(free)(blocks[slot]);
    API(malloc_trim)(0);
    assert_int_equal(heap->loose_bytes, 0);
    API(audit_all)();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trim_leaves_only_pages_with_live_blocks),
        cmocka_unit_test(too_much_loose_memory_goes_back_by_itself),
        cmocka_unit_test(cold_blocks_are_handed_out_again_before_new_slabs),
        cmocka_unit_test(a_refused_purge_loses_nothing),
        cmocka_unit_test(slabs_of_many_small_blocks_are_left_alone),
        cmocka_unit_test(random_lives_keep_the_count_of_loose_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
