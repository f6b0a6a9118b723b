/* SPDX-License-Identifier: MIT */
/*
 * malloc - the malloc family; each contract is at its declaration in
 * include/ashlar/ashlar.h.
 *
 * Owns     the entry points, their argument checks, and errno.
 * Uses     the fast path (heap/fast.h) and, after it said no, heap/alloc.h.
 * Tests    test/api  test/model  test/golden
 */
#include "api/api.h"

#include <errno.h>

#include "heap/fast.h"
#include "heap/heap.h"

static COLD void *api_no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static NOINLINE void *api_malloc_slow(size_t size)
{
    void *pointer = alloc_slow(size);
    return LIKELY(pointer != NULL) ? pointer : api_no_memory();
}

static NOINLINE void *api_malloc_medium(size_t size)
{
    void *pointer = size <= CLASS_BYTES_MAX ? fast_take_medium(size)
        : fast_take_run(size);
    return LIKELY(pointer != NULL) ? pointer : api_malloc_slow(size);
}

void *api_malloc(size_t size)
{
    if (UNLIKELY(size > CLASS_SMALL_BYTES))
        return api_malloc_medium(size);
    void *pointer = fast_take(size);
    return LIKELY(pointer != NULL) ? pointer : api_malloc_slow(size);
}

void api_free(void *pointer)
{
    if (UNLIKELY(!fast_give(pointer)))
        alloc_give_slow(pointer);
}

void api_free_sized(void *pointer, size_t size)
{
    if (UNLIKELY(!fast_give(pointer)))
        alloc_give_sized(pointer, size);
}

void api_free_aligned_sized(void *pointer, size_t alignment,
    size_t size)
{
    (void)alignment;
    (void)size;
    api_free(pointer);
}

void *api_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return api_no_memory();
    void *pointer = alloc_zero(bytes);
    return LIKELY(pointer != NULL) ? pointer : api_no_memory();
}

void *api_realloc(void *pointer, size_t size)
{
    if (pointer == NULL)
        return api_malloc(size);
    if (size == 0) {
        api_free(pointer);
        return NULL;
    }
    if (LIKELY(fast_stays(pointer, size)))
        return pointer;
    void *resized = alloc_resize(pointer, size);
    return LIKELY(resized != NULL) ? resized : api_no_memory();
}

void *api_reallocarray(void *pointer, size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return api_no_memory();
    return api_realloc(pointer, bytes);
}

/* -- alignment -- */

static void *api_aligned(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *pointer = alloc_aligned(alignment, size);
    return LIKELY(pointer != NULL) ? pointer : api_no_memory();
}

void *api_aligned_alloc(size_t alignment, size_t size)
{
    return api_aligned(alignment, size);
}

void *api_memalign(size_t alignment, size_t size)
{
    return api_aligned(alignment, size);
}

int api_posix_memalign(void **result, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment < sizeof(void *))
        return EINVAL;
    void *pointer = alloc_aligned(alignment, size);
    if (pointer == NULL)
        return ENOMEM;
    *result = pointer;
    return 0;
}

void *api_valloc(size_t size)
{
    return api_aligned(sys_page_bytes(), size);
}

void *api_pvalloc(size_t size)
{
    const size_t page = sys_page_bytes();
    if (size > PTRDIFF_MAX)
        return api_no_memory();
    return api_aligned(page, round_up(max_size(size, 1), page));
}

/* -- asking and trimming -- */

size_t api_malloc_usable_size(void *pointer)
{
    size_t bytes = fast_usable_bytes(pointer);
    if (LIKELY(bytes != 0) || pointer == NULL)
        return bytes;
    bytes = heap_usable_bytes(pointer);
    if (UNLIKELY(bytes == 0))
        check_report("malloc_usable_size", pointer);
    return bytes;
}

int api_malloc_trim(size_t pad)
{
    (void)pad;
    const uint64_t before = pool_purged_bytes(&arena_main.pool);
    thread_flush();
    arena_purge(&arena_main);
    return pool_purged_bytes(&arena_main.pool) > before;
}

const char *api_ashlar_version(void)
{
    return ASHLAR_VERSION_STRING;
}

/* -- the names under which the world sees them -- */

#define EXPORT_C(name)                                    \
    PUBLIC extern __typeof__(api_##name) API(name)        \
        __attribute__((alias("api_" #name)));
#define EXPORT_CXX(name)
#define EXPORT_DATA(name)
#include "table/export.def"
