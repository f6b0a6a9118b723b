/* SPDX-License-Identifier: MIT */
/*
 * file - files, by their descriptors; and what names them apart. See file.h.
 *
 * By the bare calls: open and write of libc are points where a thread may be
 * cancelled, and names that other libraries interpose, some to allocate.
 */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

/* The result of a call that a signal did not interrupt, or minus the error;
 * errno stays as it was. */
static long file_call(long number, long first, long second, long third,
    long fourth)
{
    const int saved = errno;
    long result;
    do {
        result = syscall(number, first, second, third, fourth);
        if (result == -1)
            result = -errno;
    } while (result == -EINTR);
    errno = saved;
    return result;
}

int file_create(const char *path)
{
    return (int)file_call(SYS_openat, AT_FDCWD, (long)path,
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
}

int file_open(const char *path)
{
    return (int)file_call(SYS_openat, AT_FDCWD, (long)path,
        O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
}

static int file_write_all(int file, const char *bytes, size_t count)
{
    while (count > 0) {
        const long written = file_call(SYS_write, file, (long)bytes,
            (long)count, 0);
        if (written < 0)
            return (int)-written;
        bytes += written;
        count -= (size_t)written;
    }
    return 0;
}

/*
 * The two signals that a write may raise are held off meanwhile, and what the
 * write raised is taken off the thread before they may come again. One that
 * was there before stays.
 */
int file_write(int file, const void *bytes, size_t count)
{
    const struct timespec no_time = { 0, 0 };
    sigset_t held, before, pending;
    (void)sigemptyset(&held);
    (void)sigaddset(&held, SIGPIPE);
    (void)sigaddset(&held, SIGXFSZ);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &held, &before);
    const int error = file_write_all(file, bytes, count);
    const int raised = error == EPIPE ? SIGPIPE
        : error == EFBIG ? SIGXFSZ : 0;
    if (raised != 0 && !sigismember(&pending, raised)) {
        (void)sigemptyset(&held);
        (void)sigaddset(&held, raised);
        const int saved = errno;
        (void)sigtimedwait(&held, NULL, &no_time);
        errno = saved;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

long file_read(int file, void *bytes, size_t count)
{
    return file_call(SYS_read, file, (long)bytes, (long)count, 0);
}

int file_close(int file)
{
    /* Not again if interrupted: the descriptor is gone all the same. */
    const int saved = errno;
    const int error = syscall(SYS_close, file) == 0 ? 0 : errno;
    errno = saved;
    return error == EINTR ? 0 : error;
}

/* glibc 2.32 and later have it. */
extern WEAK const char *strerrordesc_np(int error);

const char *file_error_text(int error)
{
    return strerrordesc_np != NULL ? strerrordesc_np(error) : NULL;
}

unsigned sys_process(void)
{
    return (unsigned)file_call(SYS_getpid, 0, 0, 0, 0);
}

uint64_t sys_process_namespace(void)
{
    /* The link reads pid:[4026531836]. */
    char target[64];
    uint64_t number = 0;
    if (!sys_read_link("/proc/self/ns/pid", target, sizeof target))
        return 0;
    const char *start = strchr(target, '[');
    const char *end = start != NULL ? strchr(start, ']') : NULL;
    if (end == NULL
        || !text_parse(start + 1, (size_t)(end - start) - 1, &number))
        return 0;
    return number;
}
