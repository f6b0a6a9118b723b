/* SPDX-License-Identifier: MIT */
/*
 * large - one object, one extent. See large.h.
 */
#include "heap/large.h"

#include <string.h>

#include "heap/check.h"
#include "heap/heap.h"

/* From here on it pays to ask which pages of an object are resident. */
#define LARGE_CLEAR_BYTES_MIN (1 * MiB)

static size_t large_slices(size_t bytes)
{
    return (bytes + SLICE_BYTES - 1) / SLICE_BYTES;
}

static bool large_is_live(const struct extent *extent)
{
    const uint8_t state = load_relaxed(&extent->state);
    return state == EXTENT_LARGE || state == EXTENT_OWN;
}

/* -- taking -- */

static size_t large_run_bytes_max(void)
{
    return sys_address_limit() == SIZE_MAX ? LARGE_RUN_BYTES_MAX
        : LARGE_RUN_BYTES_LIMITED;
}

/* A run from what the heap keeps, or from the pool. */
static struct extent *large_take_run(struct heap *heap, size_t bytes,
    size_t align)
{
    const size_t slices = large_slices(bytes);
    const size_t step = max_size(align / SLICE_BYTES, 1);
    struct extent *extent = NULL;
    if (heap != NULL && step == 1 && slices <= KEPT_SLICES_MAX)
        extent = slices <= KEPT_HAND_SLICES
            ? kept_pop_by_hand(&heap->kept, slices)
            : kept_pop(&heap->kept, slices);
    if (extent != NULL)
        extent->zero = false;
    if (extent == NULL)
        extent = arena_take(&arena_main, slices, step);
    if (extent == NULL)
        return NULL;
    map_set(extent->start, 1, OWNER_RUN, extent);
    extent->bytes = bytes;
    extent->touched = (uint32_t)slices;
    store_relaxed(&extent->state, EXTENT_LARGE);
    return extent;
}

static struct extent *large_take_mapping(size_t bytes, size_t align)
{
    struct extent *extent = pool_map(&arena_main.pool, bytes, align);
    if (extent == NULL)
        return NULL;
    map_set(extent->start, 1, OWNER_MAPPING, extent);
    store_relaxed(&extent->state, EXTENT_OWN);
    return extent;
}

/* A long object is likely to have parts that nobody ever touched. */
static void large_clear(struct extent *extent)
{
    if (extent->bytes < LARGE_CLEAR_BYTES_MIN)
        memset(extent->start, 0, extent->bytes);
    else
        sys_clear(extent->start, extent->bytes);
}

void *large_take(struct heap *heap, struct large_request request)
{
    const size_t bytes =
        round_up(max_size(request.size, 1), sys_page_bytes());
    const bool run =
        bytes <= large_run_bytes_max() && request.align <= CHUNK_BYTES;
    struct extent *extent = run
        ? large_take_run(heap, bytes, request.align)
        : large_take_mapping(bytes, request.align);
    if (extent == NULL)
        return NULL;
    if (request.zero && !extent->zero)
        large_clear(extent);
    return extent->start;
}

/* -- giving -- */

void large_give(struct heap *heap, struct extent *extent, void *pointer)
{
    if (UNLIKELY(pointer != extent->start || !large_is_live(extent))) {
        check_report("free", pointer);
        return;
    }
    if (extent->region == NULL) {
        map_set(extent->start, 1, OWNER_GONE, extent);
        pool_unmap(extent);
        return;
    }
    if (heap != NULL && extent->slices <= KEPT_SLICES_MAX
        && (kept_push_hand(&heap->kept, extent)
            || kept_push(&heap->kept, extent)))
        return;
    /* No large object is nobody's, not even in a child of fork. */
    store_relaxed(&extent->state, EXTENT_KEPT);
    COMPILER_BARRIER();
    map_clear(extent->start, 1);
    pool_give(extent);
}

/* -- resizing -- */

static void *large_resize_run(struct extent *extent, size_t bytes)
{
    const size_t slices = large_slices(bytes);
    if (bytes <= CLASS_BYTES_MAX)
        return NULL;
    if (slices > extent->slices && (bytes > LARGE_GROW_BYTES_MAX
            || !pool_grow(extent, slices)))
        return NULL;
    if (slices >= extent->slices) {
        extent->bytes = bytes;
        return extent->start;
    }
    /* The bytes never exceed the slices. */
    extent->bytes = bytes;
    COMPILER_BARRIER();
    pool_shrink(extent, slices);
    return extent->start;
}

static void *large_resize_mapping(struct extent *extent, size_t bytes)
{
    if (bytes < LARGE_GROW_BYTES_MAX)
        return NULL;
    /* The address may change: nobody may find the old one meanwhile. */
    map_clear(extent->start, 1);
    const bool changed = pool_remap(extent, bytes);
    map_set(extent->start, 1, OWNER_MAPPING, extent);
    /* A tail that the system will not take stays with the object. */
    return changed || bytes < extent->bytes ? extent->start : NULL;
}

void *large_resize(struct extent *extent, size_t size)
{
    const size_t bytes = round_up(size, sys_page_bytes());
    if (bytes == extent->bytes)
        return extent->start;
    return extent->region != NULL ? large_resize_run(extent, bytes)
        : large_resize_mapping(extent, bytes);
}

void *large_promote(struct heap *heap, struct extent *extent, size_t size)
{
    struct extent *grown =
        large_take_mapping(round_up(size, sys_page_bytes()), 1);
    if (grown == NULL)
        return NULL;
    pool_move_contents(grown, extent);
    large_give(heap, extent, extent->start);
    return grown->start;
}

size_t large_usable_bytes(const struct extent *extent, const void *pointer)
{
    return pointer == extent->start && large_is_live(extent)
        ? extent->bytes : 0;
}
