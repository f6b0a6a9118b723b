/* SPDX-License-Identifier: MIT */
/*
 * reclaim_bench - threads that vanish, for the tests of reclaim.h.
 *
 * Owns     a thread that stops where the test wants it, with slabs of three
 *          kinds; what a fork in the middle of something would show of them;
 *          and what a child must find.
 * Used by  test/unit/heap/{reclaim,survivor,reap}_test.c.
 */
#ifndef RECLAIM_BENCH_H
#define RECLAIM_BENCH_H

#include "bench.h"

#include <sys/syscall.h>

#include "heap/check.h"
#include "heap/owner.h"
#include "heap/reclaim.h"
#include "heap/remote.h"

/* -- a thread that will vanish -- */

enum { HELD_MAX = 4000 };

/* FULL_ONE has every block out, PARTLY some in a segment and some on the open
 * list, CURRENT_ONE the same and fresh blocks. */
enum which { FULL_ONE, PARTLY, CURRENT_ONE, SLABS };

static struct {
    struct heap *heap;
    unsigned cls;
    struct slab *slab[SLABS];
    size_t count;               /* blocks that the program has */
    struct block *held[HELD_MAX];
    pthread_barrier_t ready;
} scene;

static UNUSED size_t bytes_held(void)
{
    return class_bytes[scene.cls];
}

static UNUSED struct block *hold_one(void)
{
    struct block *block = API(malloc)(bytes_held());
    CHILD_EXPECT(block != NULL && scene.count < HELD_MAX);
    memset(block, (int)(scene.count % 251), bytes_held());
    scene.held[scene.count++] = block;
    return block;
}

static UNUSED bool is_as_it_was(size_t i)
{
    const unsigned char *at = (const unsigned char *)scene.held[i];
    return at[0] == i % 251 && memcmp(at, at + 1, bytes_held() - 1) == 0;
}

/* Free every second block of a slab, until so many are free; which were held
 * no longer are. */
static UNUSED void free_some(const struct slab *slab, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < scene.count; i++) {
        struct block *block = scene.held[i];
        if (count > 0 && slab_with(block) == slab) {
            API(free)(block);
            count--;
        } else {
            scene.held[kept++] = block;
        }
    }
    scene.count = kept;
    for (size_t i = 0; i < kept; i++)
        memset(scene.held[i], (int)(i % 251), bytes_held());
}

/* Two slabs that are full, and a third that is not. */
static UNUSED void fill_slabs(void)
{
    for (int i = 0; i < SLABS; i++) {
        do {
            scene.slab[i] = slab_with(hold_one());
        } while (i > 0 && scene.slab[i] == scene.slab[i - 1]);
    }
    const size_t some = class_segment[scene.cls] + 2u;
    while (scene.slab[CURRENT_ONE]->used
        < min_size(2 * some, class_blocks[scene.cls] - 1u))
        (void)hold_one();
    end_room(scene.cls);
    free_some(scene.slab[PARTLY], some);
    free_some(scene.slab[CURRENT_ONE], some / 2);
    CHILD_EXPECT(scene.slab[FULL_ONE]->place == SLAB_FULL);
    CHILD_EXPECT(scene.slab[PARTLY]->place == SLAB_PARTIAL);
    CHILD_EXPECT(scene.slab[PARTLY]->segments > 0);
    CHILD_EXPECT(scene.slab[CURRENT_ONE]->place == SLAB_CURRENT);
}

/* Runs in the hand and in the chains, with a lease. */
static UNUSED void leave_runs(void)
{
    enum { RUNS = 4 };
    static void *run[RUNS];
    for (int i = 0; i < RUNS; i++)
        run[i] = API(malloc)(i % 2 ? 700 * KiB : 100 * KiB);
    for (int i = 0; i < RUNS; i++)
        API(free)(run[i]);
    CHILD_EXPECT(thread.own->kept.hand_slices > 0);
    CHILD_EXPECT(load_relaxed(&thread.own->kept.lease_bytes) > 0);
}

static UNUSED void *live_until_the_fork(void *argument)
{
    fill_slabs();
    leave_runs();
    scene.heap = thread.own;
    pthread_barrier_wait(&scene.ready);
    for (;;)
        pause();
    return argument;
}

/* A thread beside this one, which has a heap, has come so far and stops. */
static UNUSED void begin_beside(void *(*call)(void *), unsigned cls)
{
    API(free)(API(malloc)(1));
    scene.cls = cls;
    scene.count = 0;
    pthread_barrier_init(&scene.ready, NULL, 2);
    pthread_t other;
    CHILD_EXPECT(pthread_create(&other, NULL, call, NULL) == 0);
    pthread_barrier_wait(&scene.ready);
    CHILD_EXPECT(scene.heap != NULL && scene.heap != thread.own);
}

static UNUSED void begin_life(unsigned cls)
{
    begin_beside(live_until_the_fork, cls);
}

static UNUSED void make_threads(void)
{
    thread_run(end_at_once, NULL);
}

/* -- a child -- */

static UNUSED int await(pid_t pid)
{
    int status;
    CHILD_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status))
        raise(WTERMSIG(status));
    return WEXITSTATUS(status);
}

#define IN_CHILD_OF(how, ...)                \
    do {                                     \
        const pid_t pid = how();             \
        if (pid == 0) {                      \
            alarm(CHILD_SECONDS_MAX);        \
            __VA_ARGS__;                     \
            _exit(0);                        \
        }                                    \
        CHILD_EXPECT(await(pid) == 0);       \
    } while (0)

static UNUSED void expect_contents(void)
{
    for (size_t i = 0; i < scene.count; i++)
        CHILD_EXPECT(is_as_it_was(i));
}

/* New blocks, more than the vanished thread had free, are none of those that
 * the program has. */
static UNUSED void use_the_heap(void)
{
    enum { NEW = 3000 };
    static unsigned char *block[NEW];
    const size_t count = min_size(NEW, 2u * class_blocks[scene.cls]);
    for (size_t i = 0; i < count; i++) {
        block[i] = API(malloc)(bytes_held());
        CHILD_EXPECT(block[i] != NULL);
        memset(block[i], 0xee, bytes_held());
    }
    expect_contents();
    for (size_t i = 0; i < count; i++)
        API(free)(block[i]);
}

/* The child's heap is sound, and in the end so many bytes are not to be had
 * any more. */
static UNUSED void check_child(size_t lost)
{
    API(free)(API(malloc)(bytes_held()));
    API(audit_all)();
    if (scene.heap != thread.own) {
        CHILD_EXPECT(is_orphan(scene.heap));
        CHILD_EXPECT(scene.heap->aside_bytes == 0);
        CHILD_EXPECT(is_in_no_hand(scene.heap));
    }
    expect_contents();
    use_the_heap();
    API(audit_all)();
    for (size_t i = 0; i < scene.count; i++)
        API(free)(scene.held[i]);
    API(audit_all)();
    (void)API(malloc_trim)(0);
    API(audit_all)();
    if (arena_main.pool.taken_bytes > lost
        || arena_main.pool.leased_bytes != 0) {
        dprintf(STDERR_FILENO, "%zu bytes lost, wanted %zu; %zu leased\n",
            arena_main.pool.taken_bytes, lost, arena_main.pool.leased_bytes);
        _exit(1);
    }
}

/* -- counts -- */

static UNUSED struct block *second_of(struct block *list)
{
    return list->next;
}

static UNUSED void used_more(struct slab *slab) { slab->used++; }
static UNUSED void used_less(struct slab *slab) { slab->used--; }
static UNUSED void countdown_more(struct slab *slab) { slab->countdown++; }
static UNUSED void countdown_zero(struct slab *slab) { slab->countdown = 0; }
static UNUSED void armed_more(struct slab *slab) { slab->armed += 3; }
static UNUSED void armed_zero(struct slab *slab) { slab->armed = 0; }
static UNUSED void limit_zero(struct slab *slab) { slab->limit = 0; }
static UNUSED void place_full(struct slab *slab) { slab->place = SLAB_FULL; }
static UNUSED void place_cold(struct slab *slab) { slab->place = SLAB_COLD; }

static UNUSED void links_wild(struct slab *slab)
{
    slab->next = (struct slab *)(uintptr_t)0x1234;
    slab->prev = (struct slab *)(uintptr_t)0x1234;
    slab->pending_next = (struct slab *)(uintptr_t)0x1234;
}

static UNUSED void fresh_more(struct slab *slab)
{
    if (slab->fresh < class_blocks[slab->cls])
        slab->fresh++;
}

static UNUSED void open_list_gone(struct slab *slab)
{
    slab->freed = NULL;
}

static UNUSED void segment_gone(struct slab *slab)
{
    if (slab->segments > 0)
        slab->segments--;
}

/* Taken off the open list to become a segment, it is on both. */
static UNUSED void list_twice(struct slab *slab)
{
    if (slab->freed != NULL)
        slab_set_segment(slab, slab->segments++, slab->freed, 2);
}

static UNUSED void segment_too_long(struct slab *slab)
{
    if (slab->segments > 0)
        slab_set_segment(slab, 0, slab_segment(slab, 0), 0xffff);
}

static UNUSED void link_wild(struct slab *slab)
{
    if (slab->freed != NULL)
        slab->freed->next = (struct block *)(uintptr_t)0x4141414141u;
}

static UNUSED void link_circle(struct slab *slab)
{
    if (slab->segments > 0 && second_of(slab_segment(slab, 0)) != NULL)
        second_of(slab_segment(slab, 0))->next = slab_segment(slab, 0);
}

static UNUSED void bins_wild(struct slab *slab)
{
    struct heap *heap = slab_heap(slab);
    heap->aside_bytes = 77;
    heap->loose_bytes = 77;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        heap->bin[cls].current = (struct slab *)(uintptr_t)0x1234;
        memset(heap->bin[cls].list, 0x41, sizeof heap->bin[cls].list);
    }
}

static UNUSED void kept_counts_wild(struct slab *slab)
{
    struct kept *kept = &slab_heap(slab)->kept;
    kept->hand_slices = 5;
    kept->chain_bytes = 123456789;
    store_relaxed(&kept->stolen_bytes, 4321);
}

/* About to tell the pool that it is not needed any more. */
static UNUSED void lease_forgotten(struct slab *slab)
{
    store_relaxed(&slab_heap(slab)->kept.lease_bytes, 0);
}

/* -- changes of owner, cut in the middle -- */

static UNUSED void no_map_yet(struct slab *slab)
{
    const struct extent *extent = slab_extent(slab);
    map_clear(extent->start, extent->slices);
}

static UNUSED void half_let_go(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    map_set(extent->start, extent->slices, OWNER_SHARED, extent);
}

/* Claimed by one who vanished, with what was freed meanwhile. */
static UNUSED void claimed(struct slab *slab)
{
    half_let_go(slab);
    store_relaxed(&slab->remote, REMOTE_CLAIMED | remote_generation());
}

static UNUSED void claimed_with_a_list(struct slab *slab)
{
    claimed(slab);
    for (int i = 0; i < 2; i++) {
        size_t k = scene.count - 1;
        while (slab_with(scene.held[k]) != slab)
            k--;
        struct block *block = scene.held[k];
        scene.held[k] = scene.held[--scene.count];
        memset(scene.held[k], (int)(k % 251), bytes_held());
        CHILD_EXPECT(check_give_remote(slab, "free", block));
        remote_push(slab, block, NULL);
    }
    CHILD_EXPECT(remote_number(load_relaxed(&slab->remote)) == 2);
}

/* Freed by others, and announced. */
static UNUSED void pending(struct slab *slab)
{
    size_t k = 0;
    while (slab_with(scene.held[k]) != slab)
        k++;
    struct block *block = scene.held[k];
    scene.held[k] = scene.held[--scene.count];
    memset(scene.held[k], (int)(k % 251), bytes_held());
    CHILD_EXPECT(check_give_remote(slab, "free", block));
    remote_push(slab, block, NULL);
    CHILD_EXPECT(load_relaxed(&slab->remote) & REMOTE_PENDING);
}

static UNUSED void pending_unannounced(struct slab *slab)
{
    pending(slab);
    store_relaxed(&slab_heap(slab)->pending, 0);
}

struct damage {
    const char *name;
    void (*apply)(struct slab *slab);
    bool loses;                 /* blocks of this slab */
};

#define KEEPS(name) { #name, name, false }
#define LOSES(name) { #name, name, true }
struct attempt {
    const struct damage *damage;
    enum which which;
    size_t size;
};

#endif
