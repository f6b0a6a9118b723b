/* SPDX-License-Identifier: MIT */
/*
 * Lists of free blocks that were overwritten, against check.h and slab.h:
 * where it is found out, what it costs, and that the heap goes on. Method as in
 * check_test.c.
 */
#include "check_bench.h"

/* -- lists that were overwritten -- */

enum { WRONG_LINKS = 6 };

static struct block *wrong_link(int i, struct block *block)
{
    const struct slab *slab = slab_with(block);
    char *const wrong[WRONG_LINKS] = {
        NULL, (char *)(uintptr_t)0x4141414141414141u,
        (char *)(uintptr_t)0x7f1234567890u, (char *)block + 4,
        slab->start + class_blocks[slab->cls] * class_bytes[slab->cls],
        slab->start - class_bytes[slab->cls],
    };
    return (struct block *)(void *)wrong[i];
}

/* The rest of the heap is sound, and of the slab so many blocks are lost. */
static void expect_lost(uint32_t lost)
{
    API(audit_all)();
    free_all_held();
    (void)API(malloc_trim)(0);
    API(audit_all)();
    CHILD_EXPECT(slab_live(held.slab) == lost);
    CHILD_EXPECT(arena_main.pool.taken_bytes == slab_bytes(held.slab));
    expect_silence();
}

struct overwriting {
    enum place place;
    size_t size;
    int link;
};

static int overwrite(void *argument)
{
    const struct overwriting *how = argument;
    listen();
    const unsigned cls = class_of(how->size);
    const size_t count = free_to(how->place, cls, freed);
    /* The last freed is the first of the list, the victim the second. */
    struct block *victim = freed[count - 2];
    victim->next = wrong_link(how->link, victim);
    hold_the_rest();
    expect_report(MISUSE_corrupted, victim);
    expect_lost((uint32_t)count - 2);
    return 0;
}

static void what_is_behind_a_wrong_link_is_lost_and_no_more(void **state)
{
    (void)state;
    static const size_t sizes[] = { 8, 16, 64, 1024, 4096, 65536 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        /* What is in hand is not looked at. */
        for (enum place place = OPEN; place < HAND; place++) {
            for (int i = 0; i < WRONG_LINKS; i++) {
                struct overwriting how = { place, sizes[s], i };
                child_passes(overwrite, &how);
            }
        }
    }
}

static int overwrite_then_trim(void *argument)
{
    const struct overwriting *how = argument;
    listen();
    const unsigned cls = class_of(4096);
    const size_t count = free_to(SEGMENT, cls, freed);
    freed[count - 2]->next = wrong_link(how->link, freed[count - 2]);
    (void)API(malloc_trim)(0);
    expect_report(MISUSE_corrupted, freed[count - 2]);
    CHILD_EXPECT(bits_count(held.slab->cold) == 2);
    hold_the_rest();
    expect_lost((uint32_t)count - 2);
    return 0;
}

static void also_when_free_pages_go_back(void **state)
{
    (void)state;
    for (int i = 0; i < WRONG_LINKS; i++) {
        struct overwriting how = { SEGMENT, 4096, i };
        child_passes(overwrite_then_trim, &how);
    }
}

/* With as many segments as can be, what others freed goes to the open list. */
static int overwrite_beyond_segments(void *argument)
{
    const struct overwriting *how = argument;
    listen();
    const unsigned cls = class_of(64);
    hold(cls, 40);
    for (int i = 0; i < SLAB_SEGMENTS_MAX; i++) {
        free_elsewhere(drop_one());
        CHILD_EXPECT(remote_drain(thread.own));
    }
    CHILD_EXPECT(held.slab->segments == SLAB_SEGMENTS_MAX);
    struct block *list[4];
    for (int i = 0; i < 4; i++) {
        list[i] = drop_one();
        free_elsewhere(list[i]);
    }
    list[2]->next = wrong_link(how->link, list[2]);
    CHILD_EXPECT(remote_drain(thread.own));
    expect_report(MISUSE_corrupted, list[2]);
    CHILD_EXPECT(held.slab->freed == list[3] && list[3]->next == list[2]
        && list[2]->next == NULL);
    API(audit_all)();
    hold_the_rest();
    expect_lost(2);
    return 0;
}

static void also_when_there_is_no_room_for_a_segment(void **state)
{
    (void)state;
    for (int i = 0; i < WRONG_LINKS; i++) {
        struct overwriting how = { REMOTE, 64, i };
        child_passes(overwrite_beyond_segments, &how);
    }
}

/* -- walking and cutting, by themselves -- */

static int walk_lists(void *argument)
{
    (void)argument;
    listen();
    const unsigned cls = class_of(1024);
    const size_t count = free_to(SEGMENT, cls, freed);
    struct slab *slab = held.slab;
    struct check_list list = {
        .first = slab_segment(slab, 0), .count = (uint32_t)count,
    };
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)1 << ((char *)freed[i] - slab->start) / 1024;
    CHILD_EXPECT(check_walk(slab, &list) == bits);
    CHILD_EXPECT(list.count == count && list.last == freed[0]
        && list.rest == NULL && list.first == freed[count - 1]);

    /* The first five come off; the rest stays a list. */
    list.count = 5;
    check_cut(slab, &list);
    CHILD_EXPECT(list.count == 5 && list.last == freed[count - 5]
        && list.last->next == NULL && list.rest == freed[count - 6]);
    for (size_t i = 0; i < count; i++)
        CHILD_EXPECT(has_mark(freed[i]));
    expect_silence();

    /* A rest that is none is not kept. */
    list.first = list.rest;
    list.count = 3;
    freed[count - 8]->next = wrong_link(2, freed[count - 8]);
    check_cut(slab, &list);
    expect_report(MISUSE_corrupted, freed[count - 8]);
    CHILD_EXPECT(list.count == 3 && list.rest == NULL
        && list.last == freed[count - 8] && list.last->next == NULL);

    /* Not even the first is a block. */
    list.first = wrong_link(3, slab_segment(slab, 0));
    list.count = 2;
    check_cut(slab, &list);
    CHILD_EXPECT(list.count == 0 && list.last == NULL && list.rest == NULL);
    CHILD_EXPECT(load_relaxed(&reports) == 1);
    return 0;
}

static void walks_and_cuts_say_how_far_a_list_is_sound(void **state)
{
    (void)state;
    child_passes(walk_lists, NULL);
}

/* -- lists that come back to themselves -- */

enum { CIRCLE = 8 };

/* A list of eight blocks, with their marks; its last leads to the block at
 * `back`, as if that had been freed twice at once. */
static struct check_list circle(unsigned cls, size_t back)
{
    hold(cls, CIRCLE);
    for (size_t i = 0; i < CIRCLE; i++) {
        held.block[i]->next = held.block[i + 1 < CIRCLE ? i + 1 : back];
        check_set_remote_mark(held.slab, held.block[i]);
    }
    return (struct check_list){ .first = held.block[0] };
}

static void expect_marks(void)
{
    for (size_t i = 0; i < CIRCLE; i++)
        CHILD_EXPECT(!CHECK_MARKED(held.cls) || has_mark(held.block[i]));
}

/* Of a list that is taken whole nothing may be left. */
static int cut_whole_circles(void *argument)
{
    const unsigned cls = *(unsigned *)argument;
    listen();
    for (size_t back = 0; back < CIRCLE; back++) {
        for (uint32_t count = CIRCLE; count < 3 * CIRCLE; count++) {
            struct check_list list = circle(cls, back);
            list.count = count;
            list.whole = true;
            check_cut(held.slab, &list);
            expect_report(MISUSE_corrupted, held.block[CIRCLE - 1]);
            CHILD_EXPECT(list.count == CIRCLE && list.rest == NULL
                && list.last == held.block[CIRCLE - 1]
                && list.last->next == NULL);
            expect_marks();
        }
    }
    return 0;
}

/* Of one that is cut the same block must not come twice. */
static int cut_circles(void *argument)
{
    const unsigned cls = *(unsigned *)argument;
    listen();
    for (size_t back = 0; back < CIRCLE; back++) {
        for (uint32_t count = 1; count < 3 * CIRCLE; count++) {
            struct check_list list = circle(cls, back);
            list.count = count;
            check_cut(held.slab, &list);
            const bool twice = count > CIRCLE;
            if (twice)
                expect_report(MISUSE_corrupted, held.block[CIRCLE - 1]);
            CHILD_EXPECT(list.count == (twice ? CIRCLE : count));
            CHILD_EXPECT(list.last == held.block[list.count - 1]
                && list.last->next == NULL);
            CHILD_EXPECT((list.rest == NULL) == twice);
            expect_marks();
        }
    }
    expect_silence();
    return 0;
}

/* Nor is it said to when a mark was written over, whatever with. */
static int cut_without_marks(void *argument)
{
    (void)argument;
    listen();
    for (size_t i = 0; i < CIRCLE; i++) {
        for (uint64_t mark = 0; mark < 2; mark++) {
            for (int whole = 0; whole < 2; whole++) {
                struct check_list list = circle(class_of(64), 0);
                held.block[CIRCLE - 1]->next = whole ? NULL : held.block[0];
                held.block[i]->mark = mark;
                list.count = CIRCLE;
                list.whole = whole;
                check_cut(held.slab, &list);
                CHILD_EXPECT(list.count == CIRCLE
                    && list.last == held.block[CIRCLE - 1]);
                for (size_t k = 0; k < CIRCLE; k++)
                    CHILD_EXPECT(k == i || has_mark(held.block[k]));
            }
        }
    }
    expect_silence();
    return 0;
}

static void circles_are_found_and_nothing_else_is(void **state)
{
    (void)state;
    /* Of blocks without a mark too. */
    unsigned classes[] = { class_of(8), class_of(64) };
    for (size_t i = 0; i < 2; i++) {
        child_passes(cut_whole_circles, &classes[i]);
        child_passes(cut_circles, &classes[i]);
    }
    child_passes(cut_without_marks, NULL);
}

/* A program that frees twice in one blow: two threads between whose looks
 * there was no time. What the owner takes over is handed out once. */
static int free_at_once(void *argument)
{
    const int how = *(int *)argument;
    listen();
    const size_t count = free_to(REMOTE, class_of(how & 1 ? 64 : 8), freed);
    struct block *block = freed[how & 2 ? count - 1 : count / 2];
    (void)remote_push(held.slab, block, NULL);
    while (load_relaxed(&reports) == 0)
        (void)hold_one();
    CHILD_EXPECT(strstr(last_report, messages[MISUSE_corrupted]) != NULL);
    store_relaxed(&reports, 0);
    hold_the_rest();
    return 0;
}

static void what_two_freed_at_once_is_reported_and_handed_out_once(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++)
        child_passes(free_at_once, &how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_behind_a_wrong_link_is_lost_and_no_more),
        cmocka_unit_test(also_when_free_pages_go_back),
        cmocka_unit_test(also_when_there_is_no_room_for_a_segment),
        cmocka_unit_test(walks_and_cuts_say_how_far_a_list_is_sound),
        cmocka_unit_test(circles_are_found_and_nothing_else_is),
        cmocka_unit_test(
            what_two_freed_at_once_is_reported_and_handed_out_once),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
