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

#include "heap/arenas.h"
#include "heap/fast.h"
#include "heap/heap.h"
#include "heap/stats.h"

void api_no_memory(const char *call)
{
    if (!option_now.xmalloc)
        return;
    struct text text;
    text_clear(&text);
    text_string(&text, "<jemalloc>: Error in ");
    text_string(&text, call);
    text_string(&text, "(): out of memory\n");
    api_say(text.bytes);
    sys_stop();
}

static COLD void *api_refuse(const char *call)
{
    api_no_memory(call);
    errno = ENOMEM;
    return NULL;
}

static NOINLINE void *api_malloc_slow(size_t size)
{
    void *pointer = alloc_slow(size);
    return LIKELY(pointer != NULL) ? pointer : api_refuse("malloc");
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
        return api_refuse("calloc");
    void *pointer = alloc_zero(bytes);
    return LIKELY(pointer != NULL) ? pointer : api_refuse("calloc");
}

static NOINLINE void *api_realloc_slow(void *pointer, size_t size)
{
    void *resized = alloc_resize(pointer, size);
    return LIKELY(resized != NULL) ? resized : api_refuse("realloc");
}

/* realloc(pointer, 0): the standards leave it open, hence the option. */
static COLD void *api_realloc_zero(void *pointer)
{
    add_relaxed(&stats_zero_reallocs, 1);
    if (option_now.zero_realloc == ZERO_REALLOC_ALLOC)
        return api_realloc_slow(pointer, 1);
    if (option_now.zero_realloc == ZERO_REALLOC_ABORT) {
        api_stop("Called realloc(non-null-ptr, 0) with "
            "zero_realloc:abort set\n");
        return NULL;
    }
    api_free(pointer);
    return NULL;
}

void *api_realloc(void *pointer, size_t size)
{
    if (pointer == NULL)
        return api_malloc(size);
    if (size == 0)
        return api_realloc_zero(pointer);
    return LIKELY(fast_stays(pointer, size)) ? pointer
        : api_realloc_slow(pointer, size);
}

void *api_reallocarray(void *pointer, size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return api_refuse("reallocarray");
    return api_realloc(pointer, bytes);
}

/* -- alignment -- */

static void *api_aligned(const char *call, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *pointer = alloc_aligned(alignment, size);
    return LIKELY(pointer != NULL) ? pointer : api_refuse(call);
}

void *api_aligned_alloc(size_t alignment, size_t size)
{
    return api_aligned("aligned_alloc", alignment, size);
}

void *api_memalign(size_t alignment, size_t size)
{
    return api_aligned("memalign", alignment, size);
}

int api_posix_memalign(void **result, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment < sizeof(void *))
        return EINVAL;
    void *pointer = alloc_aligned(alignment, size);
    if (pointer == NULL) {
        api_no_memory("posix_memalign");
        return ENOMEM;
    }
    *result = pointer;
    return 0;
}

void *api_valloc(size_t size)
{
    return api_aligned("valloc", sys_page_bytes(), size);
}

void *api_pvalloc(size_t size)
{
    const size_t page = sys_page_bytes();
    if (size > PTRDIFF_MAX)
        return api_refuse("pvalloc");
    return api_aligned("pvalloc", page,
        round_up(max_size(size, 1), page));
}

/* -- asking and trimming -- */

size_t api_usable_bytes(const char *call, const void *pointer)
{
    size_t bytes = fast_usable_bytes(pointer);
    if (LIKELY(bytes != 0) || pointer == NULL)
        return bytes;
    bytes = heap_usable_bytes(pointer);
    if (UNLIKELY(bytes == 0))
        check_report(call, pointer);
    return bytes;
}

size_t api_malloc_usable_size(void *pointer)
{
    return api_usable_bytes("malloc_usable_size", pointer);
}

static uint64_t api_purged_bytes(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < arenas_count(); i++) {
        struct arena *arena = arenas_at(i);
        if (arena != NULL)
            bytes += pool_purged_bytes(&arena->pool);
    }
    return bytes;
}

int api_malloc_trim(size_t pad)
{
    (void)pad;
    const uint64_t before = api_purged_bytes();
    thread_flush();
    arenas_each(arena_purge);
    return api_purged_bytes() > before;
}

const char *api_ashlar_version(void)
{
    return ASHLAR_VERSION_STRING;
}

#define EXPORT_C(name) API_SHOW(name)
#include "table/export.def"
