/* SPDX-License-Identifier: MIT */
/*
 * remote - blocks freed by threads that do not own their slab.
 *
 * Owns     a slab's remote word, in which the slab's owner and its freers
 *          meet, and a heap's list of slabs with such blocks.
 * Used by  free's slow path (push), bin.c and heap.c (drain), owner.c (the
 *          slab changes hands), reclaim.c.
 * Never    leaves a block waiting for somebody who may sleep for ever, but in
 *          the slabs that a heap may own; see docs/design/ownership.md.
 *
 *   remote word   63      62      61      59..48     47..24  23..0
 *                 PENDING UNOWNED CLAIMED generation number  head
 *
 *   head        offset of the first block / 8, plus 1; 0: no block
 *   number      owned, claimed: blocks on the list. unowned: blocks still out
 *   generation  of the process that set PENDING or CLAIMED (sys/fork.h).
 *               unowned: blocks that were out when it was let go of, modulo
 *               REMOTE_COUNTED; so a freer knows when it is that many fewer
 *
 * Tests    test/unit/heap/remote_test.c  test/stress/handoff.c
 *          test/model/ownership.pml
 */
#ifndef HEAP_REMOTE_H
#define HEAP_REMOTE_H

#include "heap/slab.h"

#define REMOTE_PENDING ((uint64_t)1 << 63)
#define REMOTE_UNOWNED ((uint64_t)1 << 62)
#define REMOTE_CLAIMED ((uint64_t)1 << 61)
#define REMOTE_GENERATION ((uint64_t)0xfff << 48)
#define REMOTE_ONE ((uint64_t)1 << 24)
#define REMOTE_HEAD (REMOTE_ONE - 1)

/* So many frees into a slab that nobody owns are counted together. */
enum { REMOTE_COUNTED = 16 };
#define REMOTE_PHASE ((uint64_t)1 << 48)

static inline uint32_t remote_number(uint64_t word)
{
    return (uint32_t)(word / REMOTE_ONE) & 0xffffff;
}

/* This process's generation, where the word has it. */
uint64_t remote_generation(void);

/* The first block of the list in a word; NULL: none. */
struct block *remote_head(const struct slab *slab, uint64_t word);

static inline struct block *remote_list(const struct slab *slab)
{
    return remote_head(slab, load_relaxed(&slab->remote));
}

static inline bool remote_is_unowned(const struct slab *slab)
{
    return (load_relaxed(&slab->remote) & REMOTE_UNOWNED) != 0;
}

/* Give a block back to a slab that the caller does not own; it has been
 * checked. mine: the caller's heap, or NULL. After reclaim_check(): in a child
 * of fork nobody may announce to a heap that vanished. true: it waits for the
 * slab's owner. */
bool remote_push(struct slab *slab, void *pointer, struct heap *mine);

/* One step of that: a block, not the last, in front of the list of a slab that
 * nobody owns. false: *word has changed. */
MUST_USE bool remote_count_down(struct slab *slab, struct block *block,
    uint64_t *word);

/* Put a slab on its heap's pending list; or, if nobody owns the heap, do what
 * its owner would. The caller has set PENDING, or taken the slab off that
 * list. */
void remote_announce(struct slab *slab);

/* The pending list of a heap that has one, off the heap; NULL: none. */
struct slab *remote_take_pending(struct heap *heap);

/* Turn what others freed into free blocks; true: there was something. */
bool remote_drain(struct heap *heap);

/* One slab's list becomes free blocks of its owner, the caller; it may close
 * or disown the slab. */
void remote_collect(struct slab *slab);

void remote_audit(const struct slab *slab);

#endif
