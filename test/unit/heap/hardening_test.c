/* SPDX-License-Identifier: MIT */
/*
 * Option hardening against check.h and thread.h: threads of the second tier
 * work like any other, and find what only they can. Method as in check_test.c.
 */
#include "check_bench.h"

/* -- hardening -- */

static int live_hardened(void *argument)
{
    (void)argument;
    listen();
    CHILD_EXPECT(API(malloc)(10) != NULL);
    thread_set_default(THREAD_HARDENED, true);
    CHILD_EXPECT(thread.own->reasons == THREAD_HARDENED
        && thread.heap == NULL
        && thread.self == OWNER_UNBORN);
    CHILD_EXPECT(hands_are_empty());
    for (size_t size = 0; size <= 3 * MiB; size += size / 2 + 1) {
        char *one = API(malloc)(size);
        char *other = API(calloc)(1, size);
        CHILD_EXPECT(one != NULL && other != NULL);
        CHILD_EXPECT(API(malloc_usable_size)(one)
            >= max_size(size, ASHLAR_QUANTUM));
        memset(one, 1, size);
        one = API(realloc)(one, size + 100);
        API(free_sized)(other, size);
        free_elsewhere(one);
    }
    expect_silence();
    API(audit_all)();
    thread_set_default(THREAD_HARDENED, false);
    CHILD_EXPECT(thread.heap == thread.own && thread.own->reasons == 0
        && thread.self == (uintptr_t)thread.own);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(thread.own->bin[cls].shelf == NULL);
    API(audit_all)();
    expect_silence();
    return 0;
}

static void a_careful_thread_works_like_any_other(void **state)
{
    (void)state;
    child_passes(live_hardened, NULL);
}

static void *is_born_hardened(void *argument)
{
    API(free)(API(malloc)(100));
    *(bool *)argument = thread.own != NULL
        && thread.own->reasons == THREAD_HARDENED
        && thread.heap == NULL && thread.self == OWNER_UNBORN;
    return NULL;
}

static int bear_hardened(void *argument)
{
    (void)argument;
    bool hardened = false;
    thread_set_default(THREAD_HARDENED, true);
    thread_run(is_born_hardened, &hardened);
    CHILD_EXPECT(hardened);
    thread_set_default(THREAD_HARDENED, false);
    thread_run(is_born_hardened, &hardened);
    CHILD_EXPECT(!hardened);
    API(audit_all)();
    return 0;
}

static void threads_are_born_as_the_option_says(void **state)
{
    (void)state;
    child_passes(bear_hardened, NULL);
}

/* The block went back, and by the next refill into the thread's hands. */
static int free_in_hand(void *argument)
{
    const bool elsewhere = *(bool *)argument;
    listen();
    thread_set_default(THREAD_HARDENED, true);
    for (unsigned cls = class_of(16); cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(SEGMENT, cls, freed);
        while (!list_has(thread.own->bin[cls].shelf, freed[0])
            || thread.own->bin[cls].shelf == freed[0])
            (void)hold_one();
        for (size_t i = 0; i < count; i++) {
            if (!list_has(thread.own->bin[cls].shelf, freed[i]))
                continue;
            CHILD_EXPECT(has_mark(freed[i]));
            if (elsewhere)
                free_elsewhere(freed[i]);
            else
                API(free)(freed[i]);
            expect_report(MISUSE_double_free, freed[i]);
        }
        API(audit_all)();
        free_all_held();
        CHILD_EXPECT(nothing_is_left());
    }
    expect_silence();
    return 0;
}

static void hardened_what_is_in_hand_is_found_free(void **state)
{
    (void)state;
    bool elsewhere = false;
    child_passes(free_in_hand, &elsewhere);
    elsewhere = true;
    child_passes(free_in_hand, &elsewhere);
}

/* A write after free that leaves the link alone. */
struct late_write {
    enum place place;           /* HAND: what a refill brought */
    bool first;                 /* into the first block of the list */
};

static int write_late(void *argument)
{
    const struct late_write *how = argument;
    listen();
    thread_set_default(THREAD_HARDENED, true);
    const unsigned cls = class_of(256);
    struct block *victim;
    if (how->place == HAND) {
        hold(cls, 1);
        victim = thread.own->bin[cls].shelf;
        victim = how->first ? victim : victim->next;
    } else {
        const size_t count = free_to(how->place, cls, freed);
        victim = freed[how->first ? count - 1 : count - 3];
    }
    CHILD_EXPECT(has_mark(victim));
    memset(&victim->mark, 0x41, sizeof victim->mark);
    hold_the_rest();
    CHILD_EXPECT(load_relaxed(&reports) == 1
        && strstr(last_report, messages[MISUSE_corrupted]) != NULL);
    store_relaxed(&reports, 0);
    CHILD_EXPECT(!is_held(victim));
    API(audit_all)();
    free_all_held();
    (void)API(malloc_trim)(0);
    API(audit_all)();
    expect_silence();
    return 0;
}

static void hardened_a_write_after_free_is_found(void **state)
{
    (void)state;
    for (enum place place = OPEN; place < PLACES; place++) {
        for (int first = 0; first < 2; first++) {
            struct late_write how = { place, first };
            child_passes(write_late, &how);
        }
    }
}

static int free_with_sizes(void *argument)
{
    (void)argument;
    listen();
    thread_set_default(THREAD_HARDENED, true);
    for (size_t size = 0; size < 2 * CLASS_BYTES_MAX; size += size / 40 + 1) {
        API(free_sized)(API(malloc)(size), size);
        API(free_aligned_sized)(API(aligned_alloc)(64, size), 64, size);
        API(free_sized)(API(realloc)(API(malloc)(size + 1), size + size / 3),
            size + size / 3);
        expect_silence();
        void *block = API(malloc)(size);
        API(free_sized)(block, 2 * size + 100);
        expect_report(MISUSE_size, block);
        /* A large object may have shrunk where it lies. */
        if (size < 1000 || size > CLASS_BYTES_MAX)
            continue;
        block = API(malloc)(size);
        API(free_sized)(block, size / 2);
        expect_report(MISUSE_size, block);
    }
    API(audit_all)();
    return 0;
}

static void hardened_a_wrong_size_is_named(void **state)
{
    (void)state;
    child_passes(free_with_sizes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_careful_thread_works_like_any_other),
        cmocka_unit_test(threads_are_born_as_the_option_says),
        cmocka_unit_test(hardened_what_is_in_hand_is_found_free),
        cmocka_unit_test(hardened_a_write_after_free_is_found),
        cmocka_unit_test(hardened_a_wrong_size_is_named),
    };
    return cmocka_run_group_tests_name("hardening", tests, NULL, NULL);
}
