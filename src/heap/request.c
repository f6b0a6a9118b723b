/* SPDX-License-Identifier: MIT */
/*
 * request - an allocation with wishes. See request.h.
 */
#include "heap/request.h"

#include <string.h>

#include "heap/alloc.h"
#include "heap/arenas.h"
#include "heap/cache.h"
#include "heap/hand.h"
#include "heap/large.h"
#include "heap/second.h"

static bool request_is_small(size_t size, size_t align)
{
    return size <= CLASS_BYTES_MAX && align <= CLASS_BYTES_MAX;
}

static size_t request_align(const struct request *request)
{
    return max_size(request->align, 1);
}

size_t request_usable(size_t size, size_t align)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return 0;
    align = max_size(align, 1);
    if (request_is_small(size, align))
        return class_bytes[class_of_aligned(size, align)];
    return large_bytes(size, align);
}

/* -- taking -- */

/* Where it comes from: a cache's heap, an arena, or, if both are NULL, whatever
 * the calling thread has. */
struct request_source {
    struct heap *heap;
    struct arena *arena;
    bool fullest;
};

/* false: there is no such arena. */
static bool request_find(const struct request *request,
    struct request_source *source)
{
    *source = (struct request_source){ NULL, NULL, false };
    /* What a hook asks for must not lead to a hook. */
    if (UNLIKELY(hooks_are_running()))
        return true;
    if (request->arena >= 0) {
        source->arena = arenas_touch((unsigned)request->arena);
        if (source->arena == NULL)
            return false;
    }
    if (request->cache >= 0) {
        source->heap = cache_heap((unsigned)request->cache, source->arena);
        return source->heap != NULL || source->arena != NULL;
    }
    if (source->arena != NULL && source->arena == arenas_bound())
        source->arena = NULL;
    source->fullest = request->cache == REQUEST_NO_CACHE;
    return true;
}

/* What alloc.c does not see counts too. */
static void *request_note(void *pointer, size_t size, bool zero)
{
    pointer = sample_count(
        (struct sample_take){ pointer, size, __builtin_frame_address(0) });
    if (UNLIKELY(thread.reasons != 0) && pointer != NULL)
        second_note_take(pointer, heap_usable_bytes(pointer), zero);
    return pointer;
}

/* From an arena in which the thread does not live. */
static void *request_take_there(const struct request_source *source,
    unsigned cls)
{
    void *pointer =
        source->fullest ? arena_take_fullest(source->arena, cls) : NULL;
    return pointer != NULL ? pointer
        : arena_take_shared(source->arena, cls);
}

static void *request_take_block(const struct request_source *source,
    unsigned cls, size_t size)
{
    if (source->heap != NULL)
        return request_note(cache_take(source->heap, cls), size, false);
    if (source->arena != NULL)
        return request_note(request_take_there(source, cls), size, false);
    void *pointer = source->fullest ? alloc_take_fullest(cls, size) : NULL;
    return pointer != NULL ? pointer : alloc_block(cls, size);
}

static void *request_take_large(const struct request_source *source,
    struct large_request large)
{
    if (source->heap == NULL && source->arena != NULL)
        return request_note(large_take_from(source->arena, large),
            large.size, large.zero);
    return request_note(
        large_take(source->heap != NULL ? source->heap : thread_heap(), large),
        large.size, large.zero);
}

void *request_take(const struct request *request)
{
    const size_t align = request_align(request);
    struct request_source source;
    if (request->size > PTRDIFF_MAX || align > PTRDIFF_MAX
        || !request_find(request, &source))
        return NULL;
    if (!request_is_small(request->size, align))
        return request_take_large(&source,
            (struct large_request){ request->size, align, request->zero });
    const unsigned cls = class_of_aligned(request->size, align);
    void *pointer = request_take_block(&source, cls, request->size);
    if (pointer != NULL && request->zero)
        memset(pointer, 0, class_bytes[cls]);
    return pointer;
}

/* -- giving -- */

void request_give(void *pointer, int cache)
{
    /* What a thread of the second tier gives is looked at there. */
    if (cache < 0 || thread.reasons != 0 || hooks_are_running()
        || !cache_give((unsigned)cache, pointer))
        (cache == REQUEST_NO_CACHE ? alloc_give_home : alloc_give)(pointer);
}

/* -- resizing -- */

static void request_note_resize(void *pointer, size_t old_bytes, size_t bytes)
{
    if (UNLIKELY(thread.reasons != 0))
        second_note_resize(pointer, old_bytes, bytes);
}

static bool request_is_aligned(const void *pointer, size_t align)
{
    return ((uintptr_t)pointer & (align - 1)) == 0;
}

static void *request_zero_tail(void *pointer, size_t old_bytes)
{
    const size_t bytes = heap_usable_bytes(pointer);
    if (bytes > old_bytes)
        memset((char *)pointer + old_bytes, 0, bytes - old_bytes);
    return pointer;
}

static void *request_move(void *pointer, size_t old_bytes,
    const struct request *request)
{
    void *moved = request_take(request);
    if (moved == NULL)
        return NULL;
    memcpy(moved, pointer, min_size(old_bytes, request->size));
    /* What was zeroed and copied over is as it should be. */
    request_give(pointer, request->cache);
    return moved;
}

void *request_resize(void *pointer, const struct request *request)
{
    const size_t align = request_align(request);
    const size_t old_bytes = heap_usable_bytes(pointer);
    const size_t bytes = request_usable(request->size, align);
    if (bytes == 0)
        return NULL;
    const bool aligned = request_is_aligned(pointer, align);
    if (bytes == old_bytes && aligned) {
        request_note_resize(pointer, old_bytes, bytes);
        return pointer;
    }
    /* Misuse is noticed there. */
    if (old_bytes == 0 || (aligned && align <= sys_page_bytes()
            && request->arena < 0 && request->cache < 0
            && !request_is_small(request->size, align)
            && old_bytes > CLASS_BYTES_MAX)) {
        void *resized = alloc_resize(pointer, request->size);
        return resized != NULL && request->zero
            ? request_zero_tail(resized, old_bytes) : resized;
    }
    return request_move(pointer, old_bytes, request);
}

/* One try; the usable bytes afterwards. */
static size_t request_try_here(void *pointer, size_t size)
{
    const struct heap_place place = heap_find(pointer);
    if (heap_is_large(place) && size > CLASS_BYTES_MAX)
        large_resize_here(place.extent, size);
    return heap_usable_bytes(pointer);
}

size_t request_resize_here(void *pointer, const struct request *request,
    size_t extra)
{
    const size_t old_bytes = heap_usable_bytes(pointer);
    if (request->size > PTRDIFF_MAX
        || !request_is_aligned(pointer, request_align(request)))
        return old_bytes;
    const size_t size = request->size;
    extra = min_size(extra, PTRDIFF_MAX - size);
    size_t bytes = old_bytes;
    if (bytes < size || bytes > round_up(size + extra, sys_page_bytes()))
        bytes = request_try_here(pointer, size + extra);
    if (bytes < size)
        bytes = request_try_here(pointer, size);
    if (bytes != old_bytes) {
        (void)sample_count((struct sample_take){ pointer, size,
            __builtin_frame_address(0) });
        request_note_resize(pointer, old_bytes, bytes);
    }
    if (request->zero && bytes > old_bytes)
        memset((char *)pointer + old_bytes, 0, bytes - old_bytes);
    return bytes;
}
