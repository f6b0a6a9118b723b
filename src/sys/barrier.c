/* SPDX-License-Identifier: MIT */
/*
 * barrier - have every running thread pass a memory barrier. See barrier.h.
 */
#include "sys/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

enum barrier_state { BARRIER_UNKNOWN, BARRIER_READY, BARRIER_REFUSED };
static _Atomic int barrier_state;
static const int barrier_probe = 1;

/* The thread sanitizer knows nothing of it, and would see races. */
#if defined(__SANITIZE_THREAD__)
enum { BARRIER_CAN_BE = 0 };
#else
enum { BARRIER_CAN_BE = 1 };
#endif

static bool barrier_call(int command)
{
    const int error = errno;
    const bool done = syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = error;
    return done;
}

bool sys_barrier_prepare(void)
{
    if (load_relaxed(&barrier_state) == BARRIER_UNKNOWN) {
        /* Who uses it has to see what the other threads say, too. */
        int copy;
        const bool ready = BARRIER_CAN_BE && !sys_fails(SYS_BARRIER)
            && sys_peek(&barrier_probe, &copy, sizeof copy)
            && barrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
        store_relaxed(&barrier_state,
            ready ? BARRIER_READY : BARRIER_REFUSED);
    }
    return load_relaxed(&barrier_state) == BARRIER_READY;
}

bool sys_barrier(void)
{
    return sys_barrier_prepare()
        && barrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
