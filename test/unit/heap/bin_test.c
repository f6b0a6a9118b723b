/* SPDX-License-Identifier: MIT */
/*
 * The bins of one heap against bin.h: how much a refill hands out, the life
 * of a slab from its first block to its last, and random work on every class,
 * with every slab in sight audited after every step. The test is the owner of
 * a heap of its own.
 */
#include "bench.h"

#include "heap/check.h"

enum { BLOCKS_MAX = 40000, STEPS = 600 };

/* Everything that is out of one bin. */
struct outside {
    struct heap *heap;
    struct bin *bin;
    unsigned cls;
    size_t count;
    struct block *block[BLOCKS_MAX];
};

static void audit_bin(const struct bin *bin)
{
    if (bin->current != NULL) {
        assert_int_equal(bin->current->place, SLAB_CURRENT);
        slab_audit(bin->current);
    }
    for (int place = 0; place < SLAB_LISTS; place++) {
        const struct slab *last = NULL;
        struct slab *at = bin->list[place].first;
        for (; at != NULL; last = at, at = at->next) {
            assert_int_equal(at->place, place);             /* B1 */
            assert_ptr_equal(at->prev, last);
            assert_true(at != bin->current);
            slab_audit(at);
        }
        assert_ptr_equal(bin->list[place].last, last);
    }
}

static void expect_no_slabs(const struct bin *bin)
{
    assert_null(bin->current);
    for (int place = 0; place < SLAB_LISTS; place++) {
        assert_null(bin->list[place].first);
        assert_null(bin->list[place].last);
    }
}

static struct slab *first_of(const struct bin *bin, enum slab_place place)
{
    return bin->list[place].first;
}

/* One refill goes outside; how many blocks that was. */
static size_t take_some(struct outside *out)
{
    struct block *list = bin_refill(out->heap, out->cls);
    assert_non_null(list);
    const size_t before = out->count;
    for (; list != NULL; list = list->next) {
        assert_true(out->count < BLOCKS_MAX);
        out->block[out->count++] = list;
    }
    return out->count - before;
}

/* The i-th of the blocks outside is freed by the owner. */
static void give_one(struct outside *out, size_t i)
{
    slab_put(slab_with(out->block[i]), out->block[i]);
    out->block[i] = out->block[--out->count];
}

/* Some block of the slab is freed by the owner. */
static void give_from(struct outside *out, const struct slab *slab)
{
    size_t i = 0;
    while (slab_with(out->block[i]) != slab)
        i++;
    give_one(out, i);
}

static void begin(struct outside *out, struct heap *heap, unsigned cls)
{
    out->heap = heap;
    out->cls = cls;
    out->bin = &heap->bin[cls];
    out->count = 0;
    expect_no_slabs(out->bin);
}

/* All back; nothing of the class is left. */
static void end(struct outside *out)
{
    while (out->count > 0)
        give_one(out, out->count - 1);
    audit_bin(out->bin);
    bin_settle(out->bin);
    expect_no_slabs(out->bin);
    assert_int_equal(out->heap->aside_bytes, 0);            /* H3 */
    assert_int_equal(out->bin->handed, out->bin->folded);
}

static void a_refill_hands_out_one_block_and_not_too_many(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        const size_t most = max_size(16, 4096 / class_bytes[cls]);
        const size_t wanted = 3u * class_blocks[cls];
        while (out->count < wanted) {
            assert_in_range(take_some(out), 1, most);
            audit_bin(out->bin);
            assert_int_equal(out->bin->handed - out->bin->folded,
                out->count);
        }
        end(out);
    }
}

static int by_address(const void *a, const void *b)
{
    const char *const *one = a;
    const char *const *other = b;
    return (*one > *other) - (*one < *other);
}

static void no_block_is_out_twice(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        while (out->count < 2u * class_blocks[cls])
            (void)take_some(out);
        for (size_t i = 0; i < out->count; i += 2)
            give_one(out, i);
        while (out->count < 2u * class_blocks[cls])
            (void)take_some(out);
        qsort(out->block, out->count, sizeof out->block[0], by_address);
        for (size_t i = 0; i < out->count; i++) {
            char *at = (char *)out->block[i];
            assert_true(check_is_block(slab_with(at), at));
            if (i > 0)
                assert_true(at >= (char *)out->block[i - 1]
                    + class_bytes[cls]);
        }
        end(out);
    }
}

/* The first slab, all of it out, and one block of another, so that the first
 * is no more the current one. */
static struct slab *fill_first(struct outside *out)
{
    (void)take_some(out);
    struct slab *first = slab_with(out->block[0]);
    assert_int_equal(first->place, SLAB_CURRENT);
    while (first->place == SLAB_CURRENT)
        (void)take_some(out);
    return first;
}

static void a_slab_lives_from_current_over_full_and_partial(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        struct slab *first = fill_first(out);
        assert_int_equal(first->place, SLAB_FULL);
        assert_ptr_equal(first_of(out->bin, SLAB_FULL), first);
        assert_null(first_of(out->bin, SLAB_PARTIAL));
        assert_int_equal(heap->aside_bytes, slab_bytes(first)); /* H3 */
        slab_audit(first);

        /* A sixteenth comes back, or a segment if that is less. */
        const size_t wake = max_size(1,
            min_size(class_segment[cls], class_blocks[cls] / 16));
        for (size_t i = 0; i < wake; i++) {
            assert_int_equal(first->place, SLAB_FULL);
            give_from(out, first);
            slab_audit(first);
        }
        assert_int_equal(first->place, SLAB_PARTIAL);
        assert_ptr_equal(first_of(out->bin, SLAB_PARTIAL), first);
        assert_null(first_of(out->bin, SLAB_FULL));

        /* The current one runs out: the partial one is next. */
        while (first->place == SLAB_PARTIAL)
            (void)take_some(out);
        assert_ptr_equal(out->bin->current, first);
        assert_null(first_of(out->bin, SLAB_PARTIAL));
        audit_bin(out->bin);
        end(out);
    }
}

static void a_slab_closes_when_its_last_block_comes_back(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        struct slab *first = fill_first(out);
        char *start = first->start;
        for (size_t left = class_blocks[cls]; left > 0; left--) {
            assert_int_equal(owner_of(start), (uintptr_t)heap);
            slab_audit(first);
            give_from(out, first);
        }
        assert_int_equal(owner_of(start), MAP_NOBODY);
        assert_null(first_of(out->bin, SLAB_FULL));
        assert_null(first_of(out->bin, SLAB_PARTIAL));
        end(out);
    }
}

static void the_fullest_of_a_few_partial_slabs_is_chosen(void **state)
{
    struct outside *out = *state;
    begin(out, out->heap, class_of(1024));
    const size_t blocks = class_blocks[out->cls];
    struct slab *slab[4];
    for (int i = 0; i < 4; i++) {
        (void)take_some(out);
        slab[i] = out->bin->current;
        while (out->bin->current == slab[i])
            (void)take_some(out);
    }
    /* Slab 2 loses one segment, the others two. */
    for (int i = 0; i < 4; i++) {
        const size_t segments = i == 2 ? 1 : 2;
        size_t left = segments * class_segment[out->cls];
        for (; left > 0; left--)
            give_from(out, slab[i]);
        assert_int_equal(slab_live(slab[i]),
            blocks - segments * class_segment[out->cls]);
        assert_int_equal(slab[i]->place, SLAB_PARTIAL);
    }
    const struct slab *current = out->bin->current;
    while (out->bin->current == current)
        (void)take_some(out);
    assert_ptr_equal(out->bin->current, slab[2]);
    end(out);
}

static void settling_closes_the_current_slab_or_lists_it(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        (void)take_some(out);
        struct slab *slab = out->bin->current;
        while (out->count > 1)
            give_one(out, 0);
        bin_settle(out->bin);
        assert_null(out->bin->current);
        assert_int_equal(slab->place, SLAB_PARTIAL);
        assert_ptr_equal(first_of(out->bin, SLAB_PARTIAL), slab);
        audit_bin(out->bin);
        /* It is the next one to hand out from. */
        (void)take_some(out);
        assert_ptr_equal(out->bin->current, slab);
        audit_bin(out->bin);
        end(out);
    }
}

static void random_work_keeps_every_invariant(void **state)
{
    struct outside *out = *state;
    struct heap *heap = out->heap;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        begin(out, heap, cls);
        struct dice dice = { .state = cls };
        /* Two slabs' worth, in waves that fill and empty them. */
        const size_t high = 2u * class_blocks[cls];
        bool rising = true;
        for (int step = 0; step < STEPS; step++) {
            if (out->count == 0 || (rising && out->count < high))
                (void)take_some(out);
            size_t gone = dice_below(&dice, 2 + high / 16);
            for (; gone > 0 && out->count > 0; gone--)
                give_one(out, dice_below(&dice, out->count));
            if (dice_below(&dice, 64) == 0)
                rising = !rising;
            audit_bin(out->bin);
            if (out->count > 0)
                slab_audit(slab_with(out->block[0]));
        }
        end(out);
    }
}

static int refill_without_memory(void *argument)
{
    (void)argument;
    struct heap *heap = heap_adopt(&arena_main);
    fail_calls(UINT32_MAX);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        CHILD_EXPECT(bin_refill(heap, cls) == NULL);
        CHILD_EXPECT(heap->bin[cls].current == NULL);
        CHILD_EXPECT(heap->bin[cls].handed == 0);
    }
    fail_no_calls();
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(bin_refill(heap, cls) != NULL);
    API(audit_all)();
    return 0;
}

static void without_memory_a_refill_changes_nothing(void **state)
{
    (void)state;
    child_passes(refill_without_memory, NULL);
}

/* A partial slab on the list that says it is full. */
static int audit_wrong_place(void *argument)
{
    (void)argument;
    struct outside *out = calloc(1, sizeof *out);
    begin(out, heap_adopt(&arena_main), class_of(4096));
    struct slab *first = fill_first(out);
    for (uint32_t i = 0; i < class_segment[out->cls]; i++)
        give_from(out, first);
    API(audit_all)();
    first->place = SLAB_FULL;
    API(audit_all)();
    return 0;
}

static void the_audit_sees_a_wrong_place(void **state)
{
    (void)state;
    child_panics(audit_wrong_place, NULL, "heap/");
}

static int adopt(void **state)
{
    struct outside *out = calloc(1, sizeof *out);
    *state = out;
    out->heap = heap_adopt(&arena_main);
    return out->heap == NULL;
}

static int orphan(void **state)
{
    struct outside *out = *state;
    API(audit_all)();
    heap_orphan(out->heap);
    API(audit_all)();
    free(out);
    return 0;
}

int main(void)
{
#define WITH_HEAP(test) cmocka_unit_test_setup_teardown(test, adopt, orphan)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_refill_changes_nothing),
        cmocka_unit_test(the_audit_sees_a_wrong_place),
        WITH_HEAP(a_refill_hands_out_one_block_and_not_too_many),
        WITH_HEAP(no_block_is_out_twice),
        WITH_HEAP(a_slab_lives_from_current_over_full_and_partial),
        WITH_HEAP(a_slab_closes_when_its_last_block_comes_back),
        WITH_HEAP(the_fullest_of_a_few_partial_slabs_is_chosen),
        WITH_HEAP(settling_closes_the_current_slab_or_lists_it),
        WITH_HEAP(random_work_keeps_every_invariant),
    };
    return cmocka_run_group_tests_name("bin", tests, NULL, NULL);
}
