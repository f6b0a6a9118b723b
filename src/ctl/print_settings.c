/* SPDX-License-Identifier: MIT */
/*
 * print_settings - the first part of the statistics as a text: how the library
 * was built, and what its options say.
 */
#include "ctl/ctl.h"

#include <string.h>

#include "ctl/figure.h"
#include "ctl/print.h"

/* -- lines -- */

static void settings_line(struct sheet *sheet, const char *name,
    const char *value)
{
    sheet_string(sheet, name);
    sheet_string(sheet, ": ");
    sheet_string(sheet, value);
    sheet_string(sheet, "\n");
}

static void settings_quote(struct sheet *sheet, const char *value)
{
    sheet_string(sheet, "\"");
    sheet_string(sheet, value);
    sheet_string(sheet, "\"");
}

void print_line_quoted(struct sheet *sheet, const char *name,
    const char *value)
{
    sheet_string(sheet, name);
    sheet_string(sheet, ": ");
    settings_quote(sheet, value);
    sheet_string(sheet, "\n");
}

void print_line_number(struct sheet *sheet, const char *name,
    uint64_t value)
{
    sheet_string(sheet, name);
    sheet_string(sheet, ": ");
    sheet_number(sheet, 0, value);
    sheet_string(sheet, "\n");
}

static const char *settings_bool(bool value)
{
    return value ? "true" : "false";
}

/* -- what is settled -- */

static void settings_config(struct sheet *sheet)
{
    sheet_string(sheet, "Build-time option settings\n");
    for (const char *const *key = print_config_keys; *key != NULL; key++) {
        const struct figure figure = figure_find("config.", *key);
        const uint64_t value = figure_at(&figure, 0, 0);
        const struct figure_name name = figure_name("  config.", *key, "");
        if (figure.bytes == sizeof(bool))
            settings_line(sheet, name.bytes, settings_bool(value != 0));
        else
            print_line_quoted(sheet, name.bytes,
                (const char *)(uintptr_t)value);
    }
    sheet_string(sheet, "System configuration\n");
    print_line_quoted(sheet, "  system.thp_mode", print_thp_mode());
}

static void settings_value(struct sheet *sheet, enum option_type type,
    const union option_value *value)
{
    struct text ratio;
    switch (type) {
    case OPTION_BOOL:
        sheet_string(sheet, settings_bool(value->boolean));
        break;
    case OPTION_UNSIGNED: sheet_number(sheet, 0, value->number); break;
    case OPTION_SIZE: sheet_number(sheet, 0, value->size); break;
    case OPTION_SSIZE: sheet_signed(sheet, 0, value->ssize); break;
    case OPTION_I64: sheet_signed(sheet, 0, value->i64); break;
    case OPTION_U64: sheet_number(sheet, 0, value->u64); break;
    case OPTION_U32:
        text_clear(&ratio);
        text_ratio(&ratio, value->u32);
        settings_quote(sheet, ratio.bytes);
        break;
    case OPTION_STRING: settings_quote(sheet, value->string); break;
    }
}

/* What a leaf reads: a switch, or a number. */
static void settings_figure(struct sheet *sheet, const char *leaf)
{
    const struct figure figure = figure_find(leaf, "");
    const uint64_t value = figure_at(&figure, 0, 0);
    if (figure.bytes == sizeof(bool))
        sheet_string(sheet, settings_bool(value != 0));
    else
        sheet_signed(sheet, 0, (int64_t)value);
}

/* What may have changed since the start is shown beside it. */
static void settings_value_now(struct sheet *sheet, const char *option)
{
    static const struct { const char *option; const char *leaf; } now[] = {
        { "background_thread", "background_thread" },
        { "dirty_decay_ms", "arenas.dirty_decay_ms" },
        { "muzzy_decay_ms", "arenas.muzzy_decay_ms" },
        { "prof_active", "prof.active" },
        { "prof_thread_active_init", "prof.thread_active_init" },
        { "lg_prof_sample", "prof.lg_sample" },
    };
    for (size_t i = 0; i < sizeof now / sizeof *now; i++) {
        if (strcmp(option, now[i].option) != 0)
            continue;
        sheet_string(sheet, " (");
        sheet_string(sheet, now[i].leaf);
        sheet_string(sheet, ": ");
        settings_figure(sheet, now[i].leaf);
        sheet_string(sheet, ")");
    }
}

static void settings_options(struct sheet *sheet)
{
    static const char *const sources[] = {
        [OPTION_GLOBAL_VAR] = "  opt.malloc_conf.global_var",
        [OPTION_SYMLINK] = "  opt.malloc_conf.symlink",
        [OPTION_ENV_VAR] = "  opt.malloc_conf.env_var",
        [OPTION_GLOBAL_VAR_2] = "  opt.malloc_conf.global_var_2_conf_harder",
    };
    sheet_string(sheet, "Run-time option settings\n");
    for (unsigned i = OPTION_GLOBAL_VAR; i <= OPTION_GLOBAL_VAR_2; i++) {
        if (option_source(i) != NULL)
            print_line_quoted(sheet, sources[i], option_source(i));
    }
    for (size_t i = 0; i < option_count(); i++) {
        const struct option_row *row = option_row(i);
        const union option_value value = option_get(&option_now, row);
        sheet_string(sheet, "  opt.");
        sheet_string(sheet, row->name);
        sheet_string(sheet, ": ");
        settings_value(sheet, option_type(row), &value);
        settings_value_now(sheet, row->name);
        sheet_string(sheet, "\n");
    }
}

static void settings_profiles(struct sheet *sheet)
{
    sheet_string(sheet, "Profiling settings\n");
    for (const char *const *key = print_profile_keys; *key != NULL; key++) {
        const struct figure_name leaf = figure_name("prof.", *key, "");
        sheet_string(sheet, "  ");
        sheet_string(sheet, leaf.bytes);
        sheet_string(sheet, ": ");
        settings_figure(sheet, leaf.bytes);
        sheet_string(sheet, "\n");
    }
}

void print_settings(struct sheet *sheet)
{
    static const struct { const char *key; const char *name; } lines[] = {
        { "narenas", "Arenas" }, { "quantum", "Quantum size" },
        { "page", "Page size" }, { "hugepage", "Hugepage size" },
        { "tcache_max", "Maximum thread-cached size class" },
        { "nbins", "Number of bin size classes" },
        { "nhbins", "Number of thread-cache bin size classes" },
        { "nlextents", "Number of large size classes" },
    };
    print_line_quoted(sheet, "Version", figure_text("version", "", 0));
    settings_config(sheet);
    settings_options(sheet);
    settings_profiles(sheet);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        print_line_number(sheet, lines[i].name,
            figure_of("arenas.", lines[i].key, 0));
}
