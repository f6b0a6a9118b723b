/* SPDX-License-Identifier: MIT */
/*
 * leaf_stats - leaves of the statistics, of the last epoch and live.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "ledger/ledger.h"

int leaf_epoch(const struct leaf_call *call)
{
    uint64_t any;
    int error = leaf_take(call, &any);
    if (error == 0 && leaf_is_written(call) && !snapshot_refresh())
        error = EAGAIN;
    return error != 0 ? error : leaf_answer(call, snapshot_epoch());
}

/* -- sums -- */

int leaf_total(const struct leaf_call *call)
{
    return leaf_answer(call,
        snapshot_word(snapshot_totals(), call->argument));
}

int leaf_live(const struct leaf_call *call)
{
    struct stats_live live;
    stats_read_live(&live);
    return leaf_answer(call, snapshot_word(&live, call->argument));
}

int leaf_zero_reallocs(const struct leaf_call *call)
{
    return leaf_answer(call, load_relaxed(&stats_zero_reallocs));
}

/* -- one arena; that it was seen is what makes its number a name -- */

bool leaf_has_seen_arena(size_t index)
{
    return snapshot_of(index) != NULL;
}

bool leaf_has_extent(size_t index)
{
    return index < STATS_EXTENTS;
}

/* jemalloc counts slabs that are partly used by that many lengths. */
bool leaf_has_page_slab(size_t index)
{
    enum { PAGE_SLAB_LENGTHS = 64 };
    return index < PAGE_SLAB_LENGTHS;
}

/* Of the elements of an array, the row names the first's field. */
static size_t leaf_stride(size_t offset)
{
    if (offset >= offsetof(struct stats_arena, extents))
        return sizeof(struct stats_extent);
    if (offset >= offsetof(struct stats_arena, lextents))
        return sizeof(struct stats_lextent);
    return offset >= offsetof(struct stats_arena, bins)
        ? sizeof(struct stats_bin) : 0;
}

int leaf_stat(const struct leaf_call *call)
{
    const struct stats_arena *figures = snapshot_of(call->mib[2]);
    if (UNLIKELY(figures == NULL))
        return ENOENT;
    size_t offset = call->argument;
    const size_t stride = leaf_stride(offset);
    if (stride != 0)
        offset += call->mib[4] * stride;
    return leaf_answer(call, snapshot_word(figures, offset));
}

int leaf_stat_dss(const struct leaf_call *call)
{
    return leaf_answer_pointer(call, call->mib[2] < arenas_count()
        ? leaf_dss_of(call->mib[2]) : "N/A");
}

/* Of a sum: -1, as of jemalloc's. */
int leaf_stat_decay_ms(const struct leaf_call *call)
{
    const struct arena *arena = call->mib[2] < ARENAS_MAX
        ? arenas_at((unsigned)call->mib[2]) : NULL;
    return leaf_answer(call, arena == NULL ? UINT64_MAX
        : (uint64_t)leaf_decay_ms_of(arena, call->argument));
}

/* -- locks -- */

int leaf_arena_mutex(const struct leaf_call *call)
{
    const struct stats_arena *figures = snapshot_of(call->mib[2]);
    if (UNLIKELY(figures == NULL))
        return ENOENT;
    return leaf_answer(call, snapshot_word(figures->mutexes, call->argument));
}

/* Of the process, live. */
int leaf_mutex(const struct leaf_call *call)
{
    static struct lock_counts (*const locks[])(void) = {
        [LEAF_MUTEX_background_thread] = background_lock_counts,
        [LEAF_MUTEX_ctl] = snapshot_lock_counts,
        [LEAF_MUTEX_site] = site_lock_counts,
        [LEAF_MUTEX_person] = person_lock_counts,
        [LEAF_MUTEX_dump] = dump_lock_counts,
        [LEAF_MUTEX_recent] = recent_lock_counts,
    };
    const size_t bytes = sizeof(struct lock_counts);
    const struct lock_counts counts = locks[call->argument / bytes]();
    return leaf_answer(call, snapshot_word(&counts, call->argument % bytes));
}

int leaf_mutexes_reset(const struct leaf_call *call)
{
    (void)call;
    stats_reset_mutexes();
    background_reset_lock_counts();
    snapshot_reset_lock();
    site_reset_lock_counts();
    person_reset_lock_counts();
    dump_reset_lock_counts();
    recent_reset_lock_counts();
    return 0;
}
