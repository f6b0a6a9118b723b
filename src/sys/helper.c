/* SPDX-License-Identifier: MIT */
/*
 * helper - a thread of our own. See helper.h.
 */
#include "sys/helper.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/sys.h"
#include "util/text.h"
#include "util/units.h"

/* Room for a program's extent hooks too, which purging may call. */
#define HELPER_STACK_BYTES (256 * KiB)

_Atomic bool helper_runs;
_Atomic bool helper_must_ask;

static void *helper_main(void *argument)
{
    const struct sys_helper *helper = argument;
    (void)prctl(PR_SET_NAME, helper->name, 0, 0, 0);
    helper->run();
    return NULL;
}

/* Where the program's thread-local data alone fill a small stack, it is as
 * large as any. */
static bool helper_create(struct sys_helper *helper)
{
    pthread_attr_t small;
    if (pthread_attr_init(&small) != 0)
        return false;
    bool made = pthread_attr_setstacksize(&small, HELPER_STACK_BYTES) == 0
        && pthread_create(&helper->thread, &small, helper_main, helper) == 0;
    (void)pthread_attr_destroy(&small);
    if (!made)
        made = pthread_create(&helper->thread, NULL, helper_main, helper) == 0;
    return made;
}

bool helper_start(struct sys_helper *helper)
{
    if (sys_fails(SYS_THREAD_START))
        return false;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    store_relaxed(&helper_must_ask, false);
    const bool made = helper_create(helper);
    if (made)
        store_relaxed(&helper_runs, true);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}

void helper_join(struct sys_helper *helper)
{
    (void)pthread_join(helper->thread, NULL);
    store_relaxed(&helper_runs, false);
}

/* -- the last thread -- */

/* /proc/self/stat: the name, which may contain anything, in brackets; then the
 * state of the first thread, and 17 fields on how many threads there are. */
enum { HELPER_STATE_TO_THREADS = 17, HELPER_STAT_BYTES = 512 };

static const char *helper_skip_field(const char *at)
{
    while (*at != ' ' && *at != '\0')
        at++;
    return *at == ' ' ? at + 1 : at;
}

static bool helper_says_last(const char *stat, unsigned helpers)
{
    uint64_t threads;
    const char *at = strrchr(stat, ')');
    if (at == NULL || at[1] != ' ' || at[2] != 'Z')
        return false;
    at += 2;
    for (int i = 0; i < HELPER_STATE_TO_THREADS; i++)
        at = helper_skip_field(at);
    /* The first, which has ended, and ours. */
    return text_parse(at, strcspn(at, " "), &threads)
        && threads == helpers + 1;
}

bool helper_are_last(unsigned helpers)
{
    char stat[HELPER_STAT_BYTES];
    const int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const ssize_t length = read(file, stat, sizeof stat - 1);
    (void)close(file);
    stat[length > 0 ? length : 0] = '\0';
    return helper_says_last(stat, helpers);
}
