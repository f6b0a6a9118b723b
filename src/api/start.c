/* SPDX-License-Identifier: MIT */
/*
 * start - what happens when the library is loaded, and when the process ends.
 *
 * Owns     reading the options. Nothing here is needed to allocate: calls
 *          that come before the constructor find a heap that works, with the
 *          default settings.
 * Tests    test/start/run.py
 */
#include "api/api.h"

#include "heap/arenas.h"
#include "heap/heap.h"
#include "heap/thread.h"


struct options api_options;

PUBLIC void (*API(malloc_message))(void *cbopaque, const char *s);

static void start_tell(const char *line)
{
    if (API(malloc_message) != NULL)
        API(malloc_message)(NULL, line);
}

static void start_apply(const struct options *options)
{
    sys_set_listener(start_tell);
    thread_set_hardening(options->hardening != 0);
    pool_set_dirty_decay_ms(&arena_main.pool, options->dirty_decay_ms);
    sys_set_misuse_policy(options->on_misuse);
    if (options->stats_print)
        sys_keep_error_output();
}

static void start_read_options(void)
{
    struct text complaints;
    text_clear(&complaints);
    api_options = option_defaults;
    const char *conf = sys_environment("MALLOC_CONF");
    const bool good = conf == NULL
        || option_parse(conf, &api_options, &complaints);
    sys_write_error(complaints.bytes, complaints.length);
    if (!good && api_options.abort_conf)
        panic("abort_conf: invalid MALLOC_CONF (see above)");
}

static __attribute__((constructor(101))) void start_load(void)
{
    start_read_options();
    start_apply(&api_options);
}

static __attribute__((destructor(101))) void start_unload(void)
{
    if (api_options.stats_print)
        report_print();
}

void API(audit_all)(void)
{
    arenas_each(arena_audit);
}
