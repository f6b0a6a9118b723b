/* SPDX-License-Identifier: MIT */
/*
 * background - threads that give back what is old. See background.h.
 */
#include "ctl/background.h"

#include "heap/arenas.h"
#include "heap/heap.h"
#include "heap/thread.h"

/* What a system that refuses to purge is asked again after, at least; and how
 * often a thread that may be the last one looks whether it is. */
enum { BACKGROUND_REST_MS = 100, BACKGROUND_ASK_MS = 500 };

static void background_lead(void);
static void background_follow(void);

static struct {
    struct lock lock;
    struct sys_helper helper[BACKGROUND_THREADS];   /* under the lock */
    /* generation << 1 | 1 of the process where they run, and where they were
     * asked for; 0: nowhere */
    _Atomic uint32_t running;
    _Atomic uint32_t wanted;
    _Atomic unsigned count;     /* of those that run */
    _Atomic unsigned shares;    /* taken by them */
    _Atomic uint32_t rounds;    /* what followers sleep on */
    _Atomic bool stops;
    _Atomic size_t threads_max;

    /* the leader's alone; others may read */
    _Atomic uint64_t runs;
    _Atomic uint64_t slept_ns;
} background = {
    .lock = { .rank = LOCK_background },
    .threads_max = 1,
};

/* -- the threads -- */

/* Of each `count` arenas one is a thread's own. Where two meet, one of them has
 * nothing to do. */
static void background_decay(unsigned share)
{
    const unsigned count = load_relaxed(&background.count);
    for (unsigned i = share; i < arenas_count(); i += count) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL)
            arena_decay(arena);
    }
}

static uint64_t background_due_ms(void)
{
    uint64_t due_ms = UINT64_MAX;
    for (unsigned i = 0; i < arenas_count(); i++) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL)
            due_ms = min_size(due_ms, arena_due_ms(arena));
    }
    return due_ms;
}

/* When to look again, having looked. */
static uint64_t background_until_ms(void)
{
    const uint64_t now_ms = sys_now_ms();
    const uint64_t due_ms = background_due_ms();
    const uint64_t until_ms =
        due_ms > now_ms ? due_ms : now_ms + BACKGROUND_REST_MS;
    return load_relaxed(&helper_must_ask)
        ? min_size(until_ms, now_ms + BACKGROUND_ASK_MS) : until_ms;
}

static bool background_should_end(void)
{
    return load_relaxed(&background.stops)
        || (load_relaxed(&helper_must_ask)
            && helper_are_last(load_relaxed(&background.count)));
}

static void background_wake_followers(void)
{
    const unsigned count = load_relaxed(&background.count);
    /* pairs with background_follow() */
    add_release(&background.rounds, 1);
    for (unsigned i = 1; i < count; i++)
        sys_wake_one(&background.rounds);
}

static void background_lead(void)
{
    while (!background_should_end()) {
        background_wake_followers();
        background_decay(0);
        add_relaxed(&background.runs, 1);
        const uint32_t begun = due_begin();
        const uint64_t until_ms = background_until_ms();
        if (load_relaxed(&background.stops))
            break;
        const uint64_t before_ns = sys_now_ns();
        due_sleep(begun, until_ms);
        add_relaxed(&background.slept_ns, sys_now_ns() - before_ns);
    }
    store_relaxed(&background.stops, true);
    background_wake_followers();
}

static void background_follow(void)
{
    const unsigned share = add_relaxed(&background.shares, 1) + 1;
    for (;;) {
        /* pairs with background_wake_followers() */
        const uint32_t round = load_acquire(&background.rounds);
        if (load_relaxed(&background.stops))
            break;
        background_decay(share);
        sys_wait(&background.rounds, round);
    }
}

/* -- on and off -- */

/* What the word says of a thread that runs in this process. */
static uint32_t background_word(void)
{
    fork_check();
    return fork_generation() << 1 | 1;
}

bool background_is_on(void)
{
    return load_relaxed(&background.wanted) == background_word();
}

static bool background_runs(void)
{
    return load_relaxed(&background.running) == background_word();
}

/* How many there should be. */
static unsigned background_threads(void)
{
    const size_t most =
        min_size(load_relaxed(&background.threads_max), BACKGROUND_THREADS);
    unsigned made = 0;
    for (unsigned i = 0; i < arenas_count() && made < most; i++)
        made += arenas_at(i) != NULL;
    return made;
}

static bool background_start_one(unsigned number)
{
    struct sys_helper *helper = &background.helper[number];
    *helper = (struct sys_helper){
        .run = number == 0 ? background_lead : background_follow,
        /* Programs and operators look for this name. */
        .name = "jemalloc_bg_thd",
    };
    return helper_start(helper);
}

/* Under the lock. */
static bool background_start(void)
{
    const unsigned threads = background_threads();
    unsigned count = 0;
    store_relaxed(&background.stops, false);
    store_relaxed(&background.shares, 0);
    /* Until they are all there. */
    store_relaxed(&background.count, 1);
    while (count < threads && background_start_one(count))
        count++;
    /* There are two threads from now on. */
    fork_mind();
    const uint32_t word = count > 0 ? background_word() : 0;
    if (count > 0)
        store_relaxed(&background.count, count);
    store_relaxed(&background.running, word);
    store_relaxed(&background.wanted, word);
    return count > 0;
}

static void background_stop(void)
{
    store_relaxed(&background.stops, true);
    due_wake();
    for (unsigned i = 0; i < load_relaxed(&background.count); i++)
        helper_join(&background.helper[i]);
    store_relaxed(&background.running, 0);
}

static void background_lock(void)
{
    lock_take(&background.lock);
    /* What a vanished thread left half done was its own process's. */
    lock_mend(&background.lock);
}

bool background_set(bool on)
{
    bool done = true;
    background_lock();
    if (on && !background_runs())
        done = background_start();
    else if (!on && background_runs())
        background_stop();
    if (!on)
        store_relaxed(&background.wanted, 0);
    lock_give(&background.lock);
    return done;
}

/* Unless it was turned off meanwhile, or on. */
static void background_start_now(void)
{
    background_lock();
    if (background_is_on() && !background_runs())
        (void)background_start();
    lock_give(&background.lock);
}

void background_set_soon(void)
{
    store_relaxed(&background.wanted, background_word());
    thread_call_soon(background_start_now);
}

/* -- asking -- */

size_t background_threads_max(void)
{
    return load_relaxed(&background.threads_max);
}

bool background_set_threads_max(size_t count)
{
    bool done = true;
    background_lock();
    store_relaxed(&background.threads_max, count);
    if (background_runs()
        && load_relaxed(&background.count) != background_threads()) {
        background_stop();
        done = background_start();
    }
    lock_give(&background.lock);
    return done;
}

struct background_counts background_counts(void)
{
    const uint64_t runs = load_relaxed(&background.runs);
    return (struct background_counts){
        .num_threads =
            background_runs() ? load_relaxed(&background.count) : 0,
        .num_runs = runs,
        .run_interval =
            runs > 0 ? load_relaxed(&background.slept_ns) / runs : 0,
    };
}

struct lock_counts background_lock_counts(void)
{
    return lock_read_counts(&background.lock);
}

void background_reset_lock_counts(void)
{
    lock_take(&background.lock);
    lock_reset_counts(&background.lock);
    lock_give(&background.lock);
}
