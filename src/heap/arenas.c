/* SPDX-License-Identifier: MIT */
/*
 * arenas - arenas by number. See arenas.h.
 */
#include "heap/arenas.h"

#include <string.h>

#include "heap/cache.h"
#include "heap/heap.h"
#include "heap/stats.h"
#include "heap/thread.h"
#include "table/option.h"
#include "util/text.h"

/* A process that made an arena of its own may make many. */
#define ARENAS_REGION_BYTES_FIRST CHUNK_BYTES

/* The changing ones are under the lock; a number is published last. */
static struct {
    struct lock lock;
    struct arena *_Atomic at[ARENAS_MAX];
    _Atomic unsigned count;
    _Atomic unsigned automatic; /* 0: nobody has asked yet */
    struct arena *spare;        /* destroyed */
    struct arena *_Atomic for_hooks;
    _Atomic int64_t dirty_decay_ms;
    _Atomic int64_t muzzy_decay_ms;
    _Atomic size_t oversize_threshold;
} arenas = {
    .lock = { .rank = LOCK_arenas },
    .at = { &arena_main },
    .count = 1,
    .dirty_decay_ms = OPTION_INIT_dirty_decay_ms,
};

/* -- asking -- */

/* One number behind the automatic ones is for oversize objects, if there are
 * any by the options. */
static unsigned arenas_reserved(void)
{
    return load_relaxed(&arenas.oversize_threshold) != 0;
}

void arenas_set_automatic(unsigned count)
{
    option_now.narenas = count;
    store_relaxed(&arenas.count, count + arenas_reserved());
    store_relaxed(&arenas.automatic, count);
}

/* To count processors takes a system call, which a process that never asks for
 * arenas does not pay. */
static COLD void arenas_count_automatic(void)
{
    const unsigned processors = sys_processors();
    const unsigned count = option_now.percpu_arena != PERCPU_DISABLED
        ? processors : option_arenas(&option_now, processors);
    lock_take(&arenas.lock);
    if (load_relaxed(&arenas.automatic) == 0)
        arenas_set_automatic(count);
    lock_give(&arenas.lock);
}

unsigned arenas_automatic(void)
{
    if (UNLIKELY(load_relaxed(&arenas.automatic) == 0))
        arenas_count_automatic();
    return load_relaxed(&arenas.automatic);
}

void arenas_set_dirty_decay_ms(int64_t dirty_decay_ms)
{
    store_relaxed(&arenas.dirty_decay_ms, dirty_decay_ms);
}

int64_t arenas_dirty_decay_ms(void)
{
    return load_relaxed(&arenas.dirty_decay_ms);
}

void arenas_set_muzzy_decay_ms(int64_t muzzy_decay_ms)
{
    store_relaxed(&arenas.muzzy_decay_ms, muzzy_decay_ms);
    store_relaxed(&arena_main.muzzy_decay_ms, muzzy_decay_ms);
}

int64_t arenas_muzzy_decay_ms(void)
{
    return load_relaxed(&arenas.muzzy_decay_ms);
}

void arenas_set_oversize_threshold(size_t bytes)
{
    store_relaxed(&arenas.oversize_threshold, bytes);
    store_relaxed(&arena_main.oversize_threshold, bytes);
}

unsigned arenas_count(void)
{
    (void)arenas_automatic();
    return load_relaxed(&arenas.count);
}

struct arena *arenas_at(unsigned index)
{
    /* pairs with arenas_make() */
    return index < ARENAS_MAX ? load_acquire(&arenas.at[index]) : NULL;
}

struct arena *arenas_of(const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    if (place.owner == MAP_NOBODY || heap_usable_bytes(pointer) == 0)
        return NULL;
    return arena_of_pool(place.extent->pool);
}

void arenas_each(void (*call)(struct arena *))
{
    const unsigned count = load_relaxed(&arenas.count);
    for (unsigned i = 0; i < count; i++) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL)
            call(arena);
    }
    /* pairs with arenas_for_hooks() */
    struct arena *unnumbered = load_acquire(&arenas.for_hooks);
    if (unnumbered != NULL)
        call(unnumbered);
}

bool arenas_reach(const void *pointer)
{
    const unsigned count = load_relaxed(&arenas.count);
    for (unsigned i = 0; i < count; i++) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL && pool_reaches(&arena->pool, pointer))
            return true;
    }
    return false;
}

/* -- making -- */

static void arenas_set_name(struct arena *arena)
{
    struct text text;
    text_clear(&text);
    text_string(&text, arena->manual ? "manual_" : "auto_");
    text_number(&text, arena->index, 0);
    memcpy(arena->name, text.bytes, text.length);
    arena->name[text.length] = 0;
}

/* Under the lock. One that was destroyed is as empty as a new one. */
static struct arena *arenas_take(void)
{
    struct arena *arena = arenas.spare;
    if (arena != NULL) {
        arenas.spare = arena->next;
        return arena;
    }
    arena = meta_take(sizeof *arena);
    if (arena == NULL)
        return NULL;
    arena->pool.lock.rank = LOCK_pool;
    arena->lock.rank = LOCK_shared;
    arena->racks.lock.rank = LOCK_racks;
    arena->sweep.rank = LOCK_sweep;
    store_relaxed(&arena->generation, fork_generation());
    arena->shared = heap_adopt(arena);
    return arena->shared != NULL ? arena : NULL;
}

static void arenas_dress(struct arena *arena, unsigned index, bool manual)
{
    arena->index = index;
    arena->manual = manual;
    arena->born_ms = sys_now_ms();
    arenas_set_name(arena);
    arena->pool.index = index;
    store_relaxed(&arena->pool.hooks, NULL);
    store_relaxed(&arena->pool.hooked, false);
    store_relaxed(&arena->pool.retain_grow_limit, 0);
    arena->pool.region_bytes_next = ARENAS_REGION_BYTES_FIRST;
    store_relaxed(&arena->pool.dirty_decay_ms, arenas_dirty_decay_ms());
    store_relaxed(&arena->muzzy_decay_ms, arenas_muzzy_decay_ms());
    store_relaxed(&arena->oversize_threshold,
        load_relaxed(&arenas.oversize_threshold));
}

/* Under the lock. NULL: no memory. */
static struct arena *arenas_make(unsigned index, bool manual)
{
    struct arena *arena = arenas_take();
    if (arena == NULL)
        return NULL;
    arenas_dress(arena, index, manual);
    /* pairs with arenas_at() */
    store_release(&arenas.at[index], arena);
    if (index >= load_relaxed(&arenas.count))
        store_relaxed(&arenas.count, index + 1);
    return arena;
}

struct arena *arenas_touch(unsigned index)
{
    struct arena *arena = arenas_at(index);
    if (arena != NULL || index >= arenas_automatic())
        return arena;
    lock_take(&arenas.lock);
    arena = arenas_at(index);
    if (arena == NULL)
        arena = arenas_make(index, false);
    lock_give(&arenas.lock);
    return arena;
}

struct arena *arenas_for_oversize(void)
{
    const unsigned index = arenas_automatic();
    struct arena *arena = arenas_at(index);
    if (arena != NULL)
        return arena;
    lock_take(&arenas.lock);
    arena = arenas_at(index);
    if (arena == NULL && arenas_reserved() != 0) {
        arena = arenas_make(index, false);
        if (arena != NULL) {
            memcpy(arena->name, "auto_oversize", sizeof "auto_oversize");
            store_relaxed(&arena->pool.dirty_decay_ms, 0);
        }
    }
    lock_give(&arenas.lock);
    return arena;
}

bool arenas_create(unsigned *index)
{
    unsigned i = arenas_automatic() + arenas_reserved();
    lock_take(&arenas.lock);
    while (i < ARENAS_MAX && arenas_at(i) != NULL)
        i++;
    const bool made = i < ARENAS_MAX && arenas_make(i, true) != NULL;
    lock_give(&arenas.lock);
    if (made)
        *index = i;
    return made;
}

/* -- the end -- */

static struct arena *arenas_manual(unsigned index)
{
    struct arena *arena = arenas_at(index);
    return arena != NULL && arena->manual ? arena : NULL;
}

bool arenas_reset(unsigned index)
{
    struct arena *arena = arenas_manual(index);
    if (arena == NULL)
        return false;
    lock_take(&arena->sweep);
    arena_discard(arena);
    lock_give(&arena->sweep);
    return true;
}

bool arenas_destroy(unsigned index)
{
    struct arena *arena = arenas_manual(index);
    if (arena == NULL || load_relaxed(&arena->threads) > 0)
        return false;
    /* Who tidies it just now is waited for. */
    lock_take(&arena->sweep);
    cache_leave(arena);
    arena_discard(arena);
    pool_empty(&arena->pool);
    stats_forget(arena);
    lock_take(&arenas.lock);
    store_relaxed(&arenas.at[index], NULL);
    arena->next = arenas.spare;
    arenas.spare = arena;
    lock_give(&arenas.lock);
    lock_give(&arena->sweep);
    return true;
}

/* -- hooks -- */

bool arenas_set_hooks(unsigned index, struct extent_hooks *hooks)
{
    struct arena *arena = arenas_touch(index);
    if (arena == NULL)
        return false;
    const bool custom = hooks != &hooks_default;
    if (custom) {
        hooks_set_wrapper(thread_be_nobody);
        store_relaxed(&arena->pool.hooked, true);
    }
    /* pairs with pool_source() */
    store_release(&arena->pool.hooks, custom ? hooks : NULL);
    return true;
}

struct extent_hooks *arenas_hooks(const struct arena *arena)
{
    struct extent_hooks *hooks = load_relaxed(&arena->pool.hooks);
    return hooks != NULL ? hooks : &hooks_default;
}

bool arenas_try_hooks(unsigned index)
{
    struct arena *arena = arenas_at(index);
    if (arena == NULL || !pool_make_room(&arena->pool, 1))
        return false;
    /* It is not needed yet. */
    pool_release_free_regions(&arena->pool);
    if (arena->pool.regions == NULL)
        arena->pool.region_bytes_next = ARENAS_REGION_BYTES_FIRST;
    return true;
}

struct arena *arenas_for_hooks(void)
{
    /* pairs with the store below */
    struct arena *arena = load_acquire(&arenas.for_hooks);
    if (arena != NULL)
        return arena;
    lock_take(&arenas.lock);
    arena = load_relaxed(&arenas.for_hooks);
    if (arena == NULL)
        arena = arenas_take();
    if (arena != NULL)
        arenas_dress(arena, ARENAS_MAX, true);
    /* pairs with arenas_for_hooks() */
    store_release(&arenas.for_hooks, arena);
    lock_give(&arenas.lock);
    return arena;
}

/* -- where threads live -- */

bool arenas_exists(unsigned index)
{
    return arenas_at(index) != NULL || index < arenas_automatic();
}

unsigned arenas_of_processors(void)
{
    const unsigned count = arenas_automatic();
    if (option_now.percpu_arena == PERCPU_DISABLED)
        return 0;
    /* Two to a core, the second half of them by their numbers. */
    return option_now.percpu_arena == PERCPU_PHYCPU ? (count + 1) / 2 : count;
}

/* With that option. */
static unsigned arenas_here(void)
{
    return sys_processor() % arenas_of_processors();
}

struct arena *arenas_for_birth(void)
{
    struct arena *arena = &arena_main;
    if (UNLIKELY(option_now.percpu_arena != PERCPU_DISABLED))
        arena = arenas_touch(arenas_here());
    return arena != NULL ? arena : &arena_main;
}

/* A thread that moves leaves its slabs to others: not at each refill. */
enum { ARENAS_FOLLOW_REFILLS = 16 };

void arenas_follow_slow(void)
{
    const struct heap *heap = thread.own;
    if (heap == NULL || heap->arena->manual
        || heap->refills % ARENAS_FOLLOW_REFILLS != 0)
        return;
    const unsigned index = arenas_here();
    if (index != heap->arena->index)
        (void)!arenas_bind(index);
}

bool arenas_bind(unsigned index)
{
    struct arena *arena = arenas_touch(index);
    return arena != NULL && thread_move(arena);
}

struct arena *arenas_bound(void)
{
    const struct heap *heap = thread_heap();
    return heap != NULL ? heap->arena : &arena_main;
}
