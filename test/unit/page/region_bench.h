/* SPDX-License-Identifier: MIT */
/*
 * region_bench - a region with queues of its own and no pool, and what the
 * tests of region.h do with it.
 *
 * Owns     the region, opened anew for each test; taking and giving of runs
 *          with an audit after each.
 * Used by  test/unit/page/{region,find}_test.c.
 */
#ifndef REGION_BENCH_H
#define REGION_BENCH_H

#include "unit/sys/unit.h"

#include "page/pool.h"
#include "page/region.h"
#include "util/bitmap.h"

#define BYTES (8 * MiB)

enum { SLICES = 128 };
_Static_assert(SLICES == BYTES / SLICE_BYTES, "of the test's region");

static struct {
    struct pool pool;           /* only its address is used */
    struct chunk_queue queues[CHUNK_LISTS];
    struct region *region;
    size_t head;                /* slices of the head */
} at;

static inline int begin(void **state)
{
    (void)state;
    memset(&at, 0, sizeof at);
    at.region = region_open(&at.pool, at.queues, BYTES);
    if (at.region == NULL)
        return -1;
    at.head = SLICES - region_capacity(BYTES);
    return 0;
}

static inline int end(void **state)
{
    (void)unit_teardown(state);
    return sys_release(at.region->base, BYTES) ? 0 : -1;
}

/* The queues hold exactly the chunks whose list says so. */
static inline void audit(void)
{
    region_audit(at.region);
    size_t listed = 0;
    for (int list = 0; list < CHUNK_LISTS; list++) {
        const struct chunk *before = NULL;
        for (const struct chunk *c = at.queues[list].first; c; c = c->next) {
            assert_int_equal(c->list, list);                /* R6 */
            assert_ptr_equal(c->prev, before);
            before = c;
            listed++;
        }
        assert_ptr_equal(at.queues[list].last, before);
    }
    for (size_t c = 0; c < SLICES / CHUNK_SLICES; c++)
        listed -= at.region->chunk[c].list != CHUNK_CLEAN;
    assert_int_equal(listed, 0);
}

static inline char *address(size_t slice)
{
    return at.region->base + slice * SLICE_BYTES;
}

static inline bool take(size_t first, size_t count)
{
    bool zero = false;
    const bool taken = region_take(at.region, first, count, &zero);
    audit();
    assert_true(!taken || !zero || address(first)[0] == 0);
    return taken;
}

static inline void give(size_t first, size_t count, size_t touched,
    uint64_t now_ms)
{
    region_give(at.region, (struct region_return){
        .first = first, .count = count, .touched = touched,
        .now_ms = now_ms });
    audit();
}

#endif
