/* SPDX-License-Identifier: MIT */
/*
 * books - a pool, what of it is held, and what a child of fork has to find
 * after the thread that worked on the pool has vanished.
 *
 * check() audits, which repairs; counts what is lost; takes all there is, and
 * looks at what it got and at what is held.
 */
#ifndef PAGE_BOOKS_H
#define PAGE_BOOKS_H

#include "unit/sys/unit.h"

#include "page/mapping.h"
#include "page/page.h"
#include "util/bitmap.h"

enum {
    HELD = 24,
    TAKEN_MAX = 4096,
    WORDS = 2                   /* checked in each slice */
};

static struct pool pool;

/* What somebody holds, and has filled. */
struct held {
    struct extent *extent;      /* NULL: nothing */
    char *start;
    size_t bytes;
    uint64_t seed;
};

static struct {
    struct held held[HELD];
    _Atomic int busy;           /* the one that is being worked on; or -1 */
    size_t lost_slices_max;     /* what the work may lose */
    size_t records_min;         /* of mappings, on the pool's lists */
    struct extent *orphan;      /* given back by a child, if not NULL */
} books;

static inline uint64_t *word_at(char *start, size_t bytes, size_t i)
{
    return (uint64_t *)(void *)(start + bytes * i / WORDS);
}

static inline void fill(struct held *held, struct extent *extent, uint64_t seed)
{
    held->start = extent->start;
    held->bytes = extent->bytes;
    held->seed = seed;
    for (size_t at = 0; at < held->bytes; at += SLICE_BYTES) {
        for (size_t i = 0; i < WORDS; i++)
            *word_at(held->start + at, SLICE_BYTES, i) = seed + at + i;
    }
    if (extent->region != NULL)
        extent->touched = extent->slices;
    store_relaxed(&extent->state,
        extent->region != NULL ? EXTENT_LARGE : EXTENT_OWN);
    COMPILER_BARRIER();
    held->extent = extent;
}

static inline void expect_filled(const struct held *held)
{
    for (size_t at = 0; at < held->bytes; at += SLICE_BYTES) {
        for (size_t i = 0; i < WORDS; i++)
            EXPECT(*word_at(held->start + at, SLICE_BYTES, i)
                == held->seed + at + i);
    }
}

/* -- what a child does -- */

static struct extent *taken[TAKEN_MAX];

/* All that can be had, slice by slice; it reads as it says, and is filled. */
static inline size_t take_all(void)
{
    size_t count = 0;
    struct extent *extent;
    while (count < TAKEN_MAX && (extent = pool_take(&pool, 1, 1)) != NULL) {
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t *word = word_at(extent->start, SLICE_BYTES, i);
            EXPECT(!extent->zero || *word == 0);
            *word = UINT64_MAX;
        }
        extent->touched = 1;
        taken[count++] = extent;
    }
    EXPECT(count < TAKEN_MAX);
    return count;
}

static inline size_t count_records(void)
{
    size_t count = 0;
    for (const struct extent *at = pool.cached; at; at = at->next)
        count++;
    for (const struct extent *at = pool.records; at; at = at->next)
        count++;
    return count;
}

/* Slices that are free have records that say so. */
static inline void check_records(void)
{
    for (const struct region *r = pool.regions; r; r = r->next) {
        for (size_t i = 0; i < r->slices; i++)
            EXPECT(!bitmap_test(r->free, i)
                || load_relaxed(&r->extent[i].state) == EXTENT_FREE);
    }
}

static inline bool is_marked(const struct region *region, unsigned kind)
{
    const size_t words = (region->slices + 63) / 64;
    for (size_t i = 0; i < words; i++) {
        if (load_relaxed(&region->mark[kind * words + i]) != 0)
            return true;
    }
    return false;
}

/* A repair sums the marks up. */
static inline void check_marks(void)
{
    for (const struct region *r = pool.regions; r; r = r->next) {
        for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
            if (is_marked(r, kind)) {
                EXPECT(load_relaxed(&r->listed) >> kind & 1);
                EXPECT(listing_any(&pool, kind));
            }
        }
    }
}

static inline void check_mappings(void)
{
    for (const struct extent *at = pool.cached; at; at = at->next)
        EXPECT(unit_is_mapped(at->start, at->bytes));
    const size_t cached = mapping_bytes(pool.cached);
    struct extent *mapping[4];
    for (size_t i = 0; i < 4; i++) {
        mapping[i] = pool_map(&pool, 4 * SLICE_BYTES, 1);
        if (mapping[i] == NULL)
            continue;
        char *last = mapping[i]->start + mapping[i]->bytes - 8;
        EXPECT(!mapping[i]->zero || *(uint64_t *)(void *)last == 0);
        memset(mapping[i]->start, 1, mapping[i]->bytes);
    }
    EXPECT(mapping_bytes(pool.cached) <= cached);
    for (size_t i = 0; i < 4; i++) {
        if (mapping[i] != NULL)
            pool_unmap(mapping[i]);
    }
    pool_audit(&pool);
}

static inline void check_runs(void)
{
    size_t capacity = 0;
    for (const struct region *r = pool.regions; r; r = r->next)
        capacity += region_capacity(r->slices * SLICE_BYTES);
    const size_t count = take_all();
    pool_audit(&pool);
    size_t stable = 0;
    const int busy = load_relaxed(&books.busy);
    for (int i = 0; i < HELD; i++) {
        const struct held *held = &books.held[i];
        if (i == busy || held->extent == NULL)
            continue;
        expect_filled(held);
        stable += held->extent->slices;
    }
    EXPECT_THAT(capacity - count - stable <= books.lost_slices_max,
        "%zu of %zu slices taken, %zu held", count, capacity, stable);
    for (size_t i = 0; i < count; i++) {
        EXPECT(*word_at(taken[i]->start, SLICE_BYTES, 0) == UINT64_MAX);
        pool_give(taken[i]);
    }
    pool_audit(&pool);
}

static inline void check(void)
{
    unit_fail_all(1u << SYS_RESERVE);
    const bool broken = load_relaxed(&pool.lock.word) != 0;
    pool_audit(&pool);
    EXPECT(!lock_is_broken(&pool.lock));
    if (broken)
        check_marks();
    check_records();
    EXPECT(count_records() >= books.records_min);
    if (books.orphan != NULL)
        pool_give(books.orphan);
    pool_audit(&pool);
    check_mappings();
    check_runs();
    pool_purge(&pool);
    pool_release_free_regions(&pool);
    pool_audit(&pool);
    EXPECT(pool.dirty_bytes == 0);
    for (int i = 0; i < HELD; i++) {
        if (i != load_relaxed(&books.busy) && books.held[i].extent != NULL)
            expect_filled(&books.held[i]);
    }
}

/* -- setup and teardown -- */

static inline int begin(void **state)
{
    (void)state;
    pool = (struct pool)POOL_INITIAL(-1);
    pool.region_bytes_next = 4 * MiB;
    memset(&books, 0, sizeof books);
    store_relaxed(&books.busy, -1);
    fork_mind_slow();
    return 0;
}

static inline int end(void **state)
{
    (void)unit_teardown(state);
    /* What is still held is lost with its pool. */
    pool_purge(&pool);
    return 0;
}

#endif
