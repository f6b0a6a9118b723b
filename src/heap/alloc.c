/* SPDX-License-Identifier: MIT */
/*
 * alloc - the full path: take, give, resize. See alloc.h.
 */
#include "heap/alloc.h"

#include <string.h>

#include "heap/fast.h"
#include "heap/remote.h"

/* A block stays where it is while it wastes at most a quarter. */
enum { ALLOC_WASTE_SHARE = 4 };

/* -- take -- */

static void *alloc_take(size_t size)
{
    void *pointer = NULL;
    if (size <= SHELF_BYTES_MAX)
        pointer = fast_take(size);
    else if (size <= CLASS_BYTES_MAX)
        pointer = fast_take_medium(size);
    return LIKELY(pointer != NULL) ? pointer : alloc_slow(size);
}

static void *alloc_refill(struct heap *heap, size_t size)
{
    const unsigned cls = class_of(size);
    struct block **shelf = size <= SHELF_BYTES_MAX
        ? &thread.shelf[shelf_of(size)] : &heap->bin[cls].shelf;
    ASSERT(*shelf == NULL);
    struct block *block = bin_refill(heap, cls);
    if (UNLIKELY(block == NULL))
        return NULL;
    *shelf = block->next;
    return block;
}

/* The first call of a thread, or one that has no heap. */
static COLD void *alloc_first(size_t size)
{
    /* A birth may allocate by itself: whatever it left in hand is used. */
    if (thread_heap() != NULL)
        return alloc_take(size);
    if (size > CLASS_BYTES_MAX)
        return large_take(NULL, (struct large_request){ size, 1, false });
    return arena_take_shared(&arena_main, class_of(size));
}

void *alloc_slow(size_t size)
{
    if (UNLIKELY(size > PTRDIFF_MAX))
        return NULL;
    struct heap *heap = thread.heap;
    if (UNLIKELY(heap == NULL))
        return alloc_first(size);
    if (size > CLASS_BYTES_MAX)
        return large_take(heap, (struct large_request){ size, 1, false });
    return alloc_refill(heap, size);
}

void *alloc_zero(size_t size)
{
    if (size > PTRDIFF_MAX)
        return NULL;
    if (size > CLASS_BYTES_MAX)
        return large_take(thread_heap(),
            (struct large_request){ size, 1, true });
    void *pointer = alloc_take(size);
    if (LIKELY(pointer != NULL))
        memset(pointer, 0, class_bytes[class_of(size)]);
    return pointer;
}

void *alloc_aligned(size_t align, size_t size)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return NULL;
    if (size <= CLASS_BYTES_MAX && align <= CLASS_BYTES_MAX)
        return alloc_take(class_bytes[class_of_aligned(size, align)]);
    return large_take(thread_heap(),
        (struct large_request){ size, align, false });
}

/* -- give -- */

void alloc_give_slow(void *pointer)
{
    if (pointer == NULL)
        return;
    const struct heap_place place = heap_find(pointer);
    if (UNLIKELY(place.owner == MAP_NOBODY)) {
        heap_misuse("free", pointer);
        return;
    }
    if (place.owner == OWNER_RUN || place.owner == OWNER_MAPPING) {
        large_give(thread.heap, place.extent, pointer);
        return;
    }
    struct slab *slab = slab_of(place.extent);
    if (UNLIKELY(!slab_has_block_at(slab, pointer))) {
        heap_misuse("free", pointer);
        return;
    }
    remote_push(slab, pointer);
}

void alloc_give(void *pointer)
{
    struct slab *event;
    if (!fast_give(pointer, &event))
        alloc_give_slow(pointer);
    else if (event != NULL)
        thread_event(event);
}

/* -- resize -- */

/* A new place, the contents copied, the old place given back. What shrinks
 * stays where it is if there is no memory to move it to. */
static void *alloc_move(void *pointer, size_t old_bytes, size_t size)
{
    void *moved = alloc_take(size);
    if (moved == NULL)
        return size <= old_bytes ? pointer : NULL;
    memcpy(moved, pointer, min_size(old_bytes, size));
    alloc_give(pointer);
    return moved;
}

static void *alloc_resize_large(struct extent *extent, size_t old_bytes,
    size_t size)
{
    void *pointer = extent->start;
    void *resized = large_resize(extent, size);
    if (resized == NULL && extent->region != NULL
        && size > LARGE_GROW_BYTES_MAX)
        resized = large_promote(thread_heap(), extent, size);
    /* A mapping that was refused for being one more may fit as a run. */
    if (resized == NULL && size <= LARGE_RUN_BYTES_MAX)
        resized = alloc_move(pointer, old_bytes, size);
    return resized;
}

static void *alloc_resize_block(const struct slab *slab, void *pointer,
    size_t size)
{
    const size_t old_bytes = slab->block_bytes;
    if (size <= old_bytes && size >= old_bytes - old_bytes / ALLOC_WASTE_SHARE)
        return pointer;
    return alloc_move(pointer, old_bytes, size);
}

void *alloc_resize(void *pointer, size_t size)
{
    if (size > PTRDIFF_MAX)
        return NULL;
    const struct heap_place place = heap_find(pointer);
    const bool large =
        place.owner == OWNER_RUN || place.owner == OWNER_MAPPING;
    if (LIKELY(place.owner != MAP_NOBODY && !large
            && slab_has_block_at(slab_of(place.extent), pointer)))
        return alloc_resize_block(slab_of(place.extent), pointer, size);

    const size_t old_bytes =
        large ? large_usable_bytes(place.extent, pointer) : 0;
    if (UNLIKELY(old_bytes == 0)) {
        heap_misuse("realloc", pointer);
        return NULL;
    }
    return alloc_resize_large(place.extent, old_bytes, size);
}
