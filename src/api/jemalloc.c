/* SPDX-License-Identifier: MIT */
/*
 * jemalloc - what else libjemalloc.so.2 shows; each contract is at its
 * declaration in include/jemalloc/jemalloc.h.
 *
 * Owns     the variables that a program may define in the library's stead, and
 *          the way of messages to malloc_message.
 * Uses     ctl/.
 * Tests    test/golden/run.py  test/unit/ctl  test/contract
 */
#include "api/api.h"

#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/print.h"
#include "sys/sys.h"

/* Weak: what a program defines counts. */
PUBLIC WEAK const char *API(malloc_conf);
PUBLIC WEAK const char *API(malloc_conf_2_conf_harder);

/* Debian's library shows these as well. Nothing here ever calls them. */
PUBLIC void (*API(je_test_hooks_arena_new_hook))(void);
PUBLIC void (*API(je_test_hooks_libc_hook))(void);

void api_say(const char *line)
{
    if (API(malloc_message) != NULL)
        API(malloc_message)(NULL, line);
    else
        sys_write_error(line, strlen(line));
}

void api_stop(const char *line)
{
    if (sys_tell_stop(line))
        return;
    api_say(line);
    sys_stop();
}

/* -- asking and telling -- */

int api_mallctl(const char *name, void *value, size_t *bytes, void *new_value,
    size_t new_bytes)
{
    return name == NULL ? ENOENT
        : ctl_by_name(name, value, bytes, new_value, new_bytes);
}

int api_mallctlnametomib(const char *name, size_t *mib, size_t *count)
{
    return name == NULL || mib == NULL || count == NULL ? ENOENT
        : ctl_name_to_mib(name, mib, count);
}

/* Six parameters: jemalloc's. */
int api_mallctlbymib(const size_t *mib, size_t count, void *value,
    size_t *bytes, void *new_value, size_t new_bytes)
{
    return mib == NULL ? ENOENT
        : ctl_by_mib(mib, count, value, bytes, new_value, new_bytes);
}

static void api_say_to(void *opaque, const char *text)
{
    (void)opaque;
    api_say(text);
}

void api_malloc_stats_print(void (*write)(void *opaque, const char *text),
    void *opaque, const char *options)
{
    print_stats(write != NULL ? write : api_say_to, opaque, options);
}

#define EXPORT_CTL(name) API_SHOW(name)
#include "table/export.def"
