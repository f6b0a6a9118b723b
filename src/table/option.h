/* SPDX-License-Identifier: MIT */
/*
 * option - the settings, expanded from option.def, and their parser.
 *
 * Owns     struct options, its defaults and limits, the MALLOC_CONF grammar:
 *          key:value[,key:value]...
 * Used by  api/start.c, which hands in the text and keeps the struct.
 * Never    reads the environment or writes: text in, struct and complaints
 *          out, so that it can be tested and fuzzed alone.
 *
 * Tests    test/unit/table/option_test.c
 */
#ifndef TABLE_OPTION_H
#define TABLE_OPTION_H

#include "util/compiler.h"
#include "util/text.h"

enum { MISUSE_ABORT, MISUSE_WARN, MISUSE_IGNORE };

/* The default of each, where a constant is needed. */
enum {
#define OPTION(kind, name, init, low, high, about) OPTION_INIT_##name = (init),
#include "table/option.def"
};

struct options {
#define OPTION(kind, name, init, low, high, about) int64_t name;
#include "table/option.def"
};

extern const struct options option_defaults;

/*
 * Read settings from text into *options. A setting that cannot be read is
 * left as it was and named, with its value, by one line in *complaints.
 * false: there was at least one complaint.
 */
MUST_USE bool option_parse(const char *conf, struct options *options,
    struct text *complaints);

/* Append "name: value" for every option, a line each. */
void option_report(const struct options *options, struct text *text);

#endif
