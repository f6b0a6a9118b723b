/* SPDX-License-Identifier: MIT */
/*
 * Parts of memory that hooks gave: decommitted, and committed before anybody
 * uses them; given back where split agrees; and nothing lost where a hook
 * refuses.
 */
#include "hooks_bench.h"

/* -- decommitted -- */

static void open_decommitting_books(void)
{
    books.refuse_dalloc = true;
    open_books();
    books.hooks.decommit = book_decommit;
}

static int what_is_decommitted_is_committed_first(void *unused)
{
    (void)unused;
    open_decommitting_books();
    void *held[SIZES];
    for (int round = 0; round < 4; round++) {
        /* By the arena's own heap, under its lock; and by the thread's. */
        CHILD_EXPECT(arenas_bind(round % 2 == 0 ? 0 : books.index));
        take_all(held, round >= 2);
        free_all(held);
        CHILD_EXPECT(books.decommits > 0 && books.purged_bytes == 0);
    }
    CHILD_EXPECT(arenas_bind(0));
    arena_purge(arenas_at(books.index));
    CHILD_EXPECT(books.commits > 0);
    CHILD_EXPECT(arenas_at(books.index)->pool.dirty_bytes == 0);
    /* Nothing new was asked for where the old could be had. */
    const size_t asked = books.allocs;
    take_all(held, true);
    CHILD_EXPECT(books.allocs == asked);
    return close_books();
}

static int what_cannot_be_committed_is_not_lost(void *unused)
{
    (void)unused;
    open_decommitting_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    books.refuse_commit = true;
    books.refuse_alloc = true;
    for (size_t i = 0; i < SIZES; i++)
        CHILD_EXPECT(take(sizes[i], false) == NULL);
    API(audit_all)();
    CHILD_EXPECT(arenas_bind(books.index));
    CHILD_EXPECT(API(malloc)(sizes[SIZES - 2]) == NULL);
    CHILD_EXPECT(arenas_bind(0));
    books.refuse_commit = false;
    take_all(held, true);
    return close_books();
}

/* A run that grows in place grows into what was decommitted. */
static int a_run_grows_where_it_was_decommitted(void *unused)
{
    (void)unused;
    open_decommitting_books();
    books.hooks.dalloc = book_dalloc_part;
    books.hooks.split = book_split;
    books.hooks.merge = hooks_default.merge;
    char *run = take(5 * MiB, false);
    struct extent *extent = heap_find(run).extent;
    CHILD_EXPECT(large_resize_here(extent, 1 * MiB));
    arena_purge(arenas_at(books.index));
    CHILD_EXPECT(books.decommits > 0);
    books.refuse_commit = true;
    CHILD_EXPECT(!large_resize_here(extent, 5 * MiB));
    books.refuse_commit = false;
    CHILD_EXPECT(large_resize_here(extent, 5 * MiB) && books.commits > 0);
    memset(run, 1, 5 * MiB);
    API(free)(run);
    return close_books();
}

/* -- given back in parts -- */

enum { RUNS = 24, RUN_BYTES = 3 * SLICE_BYTES };

/* Every other object goes, and what it lay in goes back; the rest stays as it
 * was. */
static void let_parts_go(void)
{
    unsigned char *held[RUNS];
    for (size_t i = 0; i < RUNS; i++)
        held[i] = memset(take(RUN_BYTES, false), (int)i, RUN_BYTES);
    for (size_t i = 0; i < RUNS; i += 2)
        API(free)(held[i]);
    arena_purge(arenas_at(books.index));
    API(audit_all)();
    for (size_t i = 1; i < RUNS; i += 2) {
        for (size_t at = 0; at < RUN_BYTES; at++)
            CHILD_EXPECT(held[i][at] == i);
        API(free)(held[i]);
    }
}

static int parts_go_back_where_split_agrees(void *unused)
{
    (void)unused;
    open_books();
    books.hooks.dalloc = book_dalloc_part;
    let_parts_go();
    /* They do not split: nothing but the whole. */
    CHILD_EXPECT(books.parts == 0 && books.purged_bytes > 0);
    books.hooks.split = book_split;
    for (int round = 0; round < 3; round++) {
        let_parts_go();
        void *held[SIZES];
        take_all(held, true);
        free_all(held);
    }
    CHILD_EXPECT(books.parts > 0 && books.splits >= books.parts / 2);
    /* Nothing is used, and all of it went back, whatever of it was left. */
    CHILD_EXPECT(loans() == 0);
    books.refuse_dalloc = true;
    let_parts_go();
    books.refuse_dalloc = false;
    let_parts_go();
    return close_books();
}

/* What an arena finds too large to keep goes back when it is freed. */
static int oversize_objects_go_at_once(void *unused)
{
    (void)unused;
    open_books();
    struct arena *arena = arenas_at(books.index);
    store_relaxed(&arena->oversize_threshold, MiB);
    void *small = take(100, false);
    void *held = memset(take(3 * MiB, false), 1, 3 * MiB);
    API(free)(held);
    CHILD_EXPECT(books.purged_bytes == 3 * MiB);
    CHILD_EXPECT(arena->pool.dirty_bytes == 0);
    books.hooks.split = book_split;
    books.hooks.dalloc = book_dalloc_part;
    held = take(3 * MiB, false);
    API(free)(held);
    CHILD_EXPECT(books.parts == 1 && books.purged_bytes == 3 * MiB);
    API(free)(small);
    return close_books();
}

/* Whether they have memory is asked of them, and nothing kept for it. */
static int new_hooks_are_tried(void *unused)
{
    (void)unused;
    open_books();
    books.refuse_alloc = true;
    CHILD_EXPECT(!arenas_try_hooks(books.index) && books.allocs == 1);
    books.refuse_alloc = false;
    CHILD_EXPECT(arenas_try_hooks(books.index));
    CHILD_EXPECT(books.allocs == 2 && books.dallocs == 1 && loans() == 0);
    books.refuse_dalloc = true;
    CHILD_EXPECT(arenas_try_hooks(books.index) && loans() == 1);
    books.refuse_dalloc = false;
    API(free)(take(100, false));
    CHILD_EXPECT(books.allocs == 3);
    return close_books();
}

CHILD_TEST(what_is_decommitted_is_committed_first)
CHILD_TEST(what_cannot_be_committed_is_not_lost)
CHILD_TEST(a_run_grows_where_it_was_decommitted)
CHILD_TEST(parts_go_back_where_split_agrees)
CHILD_TEST(oversize_objects_go_at_once)
CHILD_TEST(new_hooks_are_tried)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_decommitted_is_committed_first_test),
        cmocka_unit_test(what_cannot_be_committed_is_not_lost_test),
        cmocka_unit_test(a_run_grows_where_it_was_decommitted_test),
        cmocka_unit_test(parts_go_back_where_split_agrees_test),
        cmocka_unit_test(oversize_objects_go_at_once_test),
        cmocka_unit_test(new_hooks_are_tried_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
