/* SPDX-License-Identifier: MIT */
/*
 * What is in any thread's hand, seen by others, against hand.h and check.h:
 * whose blocks a thread keeps, that a second free of what is in a hand is
 * reported whoever brought it there, and that nothing else is. Method as in
 * check_test.c.
 */
#include "check_bench.h"

/* -- another thread's hand -- */

/* Keeps what it is given, or not, until it may end. */
static struct {
    struct block *block;
    unsigned cls;
    bool with_room;
    bool in_hand;               /* it was kept */
    pthread_barrier_t given, over;
    pthread_t thread;
} keeper;

static void *keep_it(void *argument)
{
    void *mine = API(malloc)(class_bytes[keeper.cls]);
    CHILD_EXPECT(mine != NULL);
    if (!keeper.with_room)
        end_room(keeper.cls);
    API(free)(keeper.block);
    keeper.in_hand = thread.shelf[keeper.cls] == keeper.block;
    pthread_barrier_wait(&keeper.given);
    pthread_barrier_wait(&keeper.over);
    API(free)(mine);
    return argument;
}

static void begin_keeper(struct block *block, bool with_room)
{
    keeper.block = block;
    keeper.cls = slab_with(block)->cls;
    keeper.with_room = with_room;
    CHILD_EXPECT(pthread_barrier_init(&keeper.given, NULL, 2) == 0
        && pthread_barrier_init(&keeper.over, NULL, 2) == 0);
    CHILD_EXPECT(pthread_create(&keeper.thread, NULL, keep_it, NULL) == 0);
    pthread_barrier_wait(&keeper.given);
}

static void end_keeper(void)
{
    pthread_barrier_wait(&keeper.over);
    CHILD_EXPECT(pthread_join(keeper.thread, NULL) == 0);
}

static int free_into_another_hand(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (int with_room = 0; with_room < 2; with_room++) {
            hold(cls, 2);
            struct block *block = drop_one();
            const uint32_t live = slab_live(held.slab);
            begin_keeper(block, with_room);
            CHILD_EXPECT(keeper.in_hand
                == (with_room && class_bytes[cls] >= 64));
            CHILD_EXPECT(!CHECK_MARKED(cls) || has_mark(block));
            CHILD_EXPECT(is_on(held.slab, REMOTE, block)
                == !keeper.in_hand);
            CHILD_EXPECT(slab_live(held.slab) == live);
            API(audit_all)();
            end_keeper();
            /* With its end the block is its slab's. */
            CHILD_EXPECT(is_on(held.slab, REMOTE, block));
            API(free)(drop_one());
            CHILD_EXPECT(nothing_is_left());
        }
    }
    expect_silence();
    return 0;
}

static void blocks_of_others_are_kept_from_a_cache_line_up(void **state)
{
    (void)state;
    child_passes(free_into_another_hand, NULL);
}

/* -- a second free -- */

/* Frees and mallocs of all other classes. */
static void use_other_classes(unsigned cls)
{
    for (unsigned other = 0; other < CLASS_COUNT; other++) {
        for (int i = 0; other != cls && i < 20; i++) {
            void *block = API(malloc)(class_bytes[other]);
            CHILD_EXPECT(block != NULL);
            API(free)(block);
        }
    }
}

static void expect_found(struct block *block)
{
    API(free)(block);
    expect_report(MISUSE_double_free, block);
    free_elsewhere(block);
    expect_report(MISUSE_double_free, block);
    CHILD_EXPECT(API(realloc)(block, 1) == NULL);
    expect_report(MISUSE_double_free, block);
}

static int free_twice_in_hand(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = CLASS_MARKED; cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(HAND, cls, freed);
        use_other_classes(cls);
        for (size_t i = 0; i < count; i++)
            expect_found(freed[i]);
        /* The hand is as it was. */
        for (size_t i = count; i-- > 0;)
            CHILD_EXPECT(API(malloc)(class_bytes[cls]) == freed[i]);
        expect_silence();
        /* Out again, the same blocks are the program's. */
        for (size_t i = 0; i < count; i++)
            API(free)(freed[i]);
        expect_silence();
        API(audit_all)();
        free_all_held();
        CHILD_EXPECT(nothing_is_left());
    }
    return 0;
}

static void a_second_free_is_found_in_hand(void **state)
{
    (void)state;
    child_passes(free_twice_in_hand, NULL);
}

static int free_twice_in_another_hand(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = class_of(64); cls < CLASS_COUNT; cls++) {
        for (int unowned = 0; unowned < 2; unowned++) {
            hold(cls, 3);
            struct block *block = drop_one();
            begin_keeper(block, true);
            CHILD_EXPECT(keeper.in_hand);
            if (unowned)
                let_go(cls);
            use_other_classes(cls);
            expect_found(block);
            end_keeper();
            API(audit_all)();
            free_all_held();
            CHILD_EXPECT(nothing_is_left());
        }
    }
    expect_silence();
    return 0;
}

static void also_in_another_threads_hand(void **state)
{
    (void)state;
    child_passes(free_twice_in_another_hand, NULL);
}

/* What a refill brought has its mark until it is handed out. */
static int free_twice_what_a_refill_brought(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = CLASS_MARKED; cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(SEGMENT, cls, freed);
        while (!is_on(held.slab, HAND, freed[0])
            || thread.shelf[cls] == freed[0])
            (void)hold_one();
        for (size_t i = 0; i < count; i++) {
            if (is_on(held.slab, HAND, freed[i]))
                expect_found(freed[i]);
        }
        hold_the_rest();
        API(audit_all)();
        free_all_held();
        CHILD_EXPECT(nothing_is_left());
    }
    expect_silence();
    return 0;
}

static void also_of_what_a_refill_brought(void **state)
{
    (void)state;
    child_passes(free_twice_what_a_refill_brought, NULL);
}

/* The hand of all threads that have no heap. */
static int free_twice_in_the_shared_hand(void *argument)
{
    (void)argument;
    enum { FEW = 40 };
    listen();
    const unsigned cls = class_of(64);
    const struct bin *bin = &arena_main.shared->bin[cls];
    for (int i = 0; i < FEW; i++)
        freed[i] = arena_take_shared(&arena_main, cls);
    for (int i = 0; i < FEW; i++)
        free_elsewhere(freed[i]);
    /* Until a refill brought some of them. */
    do {
        CHILD_EXPECT(arena_take_shared(&arena_main, cls) != NULL);
    } while (bin->shelf == NULL || !has_mark(bin->shelf));
    for (int i = 0; i < FEW; i++) {
        if (list_has(bin->shelf, freed[i]))
            expect_found(freed[i]);
    }
    const struct block *block = arena_take_shared(&arena_main, cls);
    CHILD_EXPECT(block->mark == 0);
    expect_silence();
    API(audit_all)();
    return 0;
}

static void also_in_the_hand_of_threads_without_a_heap(void **state)
{
    (void)state;
    child_passes(free_twice_in_the_shared_hand, NULL);
}

/* -- no report without a mistake -- */

/* A block that is out, and that what is in hand by turns leads to: whoever
 * follows a link too late must not believe it. */
static int answer_while_hands_change(void *argument)
{
    enum { FEW = 2, ASKED = 20000 };
    const bool look_free = *(bool *)argument;
    listen();
    hold(class_of(64), 1);
    struct block *victim = drop_one();
    check_set_remote_mark(held.slab, victim);
    /* The others are of another slab, which may be gone when it is read. */
    while (slab_with(hold_one()) == held.slab)
        continue;
    held.block[0] = drop_one();
    held.block[1] = hold_one();
    begin_inquiry(victim, 2);
    while (load_relaxed(&inquiry.asked) < ASKED) {
        for (size_t i = 0; i < FEW; i++)
            API(free)(held.block[i]);
        for (size_t i = 0; i < FEW; i++) {
            held.block[i] = API(malloc)(64);
            held.block[i]->next = victim;
            if (look_free)
                check_set_remote_mark(slab_with(held.block[i]),
                    held.block[i]);
        }
    }
    end_inquiry();
    return 0;
}

static void a_hand_that_changes_is_not_believed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool look_free = i == 1;
        child_passes(answer_while_hands_change, &look_free);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_others_are_kept_from_a_cache_line_up),
        cmocka_unit_test(a_second_free_is_found_in_hand),
        cmocka_unit_test(also_in_another_threads_hand),
        cmocka_unit_test(also_of_what_a_refill_brought),
        cmocka_unit_test(also_in_the_hand_of_threads_without_a_heap),
        cmocka_unit_test(a_hand_that_changes_is_not_believed),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
