/* SPDX-License-Identifier: MIT */
/*
 * allocx - the functions with flags; each contract is at its declaration in
 * include/jemalloc/jemalloc.h.
 *
 * Owns     what happens where flags or sizes cannot be met.
 * Uses     the fast path (heap/fast.h), where no flag asks for anything else;
 *          heap/request.h for the rest.
 * Never    touches errno.
 * Tests    test/api/allocx_test.c  test/golden
 */
#include "api/api.h"

#include "heap/cache.h"
#include "heap/fast.h"
#include "heap/heap.h"
#include "heap/request.h"
#include "table/flags.h"

/* The largest size of the interface: jemalloc's largest class. */
#define ALLOCX_BYTES_MAX ((size_t)7 << 60)

static COLD NORETURN void allocx_no_cache(unsigned id)
{
    struct text text;
    text_clear(&text);
    text_string(&text, "<jemalloc>: invalid tcache id (");
    text_number(&text, id, 0);
    text_string(&text, ").\n");
    api_say(text.bytes);
    sys_stop();
}

static int allocx_cache(int flags)
{
    const int cache = flags_cache(flags);
    if (UNLIKELY(cache >= 0 && !cache_is((unsigned)cache)))
        allocx_no_cache((unsigned)cache);
    return cache;
}

static struct request allocx_request(size_t size, int flags)
{
    return (struct request){
        .size = size,
        .align = flags_align(flags),
        .zero = flags_zero(flags),
        .arena = flags_arena(flags),
        .cache = allocx_cache(flags),
    };
}

/* -- taking -- */

static NOINLINE void *allocx_take(size_t size, int flags)
{
    const struct request request = allocx_request(size, flags);
    void *pointer =
        size <= ALLOCX_BYTES_MAX ? request_take(&request) : NULL;
    if (UNLIKELY(pointer == NULL))
        api_no_memory("mallocx");
    return pointer;
}

static NOINLINE void *allocx_take_medium(size_t size)
{
    void *pointer = size <= CLASS_BYTES_MAX ? fast_take_medium(size)
        : fast_take_run(size);
    return LIKELY(pointer != NULL) ? pointer : allocx_take(size, 0);
}

void *api_mallocx(size_t size, int flags)
{
    if (UNLIKELY(flags != 0))
        return allocx_take(size, flags);
    if (UNLIKELY(size > CLASS_SMALL_BYTES))
        return allocx_take_medium(size);
    void *pointer = fast_take(size);
    return LIKELY(pointer != NULL) ? pointer : allocx_take(size, 0);
}

/* -- giving -- */

static NOINLINE void allocx_give(void *pointer, int flags)
{
    request_give(pointer, allocx_cache(flags));
}

void api_dallocx(void *pointer, int flags)
{
    if (UNLIKELY((flags & FLAGS_CACHE_BITS) != 0))
        allocx_give(pointer, flags);
    else if (UNLIKELY(!fast_give(pointer)))
        alloc_give_slow(pointer);
}

/* The size that was asked for may be of another class than what the alignment
 * made of it. */
static NOINLINE void allocx_give_sized(void *pointer, size_t size, int flags)
{
    const size_t align = flags_align(flags);
    alloc_give_sized(pointer,
        align == 0 ? size : request_usable(size, align));
}

void api_sdallocx(void *pointer, size_t size, int flags)
{
    if (UNLIKELY((flags & FLAGS_CACHE_BITS) != 0))
        allocx_give(pointer, flags);
    else if (UNLIKELY(!fast_give(pointer)))
        allocx_give_sized(pointer, size, flags);
}

/* -- asking -- */

size_t api_nallocx(size_t size, int flags)
{
    const size_t align = flags_align(flags);
    if (UNLIKELY(size > ALLOCX_BYTES_MAX || align > ALLOCX_BYTES_MAX))
        return 0;
    return request_usable(size, align);
}

size_t api_sallocx(const void *pointer, int flags)
{
    (void)flags;
    return api_usable_bytes("sallocx", pointer);
}

/* -- resizing -- */

static NOINLINE void *allocx_resize(void *pointer, size_t size, int flags)
{
    const struct request request = allocx_request(size, flags);
    void *resized = size <= ALLOCX_BYTES_MAX
        ? request_resize(pointer, &request) : NULL;
    if (UNLIKELY(resized == NULL))
        api_no_memory("rallocx");
    return resized;
}

void *api_rallocx(void *pointer, size_t size, int flags)
{
    if (UNLIKELY(pointer == NULL))
        return api_mallocx(size, flags);
    /* Not as realloc, which leaves a block that wastes a little. */
    if (flags == 0 && size <= CLASS_BYTES_MAX
        && fast_usable_bytes(pointer) == class_bytes[class_of(size)])
        return pointer;
    return allocx_resize(pointer, size, flags);
}

size_t api_xallocx(void *pointer, size_t size, size_t extra, int flags)
{
    const size_t old_bytes = api_usable_bytes("xallocx", pointer);
    if (UNLIKELY(old_bytes == 0 || size > ALLOCX_BYTES_MAX))
        return old_bytes;
    const struct request request = allocx_request(size, flags);
    return request_resize_here(pointer, &request,
        min_size(extra, ALLOCX_BYTES_MAX - size));
}

#define EXPORT_ALLOCX(name) API_SHOW(name)
#include "table/export.def"
