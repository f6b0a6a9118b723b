/* SPDX-License-Identifier: MIT */
/*
 * Heaps and their arena against heap.h and arena.h: who gets a dead owner's
 * heap, what an owner leaves behind, what a pointer is found to be, and what
 * a purge must bring back.
 */
#include "bench.h"

static size_t heap_count(void)
{
    size_t count = 0;
    const struct heap *heap = load_acquire(&arena_main.heaps);
    for (; heap != NULL; heap = heap->next)
        count++;
    return count;
}

static void an_orphan_is_adopted_before_a_heap_is_made(void **state)
{
    (void)state;
    struct heap *heap = heap_adopt(&arena_main);
    struct heap *other = heap_adopt(&arena_main);
    assert_non_null(heap);
    assert_non_null(other);
    assert_ptr_not_equal(heap, other);
    const size_t count = heap_count();
    heap_orphan(heap);
    assert_true(is_orphan(heap));
    assert_int_equal(load_relaxed(&arena_main.orphans), 1);
    assert_ptr_equal(heap_adopt(&arena_main), heap);
    assert_false(is_orphan(heap));
    assert_int_equal(load_relaxed(&arena_main.orphans), 0);
    /* It has an owner: nobody else becomes it. */
    assert_false(heap_claim(heap));
    assert_false(heap_claim(other));
    assert_false(heap_claim(arena_main.shared));
    assert_int_equal(heap_count(), count);
    struct heap *third = heap_adopt(&arena_main);
    assert_int_equal(heap_count(), count + 1);
    heap_orphan(heap);
    heap_orphan(other);
    heap_orphan(third);
}

static void heaps_are_aligned_and_the_arenas(void **state)
{
    (void)state;
    const struct heap *heap = load_acquire(&arena_main.heaps);
    for (; heap != NULL; heap = heap->next) {
        assert_int_equal((uintptr_t)heap % CACHE_LINE_BYTES, 0);   /* H1 */
        assert_ptr_equal(heap->arena, &arena_main);           /* A1 H2 */
    }
    assert_true(OWNER_UNBORN % CACHE_LINE_BYTES != 0);
    assert_true(OWNER_RUN % CACHE_LINE_BYTES != 0);
    assert_true(OWNER_MAPPING % CACHE_LINE_BYTES != 0);
    assert_true(OWNER_SHARED % CACHE_LINE_BYTES != 0);
    assert_true(OWNER_GONE % CACHE_LINE_BYTES != 0);
    assert_true(HEAP_ORPHAN % CACHE_LINE_BYTES != 0);
}

static void *note_heap(void *argument)
{
    void *block = API(malloc)(100);
    *(struct heap **)argument = thread.heap;
    API(free)(block);
    return NULL;
}

static void a_dead_threads_heap_is_the_next_threads(void **state)
{
    (void)state;
    struct heap *first = NULL;
    struct heap *second = NULL;
    thread_run(note_heap, &first);
    thread_run(note_heap, &second);
    assert_non_null(first);
    assert_ptr_equal(first, second);
}

/* What an owner leaves is in the chains, where anybody can take it. */
static void an_owner_that_leaves_keeps_only_chains(void **state)
{
    (void)state;
    struct heap *heap = heap_adopt(&arena_main);
    heap_tidy(heap);
    const size_t taken = arena_main.pool.taken_bytes;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct block *list = bin_refill(heap, cls);
        while (list != NULL) {
            struct block *next = list->next;
            slab_put(slab_of(heap_find(list).extent), list);
            list = next;
        }
    }
    assert_true(arena_main.pool.taken_bytes > taken);
    heap_orphan(heap);
    assert_int_equal(arena_main.pool.taken_bytes,
        taken + chain_bytes(&heap->kept));
    assert_int_equal(heap->kept.hand_slices, 0);
    API(audit_all)();
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, taken);
    API(audit_all)();
}

static void a_pointer_is_found_for_what_it_is(void **state)
{
    (void)state;
    static char own_data[64];
    char *block = API(malloc)(500);
    char *run = API(malloc)(100 * KiB);
    char *mapping = API(malloc)(40 * MiB);
    assert_int_equal(heap_find(block).owner, (uintptr_t)thread.heap);
    assert_int_equal(heap_find(run).owner, OWNER_RUN);
    assert_int_equal(heap_find(mapping).owner, OWNER_MAPPING);
    const void *not_ours[] = {
        NULL, own_data, &block, (void *)(uintptr_t)16,
        (void *)UINTPTR_MAX, (void *)((uintptr_t)1 << 47),
        (void *)((uintptr_t)block | (uintptr_t)1 << 48),
        (void *)((uintptr_t)block | (uintptr_t)0xffff << 48),
    };
    for (size_t i = 0; i < sizeof not_ours / sizeof not_ours[0]; i++) {
        assert_int_equal(heap_find(not_ours[i]).owner, MAP_NOBODY);
        assert_null(heap_find(not_ours[i]).extent);
        assert_int_equal(heap_usable_bytes(not_ours[i]), 0);
    }
    assert_int_equal(heap_usable_bytes(block), 512);
    assert_int_equal(heap_usable_bytes(block + 8), 0);
    assert_int_equal(heap_usable_bytes(run), 100 * KiB);
    assert_int_equal(heap_usable_bytes(mapping), 40 * MiB);
    API(free)(block);
    API(free)(run);
    API(free)(mapping);
}

static void the_shared_heap_serves_every_class(void **state)
{
    (void)state;
    enum { EACH = 20 };
    static void *block[CLASS_COUNT][EACH];
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (int i = 0; i < EACH; i++) {
            block[cls][i] = arena_take_shared(&arena_main, cls);
            assert_non_null(block[cls][i]);
            assert_int_equal(owner_of(block[cls][i]),
                (uintptr_t)arena_main.shared);
            memset(block[cls][i], 1, class_bytes[cls]);
        }
    }
    API(audit_all)();
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (int i = 0; i < EACH; i++)
            API(free)(block[cls][i]);
    }
    API(audit_all)();
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, 0);
}

/* -- what a purge brings back -- */

enum { LEFT = 5000 };
static void *left[LEFT];

static void *leave_blocks(void *argument)
{
    for (int i = 0; i < LEFT; i++)
        left[i] = API(malloc)((size_t)i % 3000 + 1);
    return argument;
}

static void a_purge_returns_what_was_freed_into_a_dead_heap(void **state)
{
    (void)state;
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, 0);
    thread_run(leave_blocks, NULL);
    assert_true(arena_main.pool.taken_bytes > 0);
    for (int i = 0; i < LEFT; i++)
        API(free)(left[i]);
    (void)API(malloc_trim)(0);
    API(audit_all)();
    assert_int_equal(arena_main.pool.taken_bytes, 0);
    assert_int_equal(arena_main.pool.dirty_bytes, 0);
}

static void a_purge_empties_the_chains_of_other_heaps(void **state)
{
    (void)state;
    struct heap *heap = heap_adopt(&arena_main);
    struct extent *extent = pool_take(&arena_main.pool, 20, 1);
    map_set(extent->start, 1, OWNER_RUN, extent);
    extent->touched = 20;
    assert_true(kept_push(&heap->kept, extent));
    assert_int_equal(arena_main.pool.taken_bytes, 20 * SLICE_BYTES);
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, 0);
    assert_int_equal(arena_main.pool.leased_bytes, 0);
    heap_orphan(heap);
}

/* -- the audit can fail -- */

enum damage { DAMAGE_NONE, MAP_WRONG, ARENA_WRONG, SUM_WRONG, DAMAGES };

static int audit_damaged(void *argument)
{
    static struct arena another;
    char *block = API(malloc)(100);
    API(audit_all)();
    switch (*(enum damage *)argument) {
    case MAP_WRONG:
        map_set(block, 1, OWNER_RUN, heap_find(block).extent);
        break;
    case ARENA_WRONG: thread.heap->arena = &another; break;
    case SUM_WRONG: arena_main.pool.taken_bytes += SLICE_BYTES; break;
    case DAMAGE_NONE: case DAMAGES: break;
    }
    API(audit_all)();
    return 0;
}

static void the_audit_sees_every_kind_of_damage(void **state)
{
    (void)state;
    enum damage damage = DAMAGE_NONE;
    child_passes(audit_damaged, &damage);
    damage = MAP_WRONG;
    child_panics(audit_damaged, &damage, "heap/arena.c");
    damage = ARENA_WRONG;
    child_panics(audit_damaged, &damage, "heap/arena.c");
    damage = SUM_WRONG;
    child_panics(audit_damaged, &damage, "page/pool.c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_audit_sees_every_kind_of_damage),
        cmocka_unit_test(an_orphan_is_adopted_before_a_heap_is_made),
        cmocka_unit_test(heaps_are_aligned_and_the_arenas),
        cmocka_unit_test(a_dead_threads_heap_is_the_next_threads),
        cmocka_unit_test(an_owner_that_leaves_keeps_only_chains),
        cmocka_unit_test(a_pointer_is_found_for_what_it_is),
        cmocka_unit_test(the_shared_heap_serves_every_class),
        cmocka_unit_test(a_purge_empties_the_chains_of_other_heaps),
        cmocka_unit_test(a_purge_returns_what_was_freed_into_a_dead_heap),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
