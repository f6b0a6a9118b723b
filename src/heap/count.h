/* SPDX-License-Identifier: MIT */
/*
 * count - what a thread has allocated and freed, to the byte.
 *
 * Owns     a thread's two sums and its peak; the events that are called after
 *          so many bytes; whether a thread keeps freed blocks in hand.
 * Used by  alloc.c and request.c (each call of a counting thread), ctl/.
 * Never    costs a thread anything that did not ask: the first question
 *          switches the calling thread to the second tier (thread.h), where
 *          every call is counted, for the rest of its life.
 *
 * Bytes are usable ones. A block counts for the thread that makes the call,
 * whoever's slab it is of; one that is resized counts as given and taken, where
 * it lies or moved. What a thread did before it asked is known as far as its
 * slabs tell: blocks that went back and forth in its hands, and large objects,
 * are missing. From then on differences are exact.
 *
 * Tests    test/unit/heap/count_test.c  test/stress/tiers.c
 */
#ifndef HEAP_COUNT_H
#define HEAP_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the calling thread's sums are: the same addresses while it lives, which
 * any thread may read as long. They only grow, modulo 2^64.
 */
uint64_t *count_allocated(void);
uint64_t *count_deallocated(void);

/* The most that allocated - deallocated was above its value at the last reset,
 * of the calling thread; 0 if it was never above. */
uint64_t count_peak_read(void);
void count_peak_reset(void);

/* -- events -- */

/* The sums of the thread that calls; is_alloc: it has allocated. */
typedef void count_callback(bool is_alloc, uint64_t allocated,
    uint64_t deallocated);

enum { COUNT_EVENTS_MAX = 4 };

/*
 * Have every thread call back when its allocated bytes, and unless alloc_only
 * its deallocated bytes, have passed another multiple of `interval`: after the
 * call that passed it, with no lock held; that one may allocate, which calls
 * nobody back. Other threads begin with their next refill. It stays for ever;
 * the same once more is no other. false: interval 0, no callback, or too many.
 */
bool count_event_add(count_callback *callback, uint64_t interval,
    bool alloc_only);

/* -- blocks in hand, of the calling thread -- */

bool count_cache_enabled(void);

/* Off: what is in hand goes back, and every freed block to its slab from now
 * on. */
void count_enable_cache(bool on);

/* What is in hand goes back; false: the thread keeps nothing in hand. */
bool count_flush_cache(void);

/* The largest block that may stay in hand, in bytes; 0: none. What is set goes
 * up to the next class, and to 64 KiB at most. */
size_t count_cache_max(void);
void count_set_cache_max(size_t bytes);

/* How many freed blocks of a size stay in hand at most; set for all classes
 * from the one of `low` bytes to that of `high`, to no more than there is room
 * for anyhow. What is in hand goes back when it is set. */
unsigned count_cache_blocks_max(size_t size);
void count_set_cache_blocks_max(size_t low, size_t high, size_t blocks);

/* The thread will be idle for a while: nothing stays in its hands, and what is
 * dirty and old in its arena goes back where there are very many arenas. */
void count_idle(void);

/* -- for second.h -- */

/* How many events there are; ask them, for one sum of the thread has grown. */
extern _Atomic unsigned count_events_number;
void count_call(bool is_alloc, uint64_t before, uint64_t now);

#endif
