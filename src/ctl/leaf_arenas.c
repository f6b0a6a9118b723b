/* SPDX-License-Identifier: MIT */
/*
 * leaf_arenas - leaves of all arenas: how many, which sizes, new ones.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "heap/heap.h"

int leaf_arenas_count(const struct leaf_call *call)
{
    return leaf_answer(call, arenas_count());
}

int leaf_arenas_page(const struct leaf_call *call)
{
    return leaf_answer(call, sys_page_bytes());
}

/* Of arenas made from now on. */
static _Atomic int64_t leaf_muzzy_decay_ms;

int leaf_arenas_decay_ms(const struct leaf_call *call)
{
    const bool is_dirty = call->argument == LEAF_DIRTY;
    int64_t ms = is_dirty ? arenas_dirty_decay_ms()
        : load_relaxed(&leaf_muzzy_decay_ms);
    int error = leaf_answer(call, (uint64_t)ms);
    if (error == 0)
        error = leaf_take(call, &ms);
    if (error != 0 || !leaf_is_written(call))
        return error;
    if (!leaf_is_decay_ms(ms))
        return EFAULT;
    if (is_dirty)
        arenas_set_dirty_decay_ms(ms);
    else
        store_relaxed(&leaf_muzzy_decay_ms, ms);
    return 0;
}

/* -- sizes -- */

bool leaf_has_bin(size_t index)
{
    return index < CLASS_COUNT;
}

bool leaf_has_lextent(size_t index)
{
    return index < STATS_LEXTENTS;
}

int leaf_bin(const struct leaf_call *call)
{
    const size_t cls = call->mib[2];
    uint64_t value = 1;
    if (call->argument == LEAF_BIN_SIZE)
        value = class_bytes[cls];
    else if (call->argument == LEAF_BIN_NREGS)
        value = class_blocks[cls];
    else if (call->argument == LEAF_BIN_SLAB_SIZE)
        value = class_slices[cls] * SLICE_BYTES;
    return leaf_answer(call, value);
}

int leaf_lextent(const struct leaf_call *call)
{
    return leaf_answer(call, stats_lextent_bytes((unsigned)call->mib[2]));
}

/* -- new arenas -- */

/* metadata: jemalloc would ask the hooks for its own memory at once, and know
 * that they refuse; here they are only asked. */
static int leaf_create(const struct leaf_call *call,
    struct extent_hooks *hooks, bool metadata)
{
    unsigned index;
    if (!arenas_create(&index))
        return EAGAIN;
    store_relaxed(&arenas_at(index)->muzzy_decay_ms,
        load_relaxed(&leaf_muzzy_decay_ms));
    leaf_forget_dss(index);
    if (hooks != NULL && !arenas_set_hooks(index, hooks))
        return EFAULT;
    if (hooks != NULL && metadata && !arenas_try_hooks(index)) {
        (void)!arenas_destroy(index);
        return EAGAIN;
    }
    return leaf_answer(call, index);
}

int leaf_arenas_create(const struct leaf_call *call)
{
    struct extent_hooks *hooks = NULL;
    int error = leaf_expect_answer(call);
    if (error == 0)
        error = leaf_take(call, &hooks);
    return error != 0 ? error : leaf_create(call, hooks, true);
}

int leaf_arenas_create_ext(const struct leaf_call *call)
{
    struct leaf_arena_config config = { NULL, false };
    int error = leaf_expect_answer(call);
    if (error == 0)
        error = leaf_take(call, &config);
    return error != 0 ? error
        : leaf_create(call, (struct extent_hooks *)config.extent_hooks,
            config.metadata_use_hooks);
}

int leaf_arenas_lookup(const struct leaf_call *call)
{
    void *pointer;
    if (leaf_take_needed(call, &pointer) != 0)
        return EINVAL;
    const struct arena *arena = arenas_of(pointer);
    return arena != NULL ? leaf_answer(call, arena->index) : EINVAL;
}
