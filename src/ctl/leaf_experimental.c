/* SPDX-License-Identifier: MIT */
/*
 * leaf_experimental - leaves that jemalloc calls experimental: how full slabs
 * are, batches, hooks.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "heap/heap.h"
#include "heap/request.h"
#include "table/flags.h"

/* -- how full a slab is -- */

static bool leaf_has_slab(struct heap_place place)
{
    return !heap_is_large(place) && !heap_is_sampled(place);
}

/* Of anything but a live object's memory: all 0. */
static struct leaf_utilization leaf_utilization_of(const void *pointer)
{
    struct leaf_utilization all = { NULL, 0, 0, 0, 0, 0 };
    const struct heap_place place = heap_find(pointer);
    if (place.owner == MAP_NOBODY)
        return all;
    all.nregs = 1;
    all.size = heap_is_sampled(place) ? rack_bytes(place.extent)
        : place.extent->bytes;
    if (!leaf_has_slab(place))
        return all;
    const struct slab *slab = slab_of(place.extent);
    all.nregs = class_blocks[slab->cls];
    /* Whole pages, as jemalloc's own tests want it; but Valkey, whose quantum
     * is 8, divides by the blocks, and there is something left behind them. */
    if (ASHLAR_QUANTUM == 8)
        all.size = all.nregs * class_bytes[slab->cls];
    /* The owner goes on meanwhile. */
    all.nfree = all.nregs - min_size(all.nregs, slab_live(slab));
    return all;
}

/* The same of all slabs of its class, and the slab that is used next. */
static void leaf_add_bin(struct leaf_utilization *all, const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    if (place.owner == MAP_NOBODY || !leaf_has_slab(place))
        return;
    const struct slab *slab = slab_of(place.extent);
    const struct heap *heap = slab_heap(slab);
    const struct slab *current = heap->bin[slab->cls].current;
    struct stats_bin bin;
    stats_read_bin(heap->arena, slab->cls, &bin);
    all->slabcur_addr = current != NULL ? current->start : NULL;
    all->bin_nregs = bin.curslabs * class_blocks[slab->cls];
    all->bin_nfree = all->bin_nregs - min_size(all->bin_nregs, bin.curregs);
}

int leaf_utilization(const struct leaf_call *call)
{
    void *pointer;
    if (!leaf_is_read(call) || *call->old_bytes != call->read_bytes
        || leaf_take_needed(call, &pointer) != 0)
        return EINVAL;
    struct leaf_utilization all = leaf_utilization_of(pointer);
    leaf_add_bin(&all, pointer);
    return leaf_answer_bytes(call, &all, sizeof all);
}

int leaf_utilization_batch(const struct leaf_call *call)
{
    enum { FIGURES = 3 };
    const size_t count = call->new_bytes / sizeof(void *);
    if (!leaf_is_read(call) || !leaf_is_written(call) || count == 0
        || call->new_bytes % sizeof(void *) != 0
        || *call->old_bytes != count * FIGURES * sizeof(size_t))
        return EINVAL;
    void *const *pointers = call->new;
    size_t *figures = call->old;
    for (size_t i = 0; i < count; i++, figures += FIGURES) {
        const struct leaf_utilization all = leaf_utilization_of(pointers[i]);
        figures[0] = all.nfree;
        figures[1] = all.nregs;
        figures[2] = all.size;
    }
    return 0;
}

/* -- many objects at once -- */

int leaf_batch_alloc(const struct leaf_call *call)
{
    struct leaf_batch batch;
    int error = leaf_expect_answer(call);
    if (error == 0)
        error = leaf_take_needed(call, &batch);
    if (error != 0)
        return error;
    const struct request request = {
        .size = batch.size,
        .align = flags_align(batch.flags),
        .zero = flags_zero(batch.flags),
        .arena = flags_arena(batch.flags),
        .cache = flags_cache(batch.flags),
    };
    size_t filled = 0;
    while (filled < batch.count
        && (batch.pointers[filled] = request_take(&request)) != NULL)
        filled++;
    return leaf_answer(call, filled);
}

/* -- arenas -- */

bool leaf_has_any_living_arena(size_t index)
{
    return index <= arenas_count() || index == SNAPSHOT_ALL;
}

int leaf_arena_pactivep(const struct leaf_call *call)
{
    const struct arena *arena = arenas_at((unsigned)call->mib[2]);
    if (!leaf_is_read(call) || *call->old_bytes != call->read_bytes)
        return EINVAL;
    return arena == NULL ? EFAULT
        : leaf_answer_pointer(call, (const void *)&arena->pool.active_pages);
}

/* -- hooks -- */

int leaf_watch_add(const struct leaf_call *call)
{
    struct watch watch;
    if (!leaf_is_read(call) || *call->old_bytes != call->read_bytes
        || leaf_take_needed(call, &watch) != 0)
        return EINVAL;
    const void *handle = watch_add(&watch);
    return handle != NULL ? leaf_answer_pointer(call, handle) : EAGAIN;
}

int leaf_watch_remove(const struct leaf_call *call)
{
    void *handle;
    return leaf_take_needed(call, &handle) == 0 && watch_remove(handle)
        ? 0 : EINVAL;
}

int leaf_safety_hook(const struct leaf_call *call)
{
    void (*hook)(const char *line) = NULL;
    if (leaf_is_written(call) && leaf_take(call, &hook) != 0)
        return EINVAL;
    sys_set_stop(hook);
    return 0;
}
