/* SPDX-License-Identifier: MIT */
/*
 * leaf_thread - leaves of the calling thread, and explicit caches.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "heap/cache.h"
#include "heap/count.h"
#include "table/option.h"

int leaf_thread_arena(const struct leaf_call *call)
{
    const unsigned was = arenas_bound()->index;
    unsigned index = was;
    int error = leaf_take(call, &index);
    if (error == 0)
        error = leaf_answer(call, was);
    if (error != 0 || index == was)
        return error;
    if (!arenas_exists(index))
        return EFAULT;
    return arenas_bind(index) ? 0 : EAGAIN;
}

int leaf_thread_allocated(const struct leaf_call *call)
{
    return leaf_answer(call, *count_allocated());
}

int leaf_thread_allocatedp(const struct leaf_call *call)
{
    return leaf_answer_pointer(call, count_allocated());
}

int leaf_thread_deallocated(const struct leaf_call *call)
{
    return leaf_answer(call, *count_deallocated());
}

int leaf_thread_deallocatedp(const struct leaf_call *call)
{
    return leaf_answer_pointer(call, count_deallocated());
}

int leaf_thread_idle(const struct leaf_call *call)
{
    (void)call;
    count_idle();
    return 0;
}

int leaf_peak_read(const struct leaf_call *call)
{
    return leaf_answer(call, count_peak_read());
}

int leaf_peak_reset(const struct leaf_call *call)
{
    (void)call;
    count_peak_reset();
    return 0;
}

int leaf_thread_event(const struct leaf_call *call)
{
    struct leaf_event event = { NULL, 0, false };
    if (leaf_take_needed(call, &event) != 0
        || !count_event_add(event.callback, event.interval,
            event.is_alloc_only))
        return EINVAL;
    return 0;
}

/* -- the thread's blocks in hand -- */

int leaf_cache_enabled(const struct leaf_call *call)
{
    const bool was = count_cache_enabled();
    bool on = was;
    const int error = leaf_take(call, &on);
    if (error != 0)
        return error;
    if (on != was)
        count_enable_cache(on);
    return leaf_answer(call, was);
}

int leaf_cache_max(const struct leaf_call *call)
{
    size_t wanted;
    const int error = leaf_answer(call, count_cache_max());
    return error != 0 ? error : leaf_take(call, &wanted);
}

int leaf_cache_flush_own(const struct leaf_call *call)
{
    (void)call;
    return count_flush_cache() ? 0 : EFAULT;
}

int leaf_cache_blocks_max(const struct leaf_call *call)
{
    size_t size;
    if (leaf_take_needed(call, &size) != 0 || size > CLASS_BYTES_MAX)
        return EINVAL;
    return leaf_answer(call, count_cache_blocks_max(size));
}

/* A number, and what follows it; NULL: there is none. */
static const char *leaf_skip_number(const char *text)
{
    const char *at = text;
    while (*at >= '0' && *at <= '9')
        at++;
    return at > text ? at : NULL;
}

/* Is it low-high:count|low-high:count..., of at most so many bytes? */
static bool leaf_are_ranges(const char *text, ptrdiff_t bytes_max)
{
    static const char between[] = "-:|";
    const char *at = text;
    for (int i = 0; (at = leaf_skip_number(at)) != NULL; i++) {
        if (at - text > bytes_max)
            return false;
        if (*at == '\0')
            return i % 3 == 2;
        if (*at++ != between[i % 3])
            return false;
    }
    return false;
}

int leaf_cache_blocks_write(const struct leaf_call *call)
{
    enum { RANGES_BYTES_MAX = 1000 };
    const char *ranges = NULL;
    if (!leaf_is_written(call))
        return 0;
    if (!count_cache_enabled())
        return ENOENT;
    if (leaf_take(call, &ranges) != 0 || ranges == NULL
        || !leaf_are_ranges(ranges, RANGES_BYTES_MAX))
        return EINVAL;
    return 0;
}

/* -- explicit caches -- */

int leaf_cache_create(const struct leaf_call *call)
{
    unsigned id;
    const int error = leaf_expect_answer(call);
    if (error != 0)
        return error;
    return cache_create(&id) ? leaf_answer(call, id) : EFAULT;
}

int leaf_cache_flush(const struct leaf_call *call)
{
    unsigned id;
    const int error = leaf_take_needed(call, &id);
    if (error != 0)
        return error;
    return cache_flush(id) ? 0 : EFAULT;
}

int leaf_cache_destroy(const struct leaf_call *call)
{
    unsigned id;
    const int error = leaf_take_needed(call, &id);
    if (error != 0)
        return error;
    return cache_destroy(id) ? 0 : EFAULT;
}
