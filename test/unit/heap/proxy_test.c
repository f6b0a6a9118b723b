/* SPDX-License-Identifier: MIT */
/*
 * Slabs let go of for an owner that sleeps, against proxy.h: when somebody
 * does its work, how much of it, and that nobody does while it is awake, busy
 * or gone. The test plays the freer and looks whenever it wants to.
 */
#include "proxy_bench.h"

/* -- an owner that sleeps -- */

/* No look by hand: free() looks by itself. */
static int free_while_it_sleeps(void *argument)
{
    const size_t size = *(size_t *)argument;
    if (!has_barrier())
        return 0;
    begin(size, 8 * MiB / size);
    API(free)(API(malloc)(1));
    const size_t before = arena_main.pool.taken_bytes;
    CHILD_EXPECT(before >= 8 * MiB);
    free_blocks(&owner, 0, 1);
    /* What it hands out from, and what was freed since the last look. */
    CHILD_EXPECT(arena_main.pool.taken_bytes
        <= WAITING_BYTES_MAX + 4 * SLAB_BYTES_MAX);
    API(audit_all)();
    have_done(&owner, take_blocks);
    check_blocks(&owner, 0, 1);
    free_blocks(&owner, 0, 1);
    end_owner(&owner);
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void what_is_freed_while_the_owner_sleeps_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 256, 1024, 4096, 65536 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i];
        child_passes(free_while_it_sleeps, &size);
    }
}

/* A block of each slab is freed; the slabs become nobody's, but for the one
 * that the owner hands out from. */
static int look_at_one_that_sleeps(void *argument)
{
    (void)argument;
    if (!has_barrier())
        return 0;
    const unsigned cls = class_of(1024);
    begin(1024, 10 * 64 + 5);
    struct slab *current = owner.heap->bin[cls].current;
    push_blocks(&owner, 0, 64);
    CHILD_EXPECT(pending_slabs(owner.heap) == 11);
    look(owner.heap);
    CHILD_EXPECT(load_relaxed(&owner.heap->pending) == 0);
    for (size_t i = 0; i < owner.count; i += 64) {
        const struct slab *slab = slab_with(owner.block[i]);
        if (slab == current) {
            CHILD_EXPECT(load_relaxed(&slab->remote) == 0
                && slab->place == SLAB_CURRENT
                && owner_of(slab->start) == (uintptr_t)owner.heap);
        } else {
            CHILD_EXPECT(remote_is_unowned(slab)
                && remote_number(load_relaxed(&slab->remote)) == 63
                && owner_of(slab->start) == OWNER_SHARED);
        }
    }
    CHILD_EXPECT(owner.heap->aside_bytes == 0);
    API(audit_all)();
    for (size_t i = 0; i < owner.count; i++) {
        if (i % 64 != 0)
            API(free)(owner.block[i]);
    }
    CHILD_EXPECT(arena_main.pool.taken_bytes
        - chain_bytes(&arena_main.shared->kept) <= 3 * SLICE_BYTES);
    API(audit_all)();
    return 0;
}

static void its_slabs_become_nobodys_but_for_the_current(void **state)
{
    (void)state;
    child_passes(look_at_one_that_sleeps, NULL);
}

/* Blocks that nobody writes to. */
static void take_bare_blocks(struct owner *self)
{
    for (size_t i = 0; i < self->count; i++) {
        self->block[i] = API(malloc)(self->size);
        CHILD_EXPECT(self->block[i] != NULL);
    }
}

/* A few hundred at a time; what is left waits as before. */
static int look_at_many_slabs(void *argument)
{
    enum { SLABS = 600, IN_TURN = 256 };
    (void)argument;
    if (!has_barrier())
        return 0;
    begin(8192, 0);
    owner.count = 8 * SLABS;
    have_done(&owner, take_bare_blocks);
    push_blocks(&owner, 0, 8);
    size_t left = pending_slabs(owner.heap);
    CHILD_EXPECT(left == SLABS);
    while (left > 0) {
        look(owner.heap);
        const size_t now = pending_slabs(owner.heap);
        CHILD_EXPECT(now < left && left - now <= IN_TURN);
        left = now;
        size_t unowned = 0;
        for (size_t i = 0; i < owner.count; i += 8)
            unowned += remote_is_unowned(slab_with(owner.block[i]));
        /* But for the one that the owner hands out from. */
        CHILD_EXPECT(unowned + left == SLABS || unowned + left == SLABS - 1);
        API(audit_all)();
    }
    return 0;
}

static void many_slabs_are_let_go_of_in_turns(void **state)
{
    (void)state;
    child_passes(look_at_many_slabs, NULL);
}

/* A freer that goes round its owners evenly sees to all of them. */
static int free_round_the_owners(void *argument)
{
    enum { OWNERS = 6 };
    static struct owner others[OWNERS];
    (void)argument;
    if (!has_barrier())
        return 0;
    for (int i = 0; i < OWNERS; i++) {
        others[i].size = 4096;
        others[i].count = 4 * MiB / 4096;
        begin_owner(&others[i]);
        have_done(&others[i], take_blocks);
    }
    CHILD_EXPECT(arena_main.pool.taken_bytes >= OWNERS * 4 * MiB);
    for (size_t k = 0; k < others[0].count; k++) {
        for (int i = 0; i < OWNERS; i++)
            API(free)(others[i].block[k]);
    }
    CHILD_EXPECT(arena_main.pool.taken_bytes <= OWNERS * WAITING_BYTES_MAX);
    API(audit_all)();
    return 0;
}

static void every_owner_that_sleeps_is_seen_to(void **state)
{
    (void)state;
    child_passes(free_round_the_owners, NULL);
}

/* -- when nobody may -- */

/* Not before enough was freed for the owner to be taken to be asleep; and its
 * refills begin the count anew. */
static void refill_often(struct owner *self)
{
    (void)self;
    for (int i = 0; i < 200; i++)
        CHILD_EXPECT(API(malloc)(3000) != NULL);
}

static int look_too_early(void *argument)
{
    (void)argument;
    if (!has_barrier())
        return 0;
    begin(1024, 10 * 64);
    for (int round = 0; round < 3; round++) {
        push_blocks(&owner, (size_t)round, 64);
        const size_t pending = pending_slabs(owner.heap);
        CHILD_EXPECT(pending > 0);
        for (int i = 0; i < 3; i++) {
            proxy_look(owner.heap, 50 * KiB);
            CHILD_EXPECT(pending_slabs(owner.heap) == pending);
        }
        have_done(&owner, refill_often);
        CHILD_EXPECT(pending_slabs(owner.heap) == 0);
    }
    push_blocks(&owner, 3, 64);
    for (int i = 0; pending_slabs(owner.heap) > 0; i++) {
        CHILD_EXPECT(i < 100);
        proxy_look(owner.heap, 50 * KiB);
    }
    API(audit_all)();
    return 0;
}

static void one_that_comes_by_is_left_alone(void **state)
{
    (void)state;
    child_passes(look_too_early, NULL);
}

static int look_in_vain(const char *why, size_t pending)
{
    look(owner.heap);
    if (pending_slabs(owner.heap) != pending) {
        dprintf(STDERR_FILENO, "%s: %zu of %zu slabs are pending\n", why,
            pending_slabs(owner.heap), pending);
        return 1;
    }
    API(audit_all)();
    return 0;
}

static int look_at_one_that_must_not_be_helped(void *argument)
{
    (void)argument;
    if (!has_barrier())
        return 0;
    begin(1024, 10 * 64);
    push_blocks(&owner, 0, 64);
    const size_t pending = pending_slabs(owner.heap);
    struct thread *its = load_relaxed(&owner.heap->thread);

    its->busy = true;
    CHILD_EXPECT(look_in_vain("busy", pending) == 0);
    its->busy = false;

    its->own = NULL;
    CHILD_EXPECT(look_in_vain("another's data", pending) == 0);
    its->own = owner.heap;

    store_relaxed(&owner.heap->thread, NULL);
    CHILD_EXPECT(look_in_vain("no thread", pending) == 0);
    /* Data of a thread that is gone, and so is its stack. */
    store_relaxed(&owner.heap->thread, (struct thread *)(uintptr_t)4096);
    CHILD_EXPECT(look_in_vain("no data", pending) == 0);
    store_relaxed(&owner.heap->thread, its);

    lock_take(&owner.heap->proxy);
    const uintptr_t first = load_relaxed(&owner.heap->pending);
    look(owner.heap);
    CHILD_EXPECT(load_relaxed(&owner.heap->pending) == first);
    lock_give(&owner.heap->proxy);

    look(owner.heap);
    CHILD_EXPECT(pending_slabs(owner.heap) == 0);
    return 0;
}

static void one_that_is_busy_or_gone_is_left_alone(void **state)
{
    (void)state;
    child_passes(look_at_one_that_must_not_be_helped, NULL);
}

static int look_without_a_barrier(void *argument)
{
    (void)argument;
    fail_calls(1u << SYS_BARRIER);
    begin(1024, 10 * 64);
    push_blocks(&owner, 0, 64);
    size_t unowned = 0;
    for (size_t i = 0; i < owner.count; i += 64)
        unowned += remote_is_unowned(slab_with(owner.block[i]));
    CHILD_EXPECT(look_in_vain("no barrier", 10 - unowned) == 0);
    return 0;
}

static void without_a_barrier_nobody_is_helped(void **state)
{
    (void)state;
    child_passes(look_without_a_barrier, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_while_the_owner_sleeps_comes_back),
        cmocka_unit_test(its_slabs_become_nobodys_but_for_the_current),
        cmocka_unit_test(many_slabs_are_let_go_of_in_turns),
        cmocka_unit_test(every_owner_that_sleeps_is_seen_to),
        cmocka_unit_test(one_that_comes_by_is_left_alone),
        cmocka_unit_test(one_that_is_busy_or_gone_is_left_alone),
        cmocka_unit_test(without_a_barrier_nobody_is_helped),
    };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
