/* SPDX-License-Identifier: MIT */
/*
 * One slab against slab.h: what a carve and a take hand out, in which order
 * and how much; frees becoming segments; the audit after every step, and the
 * audit noticing each kind of damage. A heap of the test's own owns the slab,
 * as the bin's current one, so that the test is its owner thread.
 */
#include "bench.h"

#include "heap/check.h"

/* A slab of the class, current in its bin. */
static struct slab *open_current(struct heap *heap, unsigned cls)
{
    struct slab *slab = slab_open(heap, cls);
    assert_non_null(slab);
    heap->bin[cls].current = slab;
    return slab;
}

/* Free what is out and close the slab. */
static void close_current(struct heap *heap, struct slab *slab,
    void **blocks, size_t count)
{
    struct bin *bin = &heap->bin[slab->cls];
    for (size_t i = 0; i < count; i++) {
        slab_put(slab, blocks[i]);
        slab_audit(slab);
    }
    bin_settle(bin);
    assert_null(bin->current);
}

static void a_new_slab_is_the_heaps_on_all_its_slices(void **state)
{
    struct heap *heap = *state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        slab_audit(slab);
        char *start = slab->start;
        assert_int_equal((uintptr_t)start % SLICE_BYTES, 0);
        for (size_t i = 0; i < class_slices[cls]; i++) {
            char *slice = start + i * SLICE_BYTES;
            assert_int_equal(owner_of(slice), (uintptr_t)heap);
            assert_ptr_equal(heap_find(slice).extent, slab_extent(slab));
        }
        assert_int_equal(slab_block_bytes(slab), class_bytes[cls]);
        assert_int_equal(slab_live(slab), 0);
        bin_settle(&heap->bin[cls]);
        assert_int_equal(owner_of(start), MAP_NOBODY);
    }
}

/* Of resident blocks a slice's worth may go out, but 4 to 16 in number. */
static size_t warm_blocks(size_t bytes)
{
    return max_size(4, min_size(16, SLICE_BYTES / bytes));
}

static void a_carve_is_in_order_and_at_most_a_page(void **state)
{
    struct heap *heap = *state;
    void **blocks = malloc(SLICE_BYTES * sizeof *blocks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        const size_t bytes = class_bytes[cls];
        const struct extent *extent = slab_extent(slab);
        const bool warm = extent->touched == extent->slices;
        const size_t most =
            max_size(4096 / bytes, warm ? warm_blocks(bytes) : 1);
        char *next = slab->start;
        uint32_t count;
        struct block *list;
        while ((list = slab_carve(slab, UINT32_MAX, &count)) != NULL) {
            slab_audit(slab);
            assert_in_range(count, 1, most);
            assert_int_equal(list_length(list), count);
            for (; list != NULL; list = list->next, next += bytes)
                assert_ptr_equal(list, next);
        }
        assert_int_equal(next - slab->start, class_blocks[cls] * bytes);
        assert_int_equal(slab_live(slab), class_blocks[cls]);
        for (size_t i = 0; i < class_blocks[cls]; i++)
            blocks[i] = slab->start + i * bytes;
        close_current(heap, slab, blocks, class_blocks[cls]);
    }
    free(blocks);
}

static void a_carve_takes_no_more_than_it_is_asked_for(void **state)
{
    struct heap *heap = *state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        uint32_t count;
        struct block *first = slab_carve(slab, 1, &count);
        assert_int_equal(count, 1);
        assert_null(first->next);
        assert_int_equal(slab->fresh, 1);
        slab_audit(slab);
        slab_put(slab, first);
        bin_settle(&heap->bin[cls]);
    }
}

static int carve_fresh(void *argument)
{
    (void)argument;
    struct heap *heap = heap_adopt(&arena_main);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = slab_open(heap, cls);
        CHILD_EXPECT(slab != NULL);
        CHILD_EXPECT(slab_extent(slab)->touched == 0);
        const size_t total = class_slices[cls] * SLICE_BYTES;
        CHILD_EXPECT(resident_bytes(slab->start, total) == 0);
        uint32_t count;
        CHILD_EXPECT(slab_carve(slab, UINT32_MAX, &count) != NULL);
        CHILD_EXPECT(count * class_bytes[cls]
            <= max_size(4096, class_bytes[cls]));
        CHILD_EXPECT(resident_bytes(slab->start, total)
            <= sys_page_bytes());
    }
    return 0;
}

static void a_fresh_carve_touches_one_page_at_most(void **state)
{
    (void)state;
    child_passes(carve_fresh, NULL);
}

static void a_segment_of_frees_is_taken_whole_the_last_first(void **state)
{
    struct heap *heap = *state;
    void **blocks = malloc(SLICE_BYTES * sizeof *blocks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        const size_t total = carve_all(slab, blocks);
        const uint32_t segment = class_segment[cls];
        for (uint32_t i = 0; i < segment; i++) {
            assert_int_equal(slab->segments, 0);
            slab_put(slab, blocks[i]);
            slab_audit(slab);
        }
        assert_int_equal(slab->segments, 1);
        assert_null(slab->freed);
        assert_int_equal(slab->used, total - segment);
        uint32_t count;
        struct block *list = slab_take(slab, &count);
        slab_audit(slab);
        assert_int_equal(count, segment);
        for (uint32_t i = segment; i-- > 0; list = list->next)
            assert_ptr_equal(list, blocks[i]);
        assert_null(list);
        close_current(heap, slab, blocks, total);
    }
    free(blocks);
}

static void short_segments_are_put_together(void **state)
{
    struct heap *heap = *state;
    void **blocks = malloc(SLICE_BYTES * sizeof *blocks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        const size_t total = carve_all(slab, blocks);
        const size_t segment = class_segment[cls];
        const size_t closed = total / segment;
        for (size_t i = 0; i < closed * segment; i++)
            slab_put(slab, blocks[i]);
        assert_int_equal(slab->segments, closed);
        const size_t together =
            max_size(1, warm_blocks(class_bytes[cls]) / segment);
        uint32_t count;
        struct block *list = slab_take(slab, &count);
        slab_audit(slab);
        assert_int_equal(count, min_size(together, closed) * segment);
        assert_int_equal(list_length(list), count);
        assert_int_equal(slab_live(slab),
            total - closed * segment + count);
        /* What was taken goes back, and what was never freed. */
        while (list != NULL) {
            struct block *next = list->next;
            slab_put(slab, list);
            list = next;
        }
        close_current(heap, slab, blocks + closed * segment,
            total - closed * segment);
    }
    free(blocks);
}

static void the_open_list_goes_out_as_it_came_in(void **state)
{
    struct heap *heap = *state;
    void **blocks = malloc(SLICE_BYTES * sizeof *blocks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const uint32_t part = class_segment[cls] - 1u;
        if (part == 0)
            continue;
        struct slab *slab = open_current(heap, cls);
        const size_t total = carve_all(slab, blocks);
        for (uint32_t i = 0; i < part; i++)
            slab_put(slab, blocks[i]);
        assert_int_equal(slab_live(slab), total - part);
        const uint32_t used = slab->used;
        const uint64_t folded = heap->bin[cls].folded;
        uint32_t count;
        struct block *list = slab_take(slab, &count);
        slab_audit(slab);
        assert_int_equal(count, part);
        assert_ptr_equal(list, blocks[part - 1]);
        assert_int_equal(list_length(list), part);
        assert_int_equal(slab->used, used);
        assert_int_equal(heap->bin[cls].folded, folded + part);
        assert_null(slab_take(slab, &count));
        assert_int_equal(count, 0);
        close_current(heap, slab, blocks, total);
    }
    free(blocks);
}

/* For the owner only what was carved is a block; others cannot tell. */
static void check_starts(const struct slab *slab)
{
    const unsigned cls = slab->cls;
    const size_t bytes = class_bytes[cls];
    for (size_t i = 0; i < class_blocks[cls]; i++) {
        const char *at = slab->start + i * bytes;
        assert_int_equal(check_is_block(slab, at), i < slab->fresh);
        assert_true(check_may_be_block(slab, at));
        const size_t inside[] = { 1, bytes / 2, bytes - 1 };
        for (int k = 0; k < 3; k++) {
            assert_false(check_is_block(slab, at + inside[k]));
            assert_false(check_may_be_block(slab, at + inside[k]));
        }
    }
    const char *const others[] = {
        slab->start + class_blocks[cls] * bytes, slab->start - bytes, NULL
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(check_is_block(slab, others[i]));
        assert_false(check_may_be_block(slab, others[i]));
    }
}

static void only_the_start_of_a_block_is_one(void **state)
{
    struct heap *heap = *state;
    void **blocks = malloc(SLICE_BYTES * sizeof *blocks);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = open_current(heap, cls);
        check_starts(slab);
        uint32_t count;
        struct block *list = slab_carve(slab, 3, &count);
        size_t total = 0;
        for (; list != NULL; list = list->next)
            blocks[total++] = list;
        check_starts(slab);
        total += carve_all(slab, blocks + total);
        check_starts(slab);
        close_current(heap, slab, blocks, total);
    }
    free(blocks);
}

static int open_without_memory(void *argument)
{
    (void)argument;
    struct heap *heap = heap_adopt(&arena_main);
    fail_calls(UINT32_MAX);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(slab_open(heap, cls) == NULL);
    fail_no_calls();
    CHILD_EXPECT(slab_open(heap, 0) != NULL);
    return 0;
}

static void without_memory_no_slab_is_opened(void **state)
{
    (void)state;
    child_passes(open_without_memory, NULL);
}

/* -- the audit can fail -- */

enum damage {
    DAMAGE_NONE, USED, COUNTDOWN_ZERO, COUNTDOWN_MORE, ARMED, LINK_OUTSIDE,
    LINK_INSIDE, CIRCLE, SEGMENT_LOST, SEGMENT_WRONG, PLACE_FULL,
    REMOTE_COUNT, REMOTE_BIT, DAMAGES
};

static void damage_slab(struct slab *slab, enum damage damage)
{
    switch (damage) {
    case USED: slab->used++; break;
    case COUNTDOWN_ZERO: slab->countdown = 0; break;
    case COUNTDOWN_MORE: slab->countdown++; break;
    case ARMED: slab->armed++; break;
    case LINK_OUTSIDE:
        slab->freed->next = (struct block *)(void *)(slab->start - 64);
        break;
    case LINK_INSIDE:
        slab->freed->next = (struct block *)(void *)(slab->start + 4);
        break;
    case CIRCLE: slab->freed->next = slab->freed; break;
    case SEGMENT_LOST: slab->segments--; break;
    case SEGMENT_WRONG: slab->segment[0] ^= 1; break;
    case PLACE_FULL: slab->place = SLAB_FULL; break;
    case REMOTE_COUNT: store_relaxed(&slab->remote, (uint64_t)1 << 24); break;
    case REMOTE_BIT: store_relaxed(&slab->remote, (uint64_t)1 << 63); break;
    case DAMAGE_NONE: case DAMAGES: break;
    }
}

/* A slab with a segment, an open list of two and fresh blocks. */
static int audit_damaged(void *argument)
{
    struct heap *heap = heap_adopt(&arena_main);
    struct slab *slab = slab_open(heap, class_of(64));
    CHILD_EXPECT(slab != NULL);
    uint32_t count;
    const uint32_t wanted = class_segment[slab->cls] + 2u;
    while (slab->used < wanted + 1)
        CHILD_EXPECT(slab_carve(slab, UINT32_MAX, &count) != NULL);
    for (uint32_t i = 0; i < wanted; i++)
        slab_put(slab, slab->start + (size_t)i * slab_block_bytes(slab));
    CHILD_EXPECT(slab->segments == 1);
    slab_audit(slab);
    damage_slab(slab, *(enum damage *)argument);
    slab_audit(slab);
    return 0;
}

static void the_audit_sees_every_kind_of_damage(void **state)
{
    (void)state;
    enum damage damage = DAMAGE_NONE;
    child_passes(audit_damaged, &damage);
    for (damage = USED; damage < DAMAGES; damage++) {
        const bool remote = damage == REMOTE_COUNT || damage == REMOTE_BIT;
        child_panics(audit_damaged, &damage,
            remote ? "heap/remote.c" : "heap/slab.c");
    }
}

/* -- */

static int adopt(void **state)
{
    *state = heap_adopt(&arena_main);
    return *state == NULL;
}

static int orphan(void **state)
{
    heap_orphan(*state);
    API(audit_all)();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_carve_touches_one_page_at_most),
        cmocka_unit_test(without_memory_no_slab_is_opened),
        cmocka_unit_test(the_audit_sees_every_kind_of_damage),
        cmocka_unit_test_setup_teardown(
            a_new_slab_is_the_heaps_on_all_its_slices, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            a_carve_is_in_order_and_at_most_a_page, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            a_carve_takes_no_more_than_it_is_asked_for, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            a_segment_of_frees_is_taken_whole_the_last_first, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            short_segments_are_put_together, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            the_open_list_goes_out_as_it_came_in, adopt, orphan),
        cmocka_unit_test_setup_teardown(
            only_the_start_of_a_block_is_one, adopt, orphan),
    };
    return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
