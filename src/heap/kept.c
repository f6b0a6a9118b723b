/* SPDX-License-Identifier: MIT */
/*
 * kept - free runs of slices in a heap's hands. See kept.h.
 */
#include "heap/kept.h"

/* A lease is asked for with room to grow, so that a busy heap asks rarely. */
enum { KEPT_ROOM_SHARE = 4 };

static struct extent *kept_grab(struct extent *_Atomic *chain)
{
    if (sys_single_threaded()) {
        struct extent *all = load_relaxed(chain);
        store_relaxed(chain, NULL);
        return all;
    }
    /* pairs with kept_leave() */
    return exchange_acquire(chain, NULL);
}

static void kept_leave(struct extent *_Atomic *chain, struct extent *all)
{
    /* pairs with kept_grab() and kept_empty() */
    store_release(chain, all);
}

/* As an object of so many bytes, or as none. */
static void kept_count(struct kept *kept, struct extent *extent, size_t bytes)
{
    tally_change((struct tally_place){ &kept->tally, NULL }, extent, bytes);
}

static size_t kept_bytes(const struct extent *extent)
{
    return (size_t)extent->slices * SLICE_BYTES;
}

static void kept_count_stolen(struct kept *kept)
{
    const size_t stolen = exchange_relaxed(&kept->stolen_bytes, 0);
    bump_relaxed(&kept->chain_bytes, -stolen);
}

/* Ask for a lease that covers so many bytes more. */
static COLD bool kept_extend(struct kept *kept, struct pool *pool,
    size_t bytes)
{
    kept_count_stolen(kept);
    /* What is kept is of the wrong lengths: away with it. */
    if (load_relaxed(&kept->chain_bytes) + bytes > KEPT_CHAIN_BYTES_MAX) {
        kept_empty(kept, pool);
        kept_count_stolen(kept);
    }
    const size_t wanted = load_relaxed(&kept->chain_bytes) + bytes;
    if (wanted > KEPT_CHAIN_BYTES_MAX)
        return false;
    const size_t held = exchange_relaxed(&kept->lease_bytes, 0);
    const size_t granted =
        pool_lease(pool, held, min_size(KEPT_CHAIN_BYTES_MAX,
            wanted + wanted / KEPT_ROOM_SHARE));
    store_relaxed(&kept->lease_bytes, granted);
    if (granted >= wanted)
        return true;
    /* Less than before, perhaps: then what we hold is too much. */
    if (granted < load_relaxed(&kept->chain_bytes))
        kept_empty(kept, pool);
    return false;
}

/* Is there, or can there be, a lease for so many bytes more? */
static bool kept_has_room(struct kept *kept, struct pool *pool, size_t bytes)
{
    return LIKELY(load_relaxed(&kept->chain_bytes) + bytes
            <= load_relaxed(&kept->lease_bytes))
        || kept_extend(kept, pool, bytes);
}

/* Put runs of one length, first to last, in front of their chain. */
static void kept_link(struct kept *kept, struct extent *first,
    struct extent *last, size_t bytes)
{
    struct extent *_Atomic *chain = &kept->chain[first->slices - 1];
    bump_relaxed(&kept->chain_bytes, bytes);
    store_relaxed(&kept->idle, false);
    last->next = kept_grab(chain);
    kept_leave(chain, first);
}

bool kept_push(struct kept *kept, struct extent *extent)
{
    const size_t bytes = kept_bytes(extent);
    if (!kept_has_room(kept, extent->pool, bytes))
        return false;
    extent->zero = false;
    *tally_counted(extent) = 0;
    store_relaxed(&extent->state, EXTENT_KEPT);
    kept_link(kept, extent, extent, bytes);
    return true;
}

struct extent *kept_pop(struct kept *kept, size_t slices)
{
    struct extent *_Atomic *chain = &kept->chain[slices - 1];
    if (load_relaxed(chain) == NULL)
        return NULL;
    struct extent *extent = kept_grab(chain);
    if (extent == NULL)
        return NULL;
    bump_relaxed(&kept->chain_bytes, -kept_bytes(extent));
    store_relaxed(&kept->idle, false);
    kept_leave(chain, extent->next);
    return extent;
}

struct extent *kept_pop_by_hand(struct kept *kept, size_t slices)
{
    struct extent *_Atomic *chain = &kept->chain[slices - 1];
    /* Where samples are taken the fast path has not looked there. */
    struct extent *extent = kept_pop_hand(kept, slices);
    if (extent != NULL || load_relaxed(chain) == NULL)
        return extent;
    struct extent *all = kept_grab(chain);
    while (all != NULL && kept->hand_slices + slices <= KEPT_HAND_SLICES) {
        struct extent *next = all->next;
        map_set(all->start, 1, OWNER_RUN, all);
        all->touched = all->slices;
        /* As long as it was last: the next is likely to be the same. */
        kept_count(kept, all, all->bytes);
        kept_push_hand(kept, all);
        bump_relaxed(&kept->chain_bytes, -(slices * SLICE_BYTES));
        all = next;
    }
    store_relaxed(&kept->idle, false);
    kept_leave(chain, all);
    return kept_pop_hand(kept, slices);
}

/* A chain of runs to the pool; how many bytes. */
static size_t kept_give_all(struct extent *at)
{
    size_t bytes = 0;
    while (at != NULL) {
        struct extent *next = at->next;
        bytes += kept_bytes(at);
        map_clear(at->start, 1);
        pool_give(at);
        at = next;
    }
    return bytes;
}

void kept_open_hand(struct kept *kept, bool open)
{
    kept->hand_bytes_max = open ? KEPT_HAND_SLICES * SLICE_BYTES : 0;
}

/* A whole list in hand to its chain, or to the pool. */
static void kept_spill(struct kept *kept, struct extent *first)
{
    const size_t bytes = kept_bytes(first);
    struct extent *last = first;
    size_t count = 1;
    kept_count(kept, first, 0);
    for (; last->next != NULL; last = last->next) {
        kept_count(kept, last->next, 0);
        count++;
    }
    kept->hand[first->slices - 1] = NULL;
    kept->hand_slices -= (uint32_t)(first->slices * count);
    if (kept_has_room(kept, first->pool, count * bytes))
        kept_link(kept, first, last, count * bytes);
    else
        (void)kept_give_all(first);
}

void kept_spill_hand(struct kept *kept)
{
    for (size_t i = 0; kept->hand_slices > 0; i++) {
        if (kept->hand[i] != NULL)
            kept_spill(kept, kept->hand[i]);
    }
}

void kept_empty(struct kept *kept, struct pool *pool)
{
    /* The lease first: the owner then adds one run at most before it sees
     * that it has none. */
    const size_t held = exchange_relaxed(&kept->lease_bytes, 0);
    /* Or both would count as dirty for a moment. */
    if (held > 0)
        (void)!pool_lease(pool, held, 0);
    for (size_t i = 0; i < KEPT_SLICES_MAX; i++) {
        if (load_relaxed(&kept->chain[i]) == NULL)
            continue;
        /* pairs with kept_leave() */
        struct extent *all = exchange_acquire(&kept->chain[i], NULL);
        add_relaxed(&kept->stolen_bytes, kept_give_all(all));
    }
}

void kept_empty_hand(struct kept *kept)
{
    for (size_t i = 0; i < KEPT_HAND_SLICES; i++) {
        struct extent *all = kept->hand[i];
        kept->hand[i] = NULL;
        COMPILER_BARRIER();
        for (struct extent *at = all; at != NULL; at = at->next)
            kept_count(kept, at, 0);
        (void)kept_give_all(all);
    }
    kept->hand_slices = 0;
}

void kept_reset(struct kept *kept, struct pool *pool)
{
    kept_empty_hand(kept);
    kept_empty(kept, pool);
    store_relaxed(&kept->chain_bytes, 0);
    store_relaxed(&kept->stolen_bytes, 0);
}

void kept_sweep(struct kept *kept, struct pool *pool)
{
    if (exchange_relaxed(&kept->idle, true))
        kept_empty(kept, pool);
}
