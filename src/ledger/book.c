/* SPDX-License-Identifier: MIT */
/*
 * book - entries found by hash, for many threads at once. See book.h.
 */
#include "ledger/book.h"

#include "page/page.h"
#include "util/units.h"

/* A block of entries has as many as there are already, within these. */
enum { BOOK_BLOCK_MIN = 4, BOOK_BLOCK_MAX = 64 };

/* A table begins with so many slots, and grows by that factor when there are
 * twice as many entries as slots. */
enum { BOOK_SLOTS_MIN = 16, BOOK_GROWTH = 4, BOOK_CROWD = 2 };

/* Larger tables are mappings of their own, which go back. */
#define BOOK_META_BYTES_MAX (8 * KiB)

/* -- slots -- */

static struct book_entry **book_slot(struct book_slots *slots, uint64_t hash)
{
    return &slots->slot[(hash >> 1) & (slots->count - 1)];
}

static void book_link(struct book_slots *slots, struct book_entry *entry)
{
    struct book_entry **slot = book_slot(slots, entry->hash);
    entry->next = *slot;
    *slot = entry;
}

static void book_unlink(struct book_slots *slots,
    const struct book_entry *entry)
{
    struct book_entry **at = book_slot(slots, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
}

static struct book_slots *book_make_slots(size_t count)
{
    size_t bytes = sizeof(struct book_slots)
        + count * sizeof(struct book_entry *);
    struct book_slots *slots;
    if (bytes <= BOOK_META_BYTES_MAX) {
        slots = meta_take(bytes);
        bytes = 0;
    } else {
        bytes = round_up(bytes, sys_page_bytes());
        slots = sys_map(bytes);
    }
    if (slots == NULL)
        return NULL;
    slots->count = count;
    slots->mapped_bytes = bytes;
    return slots;
}

/* More slots, if they are to be had. */
static void book_grow(struct book_shard *shard)
{
    struct book_slots *old = shard->slots;
    struct book_slots *slots = book_make_slots(old == NULL ? BOOK_SLOTS_MIN
        : BOOK_GROWTH * old->count);
    if (slots == NULL)
        return;
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        struct book_entry *next;
        for (struct book_entry *at = old->slot[i]; at != NULL; at = next) {
            next = at->next;
            book_link(slots, at);
        }
    }
    COMPILER_BARRIER();
    shard->slots = slots;
    COMPILER_BARRIER();
    if (old != NULL && old->mapped_bytes != 0)
        (void)!sys_release(old, old->mapped_bytes);
}

/* -- entries -- */

static struct book_entry *book_entry_at(const struct book_shard *shard,
    struct book_block *block, size_t i)
{
    char *first = (char *)(block + 1);
    return (struct book_entry *)(void *)(first + i * shard->entry_bytes);
}

static void book_push_free(struct book_entry *entry)
{
    entry->next = entry->shard->free;
    COMPILER_BARRIER();
    entry->shard->free = entry;
}

/* More free entries; false: no memory. */
static bool book_add_block(struct book_shard *shard)
{
    const size_t count = max_size(BOOK_BLOCK_MIN,
        min_size(shard->entries, BOOK_BLOCK_MAX));
    struct book_block *block = meta_take(sizeof *block
        + count * shard->entry_bytes);
    if (block == NULL)
        return false;
    block->count = count;
    for (size_t i = 0; i < count; i++)
        book_entry_at(shard, block, i)->shard = shard;
    block->next = shard->blocks;
    COMPILER_BARRIER();
    shard->blocks = block;
    shard->entries += count;
    for (size_t i = 0; i < count; i++)
        book_push_free(book_entry_at(shard, block, i));
    return true;
}

struct book_entry *book_fresh(struct book_shard *shard)
{
    if (UNLIKELY(shard->free == NULL)) {
        if (shard->slots == NULL
            || shard->entries >= BOOK_CROWD * shard->slots->count)
            book_grow(shard);
        if (shard->slots == NULL || !book_add_block(shard))
            return NULL;
    }
    struct book_entry *entry = shard->free;
    shard->free = entry->next;
    return entry;
}

void book_add(struct book_entry *entry, uint64_t hash)
{
    COMPILER_BARRIER();
    entry->hash = hash;
    COMPILER_BARRIER();
    book_link(entry->shard->slots, entry);
    bump_relaxed(&entry->shard->used, 1);
}

void book_remove(struct book_entry *entry)
{
    struct book_shard *shard = entry->shard;
    book_unlink(shard->slots, entry);
    COMPILER_BARRIER();
    entry->hash = 0;
    COMPILER_BARRIER();
    book_push_free(entry);
    bump_relaxed(&shard->used, (size_t)-1);
}

/* -- shards -- */

/* All that somebody who vanished may have left half done. */
static COLD void book_mend(struct book_shard *shard)
{
    const struct book_slots *slots = shard->slots;
    for (size_t i = 0; slots != NULL && i < slots->count; i++)
        shard->slots->slot[i] = NULL;
    shard->free = NULL;
    shard->entries = 0;
    store_relaxed(&shard->used, 0);
    for (struct book_block *block = shard->blocks; block != NULL;
         block = block->next) {
        shard->entries += block->count;
        for (size_t i = 0; i < block->count; i++) {
            struct book_entry *entry = book_entry_at(shard, block, i);
            if (entry->hash == 0) {
                book_push_free(entry);
            } else {
                book_link(shard->slots, entry);
                bump_relaxed(&shard->used, 1);
            }
        }
    }
    lock_mend(&shard->lock);
}

void book_open_shard(struct book_shard *shard)
{
    lock_take(&shard->lock);
    if (lock_is_broken(&shard->lock))
        book_mend(shard);
}

struct book_shard *book_open(struct book *book, uint64_t hash)
{
    struct book_shard *shard = &book->shard[hash >> (64 - BOOK_SHARDS_LOG2)];
    book_open_shard(shard);
    return shard;
}

void book_close(struct book_shard *shard)
{
    lock_give(&shard->lock);
}

struct book_entry *book_find(const struct book_shard *shard, uint64_t hash,
    const struct book_entry *after)
{
    if (UNLIKELY(shard->slots == NULL))
        return NULL;
    struct book_entry *at = after != NULL ? after->next
        : *book_slot(shard->slots, hash);
    while (at != NULL && at->hash != hash)
        at = at->next;
    return at;
}

/* -- all of it -- */

static struct book_entry *book_next_in(struct book_shard *shard,
    struct book_walk *walk)
{
    if (walk->block == NULL)
        walk->block = shard->blocks;
    while (walk->block != NULL) {
        while (walk->index < walk->block->count) {
            struct book_entry *entry = book_entry_at(shard, walk->block,
                walk->index++);
            if (entry->hash != 0)
                return entry;
        }
        walk->index = 0;
        walk->block = walk->block->next;
    }
    return NULL;
}

struct book_entry *book_next(struct book *book, struct book_walk *walk)
{
    for (; walk->shard < BOOK_SHARDS; walk->shard++) {
        struct book_shard *shard = &book->shard[walk->shard];
        book_open_shard(shard);
        struct book_entry *entry = book_next_in(shard, walk);
        if (entry != NULL)
            return entry;
        book_close(shard);
    }
    return NULL;
}

size_t book_used(const struct book *book)
{
    size_t used = 0;
    for (unsigned i = 0; i < BOOK_SHARDS; i++)
        used += load_relaxed(&book->shard[i].used);
    return used;
}

struct lock_counts book_lock_counts(const struct book *book)
{
    struct lock_counts sum = { 0 };
    for (unsigned i = 0; i < BOOK_SHARDS; i++) {
        const struct lock_counts one = lock_read_counts(&book->shard[i].lock);
        sum.num_ops += one.num_ops;
        sum.num_wait += one.num_wait;
        sum.num_spin_acq += one.num_spin_acq;
        sum.num_owner_switch += one.num_owner_switch;
        sum.total_wait_time += one.total_wait_time;
        sum.max_wait_time = max_size(sum.max_wait_time, one.max_wait_time);
        sum.max_num_thds = max_size(sum.max_num_thds, one.max_num_thds);
    }
    return sum;
}

void book_reset_lock_counts(struct book *book)
{
    for (unsigned i = 0; i < BOOK_SHARDS; i++) {
        lock_take(&book->shard[i].lock);
        lock_reset_counts(&book->shard[i].lock);
        lock_give(&book->shard[i].lock);
    }
}

/* -- proof -- */

static void book_audit_entry(const struct book *book,
    const struct book_entry *entry)
{
    unsigned found = 0;
    for (const struct book_entry *at = *book_slot(entry->shard->slots,
             entry->hash); at != NULL; at = at->next)
        found += at == entry;
    CHECK(found == (entry->hash != 0));                         /* K1 */
    CHECK(entry->hash == 0                                      /* K3 */
        || &book->shard[entry->hash >> (64 - BOOK_SHARDS_LOG2)]
            == entry->shard);
}

static void book_audit_shard(const struct book *book,
    const struct book_shard *shard)
{
    size_t used = 0;
    size_t unused = 0;
    size_t entries = 0;
    for (struct book_block *block = shard->blocks; block != NULL;
         block = block->next) {
        entries += block->count;
        for (size_t i = 0; i < block->count; i++) {
            const struct book_entry *entry = book_entry_at(shard, block, i);
            CHECK(entry->shard == shard);                       /* K3 */
            book_audit_entry(book, entry);
            used += entry->hash != 0;
        }
    }
    for (const struct book_entry *at = shard->free; at; at = at->next) {
        CHECK(at->hash == 0 && at->shard == shard);             /* K1 */
        unused++;
    }
    CHECK(used == load_relaxed(&shard->used));                  /* K2 */
    CHECK(entries == shard->entries && used + unused == entries);
}

void book_audit(struct book *book)
{
    for (unsigned i = 0; i < BOOK_SHARDS; i++) {
        book_open_shard(&book->shard[i]);
        book_audit_shard(book, &book->shard[i]);
        book_close(&book->shard[i]);
    }
}
