/* SPDX-License-Identifier: MIT */
/*
 * proxy - letting go of slabs for an owner that sleeps. See proxy.h.
 */
#include "heap/proxy.h"

#include "heap/owner.h"
#include "heap/remote.h"

/* What may wait for an owner that may only be waiting for a processor. */
#define PROXY_WAIT_BYTES_MAX (512 * KiB)

/* Slabs let go of at a time: the owner may wake up and wait so long. */
enum { PROXY_SLABS = 256 };

/* -- working in another's heap -- */

static void proxy_set_owner(struct slab *chain, uintptr_t owner)
{
    for (struct slab *at = chain; at != NULL; at = at->pending_next)
        map_set(slab_extent(at)->start, slab_extent(at)->slices, owner,
            slab_extent(at));
}

/* As it was. The heap may have another owner by now, or none. */
static void proxy_put_back(struct heap *heap, struct slab *chain)
{
    proxy_set_owner(chain, (uintptr_t)heap);
    while (chain != NULL) {
        struct slab *slab = chain;
        chain = slab->pending_next;
        remote_announce(slab);
    }
}

/* What the owner hands out from stays its own; the map word last, for then its
 * frees come the fast way again. */
static void proxy_collect_current(struct heap *heap, struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    remote_collect(slab);
    COMPILER_BARRIER();
    map_set(extent->start, extent->slices, (uintptr_t)heap, extent);
}

static void proxy_disown(struct heap *heap, struct slab *chain)
{
    while (chain != NULL) {
        struct slab *slab = chain;
        chain = slab->pending_next;
        if (slab->place == SLAB_CURRENT) {
            proxy_collect_current(heap, slab);
            continue;
        }
        bin_unlist(&heap->bin[slab->cls], slab);
        slab->place = SLAB_CURRENT;
        owner_let_go_pending(slab);
    }
}

/* Is the owner where it cannot be in the middle of anything? Its thread-local
 * data may be gone, or be another's. */
static bool proxy_may_work(const struct heap *heap)
{
    struct thread copy;
    const struct thread *owner = load_relaxed(&heap->thread);
    return owner != NULL && sys_peek(owner, &copy, sizeof copy)
        && copy.own == heap && !copy.busy;
}

/* The chain behind its first few; those remain. */
static struct slab *proxy_cut(struct slab *chain)
{
    struct slab *last = chain;
    for (int i = 1; i < PROXY_SLABS && last->pending_next != NULL; i++)
        last = last->pending_next;
    struct slab *rest = last->pending_next;
    last->pending_next = NULL;
    return rest;
}

/* Under lock proxy. False: the owner is in the middle of something. */
static bool proxy_work(struct heap *heap)
{
    struct slab *chain = remote_take_pending(heap);
    if (chain == NULL)
        return true;
    struct slab *rest = proxy_cut(chain);
    proxy_set_owner(chain, OWNER_SHARED);
    const bool may = sys_barrier() && proxy_may_work(heap);
    if (may)
        proxy_disown(heap, chain);
    else
        proxy_put_back(heap, chain);
    proxy_put_back(heap, rest);
    return may;
}

/* -- looking -- */

/* What may wait for one owner: its part of what all may hold back. */
static size_t proxy_limit(const struct heap *heap)
{
    const size_t heaps = (size_t)load_relaxed(&heap->arena->heap_count);
    return max_size(min_size(PROXY_WAIT_BYTES_MAX,
        16 * PROXY_WAIT_BYTES_MAX / heaps), PROXY_LOOK_BYTES);
}

/* Has so much been freed since the owner last came by that it is taken to be
 * asleep? One that only waits for a processor is not. */
static bool proxy_is_due(struct heap *heap, size_t given)
{
    return load_relaxed(&heap->pending) > HEAP_ORPHAN
        && add_relaxed(&heap->waiting_bytes, given) + given
            >= proxy_limit(heap)
        && load_relaxed(&heap->thread) != NULL;
}

void proxy_look(struct heap *heap, size_t given)
{
    if (!proxy_is_due(heap, given) || !lock_try(&heap->proxy))
        return;
    const uint8_t before = hooks_hold();
    /* An owner that lost its processor inside free is looked at again soon. */
    if (proxy_work(heap))
        store_relaxed(&heap->waiting_bytes, 0);
    hooks_release(before);
    lock_give(&heap->proxy);
}
