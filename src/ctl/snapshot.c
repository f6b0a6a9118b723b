/* SPDX-License-Identifier: MIT */
/*
 * snapshot - the statistics as of the last epoch. See snapshot.h.
 */
#include "ctl/snapshot.h"

#include <errno.h>
#include <string.h>

static struct {
    struct lock lock;

    /* under lock ctl; any thread reads */
    _Atomic uint64_t epoch;
    struct stats_arena *_Atomic arenas[ARENAS_MAX];     /* kept for ever */
    _Atomic bool seen[ARENAS_MAX];      /* at the last epoch */
    _Atomic bool has_destroyed;
    struct stats_arena all;
    struct stats_arena destroyed;
    struct snapshot_totals totals;

    /* under lock ctl */
    struct stats_arena one;     /* being read */
    struct stats_arena sum;     /* growing */
} snapshot = { .lock = { .rank = LOCK_ctl } };

/* Figures are words, and replaced one by one; what is unchanged, untouched. */
static void snapshot_copy(void *to, const void *from, size_t bytes)
{
    _Atomic uint64_t *words = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < bytes / sizeof *words; i++) {
        if (load_relaxed(&words[i]) != source[i])
            store_relaxed(&words[i], source[i]);
    }
}
_Static_assert(sizeof(struct stats_arena) % 8 == 0
    && sizeof(struct snapshot_totals) % 8 == 0, "words");

/* Where an arena's figures go; NULL: no memory. */
static struct stats_arena *snapshot_place(unsigned index)
{
    struct stats_arena *place = load_relaxed(&snapshot.arenas[index]);
    if (place == NULL) {
        place = meta_take(sizeof *place);
        /* pairs with snapshot_of() */
        store_release(&snapshot.arenas[index], place);
    }
    return place;
}

static bool snapshot_arena(unsigned index)
{
    struct arena *arena = arenas_at(index);
    struct stats_arena *place = arena == NULL ? NULL : snapshot_place(index);
    if (place != NULL) {
        stats_read(arena, &snapshot.one);
        stats_add(&snapshot.sum, &snapshot.one);
        snapshot_copy(place, &snapshot.one, sizeof *place);
    }
    store_relaxed(&snapshot.seen[index], place != NULL);
    return arena == NULL || place != NULL;
}

/* stats.*: as the sum says. */
static void snapshot_sum_up(void)
{
    const struct stats_arena *sum = &snapshot.sum;
    const struct snapshot_totals totals = {
        .live = {
            .allocated = sum->allocated,
            .active = sum->active,
            .metadata = sum->base,
            .metadata_edata = sum->metadata_edata,
            .metadata_rtree = sum->metadata_rtree,
            .resident = sum->resident,
            .mapped = sum->mapped,
            .retained = sum->retained,
        },
        .background = background_counts(),
    };
    snapshot_copy(&snapshot.totals, &totals, sizeof totals);
}

bool snapshot_refresh(void)
{
    lock_take(&snapshot.lock);
    bool whole = true;
    memset(&snapshot.sum, 0, sizeof snapshot.sum);
    const unsigned count = arenas_count();
    for (unsigned i = 0; i < count; i++)
        whole = snapshot_arena(i) && whole;
    snapshot_sum_up();
    snapshot_copy(&snapshot.all, &snapshot.sum, sizeof snapshot.all);
    store_relaxed(&snapshot.epoch, load_relaxed(&snapshot.epoch) + 1);
    lock_mend(&snapshot.lock);
    lock_give(&snapshot.lock);
    return whole;
}

uint64_t snapshot_epoch(void)
{
    return load_relaxed(&snapshot.epoch);
}

const struct stats_arena *snapshot_of(size_t index)
{
    if (index < ARENAS_MAX && load_relaxed(&snapshot.seen[index]))
        /* pairs with snapshot_place() */
        return load_acquire(&snapshot.arenas[index]);
    if (index == SNAPSHOT_ALL || index == arenas_count())
        return &snapshot.all;
    return index == SNAPSHOT_DESTROYED
        && load_relaxed(&snapshot.has_destroyed) ? &snapshot.destroyed : NULL;
}

const struct snapshot_totals *snapshot_totals(void)
{
    return &snapshot.totals;
}

int snapshot_destroy(unsigned index)
{
    const struct arena *arena = arenas_at(index);
    /* Only what is certain to be destroyed may be emptied before. */
    if (arena == NULL || load_relaxed(&arena->threads) != 0
        || !arenas_reset(index))
        return EFAULT;
    lock_take(&snapshot.lock);
    stats_read(arenas_at(index), &snapshot.one);
    snapshot.sum = snapshot.destroyed;
    stats_fold(&snapshot.sum, &snapshot.one);
    snapshot_copy(&snapshot.destroyed, &snapshot.sum, sizeof snapshot.sum);
    store_relaxed(&snapshot.seen[index], false);
    store_relaxed(&snapshot.has_destroyed, true);
    lock_give(&snapshot.lock);
    /* Extent hooks are called from here, and may ask for an epoch. */
    return arenas_destroy(index) ? 0 : EFAULT;
}

struct lock_counts snapshot_lock_counts(void)
{
    return lock_read_counts(&snapshot.lock);
}

void snapshot_reset_lock(void)
{
    lock_take(&snapshot.lock);
    lock_reset_counts(&snapshot.lock);
    lock_give(&snapshot.lock);
}
