/* SPDX-License-Identifier: MIT */
/*
 * listing - marks that say: look here, there may be room. See listing.h.
 */
#include "page/listing.h"

#include "util/bits.h"

static void listing_raise(_Atomic uint64_t *word, uint64_t bit)
{
    uint64_t seen = load_relaxed(word);
    bool raised;
    do {
        /* pairs with listing_lower() */
        raised = cas_release(word, &seen, seen | bit);
    } while (!raised);
}

static void listing_lower(_Atomic uint64_t *word, uint64_t bit)
{
    uint64_t seen = load_relaxed(word);
    bool lowered;
    do {
        /* pairs with listing_raise() */
        lowered = cas_acquire(word, &seen, seen & ~bit);
    } while (!lowered);
}

static uint64_t listing_bit(size_t i)
{
    return (uint64_t)1 << (i % 64);
}

/* The marks of a kind: the words of a bitmap with a bit for each slice. */
static _Atomic uint64_t *listing_marks(const struct region *region,
    unsigned kind)
{
    ASSERT(kind < REGION_KINDS);
    return region->mark + kind * ((region->slices + 63) / 64);
}

/* Slices that may have marks; under lock pool. */
static size_t listing_words(const struct region *region)
{
    return (region->committed + 63) / 64;
}

void listing_set(struct extent *extent, unsigned kind)
{
    struct region *region = extent->region;
    const size_t slice = (size_t)(extent - region->extent);
    _Atomic uint64_t *mark = listing_marks(region, kind) + slice / 64;
    if (!(load_relaxed(mark) & listing_bit(slice))) {
        listing_raise(mark, listing_bit(slice));
        /* pairs with listing_lower_sums() */
        fence_total();
    }
    /* Also where the mark is set already: its setter may have vanished. */
    if (!(load_relaxed(&region->listed) & listing_bit(kind))) {
        listing_raise(&region->listed, listing_bit(kind));
        /* pairs with listing_lower_sums() */
        fence_total();
    }
    if (!listing_any(region->pool, kind))
        listing_raise(&region->pool->listed, listing_bit(kind));
}

void listing_clear(struct extent *extent, unsigned kind)
{
    const struct region *region = extent->region;
    const size_t slice = (size_t)(extent - region->extent);
    _Atomic uint64_t *mark = listing_marks(region, kind) + slice / 64;
    if (load_relaxed(mark) & listing_bit(slice))
        listing_lower(mark, listing_bit(slice));
}

struct listing_claim {
    unsigned kind;
    bool (*call)(struct extent *extent, void *argument);
    void *argument;
};

/* The first extent that can be claimed of those in a word of marks. */
static struct extent *listing_take_word(struct region *region, size_t at,
    const struct listing_claim *claim)
{
    _Atomic uint64_t *mark = listing_marks(region, claim->kind) + at;
    uint64_t seen = load_relaxed(mark);
    for (; seen != 0; seen &= seen - 1) {
        const size_t slice = at * 64 + bits_lowest(seen);
        listing_lower(mark, listing_bit(slice));
        struct extent *extent = &region->extent[slice];
        if (claim->call(extent, claim->argument))
            return extent;
    }
    return NULL;
}

static struct extent *listing_take_in(struct region *region,
    const struct listing_claim *claim)
{
    struct extent *found = NULL;
    for (size_t at = 0; at < listing_words(region) && found == NULL; at++)
        found = listing_take_word(region, at, claim);
    return found;
}

/* Has the region a mark of this kind? */
static bool listing_remains(const struct region *region, unsigned kind)
{
    const _Atomic uint64_t *mark = listing_marks(region, kind);
    for (size_t at = 0; at < listing_words(region); at++) {
        if (load_relaxed(&mark[at]) != 0)
            return true;
    }
    return false;
}

/* Has any region a mark of this kind, by what it sums up? */
static bool listing_sums_remain(const struct pool *pool, unsigned kind)
{
    const struct region *r = pool->regions;
    while (r != NULL && !(load_relaxed(&r->listed) & listing_bit(kind)))
        r = r->next;
    return r != NULL;
}

/* Nothing was found below: the bits go, unless something came meanwhile. */
static void listing_lower_sums(struct pool *pool, unsigned kind)
{
    for (struct region *r = pool->regions; r != NULL; r = r->next) {
        if (!(load_relaxed(&r->listed) & listing_bit(kind)))
            continue;
        listing_lower(&r->listed, listing_bit(kind));
        /* pairs with listing_set() */
        fence_total();
        if (listing_remains(r, kind))
            listing_raise(&r->listed, listing_bit(kind));   /* Q1 */
    }
    listing_lower(&pool->listed, listing_bit(kind));
    /* pairs with listing_set() */
    fence_total();
    if (listing_sums_remain(pool, kind))
        listing_raise(&pool->listed, listing_bit(kind));    /* Q1 */
}

struct extent *listing_take(struct pool *pool, unsigned kind,
    bool (*claim)(struct extent *extent, void *argument), void *argument)
{
    const struct listing_claim how = { kind, claim, argument };
    if (!listing_any(pool, kind))
        return NULL;
    pool_lock(pool);
    struct extent *found = NULL;
    struct region *r = pool->regions;
    for (; r != NULL && found == NULL; r = r->next) {
        if (load_relaxed(&r->listed) & listing_bit(kind))
            found = listing_take_in(r, &how);
    }
    if (found == NULL)
        listing_lower_sums(pool, kind);
    lock_give(&pool->lock);
    return found;
}

void listing_repair(struct pool *pool)
{
    for (struct region *r = pool->regions; r != NULL; r = r->next) {
        for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
            if (listing_remains(r, kind)) {
                listing_raise(&r->listed, listing_bit(kind));   /* Q1 */
                listing_raise(&pool->listed, listing_bit(kind));
            }
        }
    }
}
