/* SPDX-License-Identifier: MIT */
/*
 * Extent hooks: what they are asked for, that nothing else is touched, what
 * happens when one refuses, and that they may use the allocator themselves.
 */
#include "hooks_bench.h"

/* -- tests -- */

static int all_memory_is_theirs(void *unused)
{
    (void)unused;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    /* A purge asks each whether it wants its memory back. */
    CHILD_EXPECT(loans() == 0 && books.dallocs == books.allocs);
    take_all(held, true);
    CHILD_EXPECT(loans() > 0);
    return close_books();
}

static int purged_memory_is_not_zero(void *unused)
{
    (void)unused;
    books.refuse_dalloc = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    CHILD_EXPECT(books.purged_bytes > 0 && loans() > 0);
    take_all(held, true);
    for (size_t i = 0; i < SIZES; i++) {
        void *grown = API(realloc)(held[i], sizes[i] * 2);
        CHILD_EXPECT(grown != NULL && *(char *)grown == 0x55);
        API(free)(grown);
    }
    const int result = close_books();
    CHILD_EXPECT(books.destroys > 0);
    return result;
}

static int rubbish_is_cleared(void *unused)
{
    (void)unused;
    books.dressed = true;
    books.uncommitted = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    CHILD_EXPECT(books.commits == books.allocs);
    free_all(held);
    books.uncommitted = false;
    take_all(held, true);
    return close_books();
}

static int a_refusal_loses_nothing(void *unused)
{
    (void)unused;
    books.refuse_alloc = true;
    open_books();
    for (size_t i = 0; i < SIZES; i++)
        CHILD_EXPECT(take(sizes[i], false) == NULL);
    books.refuse_alloc = false;
    books.crooked = true;
    CHILD_EXPECT(take(100, false) == NULL && loans() == 0);
    books.crooked = false;
    books.refuse_purge = true;
    books.refuse_dalloc = true;
    void *held[SIZES];
    for (int round = 0; round < 3; round++) {
        take_all(held, false);
        free_all(held);
        CHILD_EXPECT(arenas_at(books.index)->pool.dirty_bytes > 0);
    }
    /* What came back and was refused serves again. */
    const size_t asked = books.allocs;
    take_all(held, true);
    CHILD_EXPECT(books.allocs == asked);
    return close_books();
}

static int pinned_memory_is_not_purged(void *unused)
{
    (void)unused;
    books.flags = HOOKS_PINNED;
    books.refuse_dalloc = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    CHILD_EXPECT(books.purged_bytes == 0);
    take_all(held, true);
    return close_books();
}

static int hooks_use_their_arena(void *unused)
{
    (void)unused;
    books.allocating = true;
    open_books();
    books.hooks.decommit = book_decommit;
    for (int round = 0; round < 6; round++) {
        /* Half of the rounds from outside, through the arena's own heap. */
        CHILD_EXPECT(arenas_bind(round % 2 == 0 ? books.index : 0));
        for (size_t i = 0; i < OLD; i++)
            old[i] = API(malloc)(i % 50 == 0 ? 100000 : 16 * (i % 60));
        void *held[SIZES];
        take_all(held, round == 2);
        free_all(held);
        (void)API(malloc_trim)(0);
        for (size_t i = 0; i < OLD; i++)
            free_old(i);
        API(audit_all)();
    }
    CHILD_EXPECT(arenas_bind(0));
    books.allocating = false;
    return close_books();
}

/* Some of arena 0's memory is the system's, the later is the hooks'. */
static int hooks_come_late(void *unused)
{
    (void)unused;
    open_books();
    void *before = API(malloc)(300000);
    CHILD_EXPECT(arenas_hooks(&arena_main) == &hooks_default);
    const unsigned manual = books.index;
    books.index = 0;
    CHILD_EXPECT(arenas_set_hooks(0, &books.hooks));
    void *mapping = API(malloc)(40 * MiB);
    CHILD_EXPECT(is_on_loan(mapping, 40 * MiB));
    CHILD_EXPECT(!is_on_loan(before, 300000));
    mapping = API(realloc)(mapping, 50 * MiB);
    CHILD_EXPECT(is_on_loan(mapping, 50 * MiB));
    API(free)(mapping);
    API(free)(before);
    CHILD_EXPECT(arenas_set_hooks(0, &hooks_default));
    void *after = API(malloc)(40 * MiB);
    CHILD_EXPECT(!is_on_loan(after, 40 * MiB));
    API(free)(after);
    books.index = manual;
    return close_books();
}

static void *churn(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    void *held[50] = { NULL };
    for (int turn = 0; turn < 3000; turn++) {
        void **at = &held[dice_below(&dice, 50)];
        API(free)(*at);
        *at = take(sizes[dice_below(&dice, SIZES - 2)], turn % 2 == 0);
        CHILD_EXPECT(*at != NULL);
        if (turn % 100 == 0)
            arena_purge(arenas_at(books.index));
    }
    for (size_t i = 0; i < 50; i++)
        API(free)(held[i]);
    return NULL;
}

static int threads_share_hooked_memory(void *unused)
{
    (void)unused;
    open_books();
    /* The books themselves are for one thread. */
    books.hooks = hooks_default;
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads_begin(&threads[i], 1, churn, (void *)(i + 1));
    threads_end(threads, 3);
    return close_books();
}

CHILD_TEST(all_memory_is_theirs)
CHILD_TEST(purged_memory_is_not_zero)
CHILD_TEST(rubbish_is_cleared)
CHILD_TEST(a_refusal_loses_nothing)
CHILD_TEST(pinned_memory_is_not_purged)
CHILD_TEST(hooks_use_their_arena)
CHILD_TEST(hooks_come_late)
CHILD_TEST(threads_share_hooked_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_memory_is_theirs_test),
        cmocka_unit_test(purged_memory_is_not_zero_test),
        cmocka_unit_test(rubbish_is_cleared_test),
        cmocka_unit_test(a_refusal_loses_nothing_test),
        cmocka_unit_test(pinned_memory_is_not_purged_test),
        cmocka_unit_test(hooks_use_their_arena_test),
        cmocka_unit_test(hooks_come_late_test),
        cmocka_unit_test(threads_share_hooked_memory_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
