/* SPDX-License-Identifier: MIT */
/*
 * conf - the texts that hold settings, taken apart.
 *
 * Owns     the grammar key:value[,key:value]..., the order of the sources,
 *          and jemalloc's messages on what is wrong in them.
 * Used by  api/start.c, which finds the texts and carries the messages.
 * Never    reads the environment, writes, or allocates: texts in, settings
 *          and messages out, so that it can be tested and fuzzed alone.
 *
 * Tests    test/unit/table/conf_test.c
 */
#ifndef TABLE_CONF_H
#define TABLE_CONF_H

#include "table/option.h"

struct conf {
    const char *source[OPTION_SOURCES];     /* NULL: there is none */
    struct options *options;                /* what is set */
    void (*say)(const char *line);          /* hears each message, a line */
    bool wrong;                             /* something was wrong so far */
};

/*
 * Read all sources, each after the one before it; what is wrong is said, and
 * the rest taken. false: abort_conf is set, something was wrong, and that has
 * been said; the process is to end.
 */
MUST_USE bool conf_read(struct conf *conf);

#endif
