/* SPDX-License-Identifier: MIT */
/*
 * start - what happens when the library is loaded, and when the process ends.
 *
 * Owns     finding the texts of the settings, and applying what they say.
 *          Nothing here is needed to allocate: calls that come before the
 *          constructor find a heap that works, with the default settings.
 * Tests    test/start/run.py  test/start/options.py
 */
#include "api/api.h"

#include "ctl/ctl.h"
#include "heap/arenas.h"
#include "heap/count.h"
#include "heap/hand.h"
#include "heap/second.h"
#include "heap/thread.h"
#include "ledger/ledger.h"
#include "table/conf.h"
#include "util/units.h"

/* The setting that the library was built with. */
#ifndef ASHLAR_MALLOC_CONF
#define ASHLAR_MALLOC_CONF ""
#endif

PUBLIC void (*API(malloc_message))(void *cbopaque, const char *s);

/* The messages of misuse, which stderr has got already. */
static void start_tell(const char *line)
{
    if (API(malloc_message) != NULL)
        API(malloc_message)(NULL, line);
}

/* -- finding the settings -- */

/* malloc, or as je_malloc, as a string. */
#define START_TEXT_(name) #name
#define START_TEXT(name) START_TEXT_(name)
#define START_MALLOC START_TEXT(API(malloc))

/* MALLOC_CONF, or as JE_MALLOC_CONF. */
static const char *start_environment(void)
{
    char name[] = START_MALLOC "_CONF";
    for (char *at = name; *at != 0; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return sys_environment(name);
}

static void start_read(void)
{
    char target[OPTION_SOURCE_MAX + 1];
    const bool linked = sys_read_link("/etc/" START_MALLOC ".conf", target,
        sizeof target);
    struct conf conf = {
        .source = {
            [OPTION_CONFIG] = ASHLAR_MALLOC_CONF,
            [OPTION_GLOBAL_VAR] = API(malloc_conf),
            [OPTION_SYMLINK] = linked ? target : NULL,
            [OPTION_ENV_VAR] = start_environment(),
            [OPTION_GLOBAL_VAR_2] = API(malloc_conf_2_conf_harder),
        },
        .options = &option_now,
        .say = api_say,
    };
    for (unsigned i = 0; i < OPTION_SOURCES; i++) {
        if (conf.source[i] != NULL)
            option_keep_source(i, conf.source[i]);
    }
    if (!conf_read(&conf))
        sys_stop();
}

/* -- applying them -- */

static void start_warn(const char *line)
{
    api_say(line);
    if (option_now.abort)
        sys_stop();
}

/* Where nobody says how many arenas are automatic, the processors are counted
 * when somebody asks for arenas, and not here: that is a system call. */
static void start_apply_to_arenas(void)
{
    if (option_now.narenas > OPTION_ARENAS_MAX)
        start_warn("<jemalloc>: Reducing narenas to limit (4094)\n");
    if (option_now.narenas != 0)
        arenas_set_automatic(option_arenas(&option_now, 1));
    arenas_set_dirty_decay_ms(option_now.dirty_decay_ms);
    pool_set_dirty_decay_ms(&arena_main.pool, option_now.dirty_decay_ms);
    arenas_set_muzzy_decay_ms(option_now.muzzy_decay_ms);
    arenas_set_oversize_threshold(option_now.oversize_threshold);
    hand_set_default_bytes_max(option_now.tcache_max);
}

static void start_apply(void)
{
    const int junk = option_now.junk;
    arena_main.born_ms = sys_now_ms();
    sys_set_listener(start_tell);
    sys_set_misuse_policy(option_now.on_misuse);
    dump_set_say(api_say);
    thread_set_default(THREAD_HARDENED, option_now.hardening != 0);
    thread_set_default(THREAD_NO_CACHE, !option_now.tcache);
    second_set_fill((struct second_fill){
        .zero = option_now.zero,
        .junk_taken = junk == JUNK_TRUE || junk == JUNK_ALLOC,
        .junk_given = junk == JUNK_TRUE || junk == JUNK_FREE,
    });
    start_apply_to_arenas();
    if (!profile_begin())
        start_warn("<ashlar>: prof_log has no effect: prof_prefix is empty\n");
    (void)background_set_threads_max(option_now.max_background_threads);
    if (option_now.background_thread)
        background_set_soon();
    if (option_now.stats_print)
        sys_keep_error_output();
}

/* -- statistics, as options ask for them -- */

static void start_print_now(bool is_alloc, uint64_t allocated,
    uint64_t deallocated)
{
    (void)is_alloc;
    (void)allocated;
    (void)deallocated;
    api_malloc_stats_print(NULL, NULL, option_now.stats_interval_opts);
}

static void start_print_at_intervals(void)
{
    const uint64_t bytes = max_size((size_t)option_now.stats_interval, 1);
    if (!count_event_add(start_print_now, bytes, true))
        start_warn("<ashlar>: stats_interval has no effect\n");
}

static __attribute__((constructor(101))) void start_load(void)
{
    start_read();
    start_apply();
    if (option_now.stats_interval >= 0)
        start_print_at_intervals();
}

static __attribute__((destructor(101))) void start_unload(void)
{
    if (option_now.stats_print)
        api_malloc_stats_print(NULL, NULL, option_now.stats_print_opts);
    log_at_end();
    if (dump_at_end())
        sys_exit(1);
}

void API(audit_all)(void)
{
    arena_audit(&arena_main);
    ledger_audit();
}
