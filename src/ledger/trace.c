/* SPDX-License-Identifier: MIT */
/*
 * trace - stacks, each kept once. See trace.h.
 *
 * Tables of open addressing, a lock for each. A search begins where the hash
 * says and ends at the first empty slot. What is removed leaves a mark, so
 * that to put in, to take out and to replace a table are one store each.
 */
#include "ledger/trace.h"

#include <string.h>

#include "ledger/stack.h"
#include "page/page.h"
#include "sys/lock.h"
#include "util/units.h"

enum {
    TRACE_SHARDS_LOG2 = 3,
    TRACE_SHARDS = 1 << TRACE_SHARDS_LOG2,
    TRACE_LINES_MAX = (sizeof(struct trace) + STACK_DEPTH_MAX * sizeof(void *)
        + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES
};
#define TRACE_TABLE_BYTES_FIRST (4 * KiB)

struct trace_table {
    size_t bytes;               /* of its mapping */
    struct trace *slot[];       /* NULL: empty, and never was anything else */
};

struct trace_shard {
    CACHE_ALIGNED struct lock lock;

    /* under the lock */
    struct trace_table *table;  /* NULL: none yet */
    size_t used;                /* at least the slots that are not empty */
    struct trace *spare[TRACE_LINES_MAX + 1];   /* by their cache lines */
};

#define TRACE_SHARD_ { .lock = { .rank = LOCK_trace } }
static struct trace_shard trace_shards[TRACE_SHARDS] = {
    TRACE_SHARD_, TRACE_SHARD_, TRACE_SHARD_, TRACE_SHARD_,
    TRACE_SHARD_, TRACE_SHARD_, TRACE_SHARD_, TRACE_SHARD_,
};

/* Stands where one was removed. */
static struct trace trace_removed;

/* What is looked for. */
struct trace_key {
    uint64_t hash;
    void *const *pc;
    unsigned count;
};

static uint64_t trace_hash(void *const *pc, unsigned count)
{
    uint64_t hash = count;
    for (unsigned i = 0; i < count; i++) {
        hash = (hash ^ (uintptr_t)pc[i]) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

static struct trace_shard *trace_shard(uint64_t hash)
{
    return &trace_shards[hash >> (64 - TRACE_SHARDS_LOG2)];
}

/* -- tables -- */

static size_t trace_slots(const struct trace_table *table)
{
    return table == NULL ? 0
        : (table->bytes - sizeof *table) / sizeof *table->slot;
}

/* Where the search for a hash begins. */
static size_t trace_slot_first(const struct trace_table *table, uint64_t hash)
{
    return (size_t)((hash & UINT32_MAX) * trace_slots(table) >> 32);
}

static size_t trace_slot_next(const struct trace_table *table, size_t slot)
{
    return slot + 1 < trace_slots(table) ? slot + 1 : 0;
}

static bool trace_is(const struct trace *trace, const struct trace_key *key)
{
    return trace != &trace_removed && trace->hash == key->hash
        && trace->count == key->count
        && memcmp(trace->pc, key->pc, key->count * sizeof *key->pc) == 0;
}

static struct trace *trace_find(const struct trace_table *table,
    const struct trace_key *key)
{
    const size_t slots = trace_slots(table);
    size_t slot = slots > 0 ? trace_slot_first(table, key->hash) : 0;
    for (size_t i = 0; i < slots && table->slot[slot] != NULL; i++) {
        if (trace_is(table->slot[slot], key))
            return table->slot[slot];
        slot = trace_slot_next(table, slot);
    }
    return NULL;
}

/* The slot of a trace; with NULL, the first one that is free for the hash.
 * There is one. */
static size_t trace_slot_of(const struct trace_table *table, uint64_t hash,
    const struct trace *trace)
{
    size_t slot = trace_slot_first(table, hash);
    for (;;) {
        const struct trace *found = table->slot[slot];
        if (trace != NULL ? found == trace
            : found == NULL || found == &trace_removed)
            return slot;
        slot = trace_slot_next(table, slot);
    }
}

/* The same traces in a new table, with room for as many more. */
static bool trace_replace_table(struct trace_shard *shard)
{
    struct trace_table *old = shard->table;
    const size_t slots = trace_slots(old);
    size_t live = 0;
    for (size_t i = 0; i < slots; i++)
        live += old->slot[i] != NULL && old->slot[i] != &trace_removed;
    size_t bytes = old == NULL ? TRACE_TABLE_BYTES_FIRST : old->bytes;
    if (live > slots / 2)
        bytes *= 2;
    struct trace_table *table = sys_map(round_up(bytes, sys_page_bytes()));
    if (table == NULL)
        return false;
    table->bytes = round_up(bytes, sys_page_bytes());
    for (size_t i = 0; i < slots; i++) {
        struct trace *trace = old->slot[i];
        if (trace != NULL && trace != &trace_removed)
            table->slot[trace_slot_of(table, trace->hash, NULL)] = trace;
    }
    COMPILER_BARRIER();
    shard->table = table;
    shard->used = live;
    COMPILER_BARRIER();
    if (old != NULL)
        (void)!sys_release(old, old->bytes);
    return true;
}

/* One more slot may be filled; one stays empty, for searches to end on. */
static bool trace_has_room(struct trace_shard *shard)
{
    const size_t slots = trace_slots(shard->table);
    if (shard->used < slots / 4 * 3 || trace_replace_table(shard))
        return true;
    return shard->used + 1 < slots;
}

/* -- traces -- */

static size_t trace_lines(unsigned count)
{
    return (sizeof(struct trace) + count * sizeof(void *)
        + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;
}

static struct trace *trace_take_memory(struct trace_shard *shard, size_t lines)
{
    struct trace *trace = shard->spare[lines];
    if (trace == NULL)
        return meta_take(lines * CACHE_LINE_BYTES);
    shard->spare[lines] = trace->next;
    return trace;
}

static struct trace *trace_add(struct trace_shard *shard,
    const struct trace_key *key)
{
    if (!trace_has_room(shard))
        return NULL;
    struct trace *trace = trace_take_memory(shard, trace_lines(key->count));
    if (trace == NULL)
        return NULL;
    trace->next = NULL;
    trace->hash = key->hash;
    trace->count = key->count;
    store_relaxed(&trace->holders, 1);
    memcpy(trace->pc, key->pc, key->count * sizeof *key->pc);
    struct trace_table *table = shard->table;
    const size_t slot = trace_slot_of(table, key->hash, NULL);
    if (table->slot[slot] == NULL)
        shard->used++;
    COMPILER_BARRIER();
    table->slot[slot] = trace;                              /* T1 */
    COMPILER_BARRIER();
    return trace;
}

struct trace *trace_hold(void *const *pc, unsigned count)
{
    ASSERT(count <= STACK_DEPTH_MAX);
    const struct trace_key key = { trace_hash(pc, count), pc, count };
    struct trace_shard *shard = trace_shard(key.hash);
    lock_take(&shard->lock);
    struct trace *trace = trace_find(shard->table, &key);
    if (trace != NULL)
        trace_keep(trace);
    else
        trace = trace_add(shard, &key);
    lock_give(&shard->lock);
    return trace;
}

void trace_keep(struct trace *trace)
{
    add_relaxed(&trace->holders, 1);
}

static void trace_remove(struct trace_shard *shard, struct trace *trace)
{
    struct trace_table *table = shard->table;
    struct trace **spare = &shard->spare[trace_lines(trace->count)];
    table->slot[trace_slot_of(table, trace->hash, trace)] = &trace_removed;
    COMPILER_BARRIER();
    trace->next = *spare;                                   /* T2 */
    COMPILER_BARRIER();
    *spare = trace;
}

void trace_drop(struct trace *trace)
{
    struct trace_shard *shard = trace_shard(trace->hash);
    lock_take(&shard->lock);
    /* Nobody can hold it once more meanwhile, unless he holds it already. */
    const uint32_t before = add_relaxed(&trace->holders, -1);
    ASSERT(before > 0);
    if (before == 1)
        trace_remove(shard, trace);
    lock_give(&shard->lock);
}
