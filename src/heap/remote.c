/* SPDX-License-Identifier: MIT */
/*
 * remote - blocks freed by threads that do not own their slab. See remote.h.
 */
#include "heap/remote.h"

#include "heap/check.h"
#include "heap/heap.h"
#include "heap/owner.h"

uint64_t remote_generation(void)
{
    return (uint64_t)fork_generation() << 48 & REMOTE_GENERATION;
}

struct block *remote_head(const struct slab *slab, uint64_t word)
{
    const uint64_t head = word & REMOTE_HEAD;
    if (head == 0)
        return NULL;
    return (struct block *)(void *)
        (slab_extent(slab)->start + (head - 1) * 8);
}

static uint64_t remote_head_of(const struct slab *slab, const void *pointer)
{
    return (uint64_t)((const char *)pointer - slab_extent(slab)->start) / 8
        + 1;
}

/* -- announcing -- */

void remote_announce(struct slab *slab)
{
    struct heap *heap = slab_heap(slab);
    uintptr_t first = load_relaxed(&heap->pending);
    for (;;) {
        if (first == HEAP_ORPHAN) {
            if (heap_claim(heap)) {
                remote_collect(slab);
                heap_orphan(heap);
                return;
            }
            first = load_relaxed(&heap->pending);
            continue;
        }
        slab->pending_next = (struct slab *)first;
        /* pairs with remote_drain() */
        if (cas_release(&heap->pending, &first, (uintptr_t)slab))
            break;
    }
    if (heap_is_shared(heap))
        arena_drain_shared(heap->arena);
}

/* -- pushing -- */

/* The slab has an owner, or is changing hands; *word is what it was. false:
 * it is not any more. */
static bool remote_push_owned(struct slab *slab, struct block *block,
    uint64_t *word)
{
    uint64_t next = (*word & ~REMOTE_HEAD) + REMOTE_ONE;
    next |= remote_head_of(slab, block);
    const bool announce = (*word & (REMOTE_PENDING | REMOTE_CLAIMED)) == 0;
    if (announce)
        next = (next & ~REMOTE_GENERATION) | REMOTE_PENDING
            | remote_generation();
    block->next = remote_head(slab, *word);
    /* pairs with remote_collect() and owner_settle(): the blocks are ours to
     * read there, and pending_next is ours to write once PENDING was clear */
    if (!cas_acquire_release(&slab->remote, word, next))
        return false;
    if (announce)
        remote_announce(slab);
    return true;
}

bool remote_count_down(struct slab *slab, struct block *block,
    uint64_t *word)
{
    block->next = remote_head(slab, *word);
    const uint64_t next = ((*word & ~REMOTE_HEAD) - REMOTE_ONE)
        | remote_head_of(slab, block);
    /* pairs with owner_claim() */
    return cas_acquire_release(&slab->remote, word, next);
}

bool remote_push(struct slab *slab, void *pointer, struct heap *mine)
{
    struct block *block = pointer;
    /* pairs with owner_let_go() and owner_settle() */
    uint64_t word = load_acquire(&slab->remote);
    for (;;) {
        if (word & REMOTE_UNOWNED) {
            if (owner_give(slab, block, &word, mine))
                return false;
        } else if (remote_push_owned(slab, block, &word)) {
            return true;
        }
    }
}

/* -- draining -- */

void remote_collect(struct slab *slab)
{
    /* pairs with remote_push_owned() */
    const uint64_t word = exchange_acquire_release(&slab->remote, 0);
    ASSERT(!(word & (REMOTE_UNOWNED | REMOTE_CLAIMED)));    /* S6 */
    slab_absorb(slab, remote_head(slab, word), remote_number(word));
    slab_count(slab, remote_number(word));
    if (slab->place != SLAB_CURRENT)
        slab_settle(slab);
}

struct slab *remote_take_pending(struct heap *heap)
{
    uintptr_t first = load_relaxed(&heap->pending);
    while (first > HEAP_ORPHAN) {
        /* pairs with remote_announce() */
        if (cas_acquire(&heap->pending, &first, 0))
            return (struct slab *)first;
    }
    return NULL;
}

bool remote_drain(struct heap *heap)
{
    if (load_relaxed(&heap->waiting_bytes) != 0)
        store_relaxed(&heap->waiting_bytes, 0);
    if (LIKELY(load_relaxed(&heap->pending) == 0))
        return false;
    struct slab *slab = remote_take_pending(heap);
    while (slab != NULL) {
        struct slab *next = slab->pending_next;
        remote_collect(slab);
        slab = next;
    }
    return true;
}

void remote_audit(const struct slab *slab)
{
    const uint64_t word = load_relaxed(&slab->remote);
    uint32_t length = 0;
    for (const struct block *at = remote_head(slab, word); at != NULL;
         at = at->next) {
        CHECK(check_is_block(slab, at));                    /* S4 */
        CHECK(++length <= class_blocks[slab->cls]);
    }
    CHECK(!(word & REMOTE_CLAIMED));
    if (word & REMOTE_UNOWNED) {
        CHECK(remote_number(word) > 0);
        CHECK(remote_number(word) + length == slab_live(slab));
        return;
    }
    CHECK(remote_number(word) == length);
    CHECK((length > 0) == ((word & REMOTE_PENDING) != 0));  /* S6 */
}
