/* SPDX-License-Identifier: MIT */
/*
 * option - the settings, expanded from option.def.
 *
 * Owns     struct options, its defaults and limits, how a value is read
 *          from text, and the texts of the sources.
 * Used by  table/conf.c, which takes whole texts apart; api/start.c, which
 *          applies what was set; ctl/, which shows it as opt.NAME.
 * Never    reads the environment, writes, or allocates.
 *
 * Holds    O1  every number lies within the limits of its row
 *          O2  every string ends with 0 and stays where it is
 *
 * Tests    test/unit/table/option_test.c
 */
#ifndef TABLE_OPTION_H
#define TABLE_OPTION_H

#include "util/compiler.h"
#include "util/text.h"

/* What opt.NAME is read as. What is written as a word is read as that word. */
enum option_type {
    OPTION_BOOL,
    OPTION_UNSIGNED,
    OPTION_SIZE,
    OPTION_SSIZE,
    OPTION_U32,                 /* a ratio, in units of 1/65536 */
    OPTION_I64,
    OPTION_U64,
    OPTION_STRING
};

/* A value as its type has it, from the first byte on. */
union option_value {
    bool boolean;
    unsigned number;
    size_t size;
    int64_t ssize;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    const char *string;         /* never NULL */
};

/* Kinds of option.def: how the value is written, the C type of the field, the
 * type that it is read as. A kind that is written as words has their number. */
#define OPTION_KINDS(KIND)                        \
    KIND(FLAG, bool, OPTION_BOOL)                 \
    KIND(UNSIGNED, unsigned, OPTION_UNSIGNED)     \
    KIND(ARENAS, unsigned, OPTION_UNSIGNED)       \
    KIND(SIZE, size_t, OPTION_SIZE)               \
    KIND(SSIZE, int64_t, OPTION_SSIZE)            \
    KIND(PAGE_BITS, int64_t, OPTION_SSIZE)        \
    KIND(I64, int64_t, OPTION_I64)                \
    KIND(U64, uint64_t, OPTION_U64)               \
    KIND(RATIO, uint32_t, OPTION_U32)             \
    KIND(TEXT, const char *, OPTION_STRING)       \
    KIND(LETTERS, const char *, OPTION_STRING)    \
    KIND(LIST, const char *, OPTION_STRING)       \
    KIND(DSS, int, OPTION_STRING)                 \
    KIND(PERCPU, int, OPTION_STRING)              \
    KIND(METADATA, int, OPTION_STRING)            \
    KIND(THP, int, OPTION_STRING)                 \
    KIND(ZERO_REALLOC, int, OPTION_STRING)        \
    KIND(JUNK, int, OPTION_STRING)                \
    KIND(HUGIFY, int, OPTION_STRING)              \
    KIND(CLOCK, int, OPTION_STRING)               \
    KIND(PROF_FORMAT, int, OPTION_STRING)         \
    KIND(MISUSE, int, OPTION_STRING)

/* What opts of malloc_stats_print may consist of. */
#define OPTION_LETTERS "Jgmdablxeh"

/* Words in the order in which option.c spells them. */
enum { DSS_DISABLED, DSS_PRIMARY, DSS_SECONDARY };
enum { PERCPU_PERCPU, PERCPU_PHYCPU, PERCPU_DISABLED };
enum { METADATA_DISABLED, METADATA_AUTO, METADATA_ALWAYS };
enum { THP_DEFAULT, THP_ALWAYS, THP_NEVER };
enum { ZERO_REALLOC_ALLOC, ZERO_REALLOC_FREE, ZERO_REALLOC_ABORT };
enum { JUNK_FALSE, JUNK_TRUE, JUNK_ALLOC, JUNK_FREE };
enum { HUGIFY_AUTO, HUGIFY_NONE, HUGIFY_EAGER, HUGIFY_LAZY };
enum { CLOCK_DEFAULT, CLOCK_HIGH };
enum { PROF_FORMAT_HEAP, PROF_FORMAT_PPROF };
enum { MISUSE_ABORT, MISUSE_WARN, MISUSE_IGNORE };

#define KIND(kind, field, type) typedef field option_##kind;
OPTION_KINDS(KIND)
#undef KIND

struct options {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    option_##kind name;
#include "table/option.def"
};

/* The default of each number, where a constant is needed; 0 for a string. */
enum {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    OPTION_INIT_##name = _Generic((init), char *: 0, default: (init)),
#include "table/option.def"
};

/* The settings in force: the defaults, until api/start.c has read more. */
extern struct options option_now;

struct option_row {
    const char *name;
    const char *about;
    uint64_t low;               /* a signed limit as its bits */
    uint64_t high;              /* of a TEXT: its length */
    uint16_t offset;            /* of the field */
    uint16_t room;              /* of a string: where it is kept */
    uint8_t kind;
    bool clips;                 /* beyond its limits: clipped, not refused */
    bool in_force;              /* false: accepted, and has no effect here */
};

size_t option_count(void);
const struct option_row *option_row(size_t i);

/* The row of a key; NULL: there is none. */
const struct option_row *option_find(const char *key, size_t length);

/* The row whose name takes the fewest changes to become the key. */
const struct option_row *option_nearest(const char *key, size_t length);

enum option_type option_type(const struct option_row *row);
union option_value option_get(const struct options *options,
    const struct option_row *row);

/* Set from text; if it is not taken, nothing has changed. */
enum option_verdict {
    OPTION_TAKEN, OPTION_INVALID, OPTION_OUT_OF_RANGE, OPTION_BAD_LIST
};
MUST_USE enum option_verdict option_set(struct options *options,
    const struct option_row *row, const char *text, size_t length);

/* How many arenas are automatic: as was set, or by narenas_ratio. */
enum { OPTION_ARENAS_MAX = 4094 };
unsigned option_arenas(const struct options *options, unsigned processors);

/* -- where settings came from -- */

/* In the order in which they are read: the later wins. */
enum option_source {
    OPTION_CONFIG, OPTION_GLOBAL_VAR, OPTION_SYMLINK, OPTION_ENV_VAR,
    OPTION_GLOBAL_VAR_2, OPTION_SOURCES
};

/* The text of a source, at most OPTION_SOURCE_MAX bytes of it, kept from the
 * start; NULL: there was none. */
enum { OPTION_SOURCE_MAX = 4095 };
const char *option_source(unsigned source);

/* For api/start.c: keep a copy of the text of a source. */
void option_keep_source(unsigned source, const char *text);

#endif
