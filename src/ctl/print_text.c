/* SPDX-License-Identifier: MIT */
/*
 * print_text - the statistics as tables. Widths and headings are jemalloc's:
 * programs look for them.
 */
#include "ctl/ctl.h"

#include <string.h>

#include "ctl/print.h"

/* -- counters and how often in a second -- */

static uint64_t text_rate(uint64_t count, uint64_t uptime_ns)
{
    const uint64_t second = 1000000000;
    if (count == 0 || uptime_ns == 0)
        return 0;
    return uptime_ns < second ? count : count / (uptime_ns / second);
}

/* A column of a table: how wide it is, and how wide the one with the rate is
 * that follows it; 0: none does. */
struct text_column {
    const char *heading;
    int width;
    int rate;
};

static void text_headings(struct sheet *sheet,
    const struct text_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sheet_cell(sheet, columns[i].width, columns[i].heading);
        if (columns[i].rate != 0)
            sheet_cell(sheet, columns[i].rate, "(#/sec)");
    }
}

static void text_cells(struct sheet *sheet, const struct text_column *column,
    uint64_t count, uint64_t uptime_ns)
{
    sheet_number(sheet, column->width, count);
    if (column->rate != 0)
        sheet_number(sheet, column->rate, text_rate(count, uptime_ns));
}

/* -- locks -- */

static const struct text_column text_lock_columns[] = {
    { "n_lock_ops", 16, 8 }, { "n_waiting", 16, 8 }, { "n_spin_acq", 16, 8 },
    { "n_owner_switch", 16, 8 }, { "total_wait_ns", 16, 10 },
    { "max_wait_ns", 16, 0 }, { "max_n_thds", 12, 0 },
};
enum { LOCK_COLUMNS = sizeof text_lock_columns / sizeof *text_lock_columns };

static void text_lock(struct sheet *sheet, const struct figure *counters,
    const size_t at[2], uint64_t uptime_ns)
{
    for (size_t k = 0; k < LOCK_COLUMNS; k++)
        text_cells(sheet, &text_lock_columns[k],
            figure_at(&counters[k], at[0], at[1]), uptime_ns);
}

/* The names of locks are left-aligned in a column of this width. */
enum { NAME_WIDTH = 21 };

static void text_locks(struct sheet *sheet, const char *path,
    const char *const *names, size_t i)
{
    const uint64_t uptime_ns = figure_of("stats.arenas.0.", "uptime",
        i == SIZE_MAX ? 0 : i);
    struct figure counters[FIGURE_KEYS_MAX];
    sheet_cell(sheet, -NAME_WIDTH, "");
    text_headings(sheet, text_lock_columns, LOCK_COLUMNS);
    sheet_string(sheet, "\n");
    for (; *names != NULL; names++) {
        (void)figure_find_all(counters,
            figure_name(path, *names, ".").bytes, print_mutex_keys);
        sheet_cell(sheet, -NAME_WIDTH, *names);
        text_lock(sheet, counters, (size_t[]){ i, 0 }, uptime_ns);
        sheet_string(sheet, "\n");
    }
}

/* -- the process -- */

static void text_process(struct sheet *sheet, const struct print_wish *wish)
{
    static const struct { const char *before; const char *key; } parts[] = {
        { "Allocated: ", "allocated" }, { ", active: ", "active" },
        { ", metadata: ", "metadata" }, { " (n_thp ", "metadata_thp" },
        { ", edata ", "metadata_edata" }, { ", rtree ", "metadata_rtree" },
        { "), resident: ", "resident" }, { ", mapped: ", "mapped" },
        { ", retained: ", "retained" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        sheet_string(sheet, parts[i].before);
        sheet_number(sheet, 0, figure_of("stats.", parts[i].key, 0));
    }
    sheet_string(sheet, "\nCount of realloc(non-null-ptr, 0) calls: ");
    sheet_number(sheet, 0, figure_of("stats.", "zero_reallocs", 0));
    sheet_string(sheet, "\nBackground threads: ");
    sheet_number(sheet, 0,
        figure_of("stats.background_thread.", "num_threads", 0));
    sheet_string(sheet, ", num_runs: ");
    sheet_number(sheet, 0,
        figure_of("stats.background_thread.", "num_runs", 0));
    sheet_string(sheet, ", run_interval: ");
    sheet_number(sheet, 0,
        figure_of("stats.background_thread.", "run_interval", 0));
    sheet_string(sheet, " ns\n");
    if (wish->mutexes)
        text_locks(sheet, "stats.mutexes.", print_process_mutexes, SIZE_MAX);
}

/* -- an arena -- */

#define ARENA "stats.arenas.0."

static void text_decay(struct sheet *sheet, const char *kind, size_t i)
{
    static const char *const ends[] = {
        "_npurge", "_nmadvise", "_purged", NULL
    };
    const int64_t ms = (int64_t)figure_of(ARENA,
        figure_name(kind, "_decay_ms", "").bytes, i);
    sheet_cell(sheet, 8, kind);
    sheet_string(sheet, ":");
    if (ms < 0)
        sheet_cell(sheet, 6, "N/A");
    else
        sheet_signed(sheet, 6, ms);
    sheet_number(sheet, 13,
        figure_of(ARENA, figure_name("p", kind, "").bytes, i));
    for (const char *const *end = ends; *end != NULL; end++)
        sheet_number(sheet, 13,
            figure_of(ARENA, figure_name(kind, *end, "").bytes, i));
    sheet_string(sheet, "\n");
}

static const struct text_column text_size_columns[] = {
    { "allocated", 16, 0 }, { "nmalloc", 16, 10 }, { "ndalloc", 16, 10 },
    { "nrequests", 16, 10 }, { "nfill", 16, 10 }, { "nflush", 16, 10 },
};
enum { SIZE_COLUMNS = sizeof text_size_columns / sizeof *text_size_columns };

static void text_sizes(struct sheet *sheet, size_t i, uint64_t uptime_ns)
{
    struct figure small[FIGURE_KEYS_MAX];
    struct figure large[FIGURE_KEYS_MAX];
    static const char *const rows[] = { "small:", "large:", "total:" };
    (void)figure_find_all(small, ARENA "small.", print_size_keys);
    (void)figure_find_all(large, ARENA "large.", print_size_keys);
    sheet_cell(sheet, -NAME_WIDTH, "");
    text_headings(sheet, text_size_columns, SIZE_COLUMNS);
    sheet_string(sheet, "\n");
    for (int row = 0; row < 3; row++) {
        sheet_cell(sheet, -NAME_WIDTH, rows[row]);
        for (size_t k = 0; k < SIZE_COLUMNS; k++)
            text_cells(sheet, &text_size_columns[k],
                (row != 1 ? figure_at(&small[k], i, 0) : 0)
                    + (row != 0 ? figure_at(&large[k], i, 0) : 0),
                uptime_ns);
        sheet_string(sheet, "\n");
    }
}

static void text_memory_line(struct sheet *sheet, const char *name,
    uint64_t bytes)
{
    sheet_cell(sheet, -NAME_WIDTH, figure_name(name, ":", "").bytes);
    sheet_number(sheet, 16, bytes);
    sheet_string(sheet, "\n");
}

static void text_memory(struct sheet *sheet, size_t i)
{
    sheet_cell(sheet, NAME_WIDTH + 16, "");
    sheet_string(sheet, "\n");
    text_memory_line(sheet, "active", figure_of(ARENA, "pactive", i)
        * figure_of("arenas.", "page", 0));
    for (const char *const *key = print_memory_keys; *key != NULL; key++)
        text_memory_line(sheet, *key, figure_of(ARENA, *key, i));
}

/* -- tables of classes, where gaps are shown as such -- */

struct text_table {
    struct sheet *sheet;
    bool gap;
    bool asks;                  /* with what profiles know of each class */
    struct print_asked asked;
    size_t arena;
    uint64_t uptime_ns;
};

static void text_gap(struct text_table *table)
{
    if (table->gap)
        sheet_string(table->sheet, "                     ---\n");
    table->gap = false;
}

static void text_begin_row(struct text_table *table, uint64_t bytes,
    size_t number)
{
    text_gap(table);
    sheet_number(table->sheet, 20, bytes);
    sheet_number(table->sheet, 4, number);
}

/* They stand behind the columns of both tables that have one of requests. */
static const struct text_column text_asked_columns[] = {
    { "prof_live_requested", 21, 0 }, { "prof_live_count", 17, 0 },
    { "prof_accum_requested", 21, 0 }, { "prof_accum_count", 17, 0 },
};
enum { REQUEST_COLUMNS = 4 };

static void text_asked_headings(const struct text_table *table,
    const struct text_column *columns, size_t count)
{
    text_headings(table->sheet, columns, REQUEST_COLUMNS);
    if (table->asks)
        text_headings(table->sheet, text_asked_columns, PRINT_ASKED_FIGURES);
    text_headings(table->sheet, columns + REQUEST_COLUMNS,
        count - REQUEST_COLUMNS);
}

static void text_asked_cells(const struct text_table *table, size_t j)
{
    uint64_t figures[PRINT_ASKED_FIGURES];
    if (!table->asks)
        return;
    print_read_asked(&table->asked, j, figures);
    for (size_t k = 0; k < PRINT_ASKED_FIGURES; k++)
        sheet_number(table->sheet, text_asked_columns[k].width, figures[k]);
}

static const struct text_column text_bin_columns[] = {
    { "allocated", 13, 0 }, { "nmalloc", 13, 8 }, { "ndalloc", 13, 8 },
    { "nrequests", 13, 10 }, { "nshards", 9, 0 }, { "curregs", 13, 0 },
    { "curslabs", 13, 0 }, { "nonfull_slabs", 15, 0 }, { "regs", 5, 0 },
    { "pgs", 4, 0 }, { "util", 7, 0 }, { "nfills", 13, 8 },
    { "nflushes", 13, 8 }, { "nslabs", 13, 0 }, { "nreslabs", 13, 8 },
};
enum { BIN_COLUMNS = sizeof text_bin_columns / sizeof *text_bin_columns };

/* The part of its slabs' blocks that is out. */
static void text_util(struct sheet *sheet, uint64_t out, uint64_t all)
{
    char util[6] = "0.000";
    const uint64_t mille = all == 0 ? 1000 : out * 1000 / all;
    /* They were not counted at one moment. */
    if (mille > 1000) {
        sheet_cell(sheet, 7, " race");
        return;
    }
    util[2] = (char)('0' + mille / 100 % 10);
    util[3] = (char)('0' + mille / 10 % 10);
    util[4] = (char)('0' + mille % 10);
    sheet_cell(sheet, 7, mille == 1000 ? "1" : util);
}

enum { NMALLOC, NDALLOC, NREQUESTS, CURREGS, CURSLABS, NONFULL, NFILLS,
    NFLUSHES, NSLABS, NRESLABS, BIN_FIGURES };

static void text_bin(struct text_table *table, const uint64_t *bin, size_t j)
{
    struct sheet *sheet = table->sheet;
    const uint64_t bytes = figure_of("arenas.bin.0.", "size", j);
    const uint64_t blocks = figure_of("arenas.bin.0.", "nregs", j);
    const uint64_t cells[BIN_COLUMNS] = {
        bin[CURREGS] * bytes, bin[NMALLOC], bin[NDALLOC], bin[NREQUESTS],
        figure_of("arenas.bin.0.", "nshards", j), bin[CURREGS],
        bin[CURSLABS], bin[NONFULL], blocks,
        figure_of("arenas.bin.0.", "slab_size", j)
            / figure_of("arenas.", "page", 0),
        0, bin[NFILLS], bin[NFLUSHES], bin[NSLABS], bin[NRESLABS],
    };
    text_begin_row(table, bytes, j);
    for (size_t k = 0; k < BIN_COLUMNS; k++) {
        if (k == REQUEST_COLUMNS)
            text_asked_cells(table, j);
        if (text_bin_columns[k].heading[0] == 'u')
            text_util(sheet, bin[CURREGS], blocks * bin[CURSLABS]);
        else
            text_cells(sheet, &text_bin_columns[k], cells[k],
                table->uptime_ns);
    }
}

static void text_bins(struct text_table table, bool mutexes)
{
    static const char *const keys[] = {
        "nmalloc", "ndalloc", "nrequests", "curregs", "curslabs",
        "nonfull_slabs", "nfills", "nflushes", "nslabs", "nreslabs", NULL
    };
    struct figure figures[FIGURE_KEYS_MAX];
    struct figure counters[FIGURE_KEYS_MAX];
    (void)figure_find_all(figures, ARENA "bins.0.", keys);
    (void)figure_find_all(counters, ARENA "bins.0.mutex.", print_mutex_keys);
    sheet_string(table.sheet, "bins:           size ind");
    if (table.asks)
        table.asked = print_find_asked("prof.stats.bins.0.");
    text_asked_headings(&table, text_bin_columns, BIN_COLUMNS);
    if (mutexes)
        text_headings(table.sheet, text_lock_columns, LOCK_COLUMNS);
    sheet_string(table.sheet, "\n");
    for (size_t j = 0; j < CLASS_COUNT; j++) {
        uint64_t bin[BIN_FIGURES];
        for (size_t k = 0; k < BIN_FIGURES; k++)
            bin[k] = figure_at(&figures[k], table.arena, j);
        if (bin[NSLABS] == 0) {
            table.gap = true;
            continue;
        }
        text_bin(&table, bin, j);
        if (mutexes)
            text_lock(table.sheet, counters, (size_t[]){ table.arena, j },
                table.uptime_ns);
        sheet_string(table.sheet, "\n");
    }
    text_gap(&table);
}

static const struct text_column text_large_columns[] = {
    { "allocated", 13, 0 }, { "nmalloc", 13, 8 }, { "ndalloc", 13, 8 },
    { "nrequests", 13, 8 }, { "curlextents", 13, 0 },
};

static void text_large(struct text_table table)
{
    static const char *const keys[] = {
        "curlextents", "nmalloc", "ndalloc", "nrequests", "curlextents", NULL
    };
    enum { COLUMNS = sizeof text_large_columns / sizeof *text_large_columns };
    struct figure figures[FIGURE_KEYS_MAX];
    (void)figure_find_all(figures, ARENA "lextents.0.", keys);
    sheet_string(table.sheet, "large:          size ind");
    if (table.asks)
        table.asked = print_find_asked("prof.stats.lextents.0.");
    text_asked_headings(&table, text_large_columns, COLUMNS);
    sheet_string(table.sheet, "\n");
    for (size_t j = 0; j < STATS_LEXTENTS; j++) {
        const uint64_t bytes = stats_lextent_bytes((unsigned)j);
        if (figure_at(&figures[1], table.arena, j) == 0) {
            table.gap = true;
            continue;
        }
        text_begin_row(&table, bytes, CLASS_COUNT + j);
        for (size_t k = 0; k < COLUMNS; k++) {
            if (k == REQUEST_COLUMNS)
                text_asked_cells(&table, j);
            text_cells(table.sheet, &text_large_columns[k],
                figure_at(&figures[k], table.arena, j)
                    * (k == 0 ? bytes : 1), table.uptime_ns);
        }
        sheet_string(table.sheet, "\n");
    }
    text_gap(&table);
}

static void text_extents(struct text_table table)
{
    static const char *const keys[] = {
        "ndirty", "dirty_bytes", "nmuzzy", "muzzy_bytes", "nretained",
        "retained_bytes", NULL
    };
    enum { COLUMNS = 6 };
    struct figure figures[FIGURE_KEYS_MAX];
    (void)figure_find_all(figures, ARENA "extents.0.", keys);
    sheet_string(table.sheet, "extents:        size ind       ndirty"
        "        dirty       nmuzzy        muzzy    nretained     retained"
        "       ntotal        total\n");
    for (size_t j = 0; j < STATS_EXTENTS; j++) {
        uint64_t cells[COLUMNS];
        for (size_t k = 0; k < COLUMNS; k++)
            cells[k] = figure_at(&figures[k], table.arena, j);
        if (cells[0] + cells[2] + cells[4] == 0) {
            table.gap = true;
            continue;
        }
        text_begin_row(&table, stats_extent_bytes((unsigned)j), j);
        for (size_t k = 0; k < COLUMNS; k++)
            sheet_number(table.sheet, 13, cells[k]);
        sheet_number(table.sheet, 13, cells[0] + cells[2] + cells[4]);
        sheet_number(table.sheet, 13, cells[1] + cells[3] + cells[5]);
        sheet_string(table.sheet, "\n");
    }
    text_gap(&table);
}

/* -- what Ashlar has not, in the lines that are looked for -- */

static void text_huge_set(struct sheet *sheet, const char *heading)
{
    sheet_string(sheet, heading);
    sheet_string(sheet, "      npageslabs: 0 huge, 0 nonhuge\n"
        "      nactive: 0 huge, 0 nonhuge \n"
        "      ndirty: 0 huge, 0 nonhuge \n"
        "      nretained: 0 huge, 0 nonhuge \n");
}

static void text_huge(struct sheet *sheet)
{
    sheet_string(sheet, "Bytes in small extent cache: 0\n"
        "HPA shard stats:\n"
        "  Purge passes: 0 (0 / sec)\n"
        "  Purges: 0 (0 / sec)\n"
        "  Hugeifies: 0 (0 / sec)\n"
        "  Dehugifies: 0 (0 / sec)\n\n");
    text_huge_set(sheet, "  In full slabs:\n");
    text_huge_set(sheet, "  In empty slabs:\n");
    sheet_string(sheet, "\n                size ind npageslabs_huge"
        "    nactive_huge     ndirty_huge  npageslabs_nonhuge"
        "     nactive_nonhuge      ndirty_nonhuge   nretained_nonhuge\n"
        "                     ---\n");
}

static void text_arena(struct sheet *sheet, const struct print_wish *wish,
    size_t i)
{
    const struct text_table table = {
        .sheet = sheet, .arena = i, .asks = print_wants_asked(i),
        .uptime_ns = figure_of(ARENA, "uptime", i),
    };
    if (i < ARENAS_MAX) {
        char name[ARENA_NAME_BYTES];
        print_arena_name(i, name);
        print_line_quoted(sheet, "name", name);
    }
    print_line_number(sheet, "assigned threads",
        figure_of(ARENA, "nthreads", i));
    print_line_number(sheet, "uptime", table.uptime_ns);
    print_line_quoted(sheet, "dss allocation precedence", print_dss(i));
    sheet_string(sheet, "decaying:  time       npages       sweeps"
        "     madvises       purged\n");
    text_decay(sheet, "dirty", i);
    text_decay(sheet, "muzzy", i);
    text_sizes(sheet, i, table.uptime_ns);
    text_memory(sheet, i);
    if (wish->mutexes)
        text_locks(sheet, ARENA "mutexes.", print_arena_mutexes, i);
    if (wish->bins)
        text_bins(table, wish->mutexes);
    if (wish->large)
        text_large(table);
    if (wish->extents)
        text_extents(table);
    if (wish->huge)
        text_huge(sheet);
}

void print_text(struct sheet *sheet, const struct print_wish *wish)
{
    sheet_string(sheet, "___ Begin jemalloc statistics ___\n");
    if (wish->general)
        print_settings(sheet);
    text_process(sheet, wish);
    if (print_wants_merged(wish)) {
        sheet_string(sheet, "Merged arenas stats:\n");
        text_arena(sheet, wish, SNAPSHOT_ALL);
    }
    if (print_wants_destroyed(wish)) {
        sheet_string(sheet, "Destroyed arenas stats:\n");
        text_arena(sheet, wish, SNAPSHOT_DESTROYED);
    }
    for (size_t i = 0; wish->unmerged && print_next_arena(&i); i++) {
        sheet_string(sheet, "arenas[");
        sheet_number(sheet, 0, i);
        sheet_string(sheet, "]:\n");
        text_arena(sheet, wish, i);
    }
    sheet_string(sheet, "--- End jemalloc statistics ---\n");
}
