/* SPDX-License-Identifier: MIT */
/*
 * option - the settings and their parser. See option.h.
 */
#include "table/option.h"

#include <string.h>

#define OPTION(kind, name, init, low, high, about)                   \
    _Static_assert((low) <= (init) && (init) <= (high), #name);      \
    _Static_assert(sizeof(about) > 1, #name " needs a meaning");
#include "table/option.def"

const struct options option_defaults = {
#define OPTION(kind, name, init, low, high, about) .name = (init),
#include "table/option.def"
};

static const char *const option_flag_words[] = { "false", "true", NULL };
static const char *const option_misuse_words[] = {
    "abort", "warn", "ignore", NULL
};

/* The words a value is written in; NULL: as a number. */
#define OPTION_WORDS_FLAG option_flag_words
#define OPTION_WORDS_MISUSE option_misuse_words
#define OPTION_WORDS_MILLIS NULL
#define OPTION_WORDS_NUMBER NULL

struct option_row {
    const char *name;
    size_t offset;
    int64_t low;
    int64_t high;
    const char *const *words;
};

static const struct option_row option_rows[] = {
#define OPTION(kind, name, init, low, high, about) \
    { #name, offsetof(struct options, name), low, high, OPTION_WORDS_##kind },
#include "table/option.def"
};

enum { OPTION_COUNT = sizeof option_rows / sizeof *option_rows };

/* One key:value of the text. */
struct option_pair {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
};

static int64_t *option_field(struct options *options,
    const struct option_row *row)
{
    return (int64_t *)(void *)((char *)options + row->offset);
}

static void option_complain(struct text *text, const char *what,
    const struct option_pair *pair)
{
    text_string(text, "<ashlar>: ");
    text_string(text, what);
    text_string(text, ": ");
    text_span(text, pair->key, pair->key_length);
    text_string(text, ":");
    text_span(text, pair->value, pair->value_length);
    text_string(text, "\n");
}

static bool option_value(const struct option_row *row,
    const struct option_pair *pair, int64_t *value)
{
    if (row->words == NULL)
        return text_parse(pair->value, pair->value_length, value);
    for (int64_t i = 0; row->words[i] != NULL; i++) {
        if (text_equal(pair->value, pair->value_length, row->words[i])) {
            *value = i;
            return true;
        }
    }
    return false;
}

static bool option_set(struct options *options,
    const struct option_pair *pair, struct text *complaints)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (!text_equal(pair->key, pair->key_length, row->name))
            continue;
        int64_t value;
        if (!option_value(row, pair, &value)) {
            option_complain(complaints, "Invalid conf value", pair);
            return false;
        }
        if (value < row->low || value > row->high) {
            option_complain(complaints, "Out-of-range conf value", pair);
            return false;
        }
        *option_field(options, row) = value;
        return true;
    }
    option_complain(complaints, "Invalid conf pair", pair);
    return false;
}

static bool option_is_key(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9') || c == '_';
}

/* Cut one pair off the front; false: the text is no key:value. */
static bool option_cut(const char **conf, struct option_pair *pair)
{
    const char *at = *conf;
    pair->key = at;
    while (option_is_key(*at))
        at++;
    pair->key_length = (size_t)(at - pair->key);
    if (pair->key_length == 0 || *at != ':')
        return false;
    pair->value = ++at;
    while (*at != 0 && *at != ',')
        at++;
    pair->value_length = (size_t)(at - pair->value);
    if (at[0] == ',' && at[1] == 0)
        return false;
    *conf = at + (*at == ',');
    return true;
}

bool option_parse(const char *conf, struct options *options,
    struct text *complaints)
{
    bool good = true;
    while (*conf != 0) {
        struct option_pair pair;
        if (!option_cut(&conf, &pair)) {
            text_string(complaints, "<ashlar>: Malformed conf string -- ");
            text_string(complaints, conf);
            text_string(complaints, "\n");
            return false;
        }
        if (!option_set(options, &pair, complaints))
            good = false;
    }
    return good;
}

void option_report(const struct options *options, struct text *text)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        int64_t value;
        memcpy(&value, (const char *)options + row->offset, sizeof value);
        text_string(text, "  opt.");
        text_string(text, row->name);
        text_string(text, ": ");
        if (row->words != NULL) {
            text_string(text, row->words[value]);
        } else {
            if (value < 0)
                text_string(text, "-");
            text_number(text, (uint64_t)(value < 0 ? -value : value), 0);
        }
        text_string(text, "\n");
    }
}
