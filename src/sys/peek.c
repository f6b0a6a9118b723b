/* SPDX-License-Identifier: MIT */
/*
 * peek - read memory that may not be there. See peek.h.
 */
#include "sys/peek.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

bool sys_peek(const void *address, void *copy, size_t bytes)
{
    const int error = errno;
    const struct iovec to = { copy, bytes };
    const struct iovec from = { (void *)(uintptr_t)address, bytes };
    const ssize_t done = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    errno = error;
    return done == (ssize_t)bytes;
}

/* No system has smaller pages. */
#define PEEK_PAGE_BYTES 4096
/* Pages that are asked for at once; stacks may be small. */
enum { PEEK_PAGES = 32 };

bool sys_can_read(const void *start, size_t bytes)
{
    const int error = errno;
    char copy[PEEK_PAGES];
    struct iovec from[PEEK_PAGES];
    size_t done = 0;
    bool can = true;
    while (can && done < bytes) {
        size_t count = 0;
        for (; count < PEEK_PAGES && done < bytes; count++) {
            from[count].iov_base = (char *)(uintptr_t)start + done;
            from[count].iov_len = 1;
            done += PEEK_PAGE_BYTES;
        }
        const struct iovec to = { copy, count };
        can = process_vm_readv(getpid(), &to, 1, from, count, 0)
            == (ssize_t)count;
    }
    errno = error;
    return can;
}
