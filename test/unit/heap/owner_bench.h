/* SPDX-License-Identifier: MIT */
/*
 * owner_bench - slabs whose owner changes, for the tests of owner.h.
 *
 * Owns     two heaps that the test is the owner of, a hand full of blocks, and
 *          the steps of the protocol one by one.
 * Used by  test/unit/heap/{owner,adoption,limit}_test.c.
 */
#ifndef OWNER_BENCH_H
#define OWNER_BENCH_H

#include "bench.h"

#include "heap/check.h"
#include "heap/chill.h"
#include "heap/owner.h"
#include "heap/remote.h"

/* A slab of which every block is out. */
struct handful {
    struct heap *heap;
    struct slab *slab;
    unsigned cls;
    size_t count;
    void *block[8192];
};

/* Two heaps, and room for a slab's blocks. */
struct scene {
    struct heap *heap;
    struct heap *other;
    struct handful hand;
};

static UNUSED uint64_t word_of(const struct slab *slab)
{
    return load_relaxed(&slab->remote);
}

/* Blocks that are out of an unowned slab. */
static UNUSED uint32_t blocks_out(const struct slab *slab)
{
    assert_true(remote_is_unowned(slab));
    return remote_number(word_of(slab));
}

static UNUSED size_t disowned_bytes(const struct heap *heap)
{
    return load_relaxed(&heap->disowned_bytes);
}

/* Every slice of the slab says the same of its owner. */
static UNUSED void expect_owner(const struct slab *slab, uintptr_t owner)
{
    const struct extent *extent = slab_extent(slab);
    for (size_t i = 0; i < extent->slices; i++)
        assert_int_equal(owner_of(extent->start + i * SLICE_BYTES), owner);
}

/* The slab of a hand, all of it out, in hand. */
static UNUSED void take_slab(struct handful *hand, struct heap *heap,
    unsigned cls)
{
    hand->heap = heap;
    hand->cls = cls;
    hand->slab = slab_open(heap, cls);
    assert_non_null(hand->slab);
    hand->count = carve_all(hand->slab, hand->block);
}

/* The same, on its list. */
static UNUSED void take_full(struct handful *hand, struct heap *heap,
    unsigned cls)
{
    take_slab(hand, heap, cls);
    bin_list(&heap->bin[cls], hand->slab);
    slab_rearm(hand->slab);
}

/* The owner frees one. */
static UNUSED void put_one(struct handful *hand)
{
    slab_put(hand->slab, hand->block[--hand->count]);
}

static UNUSED void put_all(struct handful *hand)
{
    while (hand->count > 0)
        put_one(hand);
}

/* Somebody else does, who has a heap, or none. */
static UNUSED void push_one(struct handful *hand, struct heap *mine)
{
    void *block = hand->block[--hand->count];
    assert_true(check_give_remote(hand->slab, "free", block));
    remote_push(hand->slab, block, mine);
}

static UNUSED void push_all(struct handful *hand)
{
    while (hand->count > 0)
        push_one(hand, NULL);
}

static UNUSED void let_go(const struct handful *hand)
{
    bin_unlist(&hand->heap->bin[hand->cls], hand->slab);
    assert_true(owner_disown(hand->slab));
}

/* What the word was before. */
static UNUSED uint64_t claim(struct slab *slab)
{
    uint64_t word = word_of(slab);
    while (!owner_claim(slab, &word))
        continue;
    assert_true(word & REMOTE_UNOWNED);
    return word;
}

/* The claimed slab goes to a heap's list. */
static UNUSED void take_over(struct heap *heap, struct slab *slab,
    uint64_t word)
{
    owner_join(heap, slab, word);
    bin_list(&heap->bin[slab->cls], slab);
    slab_rearm(slab);
}

/* As free() does it: to its own slab, or another's, or nobody's. */
static UNUSED void give(struct heap *mine, void *block)
{
    struct slab *slab = slab_with(block);
    if (owner_of(block) == (uintptr_t)mine) {
        slab_put(slab, block);
    } else {
        CHILD_EXPECT(check_give_remote(slab, "free", block));
        remote_push(slab, block, mine);
    }
}

/* What owner.h says a heap may own beside its current slabs. */
static UNUSED size_t limit_of(const struct heap *heap)
{
    return 4 * MiB / (size_t)load_relaxed(&arena_main.heap_count)
        + (heap->aside_bytes + disowned_bytes(heap)) / 8;
}

/* -- processes -- */

/* The kernel has no barrier for us: then there is a limit. */
static UNUSED void refuse_barrier(void)
{
    fail_calls(1u << SYS_BARRIER);
    const bool ready = sys_barrier_prepare();
    fail_no_calls();
    CHILD_EXPECT(!ready);
}

static UNUSED void end_single_thread(void)
{
    thread_run(end_at_once, NULL);
    CHILD_EXPECT(!sys_single_threaded());
}

/* -- before and after each test -- */

static UNUSED int begin(void **state)
{
    refuse_barrier();
    end_single_thread();
    struct scene *scene = calloc(1, sizeof *scene);
    *state = scene;
    scene->heap = heap_adopt(&arena_main);
    scene->other = heap_adopt(&arena_main);
    return scene->heap == NULL || scene->other == NULL;
}

/* Nothing stays behind. */
static UNUSED int end(void **state)
{
    struct scene *scene = *state;
    API(audit_all)();
    heap_orphan(scene->heap);
    heap_orphan(scene->other);
    free(scene);
    return nothing_is_left() ? 0 : -1;
}

#define WITH_HEAPS(test) cmocka_unit_test_setup_teardown(test, begin, end)

#endif
