/* SPDX-License-Identifier: MIT */
/*
 * proxy - letting go of slabs for an owner that sleeps.
 *
 * Owns     the decision that an owner sleeps, and the right to work in its heap
 *          meanwhile.
 * Used by  alloc.c, when a block of another owner's slab is freed.
 * Never    waits for the owner, nor guesses: an owner that is in the middle of
 *          anything is left alone.
 *
 * What is freed into an owned slab waits for the owner's next slow refill. One
 * that sleeps, or needs none, does not come. So after every PROXY_LOOK_BYTES or
 * so that a thread frees into slabs of others, it adds them to what waits for
 * the owner of the latest. Where 512 KiB wait, or less if there are many heaps,
 * the owner is taken to be asleep: the thread takes the heap's proxy lock,
 * changes the map words of the pending slabs, so that the owner's frees of
 * their blocks take the slow path, and has every thread pass a barrier. If the
 * owner is not busy then, it will find the lock taken before it does anything
 * in its heap but push blocks to other slabs, and the pending slabs can be
 * disowned in its stead; from there on whoever frees the last block of one
 * closes it.
 *
 * The owner pays for this two stores in a free without room in hand, and no
 * atomic operation. What it saves is disowning slabs in advance, which costs an
 * atomic operation in nearly every free of a thread that never meets another
 * (docs/design/ownership.md).
 *
 * Tests    test/unit/heap/{proxy,wake}_test.c  test/stress/sleeper.c
 *          test/fork  test/model/ownership.pml
 */
#ifndef HEAP_PROXY_H
#define HEAP_PROXY_H

#include "heap/heap.h"
#include "heap/thread.h"

#define PROXY_LOOK_BYTES (256 * KiB)

/* So many bytes were freed since the last look, the latest into a slab of this
 * heap. */
COLD void proxy_look(struct heap *heap, size_t given);

/* The calling thread, which has not entered, has freed a block of so many bytes
 * into a slab that this heap owned. */
static inline void proxy_note(struct heap *heap, const void *pointer,
    uint32_t bytes)
{
    thread.given_bytes += bytes;
    if (LIKELY(thread.given_bytes < thread.look_bytes))
        return;
    const size_t given = thread.given_bytes;
    thread.given_bytes = 0;
    /* Not always after as many: a thread that goes round its owners evenly
     * would meet the same one each time. */
    thread.look_bytes = PROXY_LOOK_BYTES / 2
        + (uint32_t)((uintptr_t)pointer * 0x9e3779b97f4a7c15 >> 46);
    proxy_look(heap, given);
}

#endif
