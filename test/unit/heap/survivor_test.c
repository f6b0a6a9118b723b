/* SPDX-License-Identifier: MIT */
/*
 * The heap of the thread that survives a fork, against reclaim.h: what others
 * freed into it and had not announced, and what one who was at work in it left
 * half done. Method as in reclaim_test.c.
 */
#include "reclaim_bench.h"

/* -- the survivor's own heap -- */

/* A thread freed into the survivor's slab, and vanished before it said so. */
static struct slab *free_unannounced(void)
{
    struct block *block = API(malloc)(640);
    CHILD_EXPECT(API(malloc)(640) != NULL);
    struct slab *slab = slab_with(block);
    CHILD_EXPECT(check_give_remote(slab, "free", block));
    remote_push(slab, block, NULL);
    store_relaxed(&thread.own->pending, 0);
    return slab;
}

static void expect_collected(struct slab *slab, uint32_t live)
{
    CHILD_EXPECT(load_relaxed(&slab->remote) == 0
        || remote_is_unowned(slab));
    CHILD_EXPECT(slab_live(slab) == live);
    API(audit_all)();
}

/* By the next refill of any class, the audit, or a trim. */
static int survive_with_pending(void *argument)
{
    (void)argument;
    make_threads();
    struct slab *slab = free_unannounced();
    const uint32_t live = slab_live(slab);
    IN_CHILD_OF(fork,
        for (int i = 0; i < 3000; i++)
            CHILD_EXPECT(API(malloc)(3000) != NULL);
        expect_collected(slab, live - 1));
    IN_CHILD_OF(fork, API(audit_all)(); expect_collected(slab, live - 1));
    IN_CHILD_OF(_Fork, API(audit_all)(); expect_collected(slab, live - 1));
    IN_CHILD_OF(fork,
        (void)API(malloc_trim)(0);
        /* What is in hand went back as well. */
        CHILD_EXPECT(slab_live(slab) == 1);
        expect_collected(slab, 1));
    return 0;
}

static void what_was_freed_into_the_survivors_slabs_is_collected(void **state)
{
    (void)state;
    child_passes(survive_with_pending, NULL);
}

/* The thread that forks is not the first, and ends in the child, so its heap
 * goes to others. */
static void *survive_and_end(void *argument)
{
    struct slab **slab = argument;
    *slab = free_unannounced();
    pid_t *pid = (pid_t *)(void *)(slab + 1);
    *pid = fork();
    if (*pid != 0)
        return NULL;
    alarm(CHILD_SECONDS_MAX);
    thread_run(end_at_once, NULL);
    struct heap *heap = thread.own;
    thread_flush();
    heap_orphan(heap);
    CHILD_EXPECT(is_orphan(heap));
    CHILD_EXPECT(heap->aside_bytes == 0);                       /* H4 */
    _exit(0);
}

static int survive_to_end(void *argument)
{
    (void)argument;
    struct {
        struct slab *slab;
        pid_t pid;
    } end = { NULL, -1 };
    thread_run(survive_and_end, &end);
    return await(end.pid);
}

static void also_when_the_survivor_ends_before_it_looks(void **state)
{
    (void)state;
    child_passes(survive_to_end, NULL);
}

/* -- a survivor's heap in which somebody was at work -- */

static void *work_in_its_stead(void *argument)
{
    lock_take(&((struct heap *)argument)->proxy);
    pthread_barrier_wait(&scene.ready);
    for (;;)
        pause();
    return NULL;
}

/* Let go of, but for the last step: not on its list any more. */
static void off_its_list(struct slab *slab)
{
    if (slab->place != SLAB_CURRENT)
        bin_unlist(&slab_heap(slab)->bin[slab->cls], slab);
    half_let_go(slab);
}

/* The same, in the middle of taking it off. */
static void half_off_its_list(struct slab *slab)
{
    half_let_go(slab);
    slab->next = NULL;
    slab_heap(slab)->aside_bytes -= slab_bytes(slab);
}

static const struct damage torn[] = {
    KEEPS(half_let_go), KEEPS(off_its_list), KEEPS(half_off_its_list),
    KEEPS(links_wild), KEEPS(bins_wild), KEEPS(claimed),
    KEEPS(claimed_with_a_list), KEEPS(pending), KEEPS(pending_unannounced),
    KEEPS(used_less), KEEPS(place_cold), LOSES(segment_gone),
};

static void free_all_at_once(void)
{
    for (size_t i = 0; i < scene.count; i++)
        API(free)(scene.held[i]);
    scene.count = 0;
}

static int survive_torn(void *argument)
{
    const struct attempt *attempt = argument;
    scene.cls = class_of(attempt->size);
    make_threads();
    fill_slabs();
    scene.heap = thread.own;
    struct slab *slab = scene.slab[attempt->which];
    attempt->damage->apply(slab);
    pthread_barrier_init(&scene.ready, NULL, 2);
    pthread_t other;
    CHILD_EXPECT(pthread_create(&other, NULL, work_in_its_stead, thread.own)
        == 0);
    pthread_barrier_wait(&scene.ready);
    IN_CHILD_OF(fork,
        CHILD_EXPECT(thread.own == scene.heap);
        check_child(attempt->damage->loses ? slab_bytes(slab) : 0));
    IN_CHILD_OF(fork,
        /* Its first call may be any. */
        (void)API(malloc_trim)(0);
        check_child(attempt->damage->loses ? slab_bytes(slab) : 0));
    IN_CHILD_OF(fork,
        free_all_at_once();
        check_child(attempt->damage->loses ? slab_bytes(slab) : 0));
    IN_CHILD_OF(_Fork,
        check_child(attempt->damage->loses ? slab_bytes(slab) : 0));
    return 0;
}

static void a_survivors_torn_heap_is_made_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        for (enum which which = FULL_ONE; which < SLABS; which++) {
            struct attempt attempt = { &torn[i], which, 640 };
            const struct child child = child_run(survive_torn, &attempt);
            if (child.signal != 0 || child.status != 0)
                fail_msg("%s, slab %d: signal %d: %s", torn[i].name, which,
                    child.signal, child.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_freed_into_the_survivors_slabs_is_collected),
        cmocka_unit_test(also_when_the_survivor_ends_before_it_looks),
        cmocka_unit_test(a_survivors_torn_heap_is_made_whole),
    };
    return cmocka_run_group_tests_name("survivor", tests, NULL, NULL);
}
