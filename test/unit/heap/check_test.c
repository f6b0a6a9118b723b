/* SPDX-License-Identifier: MIT */
/*
 * Marks of free blocks against check.h: who sets one and who clears it, that
 * a block which is out is never called free whatever it contains, and that a
 * free one is found on every list of its slab. Each test is a child whose
 * reports are counted as they are made; a report too many fails it as much as
 * one too few.
 */
#include "check_bench.h"

/* -- marks -- */

static int marks_come_and_go(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = CLASS_MARKED; cls < CLASS_COUNT; cls++) {
        for (enum place place = OPEN; place < PLACES; place++) {
            const size_t count = free_to(place, cls, freed);
            for (size_t i = 0; i < count; i++)
                CHILD_EXPECT(has_mark(freed[i]));
            for (size_t i = 0; i < held.count; i++)
                CHILD_EXPECT(!has_mark(held.block[i]));
            /* Handed out, a block has none; those that came in hand with
             * it keep theirs. */
            for (;;) {
                struct block *block = API(malloc)(class_bytes[cls]);
                CHILD_EXPECT(block != NULL && block->mark == 0);
                held.block[held.count++] = block;
                if (block == freed[0])
                    break;
            }
            for (size_t i = 0; i < count; i++)
                CHILD_EXPECT(has_mark(freed[i]) != is_held(freed[i]));
            free_all_held();
            CHILD_EXPECT(nothing_is_left());
        }
    }
    expect_silence();
    API(audit_all)();
    return 0;
}

static void a_free_sets_the_mark_and_malloc_clears_it(void **state)
{
    (void)state;
    child_passes(marks_come_and_go, NULL);
}

static int keys_differ(void *argument)
{
    (void)argument;
    enum { SLABS = 300 };
    static uint64_t key[SLABS];
    struct heap *heaps[2] = {
        heap_adopt(&arena_main), heap_adopt(&arena_main)
    };
    for (int i = 0; i < SLABS; i++) {
        struct heap *heap = heaps[i % 2];
        struct slab *slab = slab_open(heap, class_of(64));
        CHILD_EXPECT(slab != NULL);
        key[i] = slab->key;
        CHILD_EXPECT(slab->remote_key == slab->key);
        for (int k = 0; k < i; k++)
            CHILD_EXPECT(key[k] != key[i]);
        /* Some at the same place again. */
        if (i % 3 == 0)
            slab_close(slab);
    }
    return 0;
}

static void every_slab_has_another_key(void **state)
{
    (void)state;
    child_passes(keys_differ, NULL);
}

/* -- no report without a mistake -- */

/* The program happens to write what a free block would say. */
static void pretend_to_be_free(struct block *block)
{
    block->mark = check_mark(slab_with(block), block);
}

static int free_what_looks_free(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = CLASS_MARKED; cls < CLASS_COUNT; cls++) {
        for (enum place place = OPEN; place < PLACES; place++) {
            for (int unowned = 0; unowned < 2; unowned++) {
                (void)free_to(place, cls, freed);
                if (unowned && place != REMOTE)
                    let_go(cls);
                struct block *block = drop_one();
                pretend_to_be_free(block);
                /* Its link may lead into the list as well. */
                block->next = freed[0];
                if (place == OPEN || place == HAND)
                    API(free)(block);
                else
                    free_elsewhere(block);
                CHILD_EXPECT(is_on(held.slab, OPEN, block)
                    || is_on(held.slab, SEGMENT, block)
                    || is_on(held.slab, REMOTE, block)
                    || is_on(held.slab, HAND, block)
                    || held.count == 0);
                free_all_held();
                CHILD_EXPECT(nothing_is_left());
            }
        }
    }
    expect_silence();
    return 0;
}

static void what_only_looks_free_is_freed_without_a_word(void **state)
{
    (void)state;
    child_passes(free_what_looks_free, NULL);
}

enum { BOXES = 64, SALES = 5000, STEPS_A_TURN = 50 };

static struct {
    struct block *_Atomic box[BOXES];
    _Atomic bool over;
    _Atomic size_t freed;
} market;

static void *free_from_the_market(void *argument)
{
    while (!load_acquire(&market.over)) {
        sched_yield();
        for (int i = 0; i < BOXES; i++) {
            struct block *block = exchange_acquire(&market.box[i], NULL);
            if (block == NULL)
                continue;
            pretend_to_be_free(block);
            API(free)(block);
            add_relaxed(&market.freed, 1);
        }
    }
    return argument;
}

/* The owner takes and gives while others walk its lists; what it hands out
 * looks like lists that lead to blocks that are about to be freed. */
static int sell_what_looks_free(void *argument)
{
    (void)argument;
    static const size_t sizes[] = { 16, 64, 64, 1024, 4096 };
    listen();
    pthread_t other[2];
    threads_begin(other, 2, free_from_the_market, NULL);
    struct dice dice = { .state = 5 };
    struct block *last[5] = { NULL };
    for (int step = 0; load_relaxed(&market.freed) < SALES; step++) {
        if (step % STEPS_A_TURN == 0)
            sched_yield();
        const size_t s = dice_below(&dice, 5);
        struct block *block = API(malloc)(sizes[s]);
        CHILD_EXPECT(block != NULL);
        block->next = last[s];
        last[s] = block;
        struct block *_Atomic *box = &market.box[dice_below(&dice, BOXES)];
        struct block *old = atomic_exchange_explicit(box, block,
            memory_order_acq_rel);
        if (old != NULL) {
            if (dice_below(&dice, 4) == 0)
                pretend_to_be_free(old);
            API(free)(old);
        }
    }
    store_release(&market.over, true);
    threads_end(other, 2);
    expect_silence();
    API(audit_all)();
    return 0;
}

static void also_while_the_owner_takes_and_gives(void **state)
{
    (void)state;
    child_passes(sell_what_looks_free, NULL);
}

/* The owner hands out lists whose blocks then lead to the victim. */
static int answer_while_lists_change(void *argument)
{
    enum { LIVE = 600, ASKED = 60000 };
    (void)argument;
    listen();
    hold(class_of(16), LIVE + 1);
    struct block *victim = drop_one();
    pretend_to_be_free(victim);
    begin_inquiry(victim, 3);
    while (load_relaxed(&inquiry.asked) < ASKED) {
        for (size_t i = 0; i < LIVE; i++)
            API(free)(held.block[i]);
        for (size_t i = 0; i < LIVE; i++) {
            held.block[i] = API(malloc)(16);
            held.block[i]->next = victim;
        }
    }
    end_inquiry();
    return 0;
}

static void a_list_that_is_handed_out_is_not_believed(void **state)
{
    (void)state;
    child_passes(answer_while_lists_change, NULL);
}

/* -- a second free is found -- */

static void free_twice(enum place place, unsigned cls, bool unowned,
    bool by_owner)
{
    const size_t count = free_to(place, cls, freed);
    if (unowned && place != REMOTE)
        let_go(cls);
    const uint32_t live = slab_live(held.slab);
    const uint64_t word = load_relaxed(&held.slab->remote);
    for (size_t i = 0; i < count; i += count - 1) {
        if (by_owner)
            API(free)(freed[i]);
        else
            free_elsewhere(freed[i]);
        expect_report(MISUSE_double_free, freed[i]);
    }
    CHILD_EXPECT(slab_live(held.slab) == live);
    CHILD_EXPECT(load_relaxed(&held.slab->remote) == word);
    API(audit_all)();
    free_all_held();
    CHILD_EXPECT(nothing_is_left());
    expect_silence();
}

static int free_twice_everywhere(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = CLASS_MARKED; cls < CLASS_COUNT; cls++) {
        for (enum place place = OPEN; place < PLACES; place++) {
            for (int how = 0; how < 4; how++)
                free_twice(place, cls, how & 1, how & 2);
        }
    }
    return 0;
}

static void a_second_free_is_found_on_every_list(void **state)
{
    (void)state;
    child_passes(free_twice_everywhere, NULL);
}

/* As many segments as there can be. */
static int free_twice_in_segments(void *argument)
{
    (void)argument;
    listen();
    const unsigned cls = class_of(64);
    hold(cls, class_blocks[cls]);
    end_room(cls);
    const size_t count = class_blocks[cls] - 1u;
    for (size_t i = 0; i < count; i++)
        API(free)(freed[i] = drop_one());
    CHILD_EXPECT(held.slab->segments == SLAB_SEGMENTS_MAX - 1);
    for (size_t i = 0; i < count; i += 7) {
        API(free)(freed[i]);
        expect_report(MISUSE_double_free, freed[i]);
    }
    API(audit_all)();
    return 0;
}

static void also_in_the_last_of_many_segments(void **state)
{
    (void)state;
    child_passes(free_twice_in_segments, NULL);
}

static int free_cold_twice(void *argument)
{
    (void)argument;
    listen();
    for (unsigned cls = class_of(8192); cls < CLASS_COUNT; cls++) {
        const size_t count = free_to(SEGMENT, cls, freed);
        (void)API(malloc_trim)(0);
        /* And what the thread had in hand. */
        CHILD_EXPECT(bits_count(load_relaxed(&held.slab->cold)) >= count);
        CHILD_EXPECT(!has_mark(freed[0]));
        for (int how = 0; how < 4; how++) {
            if (how == 2) {
                bin_unlist(&thread.own->bin[cls], held.slab);
                CHILD_EXPECT(owner_disown(held.slab));
            }
            if (how % 2)
                free_elsewhere(freed[0]);
            else
                API(free)(freed[0]);
            expect_report(MISUSE_double_free, freed[0]);
            API(audit_all)();
        }
        free_all_held();
    }
    expect_silence();
    return 0;
}

static void also_where_its_page_went_back(void **state)
{
    (void)state;
    child_passes(free_cold_twice, NULL);
}

/* -- what is no block of the slab's -- */

static int give_what_is_none(void *argument)
{
    (void)argument;
    listen();
    struct heap *heap = heap_adopt(&arena_main);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = slab_open(heap, cls);
        uint32_t count;
        CHILD_EXPECT(slab != NULL && slab_carve(slab, 2, &count) != NULL);
        const size_t bytes = class_bytes[cls];
        char *never = slab->start + slab->fresh * bytes;
        char *wrong[] = { slab->start + 1, slab->start + bytes / 2 + 1,
            slab->start + class_blocks[cls] * bytes };
        for (size_t i = 0; i < 3; i++) {
            CHILD_EXPECT(!check_give(slab, "free", wrong[i]));
            CHILD_EXPECT(load_relaxed(&reports) == 1);
            CHILD_EXPECT(!check_give_remote(slab, "free", wrong[i]));
            CHILD_EXPECT(load_relaxed(&reports) == 2);
            store_relaxed(&reports, 0);
        }
        CHILD_EXPECT(!check_give(slab, "free", never));
        expect_report(MISUSE_nothing, never);
        CHILD_EXPECT(check_give(slab, "free", slab->start));
        expect_silence();
    }
    return 0;
}

static void what_is_no_block_is_refused(void **state)
{
    (void)state;
    child_passes(give_what_is_none, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_sets_the_mark_and_malloc_clears_it),
        cmocka_unit_test(every_slab_has_another_key),
        cmocka_unit_test(what_only_looks_free_is_freed_without_a_word),
        cmocka_unit_test(also_while_the_owner_takes_and_gives),
        cmocka_unit_test(a_list_that_is_handed_out_is_not_believed),
        cmocka_unit_test(a_second_free_is_found_on_every_list),
        cmocka_unit_test(also_in_the_last_of_many_segments),
        cmocka_unit_test(also_where_its_page_went_back),
        cmocka_unit_test(what_is_no_block_is_refused),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
