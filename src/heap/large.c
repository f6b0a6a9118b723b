/* SPDX-License-Identifier: MIT */
/*
 * large - one object, one extent. See large.h.
 */
#include "heap/large.h"

#include <string.h>

#include "heap/arenas.h"
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

/* From here on it counts as an object of so many bytes; 0: as none. */
static void large_count(struct heap *heap, struct extent *extent,
    size_t bytes)
{
    struct arena *arena = arena_of_pool(extent->pool);
    const bool own = heap != NULL && heap->arena == arena;
    tally_change((struct tally_place){
        own ? &heap->kept.tally : NULL, &arena->tally
    }, extent, bytes);
}

/* -- taking -- */

static size_t large_run_bytes_max(void)
{
    return sys_address_limit() == SIZE_MAX ? LARGE_RUN_BYTES_MAX
        : LARGE_RUN_BYTES_LIMITED;
}

/* A run that the heap keeps; NULL: none. */
static struct extent *large_take_kept(struct heap *heap, size_t bytes,
    size_t align)
{
    const size_t slices = large_slices(bytes);
    if (heap == NULL || align > SLICE_BYTES || slices > KEPT_SLICES_MAX)
        return NULL;
    struct extent *extent = slices <= KEPT_HAND_SLICES
        ? kept_pop_by_hand(&heap->kept, slices)
        : kept_pop(&heap->kept, slices);
    if (extent != NULL)
        extent->zero = false;
    return extent;
}

static struct extent *large_take_run(struct heap *heap, struct arena *arena,
    struct large_request request)
{
    const size_t bytes = request.size;
    const size_t slices = large_slices(bytes);
    struct extent *extent = large_take_kept(heap, bytes, request.align);
    if (extent == NULL) {
        extent = arena_take(arena, slices,
            max_size(request.align / SLICE_BYTES, 1));
        if (extent == NULL)
            return NULL;
        *tally_counted(extent) = 0;
    }
    map_set(extent->start, 1, OWNER_RUN, extent);
    large_count(heap, extent, bytes);
    extent->bytes = bytes;
    extent->touched = (uint32_t)slices;
    store_relaxed(&extent->state, EXTENT_LARGE);
    return extent;
}

static struct extent *large_take_mapping(struct pool *pool, size_t bytes,
    size_t align)
{
    struct extent *extent = pool_map(pool, bytes, align);
    if (extent == NULL)
        return NULL;
    map_set(extent->start, 1, OWNER_MAPPING, extent);
    *tally_counted(extent) = 0;
    large_count(NULL, extent, extent->bytes);
    store_relaxed(&extent->state, EXTENT_OWN);
    return extent;
}

/* A long object is likely to have parts that nobody ever touched. */
static void large_clear(struct extent *extent)
{
    /* What hooks gave is the system's to purge only if they say so. */
    if (extent->bytes < LARGE_CLEAR_BYTES_MIN || pool_is_hooked(extent->pool))
        memset(extent->start, 0, extent->bytes);
    else
        sys_clear(extent->start, extent->bytes);
}

static bool large_is_run(size_t bytes, size_t align)
{
    return bytes <= large_run_bytes_max() && align <= CHUNK_BYTES;
}

size_t large_bytes(size_t size, size_t align)
{
    const size_t bytes = round_up(max_size(size, 1), sys_page_bytes());
    if (bytes > PTRDIFF_MAX)
        return 0;
    return large_is_run(bytes, align) ? bytes : max_size(bytes, SLICE_BYTES);
}

static void *large_take_any(struct heap *heap, struct arena *arena,
    struct large_request request)
{
    /* What a hook asks for must not lead to a hook. */
    if (UNLIKELY(hooks_are_running())) {
        heap = NULL;
        arena = arenas_for_hooks();
        if (arena == NULL)
            return NULL;
    }
    request.size = round_up(max_size(request.size, 1), sys_page_bytes());
    const bool run = large_is_run(request.size, request.align);
    struct extent *extent = run ? large_take_run(heap, arena, request)
        : large_take_mapping(&arena->pool, request.size, request.align);
    if (extent == NULL)
        return NULL;
    if (request.zero && !extent->zero)
        large_clear(extent);
    return extent->start;
}

void *large_take(struct heap *heap, struct large_request request)
{
    struct arena *arena = heap != NULL ? heap->arena : &arena_main;
    const size_t threshold = load_relaxed(&arena->oversize_threshold);
    if (UNLIKELY(threshold != 0) && request.size >= threshold
        && !arena->manual) {
        struct arena *other = arenas_for_oversize();
        if (other != NULL)
            return large_take_any(NULL, other, request);
    }
    return large_take_any(heap, arena, request);
}

void *large_take_from(struct arena *arena, struct large_request request)
{
    return large_take_any(NULL, arena, request);
}

/* -- giving -- */

/* Does its arena keep nothing that is so large? */
static bool large_is_oversize(const struct extent *extent)
{
    const struct arena *arena = arena_of_pool(extent->pool);
    const size_t threshold = load_relaxed(&arena->oversize_threshold);
    return UNLIKELY(threshold != 0) && extent->bytes >= threshold;
}

void large_give(struct heap *heap, struct extent *extent, void *pointer)
{
    if (UNLIKELY(pointer != extent->start || !large_is_live(extent))) {
        check_report("free", pointer);
        return;
    }
    if (UNLIKELY(extent->sampled))
        sample_forget_large(extent);
    if (extent->region == NULL) {
        large_count(NULL, extent, 0);
        map_set(extent->start, 1, OWNER_GONE, extent);
        pool_unmap(extent);
        return;
    }
    const bool own = heap != NULL && &heap->arena->pool == extent->pool;
    /* In the hand it still counts, as what it was when last given. */
    large_count(heap, extent,
        own && extent->slices <= KEPT_HAND_SLICES ? extent->bytes : 0);
    if (own && extent->slices <= KEPT_SLICES_MAX
        && !large_is_oversize(extent)
        && (kept_push_hand(&heap->kept, extent)
            || kept_push(&heap->kept, extent)))
        return;
    /* No large object is nobody's, not even in a child of fork. */
    store_relaxed(&extent->state, EXTENT_KEPT);
    COMPILER_BARRIER();
    map_clear(extent->start, 1);
    (large_is_oversize(extent) ? pool_give_clean : pool_give)(extent);
}

/* -- resizing -- */

/* May a run end elsewhere? Hooks are asked. */
static bool large_may_change(const struct extent *extent, size_t slices)
{
    const struct region *region = extent->region;
    if (!region_is_hooked(region) || slices == extent->slices)
        return true;
    const bool less = slices < extent->slices;
    const size_t short_bytes = min_size(slices, extent->slices) * SLICE_BYTES;
    const size_t long_bytes = max_size(slices, extent->slices) * SLICE_BYTES;
    return (less ? hooks_may_split : hooks_may_merge)(region->source,
        extent->start,
        (struct hooks_parts){ short_bytes, long_bytes - short_bytes });
}

/* It grows to so many bytes at most. */
static void *large_resize_run(struct extent *extent, size_t bytes,
    size_t bytes_max)
{
    const size_t slices = large_slices(bytes);
    if (bytes <= CLASS_BYTES_MAX || !large_may_change(extent, slices))
        return NULL;
    if (slices > extent->slices && (bytes > bytes_max
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
    if (UNLIKELY(extent->sampled))
        sample_forget_large(extent);
    /* The address may change: nobody may find the old one meanwhile. */
    map_clear(extent->start, 1);
    const bool changed = pool_remap(extent, bytes);
    map_set(extent->start, 1, OWNER_MAPPING, extent);
    /* A tail that the system will not take stays with the object. */
    return changed || bytes < extent->bytes ? extent->start : NULL;
}

static void *large_resize_to(struct extent *extent, size_t bytes,
    size_t grow_bytes_max)
{
    if (bytes == extent->bytes)
        return extent->start;
    void *resized = extent->region != NULL
        ? large_resize_run(extent, bytes, grow_bytes_max)
        : large_resize_mapping(extent, bytes);
    if (resized != NULL)
        large_count(NULL, extent, extent->bytes);
    /* With another size it is another sample, or none. */
    if (resized != NULL && UNLIKELY(extent->sampled))
        sample_forget_large(extent);
    return resized;
}

void *large_resize(struct extent *extent, size_t size)
{
    return large_resize_to(extent, round_up(size, sys_page_bytes()),
        LARGE_GROW_BYTES_MAX);
}

bool large_resize_here(struct extent *extent, size_t size)
{
    const size_t bytes = round_up(size, sys_page_bytes());
    /* A mapping that grows may move. */
    if (extent->region == NULL && bytes > extent->bytes)
        return false;
    return large_resize_to(extent, bytes, SIZE_MAX) != NULL;
}

void *large_promote(struct heap *heap, struct extent *extent, size_t size)
{
    if (pool_is_hooked(extent->pool))
        return NULL;
    struct extent *grown =
        large_take_mapping(extent->pool, round_up(size, sys_page_bytes()), 1);
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
