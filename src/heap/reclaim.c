/* SPDX-License-Identifier: MIT */
/*
 * reclaim - what threads left that a fork made vanish. See reclaim.h.
 */
#include "heap/reclaim.h"

#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/owner.h"
#include "heap/remote.h"
#include "heap/thread.h"

/* -- the survivor -- */

static bool reclaim_is_vanished(const struct heap *heap)
{
    return load_relaxed(&heap->pending) != HEAP_ORPHAN
        && load_relaxed(&heap->generation) != fork_generation();
}

void reclaim_survive(struct heap *heap)
{
    /* A vanished proxy may have left it in any state: then it stays of an old
     * generation, to be taken apart like those of vanished owners. */
    heap->torn = lock_is_taken(&heap->proxy) || lock_is_broken(&heap->proxy);
    if (!heap->torn)
        store_relaxed(&heap->generation, fork_generation());
    heap->survived = true;
    heap->alone = sys_single_threaded();
    (void)!life_begin(&heap->life);
}

/* Remember the blocks in a vanished thread's hands, if its thread-local data
 * is still there and still its own. */
static void reclaim_note_hands(struct heap *heap)
{
    struct thread vanished;
    const struct thread *owner = load_relaxed(&heap->thread);
    if (owner == NULL || !sys_peek(owner, &vanished, sizeof vanished)
        || vanished.own != heap)
        return;
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        if (heap->hands[i] != vanished.shelf[i])
            heap->hands[i] = vanished.shelf[i];
    }
}

static void reclaim_note_arena(struct arena *arena)
{
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        if (reclaim_is_vanished(heap) && heap != thread.own)
            reclaim_note_hands(heap);
    }
}

void reclaim_on_fork(void)
{
    if (thread.own != NULL)
        reclaim_survive(thread.own);
    arenas_each(reclaim_note_arena);
    /* Its owner must not touch a torn heap before it is whole. */
    if (thread.own != NULL && thread.own->torn)
        reclaim_slow(thread.own->arena);
}

/* What was pending in an older generation and is on no list. */
static void reclaim_chain_unannounced(struct slab *slab, struct slab **chain)
{
    for (; slab != NULL; slab = slab->next) {
        const uint64_t word = load_relaxed(&slab->remote);
        if ((word & REMOTE_PENDING)
            && (word & REMOTE_GENERATION) != remote_generation()) {
            slab->pending_next = *chain;
            *chain = slab;
        }
    }
}

void reclaim_own(struct heap *heap)
{
    heap->survived = false;
    (void)remote_drain(heap);
    struct slab *chain = NULL;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct bin *bin = &heap->bin[cls];
        reclaim_chain_unannounced(bin->current, &chain);
        for (int place = 0; place < SLAB_LISTS; place++)
            reclaim_chain_unannounced(bin->list[place].first, &chain);
    }
    /* While a slab waits here its word is not 0, so it stays ours. */
    while (chain != NULL) {
        struct slab *slab = chain;
        chain = slab->pending_next;
        remote_collect(slab);
    }
}

/* -- slabs of vanished heaps -- */

/* Should this slab be taken apart? Then it is claimed, with its list. */
static bool reclaim_claim(struct slab *slab)
{
    const uint64_t now = remote_generation();
    /* pairs with owner_let_go() and owner_settle() */
    uint64_t word = load_acquire(&slab->remote);
    uint64_t next;
    do {
        const bool old = (word & REMOTE_GENERATION) != now;
        const bool claimed = (word & REMOTE_CLAIMED) && old;
        const bool owned = !(word & (REMOTE_UNOWNED | REMOTE_CLAIMED))
            && reclaim_is_vanished(slab_heap(slab));
        if (!claimed && !owned)
            return false;
        next = (word & ~(REMOTE_GENERATION | REMOTE_PENDING))
            | REMOTE_CLAIMED | now;
        /* pairs with remote_push() */
    } while (!cas_acquire_release(&slab->remote, &word, next));
    return true;
}

static void reclaim_scan_region(struct region *region, struct slab **chain)
{
    for (size_t i = 0; i < region->committed; i++) {
        struct extent *extent = &region->extent[i];
        if (load_relaxed(&extent->state) != EXTENT_SLAB)
            continue;
        struct slab *slab = slab_of(extent);
        if (remote_is_unowned(slab)) {
            /* Its mark may have been on the way. */
            listing_set(extent, slab->remote_cls);
        } else if (reclaim_claim(slab)) {
            slab->pending_next = *chain;
            *chain = slab;
        }
    }
}

/* The blocks of a slab that have been met on a list. */
struct reclaim_seen {
    uint64_t word[SLICE_BYTES / ASHLAR_QUANTUM / 64];
};

/* How many blocks of a list are sound, at most so many; it is cut there. */
static uint32_t reclaim_count(const struct slab *slab, struct block **list,
    uint32_t most, struct reclaim_seen *seen)
{
    struct block *last = NULL;
    struct block *at = *list;
    uint32_t count = 0;
    while (at != NULL && count < most && check_is_block(slab, at)) {
        const uint64_t i =
            slab_scaled(slab, at) / class_step[slab->cls];
        if (seen->word[i / 64] >> i % 64 & 1)
            break;
        seen->word[i / 64] |= (uint64_t)1 << i % 64;
        count++;
        last = at;
        at = at->next;
    }
    if (last == NULL)
        *list = NULL;
    else if (last->next != NULL)
        last->next = NULL;
    return count;
}

/* Every count of the slab anew, from what is on its lists. */
static void reclaim_recount(struct slab *slab)
{
    struct reclaim_seen seen = { { 0 } };
    const uint32_t open = reclaim_count(slab, &slab->freed,
        class_blocks[slab->cls], &seen);
    uint32_t closed = 0;
    uint8_t segments = 0;
    for (uint32_t i = 0; i < slab->segments; i++) {
        const uint32_t most = slab_segment_count(slab, i);
        struct block *first = slab_segment(slab, i);
        const uint32_t count = reclaim_count(slab, &first, most, &seen);
        if (count == 0)
            continue;
        slab_set_segment(slab, segments++, first, count);
        closed += count;
    }
    slab->segments = segments;
    const uint64_t cold = load_relaxed(&slab->cold) & ~seen.word[0];
    slab_set(slab, load_relaxed(&slab->fresh), cold);
    slab->used = load_relaxed(&slab->fresh) - closed - bits_count(cold);
    slab->armed = open;
    slab->countdown = 0;
    if (slab->counted > open)
        slab->counted = (uint16_t)open;
    slab->place = SLAB_CURRENT;
    slab->next = NULL;
    slab->prev = NULL;
    slab_rearm(slab);
}

static void reclaim_slabs(struct arena *arena)
{
    struct slab *chain = NULL;
    pool_lock(&arena->pool);
    for (struct region *r = arena->pool.regions; r != NULL; r = r->next)
        reclaim_scan_region(r, &chain);
    lock_give(&arena->pool.lock);
    while (chain != NULL) {
        struct slab *slab = chain;
        chain = slab->pending_next;
        /* pairs with slab_heap() */
        store_release(&slab->heap, arena->shared);
        reclaim_recount(slab);
        owner_let_go_claimed(slab);
    }
}

/* -- vanished heaps -- */

static void reclaim_give_hands(struct heap *heap)
{
    heap_give_hands(heap);
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        struct block *list = heap->hands[i];
        heap->hands[i] = NULL;
        heap_give_list(heap, list);
        heap_give_list(heap, sample_take_rest(heap, (unsigned)i));
    }
    sample_abandon(heap);
}

void reclaim_hands(struct heap *heap)
{
    reclaim_note_hands(heap);
    store_relaxed(&heap->thread, NULL);
    reclaim_give_hands(heap);
}

static void reclaim_heap(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct bin *bin = &heap->bin[cls];
        bin->current = NULL;
        for (int place = 0; place < SLAB_LISTS; place++)
            bin->list[place] = (struct slab_list){ NULL, NULL };
        store_relaxed(&bin->nonfull, 0);
    }
    heap->aside_bytes = 0;
    heap->loose_bytes = 0;
    store_relaxed(&heap->generation, fork_generation());
    if (heap->torn) {
        /* It has its owner still, with all that is in hand. */
        heap->torn = false;
        store_relaxed(&heap->pending, 0);
        return;
    }
    store_relaxed(&heap->thread, NULL);
    reclaim_give_hands(heap);
    kept_reset(&heap->kept, &heap->arena->pool);
    /* pairs with heap_claim() */
    store_release(&heap->pending, heap_is_shared(heap) ? 0 : HEAP_ORPHAN);
}

static void reclaim_heaps(struct arena *arena)
{
    int orphans = 0;
    size_t leases = 0;
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        if (reclaim_is_vanished(heap)) {
            reclaim_heap(heap);
        } else if (heap->aside_bytes > 0 && heap_claim(heap)) {
            /* An orphan's, whose freer has vanished. */
            reclaim_own(heap);
            heap_orphan(heap);
        }
        leases += load_relaxed(&heap->kept.lease_bytes);
        orphans += load_relaxed(&heap->pending) == HEAP_ORPHAN;
    }
    /* One that dies or is born meanwhile makes this a little wrong, as it may
     * be. */
    store_relaxed(&arena->orphans, orphans);
    pool_lock(&arena->pool);
    arena->pool.leased_bytes = leases;
    lock_give(&arena->pool.lock);
}

/*
 * This is a child that no handler told. Only the survivor knows which heap is
 * its own; where another thread comes by first, what vanished stays as it is.
 */
static void reclaim_find_survivor(struct arena *arena)
{
    if (!sys_is_first_thread())
        store_relaxed(&arena->generation, fork_generation());
    else if (thread.own != NULL)
        reclaim_survive(thread.own);
}

void reclaim_slow(struct arena *arena)
{
    if (fork_noticed())
        reclaim_find_survivor(arena);
    lock_take(&arena->lock);
    const uint8_t before = hooks_hold();
    if (load_relaxed(&arena->generation) != fork_generation()) {
        reclaim_slabs(arena);
        reclaim_heaps(arena);
        store_relaxed(&arena->generation, fork_generation());
    }
    hooks_release(before);
    lock_give(&arena->lock);
}
