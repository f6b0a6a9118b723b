/* SPDX-License-Identifier: MIT */
/*
 * What vanished threads leave, against reclaim.h: their slabs with every count
 * wrong, their blocks in hand, changes of owner cut in the middle. Each test is
 * a process in which threads stop where the test wants them; it brings their
 * heaps into the state that a fork in the middle of something would show, and
 * forks. The child must find a sound heap, the program's blocks as they were,
 * and nothing lost but what the damage loses.
 */
#include "reclaim_bench.h"

/* -- slabs -- */

static const struct damage damages[] = {
    KEEPS(used_more), KEEPS(used_less), KEEPS(countdown_more),
    KEEPS(countdown_zero), KEEPS(armed_more), KEEPS(armed_zero),
    KEEPS(limit_zero), KEEPS(place_full), KEEPS(place_cold),
    KEEPS(links_wild), LOSES(fresh_more), LOSES(open_list_gone),
    LOSES(segment_gone), KEEPS(list_twice), KEEPS(segment_too_long),
    LOSES(link_wild), LOSES(link_circle), KEEPS(bins_wild),
    KEEPS(kept_counts_wild), KEEPS(lease_forgotten), KEEPS(no_map_yet),
    KEEPS(half_let_go), KEEPS(claimed), KEEPS(claimed_with_a_list),
    KEEPS(pending), KEEPS(pending_unannounced),
};

static int vanish_damaged(void *argument)
{
    const struct attempt *attempt = argument;
    begin_life(class_of(attempt->size));
    struct slab *slab = scene.slab[attempt->which];
    attempt->damage->apply(slab);
    IN_CHILD_OF(fork,
        check_child(attempt->damage->loses ? slab_bytes(slab) : 0));
    return 0;
}

static void every_count_is_made_anew(void **state)
{
    (void)state;
    static const size_t sizes[] = { 64, 2048 };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        for (enum which which = FULL_ONE; which < SLABS; which++) {
            for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
                struct attempt attempt = { &damages[i], which, sizes[s] };
                const struct child child =
                    child_run(vanish_damaged, &attempt);
                if (child.signal != 0 || child.status != 0)
                    fail_msg("%s, slab %d of %zu bytes: signal %d: %s",
                        damages[i].name, which, sizes[s], child.signal,
                        child.text);
            }
        }
    }
}

/* -- blocks in hand -- */

static void *leave_hands_full(void *argument)
{
    /* Each size takes a list and uses one of it. */
    for (size_t size = 8; size <= 30000; size += size / 8 + 8)
        API(free)(API(malloc)(size));
    size_t in_hand = 0;
    for (size_t i = 0; i < CLASS_COUNT; i++)
        in_hand += list_length(thread.shelf[i]);
    CHILD_EXPECT(in_hand > 100);
    scene.heap = thread.own;
    pthread_barrier_wait(&scene.ready);
    for (;;)
        pause();
    return argument;
}

static void check_in_a_child(void)
{
    IN_CHILD_OF(fork, check_child(0));
}

static int vanish_with_hands(void *argument)
{
    (void)argument;
    begin_beside(leave_hands_full, class_of(64));
    check_in_a_child();
    /* A child of the child, which did nothing itself: it is told too. */
    IN_CHILD_OF(fork, check_in_a_child());
    IN_CHILD_OF(fork, check_child(0); check_in_a_child());
    return 0;
}

static void blocks_in_hand_are_collected(void **state)
{
    (void)state;
    child_passes(vanish_with_hands, NULL);
}

/* No handler runs: the hands are lost, the heap is sound. */
static int vanish_untold(void *argument)
{
    (void)argument;
    begin_beside(leave_hands_full, class_of(64));
    IN_CHILD_OF(_Fork, check_child(SIZE_MAX));
    begin_life(class_of(64));
    kept_counts_wild(scene.slab[PARTLY]);
    used_less(scene.slab[PARTLY]);
    pending_unannounced(scene.slab[FULL_ONE]);
    IN_CHILD_OF(_Fork, check_child(SIZE_MAX));
    return 0;
}

static void a_child_that_nobody_told_is_sound(void **state)
{
    (void)state;
    child_passes(vanish_untold, NULL);
}

/* -- what nobody owned -- */

/* The mark was on its way when its setter vanished. */
static int vanish_before_the_mark(void *argument)
{
    (void)argument;
    begin_life(class_of(64));
    struct slab *slab = scene.slab[PARTLY];
    bin_unlist(&scene.heap->bin[scene.cls], slab);
    CHILD_EXPECT(owner_disown(slab));
    listing_clear(slab_extent(slab), scene.cls);
    store_relaxed(&arena_main.pool.listed, 0);
    IN_CHILD_OF(fork, check_child(0));
    IN_CHILD_OF(fork,
        CHILD_EXPECT(remote_is_unowned(slab));
        /* The next one of the class is from it. */
        CHILD_EXPECT(slab_with(API(malloc)(64)) == slab);
        CHILD_EXPECT(slab_heap(slab) == thread.own);
        API(audit_all)());
    return 0;
}

static void what_nobody_owned_stays_so_and_is_found(void **state)
{
    (void)state;
    child_passes(vanish_before_the_mark, NULL);
}

/* What the vanished owned can be had by the next who looks. */
static int vanish_with_room(void *argument)
{
    (void)argument;
    begin_life(class_of(64));
    IN_CHILD_OF(fork,
        for (int i = 0; i < 3000; i++)
            CHILD_EXPECT(API(malloc)(64) != NULL);
        CHILD_EXPECT(slab_heap(scene.slab[PARTLY]) == thread.own);
        CHILD_EXPECT(slab_heap(scene.slab[CURRENT_ONE]) == thread.own);
        CHILD_EXPECT(remote_is_unowned(scene.slab[FULL_ONE]));
        API(audit_all)());
    return 0;
}

static void the_slabs_of_the_vanished_are_adopted(void **state)
{
    (void)state;
    child_passes(vanish_with_room, NULL);
}

/* -- orphans -- */

/* An orphan owns nothing; its chains are there for the next. */
static void *work_and_end(void *argument)
{
    for (size_t size = 8; size < MiB; size *= 2)
        API(free)(API(malloc)(size));
    *(struct heap **)argument = thread.own;
    return NULL;
}

static int fork_with_an_orphan(void *argument)
{
    (void)argument;
    thread_run(work_and_end, &scene.heap);
    CHILD_EXPECT(is_orphan(scene.heap));
    IN_CHILD_OF(fork,
        CHILD_EXPECT(API(malloc)(100) != NULL);
        CHILD_EXPECT(thread.own == scene.heap);
        API(audit_all)());
    return 0;
}

static void an_orphan_is_the_childs_to_adopt(void **state)
{
    (void)state;
    child_passes(fork_with_an_orphan, NULL);
}

/* The freer vanished after PENDING, before it found that the heap is an
 * orphan. */
static int fork_with_a_leftover(void *argument)
{
    (void)argument;
    make_threads();
    struct heap *heap = heap_adopt(&arena_main);
    struct block *list = bin_refill(heap, class_of(640));
    struct slab *slab = slab_with(list);
    struct block *next = list->next;
    CHILD_EXPECT(check_give_remote(slab, "free", list));
    remote_push(slab, list, NULL);
    store_relaxed(&heap->pending, 0);
    heap_orphan(heap);
    CHILD_EXPECT(heap->aside_bytes > 0);
    IN_CHILD_OF(fork,
        API(audit_all)();
        CHILD_EXPECT(heap->aside_bytes == 0);
        while ((list = next) != NULL) {
            next = list->next;
            API(free)(list);
        }
        CHILD_EXPECT(nothing_is_left()));
    return 0;
}

static void what_was_left_to_an_orphan_is_collected(void **state)
{
    (void)state;
    child_passes(fork_with_a_leftover, NULL);
}

/* -- generations -- */

static void vanish_again(int depth)
{
    begin_life(class_of(depth % 2 ? 64 : 1024));
    scene.slab[PARTLY]->used += 5;
    IN_CHILD_OF(fork,
        const int heaps = load_relaxed(&arena_main.heap_count);
        check_child(0);
        if (depth > 0)
            vanish_again(depth - 1);
        /* The heaps of the vanished serve again. */
        CHILD_EXPECT(load_relaxed(&arena_main.heap_count) == heaps));
}

static int vanish_in_generations(void *argument)
{
    vanish_again(*(int *)argument);
    return 0;
}

static void each_generation_takes_over_from_the_last(void **state)
{
    (void)state;
    int depth = 6;
    child_passes(vanish_in_generations, &depth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_count_is_made_anew),
        cmocka_unit_test(blocks_in_hand_are_collected),
        cmocka_unit_test(a_child_that_nobody_told_is_sound),
        cmocka_unit_test(what_nobody_owned_stays_so_and_is_found),
        cmocka_unit_test(the_slabs_of_the_vanished_are_adopted),
        cmocka_unit_test(an_orphan_is_the_childs_to_adopt),
        cmocka_unit_test(what_was_left_to_an_orphan_is_collected),
        cmocka_unit_test(each_generation_takes_over_from_the_last),
    };
    return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
