/* SPDX-License-Identifier: MIT */
/*
 * Owners that wake up after, before and while somebody does their work, against
 * proxy.h and thread_enter() of thread.h. Method as in proxy_test.c.
 */
#include "proxy_bench.h"

/* -- waking up -- */

/* Freed, and taken anew, by the owner: what became nobody's, what stayed its
 * own, and what is new. */
static void wake_up(struct owner *self)
{
    check_blocks(self, 1, 2);
    free_blocks(self, 1, 2);
    take_blocks(self);
}

static int wake_up_after_help(void *argument)
{
    (void)argument;
    if (!has_barrier())
        return 0;
    begin(512, 5000);
    for (int round = 0; round < 20; round++) {
        push_blocks(&owner, 0, 2);
        look(owner.heap);
        CHILD_EXPECT(!lock_is_taken(&owner.heap->proxy));
        have_done(&owner, wake_up);
        check_blocks(&owner, 0, 1);
        API(audit_all)();
    }
    free_blocks(&owner, 0, 1);
    end_owner(&owner);
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void one_that_wakes_up_goes_on(void **state)
{
    (void)state;
    child_passes(wake_up_after_help, NULL);
}

/* Half of a slab is somebody else's to free; the owner frees the other half as
 * soon as it is called. */
static struct {
    _Atomic bool call;
    size_t helped;
} early;

static void free_when_called(struct owner *self)
{
    while (!load_acquire(&early.call))
        continue;
    free_blocks(self, 1, 2);
}

static int wake_up_in_the_middle(void *argument)
{
    (void)argument;
    if (!has_barrier())
        return 0;
    begin(8192, 8 * 200);
    for (int round = 0; round < 60; round++) {
        push_blocks(&owner, 0, 8);
        owner.work = free_when_called;
        pthread_barrier_wait(&owner.begin);
        store_release(&early.call, true);
        look(owner.heap);
        for (size_t i = 2; i < owner.count; i += 8)
            early.helped += remote_is_unowned(slab_with(owner.block[i]));
        pthread_barrier_wait(&owner.end);
        store_relaxed(&early.call, false);
        API(audit_all)();
        check_blocks(&owner, 2, 4);
        push_blocks(&owner, 2, 8);
        push_blocks(&owner, 4, 8);
        push_blocks(&owner, 6, 8);
        have_done(&owner, take_blocks);
    }
    CHILD_EXPECT(early.helped > 0);
    API(audit_all)();
    return 0;
}

static void one_that_wakes_up_in_the_middle_harms_nothing(void **state)
{
    (void)state;
    child_passes(wake_up_in_the_middle, NULL);
}

/* While somebody works in its heap, it waits: a refill, a slow free, the
 * event of a fast one, a trim, its end. */
static _Atomic bool came_through;

static void refill(struct owner *self)
{
    (void)self;
    for (int i = 0; i < 1000; i++)
        CHILD_EXPECT(API(malloc)(3000) != NULL);
    store_relaxed(&came_through, true);
}

static void free_all(struct owner *self)
{
    free_blocks(self, 0, 1);
    store_relaxed(&came_through, true);
}

static void trim(struct owner *self)
{
    (void)self;
    (void)API(malloc_trim)(0);
    store_relaxed(&came_through, true);
}

static int wake_up_too_early(void *argument)
{
    void (*work)(struct owner *) = *(void (**)(struct owner *))argument;
    begin(1024, 1000);
    lock_take(&owner.heap->proxy);
    owner.work = work;
    pthread_barrier_wait(&owner.begin);
    /* It cannot come through, however long it had. */
    (void)usleep(50000);
    CHILD_EXPECT(!load_relaxed(&came_through));
    lock_give(&owner.heap->proxy);
    pthread_barrier_wait(&owner.end);
    CHILD_EXPECT(load_relaxed(&came_through));
    API(audit_all)();
    return 0;
}

static void one_that_wakes_up_meanwhile_waits(void **state)
{
    (void)state;
    void (*work[])(struct owner *) = { refill, free_all, trim };
    for (int i = 0; i < 3; i++)
        child_passes(wake_up_too_early, &work[i]);
}

/* -- all at once -- */

enum { OWNERS = 2, LOOKERS = 2, BOXES = 256, ROUNDS = 300 };

static struct {
    struct owner owner[OWNERS];
    struct block *_Atomic box[BOXES];
    _Atomic bool over;
} storm;

static const size_t storm_sizes[] = { 64, 512, 2048, 8192 };

/* Some for the others, some for itself, and now and then nothing at all. */
static void storm_round(struct dice *dice, struct block **mine, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        API(free)(mine[i]);
        mine[i] = API(malloc)(storm_sizes[dice_below(dice, 4)]);
        CHILD_EXPECT(mine[i] != NULL);
    }
    for (int i = 0; i < BOXES; i++) {
        struct block *block = API(malloc)(storm_sizes[dice_below(dice, 4)]);
        struct block *old = atomic_exchange_explicit(
            &storm.box[dice_below(dice, BOXES)], block,
            memory_order_acq_rel);
        API(free)(old);
    }
    if (dice_below(dice, 3) == 0)
        (void)usleep((useconds_t)dice_below(dice, 2000));
}

static void live_in_the_storm(struct owner *self)
{
    static struct block *mine[OWNERS][100];
    const size_t me = (size_t)(self - storm.owner);
    struct dice dice = { .state = me + 1 };
    for (int round = 0; round < ROUNDS; round++)
        storm_round(&dice, mine[me], 100);
    for (int i = 0; i < 100; i++)
        API(free)(mine[me][i]);
}

static void *free_and_look(void *argument)
{
    while (!load_acquire(&storm.over)) {
        for (int i = 0; i < BOXES; i++) {
            API(free)(exchange_acquire(&storm.box[i], NULL));
            if (i % 16 == 0)
                look(storm.owner[i / 16 % OWNERS].heap);
        }
        sched_yield();
    }
    return argument;
}

static int weather_the_storm(void *argument)
{
    (void)argument;
    pthread_t looker[LOOKERS];
    for (int i = 0; i < OWNERS; i++) {
        begin_owner(&storm.owner[i]);
        storm.owner[i].work = live_in_the_storm;
        pthread_barrier_wait(&storm.owner[i].begin);
    }
    threads_begin(looker, LOOKERS, free_and_look, NULL);
    for (int i = 0; i < OWNERS; i++)
        pthread_barrier_wait(&storm.owner[i].end);
    store_release(&storm.over, true);
    threads_end(looker, LOOKERS);
    API(audit_all)();
    for (int i = 0; i < BOXES; i++)
        API(free)(load_relaxed(&storm.box[i]));
    for (int i = 0; i < OWNERS; i++)
        end_owner(&storm.owner[i]);
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void nothing_is_lost_when_owners_wake_at_any_moment(void **state)
{
    (void)state;
    child_passes(weather_the_storm, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_wakes_up_goes_on),
        cmocka_unit_test(one_that_wakes_up_in_the_middle_harms_nothing),
        cmocka_unit_test(one_that_wakes_up_meanwhile_waits),
        cmocka_unit_test(nothing_is_lost_when_owners_wake_at_any_moment),
    };
    return cmocka_run_group_tests_name("wake", tests, NULL, NULL);
}
