/* SPDX-License-Identifier: MIT */
/*
 * chill - free pages inside slabs that are still in use go back. See chill.h.
 */
#include "heap/chill.h"

/* However many heaps share the limit, each may have so much. */
#define CHILL_LIMIT_BYTES_MIN (1 * MiB)

size_t chill_bytes(const struct slab *slab)
{
    return chill_applies(slab->cls) ? slab_loose_bytes(slab) : 0;
}

void chill_count(const struct slab *slab)
{
    slab_heap(slab)->loose_bytes += chill_bytes(slab);
}

void chill_uncount(const struct slab *slab)
{
    slab_heap(slab)->loose_bytes -= chill_bytes(slab);
}

/* All partial slabs of a bin behind the first `warm`; the bytes purged. */
static size_t chill_bin(struct bin *bin, int warm)
{
    struct slab *slab = bin->list[SLAB_PARTIAL].first;
    for (int i = 0; i < warm && slab != NULL; i++)
        slab = slab->next;
    size_t purged = 0;
    while (slab != NULL) {
        struct slab *next = slab->next;
        bin_unlist(bin, slab);
        purged += slab_chill(slab);
        bin_list(bin, slab);
        slab = next;
    }
    return purged;
}

static void chill_bins(struct heap *heap, int warm)
{
    size_t purged = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        if (chill_applies(cls))
            purged += chill_bin(&heap->bin[cls], warm);
    }
    if (purged > 0)
        pool_note_chilled(&heap->arena->pool, purged);
}

/* How many heaps share the limit: all but the shared one, which has little. */
static size_t chill_sharers(struct arena *arena)
{
    const int heaps = load_relaxed(&arena->heap_count) - 1;
    return heaps > 1 ? (size_t)heaps : 1;
}

void chill_if_due(struct heap *heap)
{
    if (heap->loose_bytes <= heap->loose_limit)
        return;
    /* The limit is looked up only when the last one looked up is reached. */
    heap->loose_limit = max_size(CHILL_LIMIT_BYTES_MIN,
        pool_loose_limit(&heap->arena->pool) / chill_sharers(heap->arena));
    if (heap->loose_bytes <= heap->loose_limit)
        return;
    /* What the next refill chooses from stays warm. */
    chill_bins(heap, BIN_CANDIDATES);
    /* What is warm may alone be more: then not again at every event. */
    heap->loose_limit = max_size(heap->loose_limit, 2 * heap->loose_bytes);
}

void chill_all(struct heap *heap)
{
    chill_bins(heap, 0);
}
