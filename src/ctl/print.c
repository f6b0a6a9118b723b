/* SPDX-License-Identifier: MIT */
/*
 * print - the statistics, as a text for people or as JSON. See print.h.
 */
#include "ctl/print.h"

#include <string.h>

#include "ctl/ctl.h"

/* -- what there is to print -- */

const char *const print_config_keys[] = {
    "cache_oblivious", "debug", "fill", "lazy_lock", "malloc_conf",
    "opt_safety_checks", "prof", "prof_libgcc", "prof_libunwind",
    "prof_frameptr", "stats", "utrace", "xmalloc", NULL
};

const char *const print_live_keys[] = {
    "allocated", "active", "metadata", "metadata_edata", "metadata_rtree",
    "metadata_thp", "resident", "mapped", "retained", NULL
};

const char *const print_mutex_keys[] = {
    "num_ops", "num_wait", "num_spin_acq", "num_owner_switch",
    "total_wait_time", "max_wait_time", "max_num_thds", NULL
};

const char *const print_process_mutexes[] = {
    "background_thread", "max_per_bg_thd", "ctl", "prof", "prof_thds_data",
    "prof_dump", "prof_recent_alloc", "prof_recent_dump", "prof_stats", NULL
};

const char *const print_arena_mutexes[] = {
    "large", "extent_avail", "extents_dirty", "extents_muzzy",
    "extents_retained", "decay_dirty", "decay_muzzy", "base", "tcache_list",
    "hpa_shard", "hpa_shard_grow", "hpa_sec", NULL
};

const char *const print_memory_keys[] = {
    "mapped", "retained", "base", "internal", "metadata_edata",
    "metadata_rtree", "metadata_thp", "tcache_bytes", "tcache_stashed_bytes",
    "resident", "abandoned_vm", "extent_avail", NULL
};

const char *const print_size_keys[] = {
    "allocated", "nmalloc", "ndalloc", "nrequests", "nfills", "nflushes", NULL
};

const char *const print_profile_keys[] = {
    "thread_active_init", "active", "gdump", "interval", "lg_sample", NULL
};

bool print_next_arena(size_t *index)
{
    const size_t count = arenas_count();
    while (*index < count && snapshot_of(*index) == NULL)
        ++*index;
    return *index < count;
}

bool print_wants_merged(const struct print_wish *wish)
{
    size_t first = 0;
    size_t seen = 0;
    for (; seen < 2 && print_next_arena(&first); first++)
        seen++;
    return wish->merged && (seen > 1 || !wish->unmerged);
}

bool print_wants_destroyed(const struct print_wish *wish)
{
    return wish->destroyed && snapshot_of(SNAPSHOT_DESTROYED) != NULL;
}

void print_arena_name(size_t index, char *name)
{
    size_t mib[TREE_DEPTH_MAX];
    size_t depth = TREE_DEPTH_MAX;
    size_t bytes = sizeof name;
    name[0] = 0;
    if (tree_find("arena.0.name", mib, &depth) == NULL)
        return;
    mib[1] = index;
    (void)ctl_by_mib(mib, depth, &name, &bytes, NULL, 0);
}

const char *print_dss(size_t index)
{
    return index < ARENAS_MAX ? figure_text("stats.arenas.0.", "dss", index)
        : "N/A";
}

void print_number(char digits[8], size_t number)
{
    char *at = digits;
    for (size_t unit = 1000; unit > 0; unit /= 10) {
        if (number >= unit || unit == 1)
            *at++ = (char)('0' + number / unit % 10);
    }
    *at = 0;
}

bool print_wants_asked(size_t arena)
{
    return arena == SNAPSHOT_ALL && profile_is_armed()
        && option_now.prof_stats;
}

struct print_asked print_find_asked(const char *path)
{
    return (struct print_asked){
        .live = figure_find(path, "live"), .ever = figure_find(path, "accum")
    };
}

void print_read_asked(const struct print_asked *asked, size_t i,
    uint64_t figures[PRINT_ASKED_FIGURES])
{
    prof_stats_t stats = figure_stats_at(&asked->live, i);
    figures[0] = stats.req_sum;
    figures[1] = stats.count;
    stats = figure_stats_at(&asked->ever, i);
    figures[2] = stats.req_sum;
    figures[3] = stats.count;
}

const char *print_thp_mode(void)
{
    static const char *const words[] = { "always", "madvise", "never" };
    char setting[64];
    if (!sys_read_file("/sys/kernel/mm/transparent_hugepage/enabled", setting,
            sizeof setting))
        return "not supported";
    /* All are there; the one in force is in brackets. */
    const char *chosen = strchr(setting, '[');
    for (size_t i = 0; chosen != NULL && i < 3; i++) {
        if (strncmp(chosen + 1, words[i], strlen(words[i])) == 0)
            return words[i];
    }
    return "not supported";
}

/* -- printing -- */

static struct print_wish print_read_letters(const char *opts)
{
    struct print_wish wish = { false, true, true, true, true, true, true,
        true, true, true };
    for (; opts != NULL && *opts != 0; opts++) {
        switch (*opts) {
        case 'J': wish.json = true; break;
        case 'g': wish.general = false; break;
        case 'm': wish.merged = false; break;
        case 'd': wish.destroyed = false; break;
        case 'a': wish.unmerged = false; break;
        case 'b': wish.bins = false; break;
        case 'l': wish.large = false; break;
        case 'x': wish.mutexes = false; break;
        case 'e': wish.extents = false; break;
        case 'h': wish.huge = false; break;
        default: break;
        }
    }
    return wish;
}

void print_stats(void (*write)(void *, const char *), void *opaque,
    const char *opts)
{
    const struct print_wish wish = print_read_letters(opts);
    struct sheet sheet;
    sheet_begin(&sheet, write, opaque);
    /* An arena for whose figures there is no memory is not printed. */
    (void)snapshot_refresh();
    if (wish.json)
        print_json(&sheet, &wish);
    else
        print_text(&sheet, &wish);
    sheet_end(&sheet);
}
