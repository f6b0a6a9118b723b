/* SPDX-License-Identifier: MIT */
/*
 * leaf - what is behind the names: a function for each kind of leaf.
 *
 * Owns     struct leaf_call, the rules by which a value is read and written,
 *          and the types that only mallctl() has.
 * Used by  ctl.c (calls them), tree.c (their sizes), leaf_*.c.
 *
 * A handler is asked after ctl.c has checked that its leaf may be read, or
 * written, at all. Most answer one number: leaf_answer(). What is written is
 * taken by leaf_take(). Where one of them fails, the order of the two decides
 * whether the write has happened; the handlers keep jemalloc's.
 *
 * Tests    test/unit/ctl/leaf_test.c
 */
#ifndef CTL_LEAF_H
#define CTL_LEAF_H

#include "ctl/snapshot.h"
#include "heap/watch.h"
#include "table/option.h"

#include <errno.h>
#include <unistd.h>

struct leaf_call {
    const size_t *mib;
    uint32_t argument;          /* of the row */
    uint8_t read_bytes;         /* sizes of the types */
    uint8_t written_bytes;
    void *old;
    size_t *old_bytes;
    const void *new;
    size_t new_bytes;
};

/* Every handler: leaf_NAME(). */
#define LEAVES(LEAF)                                                        \
    LEAF(absent) LEAF(constant) LEAF(zero) LEAF(version) LEAF(config_conf)  \
    LEAF(list) LEAF(option) LEAF(option_source)                             \
    LEAF(epoch) LEAF(background_thread) LEAF(max_background_threads)        \
    LEAF(thread_arena) LEAF(thread_allocated) LEAF(thread_allocatedp)       \
    LEAF(thread_deallocated) LEAF(thread_deallocatedp) LEAF(thread_idle)    \
    LEAF(peak_read) LEAF(peak_reset)                                        \
    LEAF(cache_enabled) LEAF(cache_max) LEAF(cache_flush_own)               \
    LEAF(cache_blocks_max) LEAF(cache_blocks_write)                         \
    LEAF(cache_create) LEAF(cache_flush) LEAF(cache_destroy)                \
    LEAF(arena_initialized) LEAF(arena_decay) LEAF(arena_purge)             \
    LEAF(arena_reset) LEAF(arena_destroy) LEAF(arena_dss)                   \
    LEAF(arena_oversize) LEAF(arena_decay_ms) LEAF(arena_hooks)             \
    LEAF(arena_grow_limit) LEAF(arena_name)                                 \
    LEAF(arenas_count) LEAF(arenas_decay_ms) LEAF(arenas_page)              \
    LEAF(bin) LEAF(lextent) LEAF(arenas_create) LEAF(arenas_lookup)         \
    LEAF(total) LEAF(live) LEAF(mutex) LEAF(arena_mutex)                    \
    LEAF(mutexes_reset) LEAF(zero_reallocs) LEAF(stat) LEAF(stat_dss)       \
    LEAF(stat_decay_ms)                                                     \
    LEAF(prof_thread) LEAF(prof_thread_init) LEAF(prof_gdump)               \
    LEAF(prof_active) LEAF(prof_armed)                                      \
    LEAF(prof_lg_sample) LEAF(prof_interval)                                \
    LEAF(prof_reset) LEAF(prof_name) LEAF(prof_dump) LEAF(prof_prefix)      \
    LEAF(prof_log_start) LEAF(prof_log_stop) LEAF(prof_recent_max)          \
    LEAF(prof_recent_write) LEAF(prof_bin) LEAF(prof_lextent)               \
    LEAF(prof_hook) LEAF(safety_hook) LEAF(thread_event)                    \
    LEAF(utilization) LEAF(utilization_batch) LEAF(arena_pactivep)          \
    LEAF(arenas_create_ext) LEAF(batch_alloc)                               \
    LEAF(watch_add) LEAF(watch_remove)

enum leaf_handler {
#define LEAF(name) LEAF_##name,
    LEAVES(LEAF)
#undef LEAF
};

#define LEAF(name) int leaf_##name(const struct leaf_call *call);
LEAVES(LEAF)
#undef LEAF

/* -- arguments of rows -- */

#define LEAF_HUGEPAGE_BYTES (2 * MiB)

enum { LEAF_DIRTY, LEAF_MUZZY };
enum { LEAF_BIN_SIZE, LEAF_BIN_NREGS, LEAF_BIN_SLAB_SIZE, LEAF_BIN_NSHARDS };

enum { LEAF_PROF_LIVE, LEAF_PROF_EVER };
enum { LEAF_HOOK_BACKTRACE, LEAF_HOOK_DUMP, LEAF_HOOK_SAMPLE,
    LEAF_HOOK_SAMPLE_FREE };

enum { LEAF_MUTEX_background_thread, LEAF_MUTEX_ctl, LEAF_MUTEX_site,
    LEAF_MUTEX_person, LEAF_MUTEX_dump, LEAF_MUTEX_recent };

/* A counter of lock number `mutex`. */
#define LEAF_COUNTER(mutex, counter) \
    ((mutex) * sizeof(struct lock_counts) \
        + offsetof(struct lock_counts, counter))
#define LEAF_TOTAL(field) offsetof(struct snapshot_totals, field)
#define LEAF_LIVE(field) offsetof(struct stats_live, field)

/* -- which numbers stand behind a name -- */

bool leaf_has_any_arena(size_t index);
bool leaf_has_any_living_arena(size_t index);
bool leaf_has_seen_arena(size_t index);
bool leaf_has_bin(size_t index);
bool leaf_has_lextent(size_t index);
bool leaf_has_extent(size_t index);
bool leaf_has_page_slab(size_t index);

/* -- reading -- */

/* A number, of at most eight bytes: its low ones. 0, or EINVAL. */
MUST_USE int leaf_answer(const struct leaf_call *call, uint64_t value);

/* Anything. */
MUST_USE int leaf_answer_bytes(const struct leaf_call *call,
    const void *value, size_t bytes);

static inline int leaf_answer_pointer(const struct leaf_call *call,
    const void *pointer)
{
    return leaf_answer(call, (uintptr_t)pointer);
}

/* For what must not be done unless the answer arrives: EINVAL if it would not,
 * and *old_bytes is 0. */
MUST_USE int leaf_expect_answer(const struct leaf_call *call);

/* -- writing -- */

/* What is written into *value, of written_bytes; nothing if nothing is. 0, or
 * EINVAL: the size is wrong. */
MUST_USE int leaf_take(const struct leaf_call *call, void *value);

/* The same, but something has to be written. */
MUST_USE int leaf_take_needed(const struct leaf_call *call, void *value);

static inline bool leaf_is_read(const struct leaf_call *call)
{
    return call->old != NULL && call->old_bytes != NULL;
}

static inline bool leaf_is_written(const struct leaf_call *call)
{
    return call->new != NULL;
}

/* -- what files of leaves ask of each other -- */

/* arena.<i>.dss, of all arenas if there is no such; and that of a new one. */
const char *leaf_dss_of(size_t index);
void leaf_forget_dss(unsigned index);

/* May a decay time be that? What it is; which: LEAF_DIRTY or LEAF_MUZZY. */
bool leaf_is_decay_ms(int64_t ms);
int64_t leaf_decay_ms_of(const struct arena *arena, uint32_t which);

/* -- types that only mallctl() has, as jemalloc's clients lay them out -- */

typedef struct extent_hooks_s extent_hooks_t;

typedef struct prof_stats_s {
    uint64_t req_sum;
    uint64_t count;
} prof_stats_t;

struct leaf_event {
    void (*callback)(bool is_alloc, uint64_t allocated, uint64_t deallocated);
    uint64_t interval;
    bool is_alloc_only;
};

struct leaf_utilization {
    void *slabcur_addr;
    size_t nfree;
    size_t nregs;
    size_t size;
    size_t bin_nfree;
    size_t bin_nregs;
};

struct leaf_arena_config {
    extent_hooks_t *extent_hooks;
    bool metadata_use_hooks;
};

struct leaf_writer {
    void (*write)(void *opaque, const char *text);
    void *opaque;
};

struct leaf_batch {
    void **pointers;
    size_t count;
    size_t size;
    int flags;
};

struct leaf_activity {
    void (*callback)(void *opaque, uint64_t allocated, uint64_t deallocated);
    void *opaque;
};

#endif
