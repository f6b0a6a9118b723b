/* SPDX-License-Identifier: MIT */
/*
 * helper - a thread of our own. See helper.h.
 */
#include "sys/helper.h"

#include <signal.h>
#include <sys/prctl.h>

#include "sys/sys.h"
#include "util/units.h"

/* Room for a program's extent hooks too, which purging may call. */
#define HELPER_STACK_BYTES (256 * KiB)

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
    const bool made = helper_create(helper);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}

void helper_join(struct sys_helper *helper)
{
    (void)pthread_join(helper->thread, NULL);
}
