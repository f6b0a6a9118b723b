/* SPDX-License-Identifier: MIT */
/*
 * Goal: every option means what option.def says: its default, its limits, its
 * words; and what it cannot mean changes nothing. Method: the table is
 * expanded once more, and each row tried at its limits and beyond against a
 * model in this file; values are compared as they are written; random texts
 * must leave every number within its limits (O1).
 */
#include "unit/sys/unit.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>

#include "table/option.h"

enum { ROUNDS = 200000 };

enum { REFUSE, CLIP };

/* A row as it stands in the table; kind and init as they are spelled. */
struct twin {
    const char *name;
    const char *kind;
    const char *init;
    uint64_t low;
    uint64_t high;
    bool clips;
};

static const struct twin twins[] = {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    { #name, #kind, #init, (uint64_t)(low), (uint64_t)(high), beyond },
#include "table/option.def"
};

static const struct options option_defaults = {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    .name = (init),
#include "table/option.def"
};

static const struct {
    const char *kind;
    const char *words[5];
} vocabulary[] = {
    { "FLAG", { "false", "true" } },
    { "DSS", { "disabled", "primary", "secondary" } },
    { "PERCPU", { "percpu", "phycpu", "disabled" } },
    { "METADATA", { "disabled", "auto", "always" } },
    { "THP", { "default", "always", "never" } },
    { "ZERO_REALLOC", { "alloc", "free", "abort" } },
    { "JUNK", { "false", "true", "alloc", "free" } },
    { "HUGIFY", { "auto", "none", "eager", "lazy" } },
    { "CLOCK", { "default", "high" } },
    { "PROF_FORMAT", { "heap", "pprof" } },
    { "MISUSE", { "abort", "warn", "ignore" } },
};

static struct options options;
static struct text text;

static int begin(void **state)
{
    (void)state;
    options = option_defaults;
    return 0;
}

static bool twin_is(const struct twin *twin, const char *kind)
{
    return strcmp(twin->kind, kind) == 0;
}

static bool twin_is_signed(const struct twin *twin)
{
    return twin_is(twin, "SSIZE") || twin_is(twin, "I64");
}

/* Are its values whole numbers, and nothing special about any? */
static bool twin_is_plain(const struct twin *twin)
{
    return twin_is_signed(twin) || twin_is(twin, "UNSIGNED")
        || twin_is(twin, "SIZE") || twin_is(twin, "U64");
}

/* NULL: its values are no words. */
static const char *const *twin_words(const struct twin *twin)
{
    for (size_t i = 0; i < UNIT_COUNT(vocabulary); i++) {
        if (twin_is(twin, vocabulary[i].kind))
            return vocabulary[i].words;
    }
    return NULL;
}

static const struct option_row *row_of(const char *name)
{
    const struct option_row *row = option_find(name, strlen(name));
    if (row == NULL)
        fail_msg("there is no %s", name);
    return row;
}

static enum option_verdict set(const char *name, const char *value)
{
    return option_set(&options, row_of(name), value, strlen(value));
}

/* The value as it would be written, by the type that it is read as. */
static const char *written(const char *name)
{
    static char bytes[5000];
    const struct option_row *row = row_of(name);
    const union option_value value = option_get(&options, row);
    switch (option_type(row)) {
    case OPTION_BOOL: return value.boolean ? "true" : "false";
    case OPTION_STRING: return value.string;
    case OPTION_SSIZE:
    case OPTION_I64:
        (void)snprintf(bytes, sizeof bytes, "%" PRId64, value.i64);
        return bytes;
    case OPTION_UNSIGNED:
        (void)snprintf(bytes, sizeof bytes, "%u", value.number);
        return bytes;
    case OPTION_SIZE:
    case OPTION_U64:
        (void)snprintf(bytes, sizeof bytes, "%" PRIu64, value.u64);
        return bytes;
    default:
        text_clear(&text);
        text_ratio(&text, value.u32);
        return text.bytes;
    }
}

static void expect_taken(const char *name, const char *value,
    const char *wanted)
{
    if (set(name, value) != OPTION_TAKEN
        || strcmp(written(name), wanted) != 0)
        fail_msg("%s:%s is %s, not %s", name, value, written(name), wanted);
}

/* Not taken, for this reason; and nothing has changed. */
static void expect_refused(const char *name, const char *value,
    enum option_verdict wanted)
{
    const struct options before = options;
    const enum option_verdict verdict = set(name, value);
    if (verdict != wanted)
        fail_msg("%s:%s: verdict %d, not %d", name, value, verdict, wanted);
    assert_memory_equal(&options, &before, sizeof options);
}

/* -- every row -- */

static void finds_every_row_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(option_count(), UNIT_COUNT(twins));
    for (size_t i = 0; i < UNIT_COUNT(twins); i++) {
        assert_string_equal(option_row(i)->name, twins[i].name);
        assert_ptr_equal(row_of(twins[i].name), option_row(i));
        assert_true(strlen(option_row(i)->about) > 5);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(twins[i].name, twins[j].name);
    }
    assert_null(option_find("abor", 4));
    assert_null(option_find("abortx", 6));
    assert_null(option_find("Abort", 5));
    assert_null(option_find("", 0));
}

/* The default as a user would write it. */
static void twin_write_default(const struct twin *twin, char wanted[100])
{
    const char *init = twin->init;
    size_t length = 0;
    if (twin_words(twin) != NULL && !twin_is(twin, "FLAG"))
        init += strlen(twin->kind) + 1;
    for (; *init != 0; init++) {
        if (*init != '"')
            wanted[length++] = (char)tolower(*init);
    }
    wanted[length] = 0;
    if (twin_is(twin, "RATIO")) {
        text_clear(&text);
        text_ratio(&text, (uint32_t)strtoul(wanted, NULL, 10));
        memcpy(wanted, text.bytes, text.length + 1);
    }
}

static void has_the_defaults_of_the_table(void **state)
{
    (void)state;
    char wanted[100];
    for (size_t i = 0; i < UNIT_COUNT(twins); i++) {
        twin_write_default(&twins[i], wanted);
        /* false and true are numbers before the compiler sees them. */
        if (twin_is(&twins[i], "FLAG"))
            assert_true(strcmp(wanted, "0") == 0 || strcmp(wanted, "1") == 0
                || strcmp(wanted, written(twins[i].name)) == 0);
        else
            assert_string_equal(written(twins[i].name), wanted);
    }
    assert_memory_equal(&option_now.dirty_decay_ms,
        &option_defaults.dirty_decay_ms, sizeof(int64_t));
}

/* What a row makes of a number; false: it is refused. */
static bool twin_take(const struct twin *twin, uint64_t number,
    uint64_t *taken)
{
    const bool low = twin_is_signed(twin)
        ? (int64_t)number < (int64_t)twin->low : number < twin->low;
    const bool high = twin_is_signed(twin)
        ? (int64_t)number > (int64_t)twin->high : number > twin->high;
    *taken = low ? twin->low : high ? twin->high : number;
    if (strcmp(twin->name, "oversize_threshold") == 0 && *taken < 16384)
        *taken = 0;
    return (!low && !high) || twin->clips;
}

static void expect_number(const struct twin *twin, uint64_t number)
{
    char value[30];
    char wanted[30];
    uint64_t taken;
    options = option_defaults;
    (void)snprintf(value, sizeof value, twin_is_signed(twin) ? "%" PRId64
        : "%" PRIu64, number);
    if (!twin_take(twin, number, &taken)) {
        expect_refused(twin->name, value, OPTION_OUT_OF_RANGE);
        return;
    }
    (void)snprintf(wanted, sizeof wanted, twin_is_signed(twin) ? "%" PRId64
        : "%" PRIu64, taken);
    expect_taken(twin->name, value, wanted);
}

static void takes_numbers_within_its_limits_and_no_others(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < UNIT_COUNT(twins); i++) {
        const struct twin *twin = &twins[i];
        if (!twin_is_plain(twin))
            continue;
        const uint64_t numbers[] = {
            twin->low, twin->low + 1, twin->low - 1, twin->high,
            twin->high - 1, twin->high + 1, 0, 1, (uint64_t)-1,
            (uint64_t)-2, INT64_MAX, (uint64_t)INT64_MIN, UINT32_MAX,
        };
        for (size_t n = 0; n < UNIT_COUNT(numbers); n++)
            expect_number(twin, numbers[n]);
        count++;
    }
    assert_true(count > 30);
}

static void takes_its_words_and_no_others(void **state)
{
    (void)state;
    static const char *const others[] = {
        "", "maybe", "TRUE", "truee", "tru", " true", "true ", "true:false",
        "0", "1", "d", "a", "-", "defaults", "abortabort",
    };
    for (size_t i = 0; i < UNIT_COUNT(twins); i++) {
        const char *const *words = twin_words(&twins[i]);
        if (words == NULL)
            continue;
        size_t count = 0;
        for (; words[count] != NULL; count++) {
            expect_taken(twins[i].name, words[count], words[count]);
            const union option_value value = option_get(&options,
                option_row(i));
            if (twin_is(&twins[i], "FLAG"))
                assert_int_equal(value.boolean, count);
            else
                assert_string_equal(value.string, words[count]);
        }
        assert_int_equal(count, twins[i].high + 1);
        for (size_t o = 0; o < UNIT_COUNT(others); o++)
            expect_refused(twins[i].name, others[o], OPTION_INVALID);
    }
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *const values[] = {
        "", "-", "1 ", "1x", "0x", "08", "1.5", "true", "99999999999999999999",
        "1:2", "4k", "--1", "one",
    };
    for (size_t i = 0; i < UNIT_COUNT(twins); i++) {
        if (!twin_is_plain(&twins[i]) && !twin_is(&twins[i], "ARENAS")
            && !twin_is(&twins[i], "PAGE_BITS"))
            continue;
        for (size_t v = 0; v < UNIT_COUNT(values); v++)
            expect_refused(twins[i].name, values[v], OPTION_INVALID);
    }
}

/* The value that mallctl shows has the type of the row, from its first byte. */
static void gives_values_by_their_type(void **state)
{
    (void)state;
    expect_taken("narenas", "0x10", "16");
    expect_taken("dirty_decay_ms", "-1", "-1");
    expect_taken("hpa_min_purge_delay_ms", "-1", "18446744073709551615");
    expect_taken("stats_interval", "9223372036854775807",
        "9223372036854775807");
    expect_taken("hpa_dirty_mult", "0.5", "0.5");
    const struct option_row *row = row_of("narenas");
    assert_int_equal(option_type(row), OPTION_UNSIGNED);
    assert_int_equal(option_get(&options, row).number, 16);
    row = row_of("dirty_decay_ms");
    assert_int_equal(option_type(row), OPTION_SSIZE);
    assert_int_equal(option_get(&options, row).ssize, -1);
    row = row_of("hpa_min_purge_delay_ms");
    assert_int_equal(option_type(row), OPTION_U64);
    assert_true(option_get(&options, row).u64 == UINT64_MAX);
    row = row_of("stats_interval");
    assert_int_equal(option_type(row), OPTION_I64);
    assert_true(option_get(&options, row).i64 == INT64_MAX);
    row = row_of("hpa_dirty_mult");
    assert_int_equal(option_type(row), OPTION_U32);
    assert_int_equal(option_get(&options, row).u32, 32768);
    assert_int_equal(option_type(row_of("tcache_max")), OPTION_SIZE);
    assert_int_equal(option_type(row_of("abort")), OPTION_BOOL);
    assert_int_equal(option_type(row_of("thp")), OPTION_STRING);
}

/* -- rows with rules of their own -- */

static void counts_arenas_by_number_or_by_processor(void **state)
{
    (void)state;
    assert_int_equal(option_arenas(&options, 0), 1);
    assert_int_equal(option_arenas(&options, 1), 1);
    assert_int_equal(option_arenas(&options, 2), 8);
    assert_int_equal(option_arenas(&options, 2000), OPTION_ARENAS_MAX);
    expect_taken("narenas_ratio", "0.75", "0.75");
    assert_int_equal(option_arenas(&options, 2), 2);    /* 1.5, rounded */
    expect_taken("narenas_ratio", "0", "0.0");
    assert_int_equal(option_arenas(&options, 64), 1);
    expect_taken("narenas", "5", "5");
    assert_int_equal(option_arenas(&options, 1), 5);
    expect_refused("narenas", "0", OPTION_OUT_OF_RANGE);
    expect_taken("narenas", "-1", "4294967295");
    assert_int_equal(option_arenas(&options, 2), OPTION_ARENAS_MAX);
    expect_taken("narenas", "default", "0");
    expect_refused("narenas_ratio", "-1", OPTION_INVALID);
}

static void reads_ratios(void **state)
{
    (void)state;
    expect_taken("hpa_dirty_mult", "-1", "-1");
    expect_taken("hpa_dirty_mult", "2.25", "2.25");
    expect_refused("hpa_dirty_mult", "1.", OPTION_INVALID);
    expect_refused("hpa_dirty_mult", "", OPTION_INVALID);
    expect_refused("hpa_dirty_mult", "65536", OPTION_INVALID);
    expect_taken("hpa_purge_threshold_ratio", "1.0", "1.0");
    expect_refused("hpa_purge_threshold_ratio", "1.1", OPTION_INVALID);
}

static void sets_what_is_the_same_under_another_name(void **state)
{
    (void)state;
    expect_taken("lg_tcache_max", "12", "12");
    assert_int_equal(options.tcache_max, 4096);
    expect_taken("lg_tcache_max", "99", "16");
    assert_int_equal(options.tcache_max, 65536);
    expect_taken("hpa_purge_threshold_ratio", "0.5", "0.5");
    assert_int_equal(options.hpa_purge_threshold, 1 << 20);
    expect_taken("hpa_hugification_threshold_ratio", "0.25", "0.25");
    assert_int_equal(options.hpa_hugification_threshold, 1 << 19);
    expect_refused("lg_tcache_max", "x", OPTION_INVALID);
    assert_int_equal(options.tcache_max, 65536);
}

static void never_raises_a_limit_on_threads(void **state)
{
    (void)state;
    expect_taken("max_background_threads", "100", "100");
    expect_taken("max_background_threads", "200", "100");
    expect_taken("max_background_threads", "7", "7");
    expect_taken("max_background_threads", "8", "7");
    expect_taken("max_background_threads", "0", "1");
}

static void keeps_page_bits_within_an_address(void **state)
{
    (void)state;
    expect_taken("lg_san_uaf_align", "0", "12");
    expect_taken("lg_san_uaf_align", "12", "12");
    expect_taken("lg_san_uaf_align", "64", "63");
    expect_taken("lg_san_uaf_align", "-1", "-1");
    expect_refused("lg_san_uaf_align", "-2", OPTION_INVALID);
}

static void adds_letters_up_each_once(void **state)
{
    (void)state;
    expect_taken("stats_print_opts", "ZJJag", "Jag");
    expect_taken("stats_print_opts", "xa", "Jagx");
    expect_taken("stats_print_opts", "", "Jagx");
    expect_taken("stats_print_opts", "Jgmdablxeh", "Jagxmdbleh");
    expect_taken("stats_interval_opts", "J", "J");
    options = option_defaults;
    expect_taken("stats_print_opts", "g", "g");
}

static void cuts_texts_that_are_too_long(void **state)
{
    (void)state;
    static char name[10000];
    expect_taken("prof_prefix", "", "");
    expect_taken("prof_prefix", "/tmp/a b:c", "/tmp/a b:c");
    memset(name, 'n', sizeof name - 1);
    assert_int_equal(set("prof_prefix", name), OPTION_TAKEN);
    assert_int_equal(strlen(options.prof_prefix), 4095);
}

static void takes_lists(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1-160:2", "1-160:2|129-512:4", "1-160:2|", "160-1:64", "0x1-0x10:1",
    };
    static const char *const bad[] = {
        "", "1-160", "1-160:", "1-160:2x", "1 -160:2", "a-b:c", "x", "|",
        "1-160:2||1-160:3", "1-2:3:4", "1-2:3,", "1:2-3", "default ",
    };
    static const char *const lists[] = {
        "bin_shards", "slab_sizes", "tcache_ncached_max",
    };
    for (size_t i = 0; i < UNIT_COUNT(lists); i++) {
        for (size_t g = 0; g < UNIT_COUNT(good); g++)
            expect_taken(lists[i], good[g], good[g]);
        for (size_t b = 0; b < UNIT_COUNT(bad); b++)
            expect_refused(lists[i], bad[b], OPTION_BAD_LIST);
        assert_string_equal(written(lists[i]), good[UNIT_COUNT(good) - 1]);
    }
    expect_taken("slab_sizes", "default", "default");
    expect_refused("bin_shards", "default", OPTION_BAD_LIST);
    expect_refused("bin_shards", "1-160:0", OPTION_BAD_LIST);
    expect_refused("bin_shards", "1-160:65", OPTION_BAD_LIST);
    expect_taken("slab_sizes", "1-160:0", "1-160:0");
}

/* -- the nearest -- */

static void names_the_nearest(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "dirty_decay", "dirty_decay_ms" }, { "narena", "narenas" },
        { "dirty_decai_ms", "dirty_decay_ms" }, { "aborts", "abort" },
        { "stats_pritn", "stats_print" }, { "Thp", "thp" },
        { "lg_prof_samples", "lg_prof_sample" }, { "hardenning", "hardening" },
        { "backgroundthread", "background_thread" },
        { "prof_leak_err", "prof_leak_error" },
    };
    for (size_t i = 0; i < UNIT_COUNT(cases); i++)
        assert_string_equal(option_nearest(cases[i][0],
            strlen(cases[i][0]))->name, cases[i][1]);
    for (size_t i = 0; i < UNIT_COUNT(twins); i++)
        assert_ptr_equal(option_nearest(twins[i].name,
            strlen(twins[i].name)), option_row(i));
    char *longest = test_map(1 << 20);
    memset(longest, 'n', 1 << 20);
    assert_non_null(option_nearest(longest, 1 << 20));
    assert_non_null(option_nearest("", 0));
    (void)munmap(longest, 1 << 20);
}

/* -- sources -- */

static void keeps_the_texts_of_the_sources(void **state)
{
    (void)state;
    static char longest[OPTION_SOURCE_MAX + 100];
    memset(longest, 'x', sizeof longest - 1);
    /* api/start.c has been here. */
    assert_string_equal(option_source(OPTION_CONFIG), "");
    assert_null(option_source(OPTION_GLOBAL_VAR_2));
    option_keep_source(OPTION_ENV_VAR, "abort:true");
    option_keep_source(OPTION_GLOBAL_VAR, "");
    option_keep_source(OPTION_SYMLINK, longest);
    assert_string_equal(option_source(OPTION_ENV_VAR), "abort:true");
    assert_string_equal(option_source(OPTION_GLOBAL_VAR), "");
    assert_int_equal(strlen(option_source(OPTION_SYMLINK)),
        OPTION_SOURCE_MAX);
    assert_null(option_source(OPTION_GLOBAL_VAR_2));
}

/* -- random texts -- */

/* A text of pieces that mean something, or of any bytes. */
static size_t value_draw(struct dice *dice, char *value, size_t bytes)
{
    static const char *const pieces[] = {
        "true", "false", "default", "disabled", "-1", "0", "1", "64", "0x",
        "4294967296", "18446744073709551615", "-", ":", "|", ".", "9", " ",
        "x", "J", "\xff", "\x01",
    };
    size_t used = 0;
    const size_t length = dice_below(dice, bytes);
    const bool any = dice_below(dice, 4) == 0;
    while (used < length) {
        if (any) {
            value[used++] = (char)(1 + dice_below(dice, 255));
            continue;
        }
        const char *piece = pieces[dice_below(dice, UNIT_COUNT(pieces))];
        const size_t taken = min_size(strlen(piece), length - used);
        memcpy(value + used, piece, taken);
        used += taken;
    }
    return length;
}

static void expect_within_limits(const struct twin *twin, size_t i)
{
    const struct option_row *row = option_row(i);
    const union option_value value = option_get(&options, row);
    uint64_t number = 0;
    if (option_type(row) == OPTION_STRING) {
        assert_true(strlen(value.string) <= 4095);      /* O2 */
        return;
    }
    if (twin_is(twin, "FLAG"))
        number = value.boolean;
    else if (twin_is(twin, "UNSIGNED") || twin_is(twin, "RATIO")
        || twin_is(twin, "ARENAS"))
        number = value.number;
    else
        number = value.u64;
    if (twin_is_signed(twin) || twin_is(twin, "PAGE_BITS"))
        assert_true((int64_t)number >= (int64_t)twin->low
            && (int64_t)number <= (int64_t)twin->high); /* O1 */
    else if (twin_is_plain(twin))
        assert_true(number >= twin->low && number <= twin->high);
    else if (twin_is(twin, "RATIO") && twin->low == 0)
        assert_true(number <= twin->high);
}

static void random_values_do_no_harm(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    char value[60];
    size_t taken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t i = dice_below(&dice, UNIT_COUNT(twins));
        const size_t length = value_draw(&dice, value, sizeof value);
        const struct options before = options;
        if (option_set(&options, option_row(i), value, length)
            == OPTION_TAKEN)
            taken++;
        else
            assert_memory_equal(&options, &before, sizeof options);
        expect_within_limits(&twins[i], i);
    }
    assert_true(taken > ROUNDS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(finds_every_row_and_no_other, begin),
        cmocka_unit_test_setup(has_the_defaults_of_the_table, begin),
        cmocka_unit_test_setup(
            takes_numbers_within_its_limits_and_no_others, begin),
        cmocka_unit_test_setup(takes_its_words_and_no_others, begin),
        cmocka_unit_test_setup(refuses_what_is_no_number, begin),
        cmocka_unit_test_setup(gives_values_by_their_type, begin),
        cmocka_unit_test_setup(counts_arenas_by_number_or_by_processor,
            begin),
        cmocka_unit_test_setup(reads_ratios, begin),
        cmocka_unit_test_setup(sets_what_is_the_same_under_another_name,
            begin),
        cmocka_unit_test_setup(never_raises_a_limit_on_threads, begin),
        cmocka_unit_test_setup(keeps_page_bits_within_an_address, begin),
        cmocka_unit_test_setup(adds_letters_up_each_once, begin),
        cmocka_unit_test_setup(cuts_texts_that_are_too_long, begin),
        cmocka_unit_test_setup(takes_lists, begin),
        cmocka_unit_test_setup(names_the_nearest, begin),
        cmocka_unit_test_setup(random_values_do_no_harm, begin),
        cmocka_unit_test_setup(keeps_the_texts_of_the_sources, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
