/* SPDX-License-Identifier: MIT */
/*
 * remote - blocks freed by threads that do not own their slab. See remote.h.
 */
#include "heap/remote.h"

#include "heap/heap.h"

#define REMOTE_PENDING ((uint64_t)1 << 63)
#define REMOTE_ONE ((uint64_t)1 << 24)
#define REMOTE_HEAD_MASK (REMOTE_ONE - 1)

static uint64_t remote_count(uint64_t word)
{
    return (word & ~REMOTE_PENDING) / REMOTE_ONE;
}

static struct block *remote_head(const struct slab *slab, uint64_t word)
{
    const uint64_t head = word & REMOTE_HEAD_MASK;
    if (head == 0)
        return NULL;
    return (struct block *)(void *)(slab->start + (head - 1) * 8);
}

/* Put the slab on its heap's pending list. */
static void remote_announce(struct slab *slab)
{
    struct heap *heap = slab->heap;
    struct slab *first = load_relaxed(&heap->pending);
    do {
        slab->pending_next = first;
        /* pairs with remote_drain() */
    } while (!cas_release(&heap->pending, &first, slab));
}

void remote_push(struct slab *slab, void *pointer)
{
    struct block *block = pointer;
    const uint64_t head = (uint64_t)((char *)pointer - slab->start) / 8 + 1;
    uint64_t word = load_relaxed(&slab->remote);
    uint64_t next;
    do {
        block->next = remote_head(slab, word);
        next = ((word & ~REMOTE_HEAD_MASK) + REMOTE_ONE) | head
            | REMOTE_PENDING;
        /* pairs with remote_collect(): the blocks are ours to read there,
         * and pending_next is ours to write once PENDING was clear here */
    } while (!cas_acquire_release(&slab->remote, &word, next));
    if (!(word & REMOTE_PENDING))
        remote_announce(slab);
}

/* One slab's blocks become free blocks of its owner; may close the slab. */
static void remote_collect(struct slab *slab)
{
    /* pairs with remote_push() */
    const uint64_t word = exchange_acquire_release(&slab->remote, 0);
    struct block *block = remote_head(slab, word);
    for (uint64_t left = remote_count(word); left > 0; left--) {
        if (UNLIKELY(!slab_has_block_at(slab, block))) {
            misuse((struct misuse_report){ MISUSE_corrupted, "free", block,
                slab->block_bytes });
            return;
        }
        struct block *next = block->next;
        slab_put(slab, block);
        block = next;
    }
}

bool remote_drain(struct heap *heap)
{
    if (LIKELY(load_relaxed(&heap->pending) == NULL))
        return false;
    /* pairs with remote_announce() */
    struct slab *slab = exchange_acquire(&heap->pending, NULL);
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
    const struct block *block = remote_head(slab, word);
    for (uint64_t left = remote_count(word); left > 0; left--) {
        CHECK(slab_has_block_at(slab, block));              /* S4 */
        block = block->next;
    }
    CHECK(block == NULL);
    CHECK((remote_count(word) > 0) == ((word & REMOTE_PENDING) != 0));
}
