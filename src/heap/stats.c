/* SPDX-License-Identifier: MIT */
/*
 * stats - what an arena has done, and what it holds. See stats.h.
 */
#include "heap/stats.h"

#include <string.h>

#include "heap/arenas.h"
#include "heap/heap.h"
#include "heap/reclaim.h"
#include "heap/remote.h"
#include "heap/thread.h"

_Atomic uint64_t stats_zero_reallocs;

size_t stats_lextent_bytes(unsigned index)
{
    return (size_t)(5 + index % 4) << (index / 4 + 14);
}

size_t stats_extent_bytes(unsigned index)
{
    return census_bytes(index);
}

/* -- frees not yet counted -- */

/*
 * Which frees are on open lists, nobody knows but who looks at every slab. How
 * many are looked at in each class depends on how long ago that was done last,
 * so that asking often costs no more than asking seldom.
 */
enum { STATS_SLABS = 1024, STATS_SLABS_PER_MS = 64 };

/* How often somebody has asked. */
static _Atomic uint32_t stats_questions;

uint32_t stats_asked(void)
{
    return load_relaxed(&stats_questions);
}

static void stats_settle_slab(struct slab *slab)
{
    if (slab->armed != slab->countdown)
        slab_fold(slab);
}

static void stats_settle_bin(struct bin *bin, uint64_t slabs)
{
    if (bin->current != NULL)
        stats_settle_slab(bin->current);
    for (int place = 0; place < SLAB_LISTS; place++) {
        struct slab *at = bin->list[place].first;
        for (; at != NULL && slabs > 0; at = at->next, slabs--)
            stats_settle_slab(at);
    }
}

void stats_settle_heap(struct heap *heap)
{
    const uint64_t now_ms = sys_now_ms();
    const uint64_t slabs = STATS_SLABS
        + (now_ms - heap->settled_ms) * STATS_SLABS_PER_MS;
    heap->settled = stats_asked();
    heap->settled_ms = now_ms;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        stats_settle_bin(&heap->bin[cls], slabs);
}

void stats_settle(void)
{
    struct heap *heap = thread.own;
    add_relaxed(&stats_questions, 1);
    if (heap == NULL)
        return;
    reclaim_check(heap->arena);
    thread_enter(heap);
    if (UNLIKELY(heap->survived))
        reclaim_own(heap);
    (void)remote_drain(heap);
    stats_settle_heap(heap);
    thread_leave();
}

/* -- blocks -- */

/* What has not come back: a block is freed after it was handed out, so frees
 * are read before; what moves meanwhile may still make it look negative. */
static uint64_t stats_out(uint64_t taken, uint64_t given)
{
    return taken > given ? taken - given : 0;
}

/* Frees first: see stats_out(). */
static uint64_t stats_read_given(const struct arena *arena, unsigned cls,
    struct stats_bin *stats)
{
    uint64_t closed = load_relaxed(&arena->closed[cls]);
    stats->ndalloc = load_relaxed(&arena->folded[cls]);
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        stats->ndalloc += load_relaxed(&heap->bin[cls].folded);
        closed += load_relaxed(&heap->slabs[cls].closed);
    }
    return closed;
}

void stats_read_bin(const struct arena *arena, unsigned cls,
    struct stats_bin *stats)
{
    *stats = (struct stats_bin){ 0 };
    const uint64_t closed = stats_read_given(arena, cls, stats);
    stats->nflushes = load_relaxed(&arena->flushed[cls]);
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        const struct bin *bin = &heap->bin[cls];
        const struct heap_slabs *slabs = &heap->slabs[cls];
        stats->nmalloc +=
            load_relaxed(&bin->handed) - load_relaxed(&bin->waiting);
        stats->nfills += load_relaxed(&bin->refills);
        stats->nslabs += load_relaxed(&slabs->opened);
        stats->nreslabs += load_relaxed(&slabs->reopened);
        stats->nonfull_slabs += load_relaxed(&bin->nonfull);
    }
    stats->curregs = stats_out(stats->nmalloc, stats->ndalloc);
    stats->curslabs = stats_out(stats->nslabs, closed);
}

static void stats_read_bins(const struct arena *arena,
    struct stats_arena *stats)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct stats_bin *bin = &stats->bins[cls];
        stats_read_bin(arena, cls, bin);
        stats->small.allocated += bin->curregs * class_bytes[cls];
        stats->small.nmalloc += bin->nmalloc;
        stats->small.ndalloc += bin->ndalloc;
        stats->small.nfills += bin->nfills;
        stats->small.nflushes += bin->nflushes;
    }
}

/* -- large objects -- */

/* What all tallies of an arena say of a class; cls TALLY_CLASSES: of bytes. */
struct stats_pair {
    uint64_t taken;
    uint64_t given;
};

static struct stats_pair stats_read_tally(const struct arena *arena,
    unsigned cls)
{
    const struct tally_count *all = cls < TALLY_CLASSES
        ? &arena->tally.object[cls] : &arena->tally.bytes;
    struct stats_pair sum = { 0, load_relaxed(&all->given) };
    sum.taken = load_relaxed(&all->taken);
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        const struct tally *own = &heap->kept.tally;
        const struct tally_count *count = cls < TALLY_RUN_CLASSES
            ? &own->run[cls] : &own->bytes;
        if (cls >= TALLY_RUN_CLASSES && cls < TALLY_CLASSES)
            break;
        sum.given += load_relaxed(&count->given);
        sum.taken += load_relaxed(&count->taken);
    }
    return sum;
}

static uint64_t stats_large_bytes(const struct arena *arena)
{
    const struct stats_pair bytes = stats_read_tally(arena, TALLY_CLASSES);
    return stats_out(bytes.taken, bytes.given);
}

static void stats_read_large(const struct arena *arena,
    struct stats_arena *stats)
{
    stats->large.allocated = stats_large_bytes(arena);
    for (unsigned cls = 0; cls < TALLY_CLASSES; cls++) {
        const struct stats_pair count = stats_read_tally(arena, cls);
        stats->lextents[cls] = (struct stats_lextent){
            .nmalloc = count.taken, .ndalloc = count.given,
            .curlextents = stats_out(count.taken, count.given),
        };
        stats->large.nmalloc += count.taken;
        stats->large.ndalloc += count.given;
    }
    stats->large.nfills = stats->large.nmalloc;
}

/* -- memory -- */

/* Runs that wait in the chains of heaps: handed out, as far as the pool knows,
 * and dirty, for everybody else. */
static size_t stats_chained(const struct arena *arena)
{
    size_t sum = 0;
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        const size_t stolen = load_relaxed(&heap->kept.stolen_bytes);
        const size_t chained = load_relaxed(&heap->kept.chain_bytes);
        sum += chained - min_size(chained, stolen);
    }
    return sum;
}

/* What follows from `allocated` and a census. */
static void stats_set_memory(const struct arena *arena,
    const struct census *census, struct stats_live *live)
{
    const size_t chained = min_size(stats_chained(arena), census->taken);
    /* They were not read at one moment; a sum must not exceed its whole. */
    live->active = max_size(census->taken - chained,
        round_up(live->allocated, sys_page_bytes()));
    live->metadata_edata = census->records;
    live->metadata_rtree = census->entries;
    live->metadata = sizeof *arena
        + (size_t)load_relaxed(&arena->heap_count) * sizeof(struct heap)
        + census->heads + census->records + census->entries;
    live->mapped = live->active + chained + census->dirty + live->metadata;
    live->resident = live->mapped;
    live->retained = census->clean;
}

static void stats_read_memory(struct arena *arena, struct stats_arena *stats)
{
    const size_t page = sys_page_bytes();
    struct census census;
    census_take(&arena->pool, &census);
    struct stats_live live = { .allocated = stats->allocated };
    stats_set_memory(arena, &census, &live);
    stats->active = live.active;
    stats->mapped = live.mapped;
    stats->retained = live.retained;
    stats->resident = live.resident;
    stats->base = live.metadata;
    stats->metadata_edata = live.metadata_edata;
    stats->metadata_rtree = live.metadata_rtree;
    stats->pactive = live.active / page;
    stats->pdirty = (live.mapped - live.metadata - live.active) / page;
    stats->extent_avail = census.spares;
    stats->abandoned_vm = census.abandoned;
    stats->dirty_npurge = census.sweeps;
    stats->dirty_nmadvise = census.purges;
    stats->dirty_purged = census.purged / page;
}

static uint64_t stats_list_length(const struct block *list)
{
    uint64_t length = 0;
    for (; list != NULL; list = list->next)
        length++;
    return length;
}

/* The calling thread's, if it lives here: others change theirs all the time. */
static uint64_t stats_hand_bytes(const struct arena *arena)
{
    const struct heap *heap = thread.own;
    uint64_t sum = 0;
    if (heap == NULL || heap->arena != arena)
        return 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        sum += class_bytes[cls] * (stats_list_length(thread.shelf[cls])
            + stats_list_length(heap->bin[cls].shelf));
    return sum + heap->kept.hand_slices * SLICE_BYTES;
}

static void stats_read_runs(struct arena *arena, struct stats_arena *stats)
{
    _Static_assert((int)STATS_EXTENTS == (int)CENSUS_CLASSES, "one each");
    _Static_assert(sizeof(struct stats_extent) == sizeof(struct census_runs)
        && offsetof(struct stats_extent, retained_bytes)
            == offsetof(struct census_runs, clean_bytes), "the same words");
    census_take_runs(&arena->pool,
        (struct census_runs *)(void *)stats->extents);
}

/* -- an arena -- */

static void stats_read_locks(const struct arena *arena,
    struct stats_arena *stats)
{
    stats->mutexes[STATS_MUTEX_extents_dirty] =
        lock_read_counts(&arena->pool.lock);
    stats->mutexes[STATS_MUTEX_tcache_list] = lock_read_counts(&arena->lock);
    if (arena == &arena_main)
        stats->mutexes[STATS_MUTEX_base] = lock_read_counts(meta_lock());
}

void stats_read(struct arena *arena, struct stats_arena *stats)
{
    memset(stats, 0, sizeof *stats);
    stats_settle();
    stats->nthreads = load_relaxed(&arena->threads);
    stats->uptime = (sys_now_ms() - arena->born_ms) * 1000000;
    stats->tcache_bytes = stats_hand_bytes(arena);
    stats_read_bins(arena, stats);
    stats_read_large(arena, stats);
    stats->allocated = stats->small.allocated + stats->large.allocated;
    stats_read_memory(arena, stats);
    stats_read_runs(arena, stats);
    stats_read_locks(arena, stats);
}

/* -- sums -- */

static void stats_add_maximum(uint64_t *sum, uint64_t before, uint64_t one)
{
    *sum = before > one ? before : one;
}

void stats_add(struct stats_arena *sum, const struct stats_arena *one)
{
    const uint64_t uptime = sum->uptime;
    struct lock_counts locks[STATS_MUTEX_COUNT];
    memcpy(locks, sum->mutexes, sizeof locks);
    /* All of it is words. */
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)one;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
    stats_add_maximum(&sum->uptime, uptime, one->uptime);
    for (int i = 0; i < STATS_MUTEX_COUNT; i++) {
        stats_add_maximum(&sum->mutexes[i].max_wait_time,
            locks[i].max_wait_time, one->mutexes[i].max_wait_time);
        stats_add_maximum(&sum->mutexes[i].max_num_thds,
            locks[i].max_num_thds, one->mutexes[i].max_num_thds);
    }
}

void stats_fold(struct stats_arena *sum, const struct stats_arena *one)
{
    /* The gauges of what counts both come out as 0 by themselves: nothing of a
     * destroyed arena is out. */
    enum { GAUGES = offsetof(struct stats_arena, dirty_npurge) };
    char gauges[GAUGES];
    memcpy(gauges, sum, GAUGES);
    stats_add(sum, one);
    memcpy(sum, gauges, GAUGES);
    memset(sum->extents, 0, sizeof sum->extents);
}

static uint64_t stats_small_bytes(const struct arena *arena)
{
    uint64_t sum = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct stats_bin bin;
        stats_read_bin(arena, cls, &bin);
        sum += bin.curregs * class_bytes[cls];
    }
    return sum;
}

void stats_read_live(struct stats_live *live)
{
    const unsigned count = arenas_count();
    *live = (struct stats_live){ 0 };
    stats_settle();
    for (unsigned i = 0; i < count; i++) {
        struct arena *arena = arenas_at(i);
        if (arena == NULL)
            continue;
        struct census census;
        census_take(&arena->pool, &census);
        struct stats_live one = {
            .allocated = stats_small_bytes(arena) + stats_large_bytes(arena),
        };
        stats_set_memory(arena, &census, &one);
        uint64_t *to = (uint64_t *)(void *)live;
        const uint64_t *from = (const uint64_t *)(const void *)&one;
        for (size_t w = 0; w < sizeof *live / sizeof *to; w++)
            to[w] += from[w];
    }
}

/* -- beginning anew -- */

void stats_reset_mutexes(void)
{
    const unsigned count = arenas_count();
    for (unsigned i = 0; i < count; i++) {
        struct arena *arena = arenas_at(i);
        if (arena == NULL)
            continue;
        pool_lock(&arena->pool);
        lock_reset_counts(&arena->pool.lock);
        lock_give(&arena->pool.lock);
        lock_take(&arena->lock);
        lock_reset_counts(&arena->lock);
        lock_give(&arena->lock);
    }
    lock_take(meta_lock());
    lock_reset_counts(meta_lock());
    lock_give(meta_lock());
}

/* One class of the objects that were discarded. */
static void stats_balance_count(struct tally_count *all,
    struct stats_pair sum)
{
    add_relaxed(&all->given, sum.taken - sum.given);
}

void stats_balance(struct arena *arena)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct stats_bin bin;
        stats_read_bin(arena, cls, &bin);
        add_relaxed(&arena->folded[cls], bin.nmalloc - bin.ndalloc);
        add_relaxed(&arena->closed[cls], bin.curslabs);
    }
    for (unsigned cls = 0; cls < TALLY_CLASSES; cls++)
        stats_balance_count(&arena->tally.object[cls],
            stats_read_tally(arena, cls));
    stats_balance_count(&arena->tally.bytes,
        stats_read_tally(arena, TALLY_CLASSES));
}

static void stats_forget_bin(struct bin *bin)
{
    store_relaxed(&bin->handed, 0);
    store_relaxed(&bin->folded, 0);
    store_relaxed(&bin->refills, 0);
}

void stats_forget(struct arena *arena)
{
    /* pairs with arena_add_heap() */
    struct heap *heap = load_acquire(&arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
            stats_forget_bin(&heap->bin[cls]);
        memset(heap->slabs, 0, sizeof heap->slabs);
        memset(&heap->kept.tally, 0, sizeof heap->kept.tally);
    }
    memset(arena->folded, 0, sizeof arena->folded);
    memset(arena->closed, 0, sizeof arena->closed);
    memset(arena->flushed, 0, sizeof arena->flushed);
    memset(&arena->tally, 0, sizeof arena->tally);
    pool_lock(&arena->pool);
    pool_forget_counts(&arena->pool);
    lock_reset_counts(&arena->pool.lock);
    lock_give(&arena->pool.lock);
    lock_reset_counts(&arena->lock);
}
