/* SPDX-License-Identifier: MIT */
/*
 * owner - slabs change hands.
 *
 * Owns     the steps by which a slab becomes nobody's, is taken by a heap, and
 *          is closed by the last free into it; and the decision how many
 *          slabs a heap may keep to itself.
 * Used by  remote.c (frees into slabs that nobody owns), bin.c (refill),
 *          slab.c (surplus), heap.c (the end), alloc.c (the second thread).
 * Never    lets two threads work in one slab: who wins the remote word does,
 *          until it lets go; see docs/design/ownership.md.
 *
 * What a heap that sleeps can hold back is what it owns. So it owns, beside
 * the slabs that it hands out from, 4 MiB by the number of heaps and an eighth
 * of all its slabs; while there is one thread, all.
 *
 * Tests    test/unit/heap/{owner,adoption,limit}_test.c
 *          test/model/ownership.pml
 */
#ifndef HEAP_OWNER_H
#define HEAP_OWNER_H

#include "heap/slab.h"

struct bin;

/* The owner lets go of a slab that is on no list and not CURRENT and has
 * blocks out. false: somebody is about to announce it; it stays. */
MUST_USE bool owner_disown(struct slab *slab);

/* Win a slab that nobody owns, whose remote word is *word; false: it has
 * changed, *word is what it is now. */
MUST_USE bool owner_claim(struct slab *slab, uint64_t *word);

/* After a claim, word being what it was: the heap's slab, in hand (place
 * CURRENT), all of its free blocks known. */
void owner_join(struct heap *heap, struct slab *slab, uint64_t word);

/*
 * A block comes back to a slab that nobody owned when *word was read. The last
 * one closes it; others may have the slab listed, taken back by mine, or
 * relieved of its free pages. false: *word has changed, nothing was done.
 */
MUST_USE bool owner_give(struct slab *slab, void *block, uint64_t *word,
    struct heap *mine);

/* After a claim, the free blocks being known: nobody's again, or closed if
 * nothing is out. */
void owner_let_go_claimed(struct slab *slab);

/* The same, of a slab whose remote word is PENDING. */
void owner_let_go_pending(struct slab *slab);

/* A listed slab of the class becomes the heap's, in hand; NULL: none is. */
MUST_USE struct slab *owner_adopt(struct heap *heap, unsigned cls);

/* Disown what a heap owns beyond its limit: of one class, or all. The limit is
 * looked up when the one looked up last is reached. */
void owner_shed(struct heap *heap, struct bin *bin);
void owner_shed_all(struct heap *heap);

/* Disown everything that is on a list. */
void owner_leave(struct heap *heap);

/* Free pages in slabs that nobody owns go back, all of them. */
void owner_chill_all(struct heap *heap);

#endif
