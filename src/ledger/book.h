/* SPDX-License-Identifier: MIT */
/*
 * book - entries found by hash, for many threads at once.
 *
 * Owns     the locks, the tables and the memory of the entries.
 * Used by  site.c, record.c: their structs begin with a struct book_entry.
 * Never    gives an entry's memory to anything else: one that is removed is
 *          added again as another.
 *
 * A book is cut into shards by the hash, each with its lock and its table,
 * which grows with what is in it.
 *
 * After a thread vanished in fork, all of a shard is linked anew from what the
 * entries say: one with a hash is in, one without is free. So an entry gets its
 * hash when it is filled, and there is nothing else to look after.
 *
 * Holds    K1  hash != 0: in the list of its slot, once; 0: free
 *          K2  used is the number of entries with a hash
 *          K3  an entry lies in the shard of its birth for ever
 *
 * Tests    test/unit/ledger/book_test.c
 */
#ifndef LEDGER_BOOK_H
#define LEDGER_BOOK_H

#include "sys/lock.h"

struct book_shard;

struct book_entry {
    struct book_shard *shard;   /* fixed at birth */

    /* under the shard's lock */
    struct book_entry *next;    /* of the same slot, or free ones */
    uint64_t hash;              /* 0: free */
};

struct book_slots {
    size_t count;               /* a power of two */
    size_t mapped_bytes;        /* 0: no mapping of its own */
    struct book_entry *slot[];
};

struct book_block {
    struct book_block *next;
    size_t count;
    /* the entries follow */
};

struct book_shard {
    CACHE_ALIGNED struct lock lock;
    size_t entry_bytes;         /* fixed at birth */

    /* under the lock */
    struct book_slots *slots;   /* NULL: none yet */
    struct book_entry *free;
    struct book_block *blocks;
    size_t entries;             /* in the blocks */
    _Atomic size_t used;        /* read by any thread */
};

enum { BOOK_SHARDS_LOG2 = 4, BOOK_SHARDS = 1 << BOOK_SHARDS_LOG2 };

struct book {
    struct book_shard shard[BOOK_SHARDS];
};

#define BOOK_FOUR_(shard) shard, shard, shard, shard
#define BOOK_SHARD_(a_rank, bytes) \
    { .lock = { .rank = (a_rank) }, .entry_bytes = (bytes) }
#define BOOK_INITIAL(rank, type) \
    { { BOOK_FOUR_(BOOK_FOUR_(BOOK_SHARD_(rank, sizeof(type)))) } }

/* A hash of two words; never 0. */
static inline uint64_t book_hash(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b << 32 | b >> 32)) * UINT64_C(0x9e3779b97f4a7c15) + b;
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return (x ^ (x >> 32)) | 1;
}

/* Entries in all shards, about. */
size_t book_used(const struct book *book);

struct lock_counts book_lock_counts(const struct book *book);
void book_reset_lock_counts(struct book *book);

/* The shard of a hash, locked; and given free. */
struct book_shard *book_open(struct book *book, uint64_t hash);
void book_open_shard(struct book_shard *shard);
void book_close(struct book_shard *shard);

/* An entry of that hash, the first, or the one after another; NULL: no more.
 * The shard is open, here and below. */
struct book_entry *book_find(const struct book_shard *shard, uint64_t hash,
    const struct book_entry *after);

/* A free entry, to be filled and then put in; NULL: no memory. */
MUST_USE struct book_entry *book_fresh(struct book_shard *shard);
void book_add(struct book_entry *entry, uint64_t hash);

void book_remove(struct book_entry *entry);

/* Entry after entry of the book, in no order; all 0 at first. Those that are
 * added on the way may be left out. */
struct book_walk {
    unsigned shard;
    struct book_block *block;
    size_t index;
};

/* The next one, its shard open; NULL: no more, and nothing is open. */
struct book_entry *book_next(struct book *book, struct book_walk *walk);

void book_audit(struct book *book);

#endif
