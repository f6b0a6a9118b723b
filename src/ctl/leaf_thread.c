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
    /* Option percpu_arena has the say. */
    if (index < arenas_of_processors())
        return EPERM;
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
    int error = leaf_answer(call, count_cache_max());
    if (error != 0 || !leaf_is_written(call))
        return error;
    error = leaf_take(call, &wanted);
    if (error == 0)
        count_set_cache_max(wanted);
    return error;
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
static const char *leaf_read_number(const char *text, size_t *number)
{
    const char *at = text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        /* What is too much for any size is so anyhow. */
        if (*number < SIZE_MAX / 16)
            *number = *number * 10 + (size_t)(*at - '0');
    }
    return at > text ? at : NULL;
}

/* low-high:count|low-high:count..., of at most so many bytes; false: that is
 * not what it says. Called once to see and once to do. */
static bool leaf_each_range(const char *text, ptrdiff_t bytes_max,
    void (*call)(size_t low, size_t high, size_t blocks))
{
    static const char between[] = "-:|";
    size_t number[3];
    const char *at = text;
    for (int i = 0; (at = leaf_read_number(at, &number[i % 3])) != NULL; i++) {
        if (at - text > bytes_max)
            return false;
        if (i % 3 == 2)
            call(number[0], number[1], number[2]);
        if (*at == '\0')
            return i % 3 == 2;
        if (*at++ != between[i % 3])
            return false;
    }
    return false;
}

static void leaf_pass_range(size_t low, size_t high, size_t blocks)
{
    (void)low;
    (void)high;
    (void)blocks;
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
        || !leaf_each_range(ranges, RANGES_BYTES_MAX, leaf_pass_range))
        return EINVAL;
    (void)leaf_each_range(ranges, RANGES_BYTES_MAX,
        count_set_cache_blocks_max);
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
