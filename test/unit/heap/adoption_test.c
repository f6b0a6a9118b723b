/* SPDX-License-Identifier: MIT */
/*
 * Slabs that nobody owns against owner.h: when they are found by one who
 * needs blocks, what becomes of marks that are old or lost, and when the former
 * owner takes one back. Method as in owner_test.c.
 */
#include "owner_bench.h"

/* -- finding -- */

static size_t room_of(unsigned cls)
{
    return max_size(1, class_blocks[cls] / 16u);
}

/* The heap takes the slab if it finds it; then it lets go of it again. */
static bool is_found(struct heap *heap, const struct handful *hand)
{
    struct slab *slab = owner_adopt(heap, hand->cls);
    if (slab == NULL)
        return false;
    assert_ptr_equal(slab, hand->slab);
    assert_ptr_equal(slab_heap(slab), heap);
    assert_int_equal(slab->place, SLAB_CURRENT);
    assert_int_equal(word_of(slab), 0);
    expect_owner(slab, (uintptr_t)heap);
    assert_int_equal(slab_live(slab), hand->count);
    slab_audit(slab);
    assert_true(owner_disown(slab));
    assert_int_equal(blocks_out(slab), hand->count);
    return true;
}

static void what_is_let_go_of_with_room_is_found(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const size_t blocks = class_blocks[cls];
        const size_t step = 1 + blocks / 50;
        for (size_t back = 0; back < blocks; back += step) {
            take_full(hand, scene->heap, cls);
            for (size_t i = 0; i < back; i++)
                put_one(hand);
            let_go(hand);
            if (is_found(scene->other, hand) != (back >= room_of(cls)))
                fail_msg("class %u: %zu of %zu blocks are free", cls, back,
                    blocks);
            push_all(hand);
        }
    }
}

static void blocks_never_carved_are_room_too(void **state)
{
    struct scene *scene = *state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = slab_open(scene->heap, cls);
        assert_non_null(slab);
        uint32_t count;
        struct block *first = slab_carve(slab, 1, &count);
        assert_non_null(first);
        assert_true(owner_disown(slab));
        struct block *list = bin_refill(scene->other, cls);
        assert_ptr_equal(slab_with(list), slab);
        assert_ptr_equal(scene->other->bin[cls].current, slab);
        API(audit_all)();
        slab_put(slab, first);
        while (list != NULL) {
            struct block *next = list->next;
            slab_put(slab, list);
            list = next;
        }
        bin_settle(&scene->other->bin[cls]);
    }
}

static void frees_by_others_make_it_found(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        let_go(hand);
        for (size_t back = 0; back < room_of(cls); back++) {
            assert_null(owner_adopt(scene->other, cls));
            push_one(hand, NULL);
        }
        assert_true(is_found(scene->other, hand));
        push_all(hand);
    }
}

/* A mark lost to a race comes again no later than 16 frees on. */
static void a_lost_mark_is_set_again(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        if (class_blocks[cls] < room_of(cls) + 16 + 1)
            continue;
        take_full(hand, scene->heap, cls);
        let_go(hand);
        for (size_t back = 0; back < room_of(cls); back++)
            push_one(hand, NULL);
        listing_clear(slab_extent(hand->slab), cls);
        assert_null(owner_adopt(scene->other, cls));
        for (int more = 0; more < 16; more++)
            push_one(hand, NULL);
        assert_true(is_found(scene->other, hand));
        push_all(hand);
    }
}

static void a_refill_adopts_before_it_opens(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        const size_t wake = room_of(cls);
        let_go(hand);
        for (size_t i = 0; i < wake; i++)
            push_one(hand, NULL);
        struct block *list = bin_refill(scene->other, cls);
        assert_ptr_equal(scene->other->bin[cls].current, hand->slab);
        size_t count = 0;
        while (list != NULL) {
            struct block *next = list->next;
            assert_ptr_equal(slab_with(list), hand->slab);
            assert_true(++count <= wake);
            slab_put(hand->slab, list);
            list = next;
        }
        API(audit_all)();
        put_all(hand);
        bin_settle(&scene->other->bin[cls]);
    }
}

/* -- old marks -- */

static void an_old_mark_of_another_class_brings_the_slab_along(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    const unsigned cls = class_of(320);
    const unsigned wanted = class_of(1024);
    take_full(hand, scene->heap, cls);
    put_one(hand);
    let_go(hand);
    assert_null(owner_adopt(scene->other, cls));
    listing_set(slab_extent(hand->slab), wanted);
    struct block *list = bin_refill(scene->other, wanted);
    assert_non_null(list);
    assert_ptr_not_equal(slab_with(list), hand->slab);
    assert_int_equal(slab_with(list)->cls, wanted);
    /* The other class's slab is where it belongs. */
    assert_ptr_equal(slab_heap(hand->slab), scene->other);
    assert_ptr_equal(scene->other->bin[cls].list[SLAB_PARTIAL].first,
        hand->slab);
    expect_owner(hand->slab, (uintptr_t)scene->other);
    API(audit_all)();
    put_all(hand);
    heap_give_list(scene->other, list);
}

static void an_old_mark_of_anything_else_is_forgotten(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    const unsigned cls = class_of(64);
    struct extent *run = pool_take(&arena_main.pool, 1, 1);
    struct extent *gone = pool_take(&arena_main.pool, 1, 1);
    assert_true(run != NULL && gone != NULL);
    map_set(run->start, 1, OWNER_RUN, run);
    store_relaxed(&run->state, EXTENT_LARGE);
    listing_set(run, cls);
    listing_set(gone, cls);
    pool_give(gone);
    take_full(hand, scene->heap, cls);
    listing_set(slab_extent(hand->slab), cls);
    assert_null(owner_adopt(scene->other, cls));
    assert_false(listing_any(&arena_main.pool, cls));
    assert_ptr_equal(slab_heap(hand->slab), scene->heap);
    assert_int_equal(load_relaxed(&run->state), EXTENT_LARGE);
    put_all(hand);
    map_clear(run->start, 1);
    pool_give(run);
}

/* -- taking back -- */

static void a_former_owner_that_has_room_takes_back(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        let_go(hand);
        push_one(hand, NULL);
        push_one(hand, scene->other);
        assert_int_equal(blocks_out(hand->slab), hand->count);
        push_one(hand, scene->heap);
        expect_owner(hand->slab, (uintptr_t)scene->heap);
        assert_int_equal(word_of(hand->slab), 0);
        assert_ptr_equal(
            scene->heap->bin[cls].list[hand->slab->place].first, hand->slab);
        assert_int_equal(slab_live(hand->slab), hand->count);
        assert_int_equal(scene->heap->aside_bytes, slab_bytes(hand->slab));
        assert_int_equal(disowned_bytes(scene->heap), 0);
        API(audit_all)();
        put_all(hand);
    }
}

/* Above half of what it may own it does not, or it would have to let go of
 * another one soon. */
static void one_that_owns_half_of_its_limit_does_not(void **state)
{
    struct scene *scene = *state;
    struct heap *heap = scene->heap;
    struct handful *hand = &scene->hand;
    take_full(hand, heap, class_of(64));
    let_go(hand);
    heap->aside_bytes = limit_of(heap);
    owner_shed(heap, &heap->bin[hand->cls]);
    heap->aside_bytes = limit_of(heap) / 2 + slab_bytes(hand->slab);
    push_one(hand, heap);
    expect_owner(hand->slab, OWNER_SHARED);
    assert_int_equal(blocks_out(hand->slab), hand->count);
    heap->aside_bytes = limit_of(heap) / 2 - slab_bytes(hand->slab);
    const size_t before = heap->aside_bytes;
    push_one(hand, heap);
    expect_owner(hand->slab, (uintptr_t)heap);
    assert_int_equal(heap->aside_bytes, before + slab_bytes(hand->slab));
    heap->aside_bytes = slab_bytes(hand->slab);
    put_all(hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HEAPS(what_is_let_go_of_with_room_is_found),
        WITH_HEAPS(blocks_never_carved_are_room_too),
        WITH_HEAPS(frees_by_others_make_it_found),
        WITH_HEAPS(a_lost_mark_is_set_again),
        WITH_HEAPS(a_refill_adopts_before_it_opens),
        WITH_HEAPS(an_old_mark_of_another_class_brings_the_slab_along),
        WITH_HEAPS(an_old_mark_of_anything_else_is_forgotten),
        WITH_HEAPS(a_former_owner_that_has_room_takes_back),
        WITH_HEAPS(one_that_owns_half_of_its_limit_does_not),
    };
    return cmocka_run_group_tests_name("adoption", tests, NULL, NULL);
}
