/* SPDX-License-Identifier: MIT */
/*
 * print_json - the statistics as JSON, without a blank.
 */
#include "ctl/ctl.h"

#include "ctl/print.h"

struct json {
    struct sheet *sheet;
    bool comma;                 /* before what comes next */
};

/* -- the language -- */

/* The key of what follows; NULL: it has none. */
static void json_key(struct json *json, const char *key)
{
    if (json->comma)
        sheet_byte(json->sheet, ',');
    json->comma = true;
    if (key == NULL)
        return;
    sheet_quoted(json->sheet, key);
    sheet_byte(json->sheet, ':');
}

static void json_open(struct json *json, const char *key, char bracket)
{
    json_key(json, key);
    json->comma = false;
    sheet_byte(json->sheet, bracket);
}

static void json_close(struct json *json, char bracket)
{
    sheet_byte(json->sheet, bracket);
    json->comma = true;
}

static void json_number(struct json *json, const char *key, uint64_t number)
{
    json_key(json, key);
    sheet_number(json->sheet, 0, number);
}

static void json_signed(struct json *json, const char *key, int64_t number)
{
    json_key(json, key);
    sheet_signed(json->sheet, 0, number);
}

static void json_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    sheet_string(json->sheet, value ? "true" : "false");
}

static void json_string(struct json *json, const char *key,
    const char *string)
{
    json_key(json, key);
    sheet_quoted(json->sheet, string);
}

/* -- lists of leaves -- */

static void json_figures(struct json *json, const struct figure *figures,
    size_t count, size_t i, size_t j)
{
    for (size_t k = 0; k < count; k++)
        json_number(json, figures[k].key, figure_at(&figures[k], i, j));
}

static void json_list(struct json *json, const char *path,
    const char *const *keys, size_t i)
{
    struct figure figures[FIGURE_KEYS_MAX];
    const size_t count = figure_find_all(figures, path, keys);
    json_figures(json, figures, count, i, 0);
}

/* An object named key of the leaves below path. */
static void json_object(struct json *json, const char *key,
    const char *path, const char *const *keys, size_t i)
{
    json_open(json, key, '{');
    json_list(json, path, keys, i);
    json_close(json, '}');
}

/* An array of objects: for each of `count` numbers the leaves below path. */
static void json_array(struct json *json, const char *key,
    const char *path, const char *const *keys, size_t count)
{
    struct figure figures[FIGURE_KEYS_MAX];
    const size_t columns = figure_find_all(figures, path, keys);
    json_open(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        json_figures(json, figures, columns, i, 0);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* -- general -- */

static void json_config(struct json *json)
{
    json_open(json, "config", '{');
    for (const char *const *key = print_config_keys; *key != NULL; key++) {
        const struct figure figure = figure_find("config.", *key);
        const uint64_t value = figure_at(&figure, 0, 0);
        if (figure.bytes == sizeof(bool))
            json_bool(json, *key, value != 0);
        else
            json_string(json, *key, (const char *)(uintptr_t)value);
    }
    json_close(json, '}');
}

static void json_option(struct json *json, const struct option_row *row)
{
    const union option_value value = option_get(&option_now, row);
    struct text ratio;
    switch (option_type(row)) {
    case OPTION_BOOL: json_bool(json, row->name, value.boolean); break;
    case OPTION_UNSIGNED: json_number(json, row->name, value.number); break;
    case OPTION_SIZE: json_number(json, row->name, value.size); break;
    case OPTION_SSIZE: json_signed(json, row->name, value.ssize); break;
    case OPTION_I64: json_signed(json, row->name, value.i64); break;
    case OPTION_U64: json_number(json, row->name, value.u64); break;
    case OPTION_STRING: json_string(json, row->name, value.string); break;
    case OPTION_U32:
        text_clear(&ratio);
        text_ratio(&ratio, value.u32);
        json_string(json, row->name, ratio.bytes);
        break;
    }
}

static void json_options(struct json *json)
{
    static const struct { enum option_source source; const char *key; }
    sources[] = {
        { OPTION_GLOBAL_VAR, "global_var" }, { OPTION_SYMLINK, "symlink" },
        { OPTION_ENV_VAR, "env_var" },
        { OPTION_GLOBAL_VAR_2, "global_var_2_conf_harder" },
    };
    json_open(json, "opt", '{');
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (option_source(sources[i].source) != NULL)
            json_string(json, sources[i].key,
                option_source(sources[i].source));
    }
    for (size_t i = 0; i < option_count(); i++)
        json_option(json, option_row(i));
    json_close(json, '}');
}

static void json_profiles(struct json *json)
{
    json_open(json, "prof", '{');
    for (const char *const *key = print_profile_keys; *key != NULL; key++) {
        const struct figure figure = figure_find("prof.", *key);
        const uint64_t value = figure_at(&figure, 0, 0);
        if (figure.bytes == sizeof(bool))
            json_bool(json, *key, value != 0);
        else
            json_number(json, *key, value);
    }
    json_close(json, '}');
}

static void json_classes(struct json *json)
{
    static const char *const decay[] = { "dirty_decay_ms", "muzzy_decay_ms" };
    static const char *const sizes[] = {
        "quantum", "page", "hugepage", "tcache_max", "nbins", "nhbins", NULL
    };
    static const char *const bin[] = {
        "size", "nregs", "slab_size", "nshards", NULL
    };
    static const char *const lextent[] = { "size", NULL };
    json_open(json, "arenas", '{');
    json_number(json, "narenas", figure_of("arenas.", "narenas", 0));
    json_signed(json, decay[0], (int64_t)figure_of("arenas.", decay[0], 0));
    json_signed(json, decay[1], (int64_t)figure_of("arenas.", decay[1], 0));
    json_list(json, "arenas.", sizes, 0);
    json_array(json, "bin", "arenas.bin.0.", bin, CLASS_COUNT);
    json_number(json, "nlextents", figure_of("arenas.", "nlextents", 0));
    json_array(json, "lextent", "arenas.lextent.0.", lextent,
        STATS_LEXTENTS);
    json_close(json, '}');
}

static void json_general(struct json *json)
{
    json_string(json, "version", figure_text("version", "", 0));
    json_config(json);
    json_open(json, "system", '{');
    json_string(json, "thp_mode", print_thp_mode());
    json_close(json, '}');
    json_options(json);
    json_profiles(json);
    json_classes(json);
}

/* -- the process -- */

static void json_mutexes(struct json *json, const char *const *names,
    const char *path, size_t i)
{
    json_open(json, "mutexes", '{');
    for (; *names != NULL; names++)
        json_object(json, *names, figure_name(path, *names, ".").bytes,
            print_mutex_keys, i);
    json_close(json, '}');
}

static void json_process(struct json *json, const struct print_wish *wish)
{
    static const char *const background[] = {
        "num_threads", "num_runs", "run_interval", NULL
    };
    json_open(json, "stats", '{');
    json_list(json, "stats.", print_live_keys, 0);
    json_number(json, "zero_reallocs", figure_of("stats.", "zero_reallocs", 0));
    json_object(json, "background_thread", "stats.background_thread.",
        background, 0);
    if (wish->mutexes)
        json_mutexes(json, print_process_mutexes, "stats.mutexes.", 0);
    json_close(json, '}');
}

/* -- arenas -- */

#define ARENA "stats.arenas.0."

/* An array below path, of an arena. */
struct json_part {
    const char *path;
    const char *const *keys;
    size_t count;
    size_t arena;
    const struct print_asked *asked;    /* printed with them; NULL: nothing */
};

static void json_asked(struct json *json, const struct print_asked *asked,
    size_t j)
{
    static const char *const keys[PRINT_ASKED_FIGURES] = {
        "prof_live_requested", "prof_live_count", "prof_accum_requested",
        "prof_accum_count"
    };
    uint64_t figures[PRINT_ASKED_FIGURES];
    if (asked == NULL)
        return;
    print_read_asked(asked, j, figures);
    for (size_t k = 0; k < PRINT_ASKED_FIGURES; k++)
        json_number(json, keys[k], figures[k]);
}

static void json_purging(struct json *json, size_t i)
{
    static const char *const keys[] = {
        "pactive", "pdirty", "pmuzzy", "dirty_npurge", "dirty_nmadvise",
        "dirty_purged", "muzzy_npurge", "muzzy_nmadvise", "muzzy_purged", NULL
    };
    json_number(json, "uptime_ns", figure_of(ARENA, "uptime", i));
    json_string(json, "dss", print_dss(i));
    json_signed(json, "dirty_decay_ms",
        (int64_t)figure_of(ARENA, "dirty_decay_ms", i));
    json_signed(json, "muzzy_decay_ms",
        (int64_t)figure_of(ARENA, "muzzy_decay_ms", i));
    json_list(json, ARENA, keys, i);
}

static void json_bins(struct json *json, const struct print_wish *wish,
    size_t i)
{
    static const char *const keys[] = {
        "nmalloc", "ndalloc", "curregs", "nrequests", "nfills", "nflushes",
        "nreslabs", "curslabs", "nonfull_slabs", NULL
    };
    struct figure figures[FIGURE_KEYS_MAX];
    struct figure counts[FIGURE_KEYS_MAX];
    const size_t columns = figure_find_all(figures, ARENA "bins.0.", keys);
    const size_t counters =
        figure_find_all(counts, ARENA "bins.0.mutex.", print_mutex_keys);
    const bool asks = print_wants_asked(i);
    struct print_asked asked;
    if (asks)
        asked = print_find_asked("prof.stats.bins.0.");
    json_open(json, "bins", '[');
    for (size_t j = 0; j < CLASS_COUNT; j++) {
        json_open(json, NULL, '{');
        json_figures(json, figures, columns, i, j);
        json_asked(json, asks ? &asked : NULL, j);
        if (wish->mutexes) {
            json_open(json, "mutex", '{');
            json_figures(json, counts, counters, i, j);
            json_close(json, '}');
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* As json_array(), of an arena. */
static void json_columns(struct json *json, const char *key,
    const struct json_part *part)
{
    struct figure figures[FIGURE_KEYS_MAX];
    const size_t columns = figure_find_all(figures,
        figure_name(part->path, key, ".0.").bytes, part->keys);
    json_open(json, key, '[');
    for (size_t j = 0; j < part->count; j++) {
        json_open(json, NULL, '{');
        json_figures(json, figures, columns, part->arena, j);
        json_asked(json, part->asked, j);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_large(struct json *json, size_t i)
{
    static const char *const keys[] = { "curlextents", NULL };
    const bool asks = print_wants_asked(i);
    struct print_asked asked;
    if (asks)
        asked = print_find_asked("prof.stats.lextents.0.");
    json_columns(json, "lextents", &(struct json_part){ ARENA, keys,
        STATS_LEXTENTS, i, asks ? &asked : NULL });
}

static void json_extents(struct json *json, size_t i)
{
    static const char *const keys[] = {
        "ndirty", "nmuzzy", "nretained", "npinned", "dirty_bytes",
        "muzzy_bytes", "retained_bytes", "pinned_bytes", NULL
    };
    json_columns(json, "extents",
        &(struct json_part){ ARENA, keys, STATS_EXTENTS, i, NULL });
}

#define HUGE ARENA "hpa_shard."

static void json_find_slabs(struct figure *figures, const char *kind)
{
    static const char *const keys[] = {
        "npageslabs_huge", "nactive_huge", "ndirty_huge",
        "npageslabs_nonhuge", "nactive_nonhuge", "ndirty_nonhuge", NULL
    };
    (void)figure_find_all(figures, figure_name(HUGE, kind, ".").bytes,
        keys);
}

/* With what jemalloc adds to what it reads: pages that are neither. */
static void json_slabs(struct json *json, const char *key,
    const struct figure *figures, const size_t place[2])
{
    enum { ALL = 3, ACTIVE, DIRTY, KEYS };
    const uint64_t pages = CHUNK_BYTES / sys_page_bytes()
        * figure_at(&figures[ALL], place[0], place[1]);
    json_open(json, key, '{');
    json_figures(json, figures, KEYS, place[0], place[1]);
    json_number(json, "nretained_nonhuge",
        pages - figure_at(&figures[ACTIVE], place[0], place[1])
            - figure_at(&figures[DIRTY], place[0], place[1]));
    json_close(json, '}');
}

static void json_slabs_all(struct json *json, size_t i)
{
    static const char *const kinds[] = {
        "slabs", "full_slabs", "empty_slabs", NULL
    };
    struct figure figures[FIGURE_KEYS_MAX];
    for (const char *const *kind = kinds; *kind != NULL; kind++) {
        json_find_slabs(figures, *kind);
        json_slabs(json, *kind, figures, (size_t[]){ i, 0 });
    }
    json_find_slabs(figures, "nonfull_slabs.0");
    json_open(json, "nonfull_slabs", '[');
    for (size_t j = 0; j < PRINT_PAGE_SLABS; j++)
        json_slabs(json, NULL, figures, (size_t[]){ i, j });
    json_close(json, ']');
}

static void json_huge(struct json *json, size_t i)
{
    static const char *const sec[] = {
        "sec_bytes", "sec_hits", "sec_misses", "sec_dalloc_noflush",
        "sec_dalloc_flush", "sec_overfills", NULL
    };
    static const char *const counts[] = {
        "npageslabs", "nactive", "ndirty", "npurge_passes", "npurges",
        "nhugifies", "nhugify_failures", "ndehugifies", NULL
    };
    json_open(json, "hpa_shard", '{');
    json_list(json, ARENA "hpa_", sec, i);
    json_list(json, HUGE, counts, i);
    json_slabs_all(json, i);
    json_close(json, '}');
    /* Where 5.3.0 has it. */
    json_number(json, "sec_bytes", figure_of(ARENA, "hpa_sec_bytes", i));
}

static void json_arena(struct json *json, const char *key,
    const struct print_wish *wish, size_t i)
{
    json_open(json, key, '{');
    if (i < ARENAS_MAX) {
        char name[ARENA_NAME_BYTES];
        print_arena_name(i, name);
        json_string(json, "name", name);
    }
    json_number(json, "nthreads", figure_of(ARENA, "nthreads", i));
    json_purging(json, i);
    json_object(json, "small", ARENA "small.", print_size_keys, i);
    json_object(json, "large", ARENA "large.", print_size_keys, i);
    json_list(json, ARENA, print_memory_keys, i);
    if (wish->mutexes)
        json_mutexes(json, print_arena_mutexes, ARENA "mutexes.", i);
    if (wish->bins)
        json_bins(json, wish, i);
    if (wish->large)
        json_large(json, i);
    if (wish->extents)
        json_extents(json, i);
    if (wish->huge)
        json_huge(json, i);
    json_close(json, '}');
}

static void json_arenas(struct json *json, const struct print_wish *wish)
{
    json_open(json, "stats.arenas", '{');
    if (print_wants_merged(wish))
        json_arena(json, "merged", wish, SNAPSHOT_ALL);
    if (print_wants_destroyed(wish))
        json_arena(json, "destroyed", wish, SNAPSHOT_DESTROYED);
    for (size_t i = 0; wish->unmerged && print_next_arena(&i); i++) {
        char number[8];
        print_number(number, i);
        json_arena(json, number, wish, i);
    }
    json_close(json, '}');
}

void print_json(struct sheet *sheet, const struct print_wish *wish)
{
    struct json json = { sheet, false };
    json_open(&json, NULL, '{');
    json_open(&json, "jemalloc", '{');
    if (wish->general)
        json_general(&json);
    json_process(&json, wish);
    if (wish->merged || wish->destroyed || wish->unmerged)
        json_arenas(&json, wish);
    json_close(&json, '}');
    json_close(&json, '}');
    sheet_byte(sheet, '\n');
}
