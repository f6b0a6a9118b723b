/* SPDX-License-Identifier: MIT */
/*
 * Slabs that change hands against owner.h and docs/design/ownership.md: when
 * one may be let go of, who closes it, what is freed in the middle of a change,
 * and heaps without an owner. The test is the owner of heaps of its own and
 * plays the other threads too, so that each step of the protocol is seen by
 * itself; at the end threads do all of it at once.
 */
#include "owner_bench.h"

/* -- letting go -- */

static void a_slab_let_go_of_is_nobodys_on_all_its_slices(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        const size_t bytes = slab_bytes(hand->slab);
        assert_int_equal(scene->heap->aside_bytes, bytes);
        let_go(hand);
        expect_owner(hand->slab, OWNER_SHARED);
        assert_int_equal(blocks_out(hand->slab), class_blocks[cls]);
        assert_null(remote_list(hand->slab));
        assert_int_equal(scene->heap->aside_bytes, 0);
        assert_int_equal(disowned_bytes(scene->heap), bytes);
        assert_int_equal(heap_usable_bytes(hand->block[0]),
            class_bytes[cls]);
        API(audit_all)();
        push_all(hand);
        assert_int_equal(disowned_bytes(scene->heap), 0);
    }
}

static void pending_keeps_a_slab_with_its_owner(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    struct bin *bin = &scene->heap->bin[class_of(64)];
    take_full(hand, scene->heap, class_of(64));
    push_one(hand, NULL);
    const uint64_t word = word_of(hand->slab);
    assert_true(word & REMOTE_PENDING);
    bin_unlist(bin, hand->slab);
    assert_false(owner_disown(hand->slab));
    assert_int_equal(word_of(hand->slab), word);
    expect_owner(hand->slab, (uintptr_t)scene->heap);
    assert_int_equal(disowned_bytes(scene->heap), 0);
    bin_list(bin, hand->slab);
    /* Leaving, the owner comes by it and goes on. */
    owner_leave(scene->heap);
    assert_int_equal(word_of(hand->slab), word);
    assert_ptr_equal(bin->list[SLAB_FULL].first, hand->slab);
    API(audit_all)();
    assert_true(remote_drain(scene->heap));
    assert_int_equal(slab_live(hand->slab), hand->count);
    let_go(hand);
    assert_int_equal(blocks_out(hand->slab), hand->count);
    push_all(hand);
    assert_null(bin->list[SLAB_FULL].first);
}

/* -- the last block -- */

static void *free_without_a_heap(void *block)
{
    thread.stage = THREAD_DEAD;
    API(free)(block);
    return NULL;
}

enum closer { BY_NOBODY, BY_FORMER_OWNER, BY_ANOTHER, BY_DEAD_THREAD, CLOSERS };

static void free_last(struct scene *scene, enum closer closer)
{
    struct handful *hand = &scene->hand;
    if (closer == BY_DEAD_THREAD)
        thread_run(free_without_a_heap, hand->block[--hand->count]);
    else
        push_one(hand, closer == BY_FORMER_OWNER ? scene->heap
            : closer == BY_ANOTHER ? scene->other : NULL);
}

static void the_last_free_closes_it_whoever_frees(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    const struct pool *pool = &arena_main.pool;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (enum closer closer = BY_NOBODY; closer < CLOSERS; closer++) {
            /* What the heap keeps is opened again. */
            heap_tidy(scene->heap);
            const size_t taken = pool->taken_bytes;
            take_full(hand, scene->heap, cls);
            const struct extent *extent = slab_extent(hand->slab);
            const size_t bytes = slab_bytes(hand->slab);
            let_go(hand);
            while (hand->count > 1)
                push_one(hand, NULL);
            assert_int_equal(blocks_out(hand->slab), 1);
            assert_int_equal(pool->taken_bytes, taken + bytes);
            API(audit_all)();
            free_last(scene, closer);
            assert_int_equal(owner_of(extent->start), MAP_NOBODY);
            assert_int_equal(load_relaxed(&extent->state), EXTENT_FREE);
            assert_int_equal(pool->taken_bytes, taken);
            assert_int_equal(disowned_bytes(scene->heap), 0);
            /* No mark is left. */
            assert_null(owner_adopt(scene->other, cls));
            API(audit_all)();
        }
    }
}

static uint64_t folded_now(const struct scene *scene, unsigned cls)
{
    return load_relaxed(&arena_main.folded[cls])
        + scene->heap->bin[cls].folded + scene->other->bin[cls].folded;
}

/* What is handed out comes back in the counts of somebody. */
static void every_free_is_folded_once(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const uint64_t before = folded_now(scene, cls);
        take_full(hand, scene->heap, cls);
        const size_t blocks = hand->count;
        put_one(hand);
        let_go(hand);
        while (hand->count > blocks / 2)
            push_one(hand, NULL);
        take_over(scene->other, hand->slab, claim(hand->slab));
        while (hand->count > 2)
            put_one(hand);
        bin_unlist(&scene->other->bin[cls], hand->slab);
        assert_true(owner_disown(hand->slab));
        push_one(hand, NULL);
        push_one(hand, cls % 2 ? scene->other : NULL);
        assert_int_equal(folded_now(scene, cls), before + blocks);
    }
}

/* -- in the middle of a change -- */

static void a_claim_is_won_once(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    take_full(hand, scene->heap, class_of(64));
    let_go(hand);
    uint64_t stale = word_of(hand->slab);
    push_one(hand, NULL);
    assert_false(owner_claim(hand->slab, &stale));
    assert_int_equal(stale, word_of(hand->slab));
    const uint64_t word = claim(hand->slab);
    assert_int_equal(word_of(hand->slab),
        REMOTE_CLAIMED | remote_generation());
    /* Who comes late sees that it is no longer nobody's. */
    uint64_t late = word;
    assert_false(owner_claim(hand->slab, &late));
    assert_false(late & REMOTE_UNOWNED);
    listing_set(slab_extent(hand->slab), hand->cls);
    assert_null(owner_adopt(scene->other, hand->cls));
    take_over(scene->heap, hand->slab, word);
    put_all(hand);
}

static void what_is_freed_while_claimed_comes_along(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        let_go(hand);
        push_one(hand, NULL);
        const uint64_t word = claim(hand->slab);
        for (int i = 0; i < 3; i++) {
            push_one(hand, i == 0 ? NULL : scene->heap);
            assert_int_equal(remote_number(word_of(hand->slab)), i + 1);
            assert_true(word_of(hand->slab) & REMOTE_CLAIMED);
            assert_false(word_of(hand->slab) & REMOTE_PENDING);
        }
        /* Nobody is told: the claimer looks. */
        assert_int_equal(load_relaxed(&scene->heap->pending), 0);
        assert_int_equal(load_relaxed(&scene->other->pending), 0);
        owner_join(scene->other, hand->slab, word);
        assert_int_equal(word_of(hand->slab), 0);
        assert_int_equal(slab_live(hand->slab), hand->count);
        slab_audit(hand->slab);
        if (cls % 2) {
            bin_list(&scene->other->bin[cls], hand->slab);
            slab_rearm(hand->slab);
        } else {
            assert_true(owner_disown(hand->slab));
            assert_int_equal(blocks_out(hand->slab), hand->count);
        }
        API(audit_all)();
        while (hand->count > 0) {
            if (cls % 2)
                put_one(hand);
            else
                push_one(hand, NULL);
        }
    }
}

/* As a child of fork does with what it took apart. */
static void a_claimer_lets_go_or_closes(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (int all = 0; all < 2; all++) {
            take_slab(hand, scene->heap, cls);
            const char *start = hand->slab->start;
            store_relaxed(&hand->slab->remote,
                REMOTE_CLAIMED | remote_generation());
            for (size_t left = all ? 0 : 2; hand->count > left;)
                push_one(hand, NULL);
            owner_let_go_claimed(hand->slab);
            if (all) {
                assert_int_equal(owner_of(start), MAP_NOBODY);
            } else {
                expect_owner(hand->slab, OWNER_SHARED);
                assert_int_equal(blocks_out(hand->slab), 2);
                API(audit_all)();
                push_one(hand, NULL);
                push_one(hand, NULL);
            }
            assert_int_equal(owner_of(start), MAP_NOBODY);
            assert_int_equal(disowned_bytes(scene->heap), 0);
            API(audit_all)();
        }
    }
}

/* -- a heap without an owner -- */

/* The heap is an orphan, but for slabs whose freers have not yet announced
 * them. */
static void orphan_with_leftover(struct heap *heap)
{
    uintptr_t pending = 0;
    while (!cas_release(&heap->pending, &pending, HEAP_ORPHAN))
        assert_int_equal(pending, 0);
    add_relaxed(&arena_main.orphans, 1);
}

static void who_announces_to_an_orphan_does_its_work(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_full(hand, scene->heap, cls);
        const int orphans = load_relaxed(&arena_main.orphans);
        orphan_with_leftover(scene->heap);
        push_one(hand, cls % 2 ? scene->other : NULL);
        assert_true(is_orphan(scene->heap));
        assert_int_equal(load_relaxed(&arena_main.orphans), orphans + 1);
        expect_owner(hand->slab, OWNER_SHARED);
        assert_int_equal(blocks_out(hand->slab), hand->count);
        assert_int_equal(scene->heap->aside_bytes, 0);
        API(audit_all)();
        push_all(hand);
        assert_true(heap_claim(scene->heap));
    }
}

static void the_last_block_announced_to_an_orphan_closes(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    take_full(hand, scene->heap, class_of(640));
    const char *start = hand->slab->start;
    while (hand->count > 1)
        put_one(hand);
    orphan_with_leftover(scene->heap);
    push_one(hand, NULL);
    assert_int_equal(owner_of(start), MAP_NOBODY);
    assert_true(is_orphan(scene->heap));
    API(audit_all)();
    assert_true(heap_claim(scene->heap));
}

/* A slab that is pending, but not yet on the list, when its owner leaves: it
 * stays until the announcement, or the next owner. */
static void an_owner_leaves_what_is_about_to_be_announced(void **state)
{
    struct scene *scene = *state;
    struct handful *hand = &scene->hand;
    take_full(hand, scene->heap, class_of(64));
    push_one(hand, NULL);
    /* The freer has not come so far. */
    store_relaxed(&scene->heap->pending, 0);
    heap_orphan(scene->heap);
    assert_true(is_orphan(scene->heap));
    assert_ptr_equal(slab_heap(hand->slab), scene->heap);
    expect_owner(hand->slab, (uintptr_t)scene->heap);
    assert_true(word_of(hand->slab) & REMOTE_PENDING);
    /* Somebody becomes the owner, and then the announcement comes. */
    assert_ptr_equal(heap_adopt(&arena_main), scene->heap);
    hand->slab->pending_next = NULL;
    store_relaxed(&scene->heap->pending, (uintptr_t)hand->slab);
    assert_true(remote_drain(scene->heap));
    assert_int_equal(slab_live(hand->slab), hand->count);
    API(audit_all)();
    put_all(hand);
}

/* -- the shared heap -- */

static void nothing_waits_for_the_shared_heap(void **state)
{
    (void)state;
    enum { BLOCKS = 3000 };
    static void *block[BLOCKS];
    struct heap *shared = arena_main.shared;
    for (int i = 0; i < BLOCKS; i++)
        block[i] = arena_take_shared(&arena_main, class_of(64));
    struct slab *slab = slab_with(block[0]);
    assert_ptr_equal(slab_heap(slab), shared);
    for (int i = 0; i < BLOCKS; i++) {
        const bool unowned = remote_is_unowned(slab_with(block[i]));
        slab = slab_with(block[i]);
        assert_true(check_give_remote(slab, "free", block[i]));
        remote_push(slab, block[i], NULL);
        assert_int_equal(load_relaxed(&shared->pending), 0);
        if (!unowned)
            assert_true(word_of(slab) == 0 || remote_is_unowned(slab));
    }
    API(audit_all)();
    (void)API(malloc_trim)(0);
    assert_int_equal(arena_main.pool.taken_bytes, chain_bytes(&shared->kept));
}

/* -- all at once -- */

enum { THREADS = 3, STEPS = 12000, BOXES = 512 };

static const size_t storm_sizes[] = { 16, 64, 1024, 4096, 16384, 65536 };

static struct {
    void *_Atomic box[BOXES];
    pthread_barrier_t start;
} storm;

static void storm_step(struct heap *mine, struct dice *dice)
{
    const size_t sizes = sizeof storm_sizes / sizeof storm_sizes[0];
    const size_t size = storm_sizes[dice_below(dice, sizes)];
    struct block *list = bin_refill(mine, class_of(size));
    CHILD_EXPECT(list != NULL);
    while (list != NULL) {
        struct block *next = list->next;
        memset(list, (int)size, size);
        void *old = atomic_exchange_explicit(
            &storm.box[dice_below(dice, BOXES)], list, memory_order_acq_rel);
        if (old != NULL)
            give(mine, old);
        list = next;
    }
}

/* An owner that takes, gives, leaves and comes back; its heap may be another
 * one each time. */
static void *live_in_the_storm(void *argument)
{
    struct dice dice = { .state = (uintptr_t)argument };
    struct heap *mine = heap_adopt(&arena_main);
    pthread_barrier_wait(&storm.start);
    for (int step = 0; step < STEPS; step++) {
        storm_step(mine, &dice);
        switch (dice_below(&dice, 500)) {
        case 0: owner_leave(mine); break;
        case 1: owner_chill_all(mine); break;
        case 2: chill_all(mine); break;
        case 3:
            heap_orphan(mine);
            mine = heap_adopt(&arena_main);
            break;
        default: break;
        }
    }
    heap_orphan(mine);
    return NULL;
}

static int weather_the_storm(void *argument)
{
    (void)argument;
    pthread_t other[THREADS];
    pthread_barrier_init(&storm.start, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHILD_EXPECT(pthread_create(&other[i], NULL, live_in_the_storm,
            (void *)(i + 1)) == 0);
    threads_end(other, THREADS);
    API(audit_all)();
    for (int i = 0; i < BOXES; i++) {
        if (load_relaxed(&storm.box[i]) != NULL)
            give(NULL, load_relaxed(&storm.box[i]));
    }
    API(audit_all)();
    uint64_t out[CLASS_COUNT] = { 0 };
    const struct heap *heap = load_acquire(&arena_main.heaps);
    for (; heap != NULL; heap = heap->next) {
        CHILD_EXPECT(disowned_bytes(heap) == 0);
        for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
            out[cls] += heap->bin[cls].handed - heap->bin[cls].folded;
    }
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(out[cls] == load_relaxed(&arena_main.folded[cls]));
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void nothing_is_lost_in_a_storm_of_owners(void **state)
{
    (void)state;
    child_passes(weather_the_storm, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_in_a_storm_of_owners),
        WITH_HEAPS(a_slab_let_go_of_is_nobodys_on_all_its_slices),
        WITH_HEAPS(pending_keeps_a_slab_with_its_owner),
        WITH_HEAPS(the_last_free_closes_it_whoever_frees),
        WITH_HEAPS(every_free_is_folded_once),
        WITH_HEAPS(a_claim_is_won_once),
        WITH_HEAPS(what_is_freed_while_claimed_comes_along),
        WITH_HEAPS(a_claimer_lets_go_or_closes),
        WITH_HEAPS(who_announces_to_an_orphan_does_its_work),
        WITH_HEAPS(the_last_block_announced_to_an_orphan_closes),
        WITH_HEAPS(an_owner_leaves_what_is_about_to_be_announced),
        WITH_HEAPS(nothing_waits_for_the_shared_heap),
    };
    return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
