/* SPDX-License-Identifier: MIT */
/*
 * What a thread frees and keeps in hand, against hand.h: how much room there
 * is, when room is found again, when the hand is let go, and where it goes with
 * its thread or its slab. Method as in check_test.c; the heap of the first part
 * is nobody's.
 */
#include "check_bench.h"

#include "heap/hand.h"

enum { CAPACITY_FIRST = 4, CAPACITY_MOST = 256, BYTES_MOST = 128 * KiB };

/* -- room -- */

static int64_t most_room(unsigned cls)
{
    const size_t fit = BYTES_MOST / class_bytes[cls];
    return (int64_t)max_size(CAPACITY_FIRST, min_size(fit, CAPACITY_MOST));
}

/* A heap whose bins nobody uses, and no room in the calling thread's hand. */
static struct heap *begin_room(unsigned cls)
{
    static struct heap heap;
    heap.bin[cls] = (struct bin){ 0 };
    thread.shelf[cls] = NULL;
    thread.room[cls] = 0;
    return &heap;
}

static void end_rooms(void)
{
    memset(thread.shelf, 0, sizeof thread.shelf);
    memset(thread.room, 0, sizeof thread.room);
}

static void room_doubles_when_a_refill_comes_after_it_was_used_up(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct heap *heap = begin_room(cls);
        int64_t wanted = CAPACITY_FIRST;
        for (int i = 0; i < 10; i++) {
            hand_make_room(heap, cls);
            assert_int_equal(thread.room[cls], wanted);
            /* Exactly used up, or with some frees more. */
            thread.room[cls] = (int16_t)-i;
            wanted = wanted * 2 < most_room(cls) ? wanted * 2
                : most_room(cls);
        }
        assert_int_equal(wanted, most_room(cls));
    }
    end_rooms();
}

static void room_that_was_left_over_is_made_up_to_what_it_was(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct heap *heap = begin_room(cls);
        hand_make_room(heap, cls);
        thread.room[cls] = 0;
        hand_make_room(heap, cls);
        const int16_t wanted = thread.room[cls];
        for (int16_t left = 1; left < wanted; left++) {
            thread.room[cls] = left;
            hand_make_room(heap, cls);
            assert_int_equal(thread.room[cls], wanted);
        }
    }
    end_rooms();
}

static void what_is_kept_is_in_front_while_there_is_room(void **state)
{
    (void)state;
    struct block block[CAPACITY_FIRST + 3];
    struct block brought = { NULL, 0 };
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        hand_make_room(begin_room(cls), cls);
        thread.shelf[cls] = &brought;
        for (int i = 0; i < CAPACITY_FIRST; i++) {
            struct block *before = thread.shelf[cls];
            assert_true(hand_keep(cls, &block[i]));
            assert_ptr_equal(thread.shelf[cls], &block[i]);
            assert_ptr_equal(block[i].next, before);
        }
        for (int i = 0; i < 3; i++)
            assert_false(hand_keep(cls, &block[CAPACITY_FIRST + i]));
        assert_int_equal(list_length(thread.shelf[cls]), CAPACITY_FIRST + 1);
        for (int i = CAPACITY_FIRST; i-- > 0;) {
            block[i].mark = 1;
            assert_ptr_equal(hand_take(cls), &block[i]);
            assert_int_equal(block[i].mark, CHECK_MARKED(cls) ? 0 : 1);
        }
        assert_ptr_equal(hand_take(cls), &brought);
        assert_null(hand_take(cls));
    }
    end_rooms();
}

static void a_look_comes_at_once_and_then_once_in_many_frees(void **state)
{
    (void)state;
    struct block block;
    (void)begin_room(0);
    for (int i = 0; i < 10 * HAND_LOOK_FREES; i++) {
        assert_false(hand_keep(0, &block));
        assert_int_equal(hand_should_look(0), i % HAND_LOOK_FREES == 0);
    }
    end_rooms();
}

/* As if a thread had been given room for 16 blocks and has so many. */
static void look_with(struct heap *heap, size_t count)
{
    static struct block block[CAPACITY_MOST];
    for (size_t i = 0; i < count; i++)
        block[i].next = i > 0 ? &block[i - 1] : NULL;
    thread.shelf[0] = count > 0 ? &block[count - 1] : NULL;
    thread.room[0] = -HAND_LOOK_FREES - 1;
    heap->bin[0].capacity = 16;
}

static void room_is_found_where_less_than_half_is_there(void **state)
{
    (void)state;
    struct heap *heap = begin_room(0);
    for (size_t count = 0; count < 40; count++) {
        look_with(heap, count);
        assert_int_equal(hand_find_room(heap, 0), count < 8);
        /* Or it is not time again for a while. */
        assert_int_equal(thread.room[0], count < 8 ? 16 - (int)count : -2);
        assert_false(hand_should_look(0));
        assert_int_equal(list_length(thread.shelf[0]), count);
        /* What comes and goes earns more. */
        assert_int_equal(heap->bin[0].capacity, count < 8 ? 32 : 16);
    }
    end_rooms();
}

static void room_that_is_found_grows_as_far_as_any(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct heap *heap = begin_room(cls);
        hand_make_room(heap, cls);
        int64_t wanted = CAPACITY_FIRST;
        for (int i = 0; i < 10; i++) {
            thread.room[cls] = -1;
            assert_true(hand_find_room(heap, cls));
            assert_int_equal(thread.room[cls], wanted);
            wanted = wanted * 2 < most_room(cls) ? wanted * 2
                : most_room(cls);
        }
    }
    end_rooms();
}

/* What a program that writes after free can make of a hand. */
static void a_look_ends_where_a_list_does_not(void **state)
{
    (void)state;
    struct heap *heap = begin_room(0);
    look_with(heap, 3);
    thread.shelf[0]->next->next->next = thread.shelf[0];
    assert_false(hand_find_room(heap, 0));
    end_rooms();
}

/* -- a thread's hand -- */

static const size_t sizes[] = { 16, 64, 150, 256, 1024, 4096, 20480 };
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static int free_and_take(void *argument)
{
    (void)argument;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(HAND, cls, freed);
        CHILD_EXPECT(count == CAPACITY_FIRST - 1);
        /* For its slab a block in hand is out. */
        CHILD_EXPECT(held.slab->freed == NULL && held.slab->segments == 0);
        API(audit_all)();
        for (size_t i = count; i-- > 0;)
            CHILD_EXPECT(API(malloc)(class_bytes[cls]) == freed[i]);
    }
    return 0;
}

static void the_last_freed_is_the_first_taken(void **state)
{
    (void)state;
    child_passes(free_and_take, NULL);
}

static bool has_room(unsigned cls)
{
    return thread.room[cls] > 0;
}

/* Frees into slabs until one of them had an event. */
static void free_until_an_event(unsigned cls)
{
    const uint64_t folded = thread.own->bin[cls].folded;
    do {
        struct block *block = drop_one();
        API(free)(block);
        CHILD_EXPECT(!list_has(thread.shelf[cls], block));
    } while (thread.own->bin[cls].folded == folded);
}

/* More blocks than the test frees, and a full hand. */
static void fill_a_hand(unsigned cls, struct block **kept)
{
    held.cls = cls;
    held.count = 0;
    while (held.count < 8u * class_segment[cls] + 64)
        (void)hold_one();
    hold_the_hand();
    (void)hold_one();
    CHILD_EXPECT(thread.room[cls] == CAPACITY_FIRST);
    hold_the_hand();
    for (int i = 0; i < CAPACITY_FIRST; i++)
        API(free)(kept[i] = drop_one());
    CHILD_EXPECT(list_length(thread.shelf[cls]) == CAPACITY_FIRST);
    CHILD_EXPECT(thread.room[cls] == 0);
}

static int find_room_again(void *argument)
{
    (void)argument;
    struct block *kept[CAPACITY_FIRST];
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const size_t bytes = class_bytes[cls];
        fill_a_hand(cls, kept);
        /* Half of it was taken: not yet. */
        for (int i = 0; i < 2; i++)
            CHILD_EXPECT(API(malloc)(bytes) == kept[3 - i]);
        API(free)(kept[3]);
        CHILD_EXPECT(!is_on(slab_with(kept[3]), HAND, kept[3]));
        /* One more, and the next look finds room for what is missing. */
        CHILD_EXPECT(API(malloc)(bytes) == kept[1]);
        API(free)(drop_one());
        CHILD_EXPECT(!has_room(cls));
        thread.room[cls] = -HAND_LOOK_FREES;
        API(free)(kept[1]);
        CHILD_EXPECT(is_on(slab_with(kept[1]), HAND, kept[1]));
        CHILD_EXPECT(thread.room[cls] == CAPACITY_FIRST - 2);
        CHILD_EXPECT(list_length(thread.shelf[cls]) == 2);
        API(free)(kept[2]);
        API(audit_all)();
        free_all_held();
        CHILD_EXPECT(nothing_is_left());
    }
    return 0;
}

static void what_malloc_took_is_room_again(void **state)
{
    (void)state;
    child_passes(find_room_again, NULL);
}

static int free_and_take_in_turn(void *argument)
{
    (void)argument;
    enum { WARM = 5000, PAIRS = 5000, REFILLS = 10 };
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        hold(cls, 1);
        uint32_t refills = 0;
        for (int i = 0; i < WARM + PAIRS; i++) {
            if (i == WARM)
                refills = thread.own->refills;
            API(free)(drop_one());
            (void)hold_one();
        }
        CHILD_EXPECT(thread.own->refills - refills <= REFILLS);
    }
    API(audit_all)();
    return 0;
}

static void who_frees_and_takes_in_turn_hardly_needs_slabs(void **state)
{
    (void)state;
    child_passes(free_and_take_in_turn, NULL);
}

/* The first event sees the hand, the second finds it changed. */
static void change_between_two_events(unsigned cls, struct block **kept)
{
    fill_a_hand(cls, kept);
    free_until_an_event(cls);
    CHILD_EXPECT(API(malloc)(class_bytes[cls]) == kept[3]);
    free_until_an_event(cls);
    CHILD_EXPECT(list_length(thread.shelf[cls]) == 3);
    CHILD_EXPECT(thread.own->bin[cls].capacity == CAPACITY_FIRST);
}

static int let_go_of_a_hand(void *argument)
{
    const unsigned cls = class_of(*(size_t *)argument);
    struct block *kept[CAPACITY_FIRST];
    change_between_two_events(cls, kept);
    /* The third finds it as it was. */
    free_until_an_event(cls);
    CHILD_EXPECT(thread.shelf[cls] == NULL && !has_room(cls));
    for (int i = 0; i < 3; i++) {
        const struct slab *slab = slab_with(kept[i]);
        CHILD_EXPECT(is_on(slab, OPEN, kept[i])
            || is_on(slab, SEGMENT, kept[i]));
    }
    API(audit_all)();
    /* Nothing is kept, whatever comes, until the next refill. */
    for (int i = 0; i < 2; i++)
        free_until_an_event(cls);
    CHILD_EXPECT(thread.shelf[cls] == NULL && !has_room(cls));
    struct block *block = API(malloc)(class_bytes[cls]);
    CHILD_EXPECT(thread.room[cls] == CAPACITY_FIRST);
    API(free)(block);
    CHILD_EXPECT(thread.shelf[cls] == block);
    API(free)(kept[3]);
    free_all_held();
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void what_nobody_took_between_two_events_is_let_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        size_t size = sizes[i];
        child_passes(let_go_of_a_hand, &size);
    }
}

/* Not while there is room: the hand is still being filled. */
static int mind_with_room(void *argument)
{
    (void)argument;
    const unsigned cls = class_of(64);
    struct block *kept[CAPACITY_FIRST];
    fill_a_hand(cls, kept);
    for (thread.room[cls] = 2; thread.room[cls] >= 0; thread.room[cls]--) {
        for (int i = 0; i < 3; i++)
            hand_mind(thread.own, cls);
        CHILD_EXPECT(thread.shelf[cls] == kept[3]);
    }
    hand_mind(thread.own, cls);
    CHILD_EXPECT(thread.shelf[cls] == kept[3]);
    hand_mind(thread.own, cls);
    CHILD_EXPECT(thread.shelf[cls] == NULL);
    API(audit_all)();
    /* And the same list again is seen for the first time. */
    CHILD_EXPECT(thread.own->bin[cls].seen == NULL);
    return 0;
}

static void events_let_nothing_go_while_there_is_room(void **state)
{
    (void)state;
    child_passes(mind_with_room, NULL);
}

static void *keep_some_and_end(void *argument)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        API(free)(API(malloc)(class_bytes[cls]));
    CHILD_EXPECT(!hands_are_empty());
    *(struct heap **)argument = thread.own;
    return NULL;
}

static int end_with_hands(void *argument)
{
    (void)argument;
    struct heap *heap;
    CHILD_EXPECT(API(malloc)(1) != NULL);
    thread_run(keep_some_and_end, &heap);
    CHILD_EXPECT(is_orphan(heap) && is_in_no_hand(heap));
    API(audit_all)();
    (void)API(malloc_trim)(0);
    /* The survivor's one block. */
    CHILD_EXPECT(arena_main.pool.taken_bytes == SLICE_BYTES);
    /* And a trim leaves none of this thread's. */
    (void)keep_some_and_end(&heap);
    (void)API(malloc_trim)(0);
    CHILD_EXPECT(hands_are_empty());
    CHILD_EXPECT(arena_main.pool.taken_bytes == SLICE_BYTES);
    return 0;
}

static void with_its_thread_a_hand_goes(void **state)
{
    (void)state;
    child_passes(end_with_hands, NULL);
}

static int disown_under_a_hand(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(HAND, cls, freed);
        const uint32_t kept = (uint32_t)held.count;
        let_go(cls);
        const uint32_t live =
            remote_number(load_relaxed(&held.slab->remote));
        thread_flush();
        const uint64_t word = load_relaxed(&held.slab->remote);
        CHILD_EXPECT(remote_is_unowned(held.slab));
        /* With what the refill had brought beyond what was held. */
        CHILD_EXPECT(remote_number(word) <= live - count);
        CHILD_EXPECT(remote_number(word) == kept);
        for (size_t i = 0; i < count; i++)
            CHILD_EXPECT(is_on(held.slab, REMOTE, freed[i]));
        /* A refill had taken the marks of the others. */
        for (const struct block *at = remote_list(held.slab); at != NULL;
             at = at->next)
            CHILD_EXPECT(!CHECK_MARKED(cls) || has_mark(at));
        API(audit_all)();
        free_all_held();
        CHILD_EXPECT(nothing_is_left());
    }
    expect_silence();
    return 0;
}

static void what_is_in_hand_of_a_disowned_slab_goes_back_to_it(void **state)
{
    (void)state;
    child_passes(disown_under_a_hand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            room_doubles_when_a_refill_comes_after_it_was_used_up),
        cmocka_unit_test(room_that_was_left_over_is_made_up_to_what_it_was),
        cmocka_unit_test(what_is_kept_is_in_front_while_there_is_room),
        cmocka_unit_test(a_look_comes_at_once_and_then_once_in_many_frees),
        cmocka_unit_test(room_is_found_where_less_than_half_is_there),
        cmocka_unit_test(room_that_is_found_grows_as_far_as_any),
        cmocka_unit_test(a_look_ends_where_a_list_does_not),
        cmocka_unit_test(the_last_freed_is_the_first_taken),
        cmocka_unit_test(what_malloc_took_is_room_again),
        cmocka_unit_test(who_frees_and_takes_in_turn_hardly_needs_slabs),
        cmocka_unit_test(what_nobody_took_between_two_events_is_let_go),
        cmocka_unit_test(events_let_nothing_go_while_there_is_room),
        cmocka_unit_test(with_its_thread_a_hand_goes),
        cmocka_unit_test(what_is_in_hand_of_a_disowned_slab_goes_back_to_it),
    };
    return cmocka_run_group_tests_name("hand", tests, NULL, NULL);
}
