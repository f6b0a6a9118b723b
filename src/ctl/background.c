/* SPDX-License-Identifier: MIT */
/*
 * background - a thread that gives back what is old. See background.h.
 */
#include "ctl/background.h"

#include "heap/arenas.h"
#include "heap/heap.h"
#include "heap/thread.h"

/* What a system that refuses to purge is asked again after, at least; and how
 * often a thread that may be the last one looks whether it is. */
enum { BACKGROUND_REST_MS = 100, BACKGROUND_ASK_MS = 500 };

static void background_run(void);

static struct {
    struct lock lock;
    struct sys_helper helper;   /* under the lock */
    /* generation << 1 | 1 of the process where it runs, and where it was asked
     * for; 0: nowhere */
    _Atomic uint32_t running;
    _Atomic uint32_t wanted;
    _Atomic bool stops;
    _Atomic size_t threads_max;

    /* the thread's alone; others may read */
    _Atomic uint64_t runs;
    _Atomic uint64_t slept_ns;
} background = {
    .lock = { .rank = LOCK_background },
    /* Programs and operators look for this name. */
    .helper = { .run = background_run, .name = "jemalloc_bg_thd" },
    .threads_max = 1,
};

/* -- the thread -- */

static void background_decay_all(void)
{
    for (unsigned i = 0; i < arenas_count(); i++) {
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
        || (load_relaxed(&helper_must_ask) && helper_is_last());
}

static void background_run(void)
{
    while (!background_should_end()) {
        background_decay_all();
        add_relaxed(&background.runs, 1);
        const uint32_t begun = due_begin();
        const uint64_t until_ms = background_until_ms();
        if (load_relaxed(&background.stops))
            break;
        const uint64_t before_ns = sys_now_ns();
        due_sleep(begun, until_ms);
        add_relaxed(&background.slept_ns, sys_now_ns() - before_ns);
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

/* Under the lock. */
static bool background_start(void)
{
    store_relaxed(&background.stops, false);
    const bool started = helper_start(&background.helper);
    /* There are two threads from now on. */
    fork_mind();
    const uint32_t word = started ? background_word() : 0;
    store_relaxed(&background.running, word);
    store_relaxed(&background.wanted, word);
    return started;
}

static void background_stop(void)
{
    store_relaxed(&background.stops, true);
    due_wake();
    helper_join(&background.helper);
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

void background_set_threads_max(size_t count)
{
    store_relaxed(&background.threads_max, count);
}

struct background_counts background_counts(void)
{
    const uint64_t runs = load_relaxed(&background.runs);
    return (struct background_counts){
        .num_threads = background_runs(),
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
