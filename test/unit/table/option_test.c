/* SPDX-License-Identifier: MIT */
/*
 * Goal: MALLOC_CONF means what option.def says, and what it cannot mean is
 * named exactly. Method: the table is expanded once more, so that each row is
 * tried at its limits and beyond; complaints are compared word for word;
 * random strings, half of them nearly right, must neither crash nor leave a
 * setting outside its limits.
 */
#include "unit/sys/unit.h"

#include <inttypes.h>

#include "table/option.h"

enum { ROUNDS = 200000 };

enum kind { KIND_FLAG, KIND_MILLIS, KIND_NUMBER, KIND_MISUSE };

static const char *const words[][4] = {
    [KIND_FLAG] = { "false", "true" },
    [KIND_MISUSE] = { "abort", "warn", "ignore" },
};

struct row {
    const char *name;
    size_t offset;
    int64_t init;
    int64_t low;
    int64_t high;
    enum kind kind;
};

static const struct row rows[] = {
#define OPTION(kind, name, init, low, high, about) \
    { #name, offsetof(struct options, name), init, low, high, KIND_##kind },
#include "table/option.def"
};

static struct options options;
static struct text complaints;

static bool row_has_words(const struct row *row)
{
    return row->kind == KIND_FLAG || row->kind == KIND_MISUSE;
}

static int begin(void **state)
{
    (void)state;
    options = option_defaults;
    text_clear(&complaints);
    return 0;
}

static int64_t row_value(const struct row *row, const struct options *from)
{
    int64_t value;
    memcpy(&value, (const char *)from + row->offset, sizeof value);
    return value;
}

/* The row's setting as the text wants it, or a number where no word is. */
static void row_write(const struct row *row, int64_t value, char text[100])
{
    if (row_has_words(row) && value >= row->low && value <= row->high)
        (void)snprintf(text, 100, "%s:%s", row->name,
            words[row->kind][value]);
    else
        (void)snprintf(text, 100, "%s:%" PRId64, row->name, value);
}

static void expect_good(const char *conf)
{
    if (!option_parse(conf, &options, &complaints))
        fail_msg("\"%s\": %s", conf, complaints.bytes);
    assert_string_equal(complaints.bytes, "");
}

/* The text is complained of in these words; what it set is for the caller. */
static void expect_complaint(const char *conf, const char *wanted)
{
    text_clear(&complaints);
    assert_false(option_parse(conf, &options, &complaints));
    assert_string_equal(complaints.bytes, wanted);
}

static void expect_defaults(void)
{
    assert_memory_equal(&options, &option_defaults, sizeof options);
}

/* -- every row -- */

static void has_the_defaults_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        assert_int_equal(row_value(&rows[i], &option_defaults),
            rows[i].init);
    assert_int_equal(sizeof options, UNIT_COUNT(rows) * sizeof(int64_t));
}

static void takes_every_row_at_its_limits(void **state)
{
    (void)state;
    char conf[100];
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        const int64_t values[] = { rows[i].low, rows[i].high, rows[i].init };
        for (size_t v = 0; v < UNIT_COUNT(values); v++) {
            row_write(&rows[i], values[v], conf);
            struct options wanted = options;
            memcpy((char *)&wanted + rows[i].offset, &values[v],
                sizeof values[v]);
            expect_good(conf);
            assert_memory_equal(&options, &wanted, sizeof options);
        }
    }
    expect_defaults();
}

static void takes_every_word_of_every_row(void **state)
{
    (void)state;
    char conf[100];
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        if (!row_has_words(&rows[i]))
            continue;
        for (int64_t v = rows[i].low; v <= rows[i].high; v++) {
            row_write(&rows[i], v, conf);
            expect_good(conf);
            assert_int_equal(row_value(&rows[i], &options), v);
        }
        assert_null(words[rows[i].kind][rows[i].high + 1]);
    }
}

static void refuses_every_row_beyond_its_limits(void **state)
{
    (void)state;
    char conf[100];
    char wanted[200];
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        const int64_t values[] = { rows[i].low - 1, rows[i].high + 1,
            -INT64_MAX, INT64_MAX };
        for (size_t v = 0; v < UNIT_COUNT(values); v++) {
            row_write(&rows[i], values[v], conf);
            (void)snprintf(wanted, sizeof wanted, "<ashlar>: %s: %s\n",
                row_has_words(&rows[i]) ? "Invalid conf value"
                    : "Out-of-range conf value", conf);
            expect_complaint(conf, wanted);
            expect_defaults();
        }
    }
}

static void names_a_value_that_is_none(void **state)
{
    (void)state;
    static const char *const values[] = {
        "", "maybe", "TRUE", "truee", "tru", " true", "true ", "1.5", "0x1",
        "true:false", "abort_conf:true", "1 ", "99999999999999999999", "-",
    };
    char conf[100];
    char wanted[200];
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        for (size_t v = 0; v < UNIT_COUNT(values); v++) {
            (void)snprintf(conf, sizeof conf, "%s:%s", rows[i].name,
                values[v]);
            (void)snprintf(wanted, sizeof wanted,
                "<ashlar>: Invalid conf value: %s\n", conf);
            expect_complaint(conf, wanted);
            expect_defaults();
        }
    }
}

/* -- whole texts -- */

static void an_empty_text_sets_nothing(void **state)
{
    (void)state;
    expect_good("");
    expect_defaults();
}

static void a_list_sets_each_and_the_last_wins(void **state)
{
    (void)state;
    expect_good("stats_print:true,dirty_decay_ms:7,on_misuse:warn,"
        "dirty_decay_ms:-1,abort_conf:true,abort_conf:false");
    struct options wanted = option_defaults;
    wanted.stats_print = true;
    wanted.dirty_decay_ms = -1;
    wanted.on_misuse = MISUSE_WARN;
    assert_memory_equal(&options, &wanted, sizeof options);
}

static void names_an_unknown_key(void **state)
{
    (void)state;
    expect_complaint("no_such:1", "<ashlar>: Invalid conf pair: no_such:1\n");
    expect_complaint("abort:true",
        "<ashlar>: Invalid conf pair: abort:true\n");
    expect_complaint("abort_confs:true",
        "<ashlar>: Invalid conf pair: abort_confs:true\n");
    expect_complaint("Abort_conf:true",
        "<ashlar>: Invalid conf pair: Abort_conf:true\n");
    expect_defaults();
}

static void goes_on_after_a_complaint(void **state)
{
    (void)state;
    expect_complaint("x:1,dirty_decay_ms:-2,stats_print:yes,abort_conf:true",
        "<ashlar>: Invalid conf pair: x:1\n"
        "<ashlar>: Out-of-range conf value: dirty_decay_ms:-2\n"
        "<ashlar>: Invalid conf value: stats_print:yes\n");
    struct options wanted = option_defaults;
    wanted.abort_conf = true;
    assert_memory_equal(&options, &wanted, sizeof options);
}

static void quotes_a_malformed_text_from_where_it_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *conf;
        const char *rest;
    } cases[] = {
        { "abort_conf", "abort_conf" },
        { ":", ":" },
        { ":true", ":true" },
        { ",", "," },
        { "abort_conf true", "abort_conf true" },
        { "abort-conf:true", "abort-conf:true" },
        { " abort_conf:true", " abort_conf:true" },
        { "abort_conf:true,", "abort_conf:true," },
        { "abort_conf=true", "abort_conf=true" },
        { "\xc3\xa9:1", "\xc3\xa9:1" },
        { "stats_print:false,,abort_conf:true", ",abort_conf:true" },
        { "stats_print:false, abort_conf:true", " abort_conf:true" },
        { "stats_print:false,abort_conf", "abort_conf" },
        { "stats_print:false,abort_conf:true,", "abort_conf:true," },
        { "stats_print:false,abort_conf,x:1", "abort_conf,x:1" },
    };
    char wanted[200];
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        (void)snprintf(wanted, sizeof wanted,
            "<ashlar>: Malformed conf string -- %s\n", cases[i].rest);
        expect_complaint(cases[i].conf, wanted);
        expect_defaults();
    }
}

static void keeps_what_was_set_before_a_malformed_rest(void **state)
{
    (void)state;
    expect_complaint("dirty_decay_ms:5,abort_conf",
        "<ashlar>: Malformed conf string -- abort_conf\n");
    assert_int_equal(options.dirty_decay_ms, 5);
}

static void survives_very_long_texts(void **state)
{
    (void)state;
    enum { LONG_BYTES = 1 << 20 };
    char *conf = test_map(LONG_BYTES);

    memset(conf, 'k', LONG_BYTES - 1);
    assert_false(option_parse(conf, &options, &complaints));
    assert_int_equal(complaints.length, TEXT_BYTES - 1);
    assert_int_equal(strlen(complaints.bytes), TEXT_BYTES - 1);

    conf[LONG_BYTES / 2] = ':';
    assert_false(option_parse(conf, &options, &complaints));
    assert_int_equal(strlen(complaints.bytes), TEXT_BYTES - 1);
    expect_defaults();

    /* A good text of any length is good. */
    static const char pair[] = "dirty_decay_ms:3,";
    const size_t length = sizeof pair - 1;
    memset(conf, 0, LONG_BYTES);
    for (size_t at = 0; at + length < LONG_BYTES; at += length)
        memcpy(conf + at, pair, length);
    conf[strlen(conf) - 1] = 0;
    text_clear(&complaints);
    expect_good(conf);
    assert_int_equal(options.dirty_decay_ms, 3);

    /* A number with a million digits is still that number. */
    memset(conf, '0', LONG_BYTES - 1);
    memcpy(conf, "dirty_decay_ms:", 15);
    conf[LONG_BYTES - 2] = '9';
    expect_good(conf);
    assert_int_equal(options.dirty_decay_ms, 9);
    (void)munmap(conf, LONG_BYTES);
}

/* -- random texts -- */

/* A text of pieces that mean something to the parser, or of any bytes. */
static void conf_draw(struct dice *dice, char *conf, size_t bytes)
{
    static const char *const pieces[] = {
#define OPTION(kind, name, init, low, high, about) #name,
#include "table/option.def"
        ":", ":", ":", ":", ",", ",", ",", "true", "false", "warn",
        "ignore", "abort", "-1", "0", "1", "4294967295", "4294967296",
        "-", "9", " ", "x", "_", "\xff", "\x01",
    };
    size_t used = 0;
    const size_t length = dice_below(dice, bytes);
    const bool any = dice_below(dice, 4) == 0;
    while (used < length) {
        if (any) {
            conf[used++] = (char)(1 + dice_below(dice, 255));
            continue;
        }
        const char *piece = pieces[dice_below(dice, UNIT_COUNT(pieces))];
        const size_t room = length - used;
        const size_t taken = min_size(strlen(piece), room);
        memcpy(conf + used, piece, taken);
        used += taken;
    }
    conf[used] = 0;
}

static void random_texts_do_no_harm(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    char conf[200];
    for (int round = 0; round < ROUNDS; round++) {
        conf_draw(&dice, conf, sizeof conf);
        options = option_defaults;
        text_clear(&complaints);
        const bool good = option_parse(conf, &options, &complaints);
        if (good != (complaints.length == 0))
            fail_msg("\"%s\": %s", conf, complaints.bytes);
        assert_int_equal(strlen(complaints.bytes), complaints.length);
        assert_true(good
            || complaints.bytes[complaints.length - 1] == '\n');
        for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
            const int64_t value = row_value(&rows[i], &options);
            assert_true(value >= rows[i].low && value <= rows[i].high);
        }
    }
}

/* Settings at random, written, read, reported, and read again. */
static void a_report_says_what_was_set(void **state)
{
    (void)state;
    struct dice dice = { 2 };
    for (int round = 0; round < ROUNDS / 100; round++) {
        char pair[100];
        char wanted[1000] = "";
        char conf[1000] = "";
        for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
            const int64_t value = rows[i].low + (int64_t)dice_below(&dice,
                (size_t)(rows[i].high - rows[i].low) + 1);
            row_write(&rows[i], value, pair);
            (void)strcat(strcat(conf, i > 0 ? "," : ""), pair);
            char *colon = strchr(pair, ':');
            *colon = 0;
            const size_t used = strlen(wanted);
            (void)snprintf(wanted + used, sizeof wanted - used,
                "  opt.%s: %s\n", pair, colon + 1);
        }
        expect_good(conf);
        text_clear(&complaints);
        option_report(&options, &complaints);
        assert_string_equal(complaints.bytes, wanted);
        text_clear(&complaints);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_the_defaults_of_the_table, begin),
        cmocka_unit_test_setup(takes_every_row_at_its_limits, begin),
        cmocka_unit_test_setup(takes_every_word_of_every_row, begin),
        cmocka_unit_test_setup(refuses_every_row_beyond_its_limits, begin),
        cmocka_unit_test_setup(names_a_value_that_is_none, begin),
        cmocka_unit_test_setup(an_empty_text_sets_nothing, begin),
        cmocka_unit_test_setup(a_list_sets_each_and_the_last_wins, begin),
        cmocka_unit_test_setup(names_an_unknown_key, begin),
        cmocka_unit_test_setup(goes_on_after_a_complaint, begin),
        cmocka_unit_test_setup(
            quotes_a_malformed_text_from_where_it_is_wrong, begin),
        cmocka_unit_test_setup(keeps_what_was_set_before_a_malformed_rest,
            begin),
        cmocka_unit_test_setup(survives_very_long_texts, begin),
        cmocka_unit_test_setup(random_texts_do_no_harm, begin),
        cmocka_unit_test_setup(a_report_says_what_was_set, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
