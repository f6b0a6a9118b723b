/* SPDX-License-Identifier: MIT */
/*
 * Goal: the sources of settings are read in their order, by jemalloc's
 * grammar, with jemalloc's messages word for word; only a source that is
 * malformed loses its rest. Method: sources by hand, all lines compared; a
 * text that is malformed is complained of twice, as jemalloc does, once when
 * confirm_conf is looked for and once when it is read. Random texts must
 * neither crash nor be wrong without a message.
 */
#include "unit/sys/unit.h"

#include "table/conf.h"

enum { ROUNDS = 20000, HEARD_BYTES = 1 << 21 };

static const struct options option_defaults = {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    .name = (init),
#include "table/option.def"
};

static struct options options;
static struct conf conf;
static char heard[HEARD_BYTES];
static size_t heard_length;

static void hear(const char *line)
{
    const size_t length = strlen(line);
    assert_true(length > 0 && length < TEXT_BYTES);
    assert_true(heard_length + length < HEARD_BYTES);
    memcpy(heard + heard_length, line, length + 1);
    heard_length += length;
}

static int begin(void **state)
{
    (void)state;
    options = option_defaults;
    conf = (struct conf){ .options = &options, .say = hear };
    heard_length = 0;
    heard[0] = 0;
    return 0;
}

/* Read one text, as the environment's. */
static bool read_text(const char *text)
{
    (void)begin(NULL);
    conf.source[OPTION_ENV_VAR] = text;
    return conf_read(&conf);
}

static void expect_good(const char *text)
{
    if (!read_text(text) || conf.wrong || heard_length > 0)
        fail_msg("\"%s\": %s", text, heard);
}

/* These lines are said; the process may go on. */
static void expect_heard(const char *text, const char *wanted)
{
    assert_true(read_text(text));
    assert_string_equal(heard, wanted);
}

static void an_empty_text_sets_nothing(void **state)
{
    (void)state;
    expect_good("");
    assert_memory_equal(&options, &option_defaults, sizeof options);
}

static void a_list_sets_each_and_the_last_wins(void **state)
{
    (void)state;
    expect_good("stats_print:true,dirty_decay_ms:7,on_misuse:warn,"
        "dirty_decay_ms:-1,abort:true,abort:false");
    struct options wanted = option_defaults;
    wanted.stats_print = true;
    wanted.dirty_decay_ms = -1;
    wanted.on_misuse = MISUSE_WARN;
    assert_memory_equal(&options, &wanted, sizeof options);
}

static void names_what_is_unknown_with_the_nearest(void **state)
{
    (void)state;
    expect_heard("narena:1", "<jemalloc>: Invalid conf pair: narena:1\n"
        "<ashlar>: no option has the name narena; the nearest is narenas\n");
    assert_true(conf.wrong);
    expect_heard(":true", "<jemalloc>: Invalid conf pair: :true\n");
    /* What is experimental comes and goes: named, and no error. */
    expect_heard("experimental_tcache:1",
        "<jemalloc>: Invalid conf pair: experimental_tcache:1\n"
        "<ashlar>: no option has the name experimental_tcache; "
        "the nearest is experimental_tcache_gc\n");
    assert_false(conf.wrong);
}

static void goes_on_after_a_complaint(void **state)
{
    (void)state;
    expect_heard("dirty_decay_ms:-2,stats_print:yes,bin_shards:x,abort:true",
        "<jemalloc>: Out-of-range conf value: dirty_decay_ms:-2\n"
        "<jemalloc>: Invalid conf value: stats_print:yes\n"
        "<jemalloc>: Invalid settings for bin_shards: bin_shards:x\n");
    struct options wanted = option_defaults;
    wanted.abort = true;
    assert_memory_equal(&options, &wanted, sizeof options);
    assert_true(conf.wrong);
}

static void quotes_a_text_that_is_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *what;
    } cases[] = {
        { "abort", "Conf string ends with key -- abort" },
        { "abort:true,zero", "Conf string ends with key -- zero" },
        { ",", "Malformed conf string -- ," },
        { "abort true", "Malformed conf string -- abort " },
        { "abort-conf:true", "Malformed conf string -- abort-" },
        { " abort:true", "Malformed conf string --  " },
        { "abort=true", "Malformed conf string -- abort=" },
        { "\xc3\xa9:1", "Malformed conf string -- \xc3" },
        { "abort:true,,zero:true", "Malformed conf string -- ," },
        { "abort:true,", "Conf string ends with comma -- abort:true," },
        { "zero:false,abort:true,",
            "Conf string ends with comma -- abort:true," },
        { "a234567890123456789012345678901234567890123456789012345678901234567",
            "Conf string ends with key -- "
            "a234567890123456789012345678901234567890123456789012345678901234"
        },
    };
    char wanted[300];
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        (void)snprintf(wanted, sizeof wanted,
            "<jemalloc>: %s\n<jemalloc>: %s\n", cases[i].what, cases[i].what);
        expect_heard(cases[i].text, wanted);
        assert_true(conf.wrong);
        assert_false(options.zero);
        assert_int_equal(options.abort,
            strstr(cases[i].text, "abort:true") == cases[i].text
            || strstr(cases[i].text, ",abort:true,") != NULL);
    }
}

static void reads_the_sources_in_their_order(void **state)
{
    (void)state;
    conf.source[OPTION_CONFIG] = "narenas:1,hpa_sec_nshards:1,tcache_max:1,"
        "dirty_decay_ms:1,muzzy_decay_ms:1";
    conf.source[OPTION_GLOBAL_VAR] = "hpa_sec_nshards:2,tcache_max:2,"
        "dirty_decay_ms:2,muzzy_decay_ms:2";
    conf.source[OPTION_SYMLINK] = "tcache_max:3,dirty_decay_ms:3,"
        "muzzy_decay_ms:3";
    conf.source[OPTION_ENV_VAR] = "dirty_decay_ms:4,muzzy_decay_ms:4";
    conf.source[OPTION_GLOBAL_VAR_2] = "muzzy_decay_ms:5";
    assert_true(conf_read(&conf));
    assert_string_equal(heard, "");
    assert_int_equal(options.narenas, 1);
    assert_int_equal(options.hpa_sec_nshards, 2);
    assert_int_equal(options.tcache_max, 3);
    assert_int_equal(options.dirty_decay_ms, 4);
    assert_int_equal(options.muzzy_decay_ms, 5);
}

/* Only the malformed source loses its rest. */
static void goes_on_with_the_next_source(void **state)
{
    (void)state;
    conf.source[OPTION_GLOBAL_VAR] = "narenas:3,broken";
    conf.source[OPTION_ENV_VAR] = "narenas:4";
    assert_true(conf_read(&conf));
    assert_int_equal(options.narenas, 4);
    assert_true(conf.wrong);
}

#define SAID_SOURCES(one, two, three, four)                              \
    "<jemalloc>: malloc_conf #1 (string specified via "                  \
    "--with-malloc-conf): \"\"\n"                                        \
    one                                                                  \
    "<jemalloc>: malloc_conf #2 (string pointed to by the global "       \
    "variable malloc_conf): \"" two                                      \
    "<jemalloc>: malloc_conf #3 (\"name\" of the file referenced by "    \
    "the symbolic link named /etc/malloc.conf): \"\"\n"                  \
    three                                                                \
    "<jemalloc>: malloc_conf #4 (value of the environment variable "     \
    "MALLOC_CONF): \"" four                                              \
    "<jemalloc>: malloc_conf #5 (string pointed to by the global "       \
    "variable malloc_conf_2_conf_harder): \"\"\n"

/* A later source asks for it, and earlier ones are shown too. */
static void confirms_what_it_takes(void **state)
{
    (void)state;
    conf.source[OPTION_GLOBAL_VAR] = "narenas:2,abort:perhaps";
    conf.source[OPTION_ENV_VAR] = "confirm_conf:true,thp:always";
    assert_true(conf_read(&conf));
    assert_string_equal(heard, SAID_SOURCES("",
        "narenas:2,abort:perhaps\"\n"
        "<jemalloc>: -- Set conf value: narenas:2\n"
        "<jemalloc>: Invalid conf value: abort:perhaps\n", "",
        "confirm_conf:true,thp:always\"\n"
        "<jemalloc>: -- Set conf value: confirm_conf:true\n"
        "<jemalloc>: -- Set conf value: thp:always\n"));
}

#define SAID_ABORT "<jemalloc>: Abort (abort_conf:true) on invalid conf " \
    "value (see above).\n"

/* At the end of the source, and only once it was asked for. */
static void ends_the_process_for_abort_conf(void **state)
{
    (void)state;
    assert_false(read_text("abort:1,abort_conf:true,zero:1"));
    assert_string_equal(heard, "<jemalloc>: Invalid conf value: abort:1\n"
        "<jemalloc>: Invalid conf value: zero:1\n" SAID_ABORT);

    (void)begin(NULL);
    conf.source[OPTION_GLOBAL_VAR] = "abort:1";
    conf.source[OPTION_ENV_VAR] = "abort_conf:true";
    conf.source[OPTION_GLOBAL_VAR_2] = "narenas:5";
    assert_false(conf_read(&conf));
    assert_string_equal(heard, "<jemalloc>: Invalid conf value: abort:1\n"
        SAID_ABORT);
    assert_int_equal(options.narenas, 0);

    assert_true(read_text("abort_conf:true,experimental_x:1"));
    assert_true(read_text("abort_conf:true,abort_conf:false,abort:1"));
    assert_false(read_text("abort_conf:true,prof_leak_error:true"));
    assert_string_equal(heard,
        "<jemalloc>: prof_leak_error is set w/o prof_final.\n" SAID_ABORT);
    assert_true(read_text(
        "abort_conf:true,prof_leak_error:true,prof_final:true"));
    assert_string_equal(heard, "");
}

static void survives_very_long_texts(void **state)
{
    (void)state;
    enum { LONG_BYTES = 1 << 20 };
    char *text = test_map(LONG_BYTES);

    memset(text, 'k', LONG_BYTES - 1);
    assert_true(read_text(text));
    text[LONG_BYTES / 2] = ':';
    assert_true(read_text(text));
    assert_true(conf.wrong);

    static const char pair[] = "dirty_decay_ms:3,";
    const size_t length = sizeof pair - 1;
    memset(text, 0, LONG_BYTES);
    for (size_t at = 0; at + length < LONG_BYTES; at += length)
        memcpy(text + at, pair, length);
    text[strlen(text) - 1] = 0;
    expect_good(text);
    assert_int_equal(options.dirty_decay_ms, 3);

    /* A number with a million digits is still that number. */
    memset(text, '0', LONG_BYTES - 1);
    memcpy(text, "dirty_decay_ms:", 15);
    text[LONG_BYTES - 2] = '7';
    expect_good(text);
    assert_int_equal(options.dirty_decay_ms, 7);
    (void)munmap(text, LONG_BYTES);
}

static void conf_draw(struct dice *dice, char *text, size_t bytes)
{
    static const char *const pieces[] = {
#define OPTION(kind, name, init, low, high, beyond, status, about) #name,
#include "table/option.def"
        ":", ":", ":", ":", ":", ":", ",", ",", ",", ",", "true", "false",
        "-1", "0", "1", "4294967296", "-", "|", " ", "x", "_", "\xff",
    };
    size_t used = 0;
    const size_t length = dice_below(dice, bytes);
    const bool any = dice_below(dice, 4) == 0;
    while (used < length) {
        if (any) {
            text[used++] = (char)(1 + dice_below(dice, 255));
            continue;
        }
        const char *piece = pieces[dice_below(dice, UNIT_COUNT(pieces))];
        const size_t taken = min_size(strlen(piece), length - used);
        memcpy(text + used, piece, taken);
        used += taken;
    }
    text[used] = 0;
}

static void random_texts_do_no_harm(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    char text[200];
    for (int round = 0; round < ROUNDS; round++) {
        conf_draw(&dice, text, sizeof text);
        if (!read_text(text))
            assert_true(options.abort_conf);
        if (conf.wrong && heard_length == 0)
            fail_msg("\"%s\" is wrong, and nothing was said", text);
        if (heard_length > 0)
            assert_int_equal(heard[heard_length - 1], '\n');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_text_sets_nothing, begin),
        cmocka_unit_test_setup(a_list_sets_each_and_the_last_wins, begin),
        cmocka_unit_test_setup(names_what_is_unknown_with_the_nearest,
            begin),
        cmocka_unit_test_setup(goes_on_after_a_complaint, begin),
        cmocka_unit_test_setup(quotes_a_text_that_is_malformed, begin),
        cmocka_unit_test_setup(reads_the_sources_in_their_order, begin),
        cmocka_unit_test_setup(goes_on_with_the_next_source, begin),
        cmocka_unit_test_setup(confirms_what_it_takes, begin),
        cmocka_unit_test_setup(ends_the_process_for_abort_conf, begin),
        cmocka_unit_test_setup(survives_very_long_texts, begin),
        cmocka_unit_test_setup(random_texts_do_no_harm, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
