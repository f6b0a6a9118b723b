/* SPDX-License-Identifier: MIT */
/*
 * conf - the texts that hold settings, taken apart. See conf.h.
 */
#include "table/conf.h"

#include <string.h>

#include "util/units.h"

/* The most that is quoted of a text that is no key:value. */
enum { QUOTE_MAX = 64 };

static const char *const conf_source_names[OPTION_SOURCES] = {
    [OPTION_CONFIG] = "string specified via --with-malloc-conf",
    [OPTION_GLOBAL_VAR]
        = "string pointed to by the global variable malloc_conf",
    [OPTION_SYMLINK] = "\"name\" of the file referenced by the symbolic "
        "link named /etc/malloc.conf",
    [OPTION_ENV_VAR] = "value of the environment variable MALLOC_CONF",
    [OPTION_GLOBAL_VAR_2] = "string pointed to by the global variable "
        "malloc_conf_2_conf_harder",
};

/* One key:value of a text. */
struct conf_pair {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
};

/* -- messages -- */

static void conf_say_pair(const struct conf *conf, const char *what,
    const struct conf_pair *pair)
{
    struct text line;
    text_clear(&line);
    text_string(&line, "<jemalloc>: ");
    text_string(&line, what);
    text_span(&line, pair->key, pair->key_length);
    text_string(&line, ":");
    text_span(&line, pair->value, pair->value_length);
    text_string(&line, "\n");
    conf->say(line.bytes);
}

/* The text ends, or goes wrong, in the middle of a pair. */
static void conf_complain(struct conf *conf, const char *what,
    const char *begin, const char *end)
{
    struct text line;
    text_clear(&line);
    text_string(&line, "<jemalloc>: ");
    text_string(&line, what);
    text_string(&line, " -- ");
    text_span(&line, begin, min_size((size_t)(end - begin), QUOTE_MAX));
    text_string(&line, "\n");
    conf->say(line.bytes);
    conf->wrong = true;
}

/* jemalloc's line as it is, and a second one of ours. */
static void conf_complain_unknown(struct conf *conf,
    const struct conf_pair *pair)
{
    static const char forgiven[] = "experimental_";
    const size_t length = sizeof forgiven - 1;
    conf_say_pair(conf, "Invalid conf pair: ", pair);
    if (pair->key_length < length || memcmp(pair->key, forgiven, length) != 0)
        conf->wrong = true;
    if (pair->key_length == 0)
        return;

    struct text line;
    text_clear(&line);
    text_string(&line, "<ashlar>: no option has the name ");
    text_span(&line, pair->key, pair->key_length);
    text_string(&line, "; the nearest is ");
    text_string(&line, option_nearest(pair->key, pair->key_length)->name);
    text_string(&line, "\n");
    conf->say(line.bytes);
}

static void conf_complain_value(struct conf *conf, const char *what,
    const struct conf_pair *pair)
{
    conf_say_pair(conf, what, pair);
    conf->wrong = true;
}

/* -- pairs -- */

static bool conf_is_key(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9') || c == '_';
}

/* Cut a pair off the front of *text; false: the rest is none. */
static bool conf_cut(struct conf *conf, const char **text,
    struct conf_pair *pair)
{
    const char *begin = *text;
    const char *at = begin;
    while (conf_is_key(*at))
        at++;
    if (*at != ':') {
        if (*at == 0)
            conf_complain(conf, "Conf string ends with key", begin, at);
        else
            conf_complain(conf, "Malformed conf string", begin, at + 1);
        return false;
    }
    pair->key = begin;
    pair->key_length = (size_t)(at - begin);
    pair->value = ++at;
    at += strcspn(at, ",");
    pair->value_length = (size_t)(at - pair->value);
    if (at[0] == ',' && at[1] == 0)
        conf_complain(conf, "Conf string ends with comma", begin, at + 1);
    *text = at + (*at == ',');
    return true;
}

static void conf_take(struct conf *conf, const struct conf_pair *pair)
{
    const struct option_row *row = option_find(pair->key, pair->key_length);
    if (row == NULL) {
        conf_complain_unknown(conf, pair);
        return;
    }
    switch (option_set(conf->options, row, pair->value,
        pair->value_length)) {
    case OPTION_TAKEN:
        if (conf->options->confirm_conf)
            conf_say_pair(conf, "-- Set conf value: ", pair);
        break;
    case OPTION_INVALID:
        conf_complain_value(conf, "Invalid conf value: ", pair);
        break;
    case OPTION_OUT_OF_RANGE:
        conf_complain_value(conf, "Out-of-range conf value: ", pair);
        break;
    case OPTION_BAD_LIST: {
        struct text what;
        text_clear(&what);
        text_string(&what, "Invalid settings for ");
        text_string(&what, row->name);
        text_string(&what, ": ");
        conf_complain_value(conf, what.bytes, pair);
        break;
    }
    }
}

/* -- sources -- */

/* Only whether to confirm; malformed texts are complained of each time. */
static void conf_look(struct conf *conf, const char *text)
{
    const struct option_row *row = option_find("confirm_conf", 12);
    struct conf_pair pair;
    while (*text != 0 && conf_cut(conf, &text, &pair)) {
        if (text_equal(pair.key, pair.key_length, row->name))
            (void)!option_set(conf->options, row, pair.value,
                pair.value_length);
    }
}

static void conf_announce(const struct conf *conf, unsigned source)
{
    struct text line;
    text_clear(&line);
    text_string(&line, "<jemalloc>: malloc_conf #");
    text_number(&line, source + 1, 0);
    text_string(&line, " (");
    text_string(&line, conf_source_names[source]);
    text_string(&line, "): \"");
    text_string(&line, conf->source[source] != NULL ? conf->source[source]
        : "");
    text_string(&line, "\"\n");
    conf->say(line.bytes);
}

static bool conf_has_to_abort(const struct conf *conf)
{
    if (!conf->wrong || !conf->options->abort_conf)
        return false;
    conf->say("<jemalloc>: Abort (abort_conf:true) on invalid conf value "
        "(see above).\n");
    return true;
}

bool conf_read(struct conf *conf)
{
    for (unsigned i = 0; i < OPTION_SOURCES; i++) {
        if (conf->source[i] != NULL)
            conf_look(conf, conf->source[i]);
    }
    for (unsigned i = 0; i < OPTION_SOURCES; i++) {
        const char *text = conf->source[i];
        struct conf_pair pair;
        if (conf->options->confirm_conf)
            conf_announce(conf, i);
        while (text != NULL && *text != 0 && conf_cut(conf, &text, &pair))
            conf_take(conf, &pair);
        if (conf_has_to_abort(conf))
            return false;
    }
    if (conf->options->prof_leak_error && !conf->options->prof_final) {
        conf->say("<jemalloc>: prof_leak_error is set w/o prof_final.\n");
        conf->wrong = true;
    }
    return !conf_has_to_abort(conf);
}
