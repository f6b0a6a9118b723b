/* SPDX-License-Identifier: MIT */
/*
 * remote - blocks freed by threads that do not own their slab.
 *
 * Owns     a slab's remote word and a heap's list of slabs with such blocks.
 * Used by  free's slow path (push), bin.c and heap.c (drain).
 * Never    closes a slab from the freeing side: only the owner does.
 *
 *   remote word   63       47        24 23         0
 *                 | PENDING | count    | head        |
 *   head is the offset of the first block / 8, plus 1; 0: no block.
 *
 * A push is one CAS on the slab's word. The first one after a drain also
 * sets PENDING and puts the slab on its heap's pending list. The owner takes
 * that list whole, and a slab's blocks with one exchange; it looks at remote
 * words only of slabs it found there, so a slab whose pusher has not yet
 * arrived at the list cannot be closed under it: its blocks count as used
 * (S6). See docs/design/03-remote-frees.md.
 *
 * Tests    test/unit/heap/remote_test.c  test/stress/handoff.c
 */
#ifndef HEAP_REMOTE_H
#define HEAP_REMOTE_H

#include "heap/slab.h"

/* Give a block back to a slab that the caller does not own. */
void remote_push(struct slab *slab, void *pointer);

/* Turn what others freed into free blocks; true: there was something. */
bool remote_drain(struct heap *heap);

void remote_audit(const struct slab *slab);

#endif
