/* SPDX-License-Identifier: MIT */
/*
 * due - when dirty memory is old enough to go back. See due.h.
 */
#include "page/due.h"

#include "page/mapping.h"

struct due due;

uint64_t due_ms(struct pool *pool)
{
    pool_lock(pool);
    uint64_t stamp_ms = mapping_oldest_ms(pool);
    for (int list = 0; list < CHUNK_LISTS; list++) {
        const struct chunk *chunk = pool->queues[list].first;
        if (chunk != NULL && chunk->stamp_ms < stamp_ms)
            stamp_ms = chunk->stamp_ms;
    }
    lock_give(&pool->lock);
    const int64_t decay_ms = load_relaxed(&pool->dirty_decay_ms);
    return stamp_ms == UINT64_MAX || decay_ms < 0 ? UINT64_MAX
        : stamp_ms + (uint64_t)decay_ms;
}

size_t due_leased_bytes(struct pool *pool)
{
    pool_lock(pool);
    const size_t bytes = pool->leased_bytes;
    lock_give(&pool->lock);
    return bytes;
}

uint32_t due_begin(void)
{
    const uint32_t begun = load_relaxed(&due.wakes);
    /* Each pool is looked at under its lock, which orders this: U1. */
    store_relaxed(&due.until, UINT64_MAX);
    return begun;
}

void due_sleep(uint32_t begun, uint64_t until_ms)
{
    store_relaxed(&due.until, until_ms);
    const uint64_t now_ms = sys_now_ms();
    if (until_ms > now_ms)
        sys_wait_ms(&due.wakes, begun, until_ms - now_ms);
    store_relaxed(&due.until, 0);
}

/* Once: until the sleeper has looked again nobody else need wake it. */
void due_wake(void)
{
    store_relaxed(&due.until, 0);
    add_relaxed(&due.wakes, 1);
    sys_wake_one(&due.wakes);
}
