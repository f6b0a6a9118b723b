/* SPDX-License-Identifier: MIT */
/*
 * How much a heap may own, and how much may be free in slabs that nobody
 * owns, against owner.h: with one thread and with more, with the kernel's
 * barrier and without; what is let go of first; and free pages that go back.
 */
#include "owner_bench.h"

/* -- how much -- */

/* Blocks of one class and the heap they are from, in a child. */
static void **take_blocks(struct heap *heap, unsigned cls, size_t count)
{
    void **block = calloc(count + 10000, sizeof *block);
    size_t taken = 0;
    while (taken < count) {
        struct block *list = bin_refill(heap, cls);
        CHILD_EXPECT(list != NULL);
        for (; list != NULL; list = list->next)
            block[taken++] = list;
    }
    return block;
}

static int own_in_one_thread(void *argument)
{
    (void)argument;
    CHILD_EXPECT(sys_single_threaded());
    struct heap *heap = heap_adopt(&arena_main);
    CHILD_EXPECT(heap_adopt(&arena_main) != NULL);
    (void)take_blocks(heap, class_of(64), 30 * MiB / 64);
    (void)take_blocks(heap, class_of(4096), 30 * MiB / 4096);
    CHILD_EXPECT(disowned_bytes(heap) == 0);
    CHILD_EXPECT(heap->aside_bytes >= 60 * MiB - SLAB_BYTES_MAX);
    API(audit_all)();
    return 0;
}

static void one_thread_alone_owns_everything(void **state)
{
    (void)state;
    child_passes(own_in_one_thread, NULL);
}

static int own_with_a_barrier(void *argument)
{
    (void)argument;
    if (!sys_barrier_prepare())
        return 0;
    end_single_thread();
    struct heap *heap = heap_adopt(&arena_main);
    CHILD_EXPECT(heap_adopt(&arena_main) != NULL);
    (void)take_blocks(heap, class_of(64), 30 * MiB / 64);
    CHILD_EXPECT(disowned_bytes(heap) == 0);
    API(audit_all)();
    return 0;
}

/* Another thread can let go of its slabs when it sleeps. */
static void with_a_barrier_it_owns_everything_too(void **state)
{
    (void)state;
    child_passes(own_with_a_barrier, NULL);
}

static int own_beside_another(void *argument)
{
    (void)argument;
    refuse_barrier();
    end_single_thread();
    struct heap *heap = heap_adopt(&arena_main);
    CHILD_EXPECT(heap_adopt(&arena_main) != NULL);
    struct dice dice = { .state = 3 };
    size_t most = 0;
    for (int i = 0; i < 20000; i++) {
        const unsigned cls = (unsigned)dice_below(&dice, CLASS_COUNT);
        struct block *list = bin_refill(heap, cls);
        CHILD_EXPECT(list != NULL);
        /* Some come back, so that there are slabs of every kind. */
        for (; list != NULL; list = list->next) {
            if (dice_below(&dice, 4) != 0)
                continue;
            struct block *next = list->next;
            struct slab *slab = slab_with(list);
            if (owner_of(list) == (uintptr_t)heap)
                slab_put(slab, list);
            if (next == NULL)
                break;
            list = next;
        }
        CHILD_EXPECT(heap->aside_bytes <= limit_of(heap));
        most = max_size(most, heap->aside_bytes);
    }
    CHILD_EXPECT(disowned_bytes(heap) > 30 * MiB);
    /* It makes use of what it may. */
    CHILD_EXPECT(most >= limit_of(heap) / 2);
    API(audit_all)();
    return 0;
}

static void beside_another_a_heap_owns_no_more_than_its_limit(void **state)
{
    (void)state;
    child_passes(own_beside_another, NULL);
}

/* What pthread_create calls, in a program whose malloc this is. */
static int own_until_a_second_thread(void *argument)
{
    (void)argument;
    refuse_barrier();
    for (size_t i = 0; i < 30 * MiB / 256; i++)
        CHILD_EXPECT(API(malloc)(256) != NULL);
    struct heap *heap = thread.own;
    CHILD_EXPECT(heap->alone && disowned_bytes(heap) == 0);
    /* A table of pointers and counts for 16 modules and more. */
    const size_t bytes = 17 * 16;
    CHILD_EXPECT(API(calloc)(1, bytes) != NULL);
    CHILD_EXPECT(heap->alone && disowned_bytes(heap) == 0);
    end_single_thread();
    CHILD_EXPECT(API(calloc)(1, bytes) != NULL);
    CHILD_EXPECT(!heap->alone);
    CHILD_EXPECT(heap->aside_bytes <= limit_of(heap));
    CHILD_EXPECT(disowned_bytes(heap) >= 20 * MiB);
    API(audit_all)();
    return 0;
}

static void the_maker_of_the_second_thread_sheds(void **state)
{
    (void)state;
    child_passes(own_until_a_second_thread, NULL);
}

/* With one byte too much exactly one slab goes. */
static void shed_one(struct heap *heap, unsigned cls)
{
    const size_t before = heap->aside_bytes;
    while (heap->aside_bytes <= limit_of(heap))
        heap->aside_bytes++;
    const size_t more = heap->aside_bytes - before;
    owner_shed(heap, &heap->bin[cls]);
    heap->aside_bytes -= more;
}

enum { OF_EACH = 2 };

/* Of each kind two, in the order in which they are to be let go of. */
static struct slab *take_kind(struct scene *scene, unsigned cls,
    enum slab_place place)
{
    struct handful *hand = &scene->hand;
    struct bin *bin = &scene->heap->bin[cls];
    take_full(hand, scene->heap, cls);
    if (place != SLAB_FULL)
        put_one(hand);
    if (place == SLAB_COLD) {
        bin_unlist(bin, hand->slab);
        assert_true(slab_chill(hand->slab) > 0);
        bin_list(bin, hand->slab);
    }
    assert_int_equal(hand->slab->place, place);
    return hand->slab;
}

static void full_ones_go_first_and_the_oldest_of_them(void **state)
{
    struct scene *scene = *state;
    const unsigned cls = class_of(8192);
    struct slab *slab[3 * OF_EACH];
    for (int i = 0; i < 3 * OF_EACH; i++)
        slab[i] = take_kind(scene, cls, i < OF_EACH ? SLAB_FULL
            : i < 2 * OF_EACH ? SLAB_COLD : SLAB_PARTIAL);
    for (int gone = 0; gone < 3 * OF_EACH; gone++) {
        shed_one(scene->heap, cls);
        for (int i = 0; i < 3 * OF_EACH; i++)
            assert_int_equal(remote_is_unowned(slab[i]), i <= gone);
        API(audit_all)();
    }
    /* Nothing left to let go of. */
    shed_one(scene->heap, cls);
    for (int i = 0; i < 3 * OF_EACH; i++) {
        /* The last block of the slab is the one that came back. */
        uint32_t out = blocks_out(slab[i]);
        take_over(scene->heap, slab[i], claim(slab[i]));
        while (out-- > 0)
            slab_put(slab[i], slab[i]->start + out * class_bytes[cls]);
    }
}

/* -- free pages -- */

enum { CHILL_SLABS = 400 };

static void *chill_block[CHILL_SLABS][16];

/* Slabs of 16 pages, all out, which nobody owns. */
static void take_chill_slabs(struct scene *scene)
{
    struct handful *hand = &scene->hand;
    for (int i = 0; i < CHILL_SLABS; i++) {
        take_full(hand, scene->heap, class_of(4096));
        for (int k = 0; k < 16; k++) {
            chill_block[i][k] = hand->block[k];
            memset(hand->block[k], i + k, 4096);
        }
        let_go(hand);
    }
}

/* Is the block as it was written? */
static void check_chill_block(int i, int k)
{
    const unsigned char *at = chill_block[i][k];
    assert_true(at[0] == (unsigned char)(i + k)
        && memcmp(at, at + 1, 4095) == 0);
}

static void free_pages_of_nobodys_slabs_go_back(void **state)
{
    struct scene *scene = *state;
    const uint64_t before = pool_purged_bytes(&arena_main.pool);
    take_chill_slabs(scene);
    for (int i = 0; i < CHILL_SLABS; i++) {
        for (int k = 0; k < 13; k++)
            give(scene->other, chill_block[i][k]);
    }
    /* 20 MiB are free, of which a few may stay. */
    assert_true(pool_purged_bytes(&arena_main.pool) - before > 8 * MiB);
    API(audit_all)();
    for (int i = 0; i < CHILL_SLABS; i++) {
        for (int k = 13; k < 16; k++) {
            check_chill_block(i, k);
            give(k == 14 ? scene->other : NULL, chill_block[i][k]);
        }
    }
    API(audit_all)();
}

/* What frees add to the sum, the end of each slab takes away. */
static void the_sum_of_loose_bytes_does_not_drift(void **state)
{
    struct scene *scene = *state;
    for (int round = 0; round < 8; round++) {
        take_chill_slabs(scene);
        for (int i = 0; i < CHILL_SLABS; i++) {
            for (int k = 0; k < 16; k++)
                give(round % 3 == 0 ? NULL : scene->other, chill_block[i][k]);
        }
    }
    const int64_t left = load_relaxed(&arena_main.loose_bytes);
    assert_in_range(left + (int64_t)MiB, 0, 2 * MiB);
}

static void a_trim_purges_nobodys_slabs(void **state)
{
    struct scene *scene = *state;
    take_chill_slabs(scene);
    for (int i = 0; i < CHILL_SLABS; i++) {
        for (int k = 0; k < 12; k++)
            give(NULL, chill_block[i][k]);
    }
    (void)API(malloc_trim)(0);
    API(audit_all)();
    size_t resident = 0;
    for (int i = 0; i < CHILL_SLABS; i++)
        resident += resident_bytes(chill_block[i][0], 12 * 4096);
    assert_int_equal(resident, 0);
    for (int i = 0; i < CHILL_SLABS; i++) {
        for (int k = 12; k < 16; k++) {
            check_chill_block(i, k);
            give(NULL, chill_block[i][k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_alone_owns_everything),
        cmocka_unit_test(with_a_barrier_it_owns_everything_too),
        cmocka_unit_test(beside_another_a_heap_owns_no_more_than_its_limit),
        cmocka_unit_test(the_maker_of_the_second_thread_sheds),
        WITH_HEAPS(full_ones_go_first_and_the_oldest_of_them),
        WITH_HEAPS(free_pages_of_nobodys_slabs_go_back),
        WITH_HEAPS(the_sum_of_loose_bytes_does_not_drift),
        WITH_HEAPS(a_trim_purges_nobodys_slabs),
    };
    return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
