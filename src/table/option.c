/* SPDX-License-Identifier: MIT */
/*
 * option - the settings, and how a value is written. See option.h.
 */
#include "table/option.h"

#include <limits.h>
#include <string.h>

#include "util/units.h"

#define OPTION(kind, name, init, low, high, beyond, status, about) \
    .name = (init),
struct options option_now = {
#include "table/option.def"
};

/* -- the rows -- */

enum {
#define KIND(kind, field, type) OPTION_KIND_##kind,
    OPTION_KINDS(KIND)
#undef KIND
};

static const uint8_t option_types[] = {
#define KIND(kind, field, type) (type),
    OPTION_KINDS(KIND)
#undef KIND
};

static const uint8_t option_bytes[] = {
#define KIND(kind, field, type) sizeof(field),
    OPTION_KINDS(KIND)
#undef KIND
};

/* 1 as a RATIO. */
enum { RATIO_ONE = 65536 };

/* The longest text of a LIST. */
enum { LIST_MAX = 1000 };

/* Words are in the order of their numbers. */
#define WORDS(...) (const char *const[]) { __VA_ARGS__, NULL }
static const char *const *const option_words[] = {
    [OPTION_KIND_FLAG] = WORDS("false", "true"),
    [OPTION_KIND_DSS] = WORDS("disabled", "primary", "secondary"),
    [OPTION_KIND_PERCPU] = WORDS("percpu", "phycpu", "disabled"),
    [OPTION_KIND_METADATA] = WORDS("disabled", "auto", "always"),
    [OPTION_KIND_THP] = WORDS("default", "always", "never"),
    [OPTION_KIND_ZERO_REALLOC] = WORDS("alloc", "free", "abort"),
    [OPTION_KIND_JUNK] = WORDS("false", "true", "alloc", "free"),
    [OPTION_KIND_HUGIFY] = WORDS("auto", "none", "eager", "lazy"),
    [OPTION_KIND_CLOCK] = WORDS("default", "high"),
    [OPTION_KIND_PROF_FORMAT] = WORDS("heap", "pprof"),
    [OPTION_KIND_MISUSE] = WORDS("abort", "warn", "ignore"),
};

/* Where the strings that were set are kept; one byte for what is none. */
#define OPTION_ROOM(kind, init, high)                         \
    (OPTION_KIND_##kind == OPTION_KIND_LIST ? LIST_MAX + 1    \
        : _Generic((init), char *: (uint64_t)(high) + 1, default: 1))
static struct option_rooms {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    char name[OPTION_ROOM(kind, init, high)];
#include "table/option.def"
} option_rooms;

enum { REFUSE, CLIP };
enum { ACCEPTED = 0, NOT_BUILT = 0, IN_FORCE = 1 };

static const struct option_row option_rows[] = {
#define OPTION(kind_, name_, init, low_, high_, beyond, status, about_) { \
        .name = #name_, .about = (about_),                                \
        .kind = OPTION_KIND_##kind_,                                      \
        .low = (uint64_t)(low_), .high = (uint64_t)(high_),               \
        .clips = (beyond), .in_force = (status),                          \
        .offset = offsetof(struct options, name_),                        \
        .room = offsetof(struct option_rooms, name_) },
#include "table/option.def"
};

enum { OPTION_COUNT = sizeof option_rows / sizeof *option_rows };

size_t option_count(void)
{
    return OPTION_COUNT;
}

const struct option_row *option_row(size_t i)
{
    return &option_rows[i];
}

enum option_type option_type(const struct option_row *row)
{
    return (enum option_type)option_types[row->kind];
}

const struct option_row *option_find(const char *key, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (text_equal(key, length, option_rows[i].name))
            return &option_rows[i];
    }
    return NULL;
}

/* -- the nearest row -- */

/* Longer keys are compared as far as this; no name is as long. */
enum { NEAR_MAX = 63 };

/* How many letters must be put in, taken out or changed to make a key of a
 * name. costs[j]: to make the first j letters of the key. */
static unsigned option_distance(const char *name, const char *key,
    size_t length)
{
    unsigned costs[NEAR_MAX + 1];
    for (unsigned j = 0; j <= length; j++)
        costs[j] = j;
    for (; *name != 0; name++) {
        unsigned changed = costs[0]++;
        for (size_t j = 1; j <= length; j++) {
            const unsigned change = changed + (*name != key[j - 1]);
            const unsigned other = 1
                + (unsigned)min_size(costs[j - 1], costs[j]);
            changed = costs[j];
            costs[j] = change < other ? change : other;
        }
    }
    return costs[length];
}

const struct option_row *option_nearest(const char *key, size_t length)
{
    const struct option_row *nearest = option_rows;
    unsigned least = UINT_MAX;
    length = min_size(length, NEAR_MAX);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const unsigned distance = option_distance(option_rows[i].name, key,
            length);
        if (distance < least) {
            least = distance;
            nearest = &option_rows[i];
        }
    }
    return nearest;
}

/* -- values in their fields -- */

/* Does the field hold the number of a word, which is what is read? */
static bool option_is_word(const struct option_row *row)
{
    return option_words[row->kind] != NULL
        && option_types[row->kind] == OPTION_STRING;
}

/* The field as it is. In one piece each: what is stored by bytes and read at
 * once costs more than all the rest. */
static union option_value option_field(const struct options *options,
    const struct option_row *row)
{
    const char *field = (const char *)options + row->offset;
    union option_value value = { .u64 = 0 };
    if (option_bytes[row->kind] == sizeof(uint64_t))
        memcpy(&value, field, sizeof(uint64_t));
    else if (option_bytes[row->kind] == sizeof(uint32_t))
        memcpy(&value, field, sizeof(uint32_t));
    else
        value.u64 = *(const unsigned char *)field;
    return value;
}

union option_value option_get(const struct options *options,
    const struct option_row *row)
{
    union option_value value = option_field(options, row);
    if (option_is_word(row))
        value.string = option_words[row->kind][value.number];
    return value;
}

unsigned option_arenas(const struct options *options, unsigned processors)
{
    const uint64_t half = RATIO_ONE / 2;
    if (options->narenas != 0)
        return (unsigned)min_size(options->narenas, OPTION_ARENAS_MAX);
    if (processors <= 1)
        return 1;
    const uint64_t count
        = ((uint64_t)options->narenas_ratio * processors + half) / RATIO_ONE;
    return (unsigned)max_size(min_size(count, OPTION_ARENAS_MAX), 1);
}

/* -- reading -- */

/* What is to be read: where it goes, and how it is written. */
struct option_span {
    const struct options *options;
    const struct option_row *row;
    const char *text;
    size_t length;
};

static bool option_is_signed(const struct option_row *row)
{
    return option_types[row->kind] == OPTION_SSIZE
        || option_types[row->kind] == OPTION_I64;
}

/* The highest value now. jemalloc never raises a limit on threads again. */
static uint64_t option_high(const struct option_span *span)
{
    const size_t threads = span->options->max_background_threads;
    if (span->row->offset == offsetof(struct options, max_background_threads)
        && threads != OPTION_INIT_max_background_threads)
        return threads;
    return span->row->high;
}

static enum option_verdict option_read_number(const struct option_span *span,
    union option_value *value)
{
    const struct option_row *row = span->row;
    if (!text_parse(span->text, span->length, &value->u64))
        return OPTION_INVALID;
    const uint64_t high = option_high(span);
    const bool is_low = option_is_signed(row)
        ? value->i64 < (int64_t)row->low : value->u64 < row->low;
    const bool is_high = option_is_signed(row)
        ? value->i64 > (int64_t)high : value->u64 > high;
    if ((is_low || is_high) && !row->clips)
        return OPTION_OUT_OF_RANGE;
    if (is_low)
        value->u64 = row->low;
    else if (is_high)
        value->u64 = high;
    return OPTION_TAKEN;
}

/* 0 stands for the default. More than an unsigned holds is very many. */
static enum option_verdict option_read_arenas(const struct option_span *span,
    union option_value *value)
{
    value->u64 = 0;
    if (text_equal(span->text, span->length, "default"))
        return OPTION_TAKEN;
    if (!text_parse(span->text, span->length, &value->u64))
        return OPTION_INVALID;
    value->u64 = min_size(value->u64, UINT_MAX);
    return value->u64 == 0 ? OPTION_OUT_OF_RANGE : OPTION_TAKEN;
}

static enum option_verdict option_read_page_bits(const struct option_span *span,
    union option_value *value)
{
    enum { PAGE_BITS_MIN = 12 };
    if (!text_parse(span->text, span->length, &value->u64)
        || value->i64 < -1)
        return OPTION_INVALID;
    if (value->i64 >= 0 && value->i64 < PAGE_BITS_MIN)
        value->i64 = PAGE_BITS_MIN;
    else if (value->i64 > (int64_t)span->row->high)
        value->i64 = (int64_t)span->row->high;
    return OPTION_TAKEN;
}

static enum option_verdict option_read_ratio(const struct option_span *span,
    union option_value *value)
{
    if (span->row->low != 0 && text_equal(span->text, span->length, "-1"))
        value->u32 = UINT32_MAX;
    else if (!text_parse_ratio(span->text, span->length, &value->u32)
        || value->u32 > span->row->high)
        return OPTION_INVALID;
    return OPTION_TAKEN;
}

static enum option_verdict option_read_word(const struct option_span *span,
    union option_value *value)
{
    const char *const *words = option_words[span->row->kind];
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (text_equal(span->text, span->length, words[i])) {
            value->number = i;
            return OPTION_TAKEN;
        }
    }
    return OPTION_INVALID;
}

static char *option_room(const struct option_row *row)
{
    return (char *)&option_rooms + row->room;
}

/* A text that is too long loses its end. */
static enum option_verdict option_read_text(const struct option_span *span,
    union option_value *value)
{
    char *room = option_room(span->row);
    const size_t length = min_size(span->length, span->row->high);
    memcpy(room, span->text, length);
    room[length] = 0;
    value->string = room;
    return OPTION_TAKEN;
}

/* Letters add up, each once; what is no letter of ours is left out. */
static enum option_verdict option_read_letters(const struct option_span *span,
    union option_value *value)
{
    char *room = option_room(span->row);
    size_t length = strlen(option_field(span->options, span->row).string);
    for (size_t i = 0; i < span->length; i++) {
        const char letter = span->text[i];
        if (letter != 0 && strchr(OPTION_LETTERS, letter) != NULL
            && memchr(room, letter, length) == NULL)
            room[length++] = letter;
    }
    room[length] = 0;
    value->string = room;
    return OPTION_TAKEN;
}

/* What follows a number in a list; length counts down. */
static bool option_cut_number(struct option_span *rest, const char *ends,
    uint64_t *number)
{
    size_t length = 0;
    while (length < rest->length && strchr(ends, rest->text[length]) == NULL)
        length++;
    if (!text_parse(rest->text, length, number))
        return false;
    const size_t end = length < rest->length ? 1 : 0;
    rest->text += length + end;
    rest->length -= length + end;
    return true;
}

/* lo-hi:number|lo-hi:number...; a bar may end it. slab_sizes may be default. */
static bool option_is_list(const struct option_span *span)
{
    const struct option_row *row = span->row;
    if (row->offset == offsetof(struct options, slab_sizes)
        && text_equal(span->text, span->length, "default"))
        return true;
    struct option_span rest = *span;
    do {
        uint64_t low, high, number;
        if (!option_cut_number(&rest, "-", &low)
            || !option_cut_number(&rest, ":", &high)
            || !option_cut_number(&rest, "|", &number))
            return false;
        if (!row->clips && (number < row->low || number > row->high))
            return false;
    } while (rest.length > 0);
    return span->length <= LIST_MAX;
}

static enum option_verdict option_read_list(const struct option_span *span,
    union option_value *value)
{
    if (!option_is_list(span))
        return OPTION_BAD_LIST;
    char *room = option_room(span->row);
    memcpy(room, span->text, span->length);
    room[span->length] = 0;
    value->string = room;
    return OPTION_TAKEN;
}

typedef enum option_verdict option_reader(const struct option_span *span,
    union option_value *value);

static option_reader *option_reader_of(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_KIND_ARENAS: return option_read_arenas;
    case OPTION_KIND_PAGE_BITS: return option_read_page_bits;
    case OPTION_KIND_RATIO: return option_read_ratio;
    case OPTION_KIND_TEXT: return option_read_text;
    case OPTION_KIND_LETTERS: return option_read_letters;
    case OPTION_KIND_LIST: return option_read_list;
    default:
        return option_words[row->kind] != NULL ? option_read_word
            : option_read_number;
    }
}

/* So much of a huge page, and a page at least. */
static size_t option_threshold(uint32_t ratio)
{
    return max_size(2 * MiB * ratio / RATIO_ONE, 4 * KiB);
}

/* Options that are another one, written in another way; and a threshold that
 * no large size of jemalloc's is below: it stands for none. */
static void option_follow(struct options *options,
    const struct option_row *row)
{
    if (row->offset == offsetof(struct options, oversize_threshold)
        && options->oversize_threshold < 16 * KiB)
        options->oversize_threshold = 0;
    if (row->offset == offsetof(struct options, lg_tcache_max))
        options->tcache_max = (size_t)1 << options->lg_tcache_max;
    if (row->offset
        == offsetof(struct options, hpa_hugification_threshold_ratio))
        options->hpa_hugification_threshold
            = option_threshold(options->hpa_hugification_threshold_ratio);
    if (row->offset == offsetof(struct options, hpa_purge_threshold_ratio))
        options->hpa_purge_threshold
            = option_threshold(options->hpa_purge_threshold_ratio);
}

enum option_verdict option_set(struct options *options,
    const struct option_row *row, const char *text, size_t length)
{
    union option_value value = { .u64 = 0 };
    const struct option_span span = { options, row, text, length };
    const enum option_verdict verdict = option_reader_of(row)(&span, &value);
    if (verdict != OPTION_TAKEN)
        return verdict;
    memcpy((char *)options + row->offset, &value, option_bytes[row->kind]);
    option_follow(options, row);
    return OPTION_TAKEN;
}

/* -- sources -- */

static struct {
    bool present;
    char text[OPTION_SOURCE_MAX + 1];
} option_sources[OPTION_SOURCES];

const char *option_source(unsigned source)
{
    return option_sources[source].present ? option_sources[source].text
        : NULL;
}

void option_keep_source(unsigned source, const char *text)
{
    const size_t length = min_size(strlen(text), OPTION_SOURCE_MAX);
    memcpy(option_sources[source].text, text, length);
    option_sources[source].present = true;
}
