/* SPDX-License-Identifier: MIT */
/*
 * arenas - arenas by number. See arenas.h.
 */
#include "heap/arenas.h"

#include <string.h>

#include "heap/cache.h"
#include "heap/heap.h"
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
    unsigned automatic;
    struct arena *spare;        /* destroyed */
    _Atomic int64_t dirty_decay_ms;
} arenas = {
    .lock = { .rank = LOCK_arenas },
    .at = { &arena_main },
    .count = 1,
    .automatic = 1,
    .dirty_decay_ms = OPTION_INIT_dirty_decay_ms,
};

/* -- asking -- */

void arenas_set_automatic(unsigned count)
{
    arenas.automatic = count;
    arena_main.born_ms = sys_now_ms();
    store_relaxed(&arenas.count, count);
}

void arenas_set_dirty_decay_ms(int64_t dirty_decay_ms)
{
    store_relaxed(&arenas.dirty_decay_ms, dirty_decay_ms);
}

int64_t arenas_dirty_decay_ms(void)
{
    return load_relaxed(&arenas.dirty_decay_ms);
}

unsigned arenas_count(void)
{
    return load_relaxed(&arenas.count);
}

unsigned arenas_automatic(void)
{
    return arenas.automatic;
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
    if (heap_is_large(place))
        return arena_of_pool(place.extent->pool);
    return slab_heap(slab_of(place.extent))->arena;
}

void arenas_each(void (*call)(struct arena *))
{
    const unsigned count = arenas_count();
    for (unsigned i = 0; i < count; i++) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL)
            call(arena);
    }
}

bool arenas_reach(const void *pointer)
{
    const unsigned count = arenas_count();
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
    store_relaxed(&arena->generation, fork_generation());
    arena->shared = heap_adopt(arena);
    return arena->shared != NULL ? arena : NULL;
}

/* Under the lock. NULL: no memory. */
static struct arena *arenas_make(unsigned index, bool manual)
{
    struct arena *arena = arenas_take();
    if (arena == NULL)
        return NULL;
    arena->index = index;
    arena->manual = manual;
    arena->born_ms = sys_now_ms();
    arenas_set_name(arena);
    arena->pool.region_bytes_next = ARENAS_REGION_BYTES_FIRST;
    store_relaxed(&arena->pool.dirty_decay_ms, arenas_dirty_decay_ms());
    store_relaxed(&arena->muzzy_decay_ms, 0);
    store_relaxed(&arena->oversize_threshold, 0);
    /* pairs with arenas_at() */
    store_release(&arenas.at[index], arena);
    if (index >= arenas_count())
        store_relaxed(&arenas.count, index + 1);
    return arena;
}

struct arena *arenas_touch(unsigned index)
{
    struct arena *arena = arenas_at(index);
    if (arena != NULL || index >= arenas.automatic)
        return arena;
    lock_take(&arenas.lock);
    arena = arenas_at(index);
    if (arena == NULL)
        arena = arenas_make(index, false);
    lock_give(&arenas.lock);
    return arena;
}

bool arenas_create(unsigned *index)
{
    lock_take(&arenas.lock);
    unsigned i = arenas.automatic;
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
    if (arena != NULL)
        arena_discard(arena);
    return arena != NULL;
}

bool arenas_destroy(unsigned index)
{
    struct arena *arena = arenas_manual(index);
    if (arena == NULL || load_relaxed(&arena->threads) > 0)
        return false;
    cache_leave(arena);
    arena_discard(arena);
    pool_empty(&arena->pool);
    lock_take(&arenas.lock);
    store_relaxed(&arenas.at[index], NULL);
    arena->next = arenas.spare;
    arenas.spare = arena;
    lock_give(&arenas.lock);
    return true;
}

/* -- where threads live -- */

bool arenas_exists(unsigned index)
{
    return index < arenas.automatic || arenas_at(index) != NULL;
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
