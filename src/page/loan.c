/* SPDX-License-Identifier: MIT */
/*
 * loan - own mappings that come from hooks. See loan.h.
 */
#include "page/loan.h"

#include "page/mapping.h"

/* What the record of a mapping says beside the page layer's own fields, at the
 * end of what is the heap layer's, which needs less for a large object. */
struct loan {
    struct hooks_source source;
    bool pinned;
    bool decommitted;
};

static struct loan *loan_of(const struct extent *extent)
{
    return (struct loan *)(uintptr_t)(extent->payload + EXTENT_PAYLOAD_BYTES
        - sizeof(struct loan));
}

bool loan_is(const struct extent *extent)
{
    return extent->region == NULL && loan_of(extent)->source.hooks != NULL;
}

static struct hooks_memory loan_memory(const struct extent *extent)
{
    const struct loan *loan = loan_of(extent);
    return (struct hooks_memory){
        .start = extent->start, .bytes = extent->bytes,
        .pinned = loan->pinned, .decommitted = loan->decommitted,
    };
}

static void loan_put_aside(struct pool *pool, struct extent *extent)
{
    store_relaxed(&extent->state, EXTENT_CACHED);
    extent->next = pool->refused;
    COMPILER_BARRIER();
    pool->refused = extent;
}

/* Under the lock. */
static struct extent *loan_find(struct pool *pool, size_t bytes,
    size_t align)
{
    for (struct extent **link = &pool->refused; *link != NULL;
         link = &(*link)->next) {
        struct extent *at = *link;
        if (!mapping_fits(at, bytes, align)
            || (loan_of(at)->decommitted && !hooks_may_run()))
            continue;
        *link = at->next;
        COMPILER_BARRIER();
        at->zero = false;
        store_relaxed(&at->state, EXTENT_FREE);
        return at;
    }
    return NULL;
}

/* One that came back, and can be touched. */
static struct extent *loan_reuse(struct pool *pool, size_t bytes,
    size_t align)
{
    pool_lock(pool);
    struct extent *extent = loan_find(pool, bytes, align);
    lock_give(&pool->lock);
    if (extent == NULL || !loan_of(extent)->decommitted)
        return extent;
    if (hooks_commit(loan_of(extent)->source, loan_memory(extent), 0,
            extent->bytes)) {
        loan_of(extent)->decommitted = false;
        return extent;
    }
    pool_lock(pool);
    loan_put_aside(pool, extent);
    lock_give(&pool->lock);
    return NULL;
}

/* A new one, not yet on a list; NULL: refused. */
static struct extent *loan_open(struct pool *pool, size_t bytes,
    size_t align)
{
    struct extent *extent = mapping_record(pool);
    if (extent == NULL)
        return NULL;
    const struct hooks_source source = pool_source(pool);
    struct hooks_memory memory = { .start = NULL };
    if (source.hooks != NULL)
        memory = hooks_take(source, bytes, max_size(align, SLICE_BYTES));
    if (memory.start == NULL) {
        pool_lock(pool);
        mapping_forget(pool, extent);
        lock_give(&pool->lock);
        return NULL;
    }
    *loan_of(extent) =
        (struct loan){ .source = source, .pinned = memory.pinned };
    extent->start = memory.start;
    extent->bytes = bytes;
    extent->zero = memory.zero;
    return extent;
}

struct extent *loan_take(struct pool *pool, size_t bytes, size_t align)
{
    struct extent *extent = loan_reuse(pool, bytes, align);
    if (extent == NULL && hooks_may_run())
        extent = loan_open(pool, bytes, align);
    if (extent == NULL)
        return NULL;
    pool_lock(pool);
    mapping_enlist(pool, extent);
    lock_give(&pool->lock);
    return extent;
}

static void loan_forget(struct pool *pool, struct extent *extent)
{
    *loan_of(extent) = (struct loan){ .source = { NULL, 0 } };
    mapping_forget(pool, extent);
}

/* false: the hooks will not have it back, and have purged it if they can. */
static bool loan_return(struct extent *extent)
{
    struct loan *loan = loan_of(extent);
    const struct hooks_memory memory = loan_memory(extent);
    if (hooks_give(loan->source, memory))
        return true;
    loan->decommitted = hooks_purge(loan->source, memory, 0, memory.bytes)
        == HOOKS_DECOMMITTED;
    return false;
}

void loan_give(struct extent *extent)
{
    struct pool *pool = extent->pool;
    pool_lock(pool);
    mapping_delist(pool, extent);
    lock_give(&pool->lock);
    const bool gone = hooks_may_run() && loan_return(extent);
    pool_lock(pool);
    (gone ? loan_forget : loan_put_aside)(pool, extent);
    lock_give(&pool->lock);
}

void loan_end(struct pool *pool)
{
    pool_lock(pool);
    struct extent *chain = pool->refused;
    pool->refused = NULL;
    lock_give(&pool->lock);
    while (chain != NULL) {
        struct extent *extent = chain;
        chain = extent->next;
        hooks_give_up(loan_of(extent)->source, loan_memory(extent));
        pool_lock(pool);
        loan_forget(pool, extent);
        lock_give(&pool->lock);
    }
}
