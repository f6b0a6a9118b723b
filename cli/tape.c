/* SPDX-License-Identifier: MIT */
/*
 * tape - the file that a trace is written to.
 *
 * Tests    test/programs/record.py
 */
#define _GNU_SOURCE
#include "tape.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WINDOW_BYTES = 1 << 18 };        /* mapped and granted at once */

struct tape tape;
static unsigned char *window;

/* Beyond the process's own limit a file's growth is a SIGXFSZ. */
static int grant(int file, off_t end)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && (rlim_t)end > limit.rlim_cur)
        return EFBIG;
    return posix_fallocate(file, 0, end);
}

/* Maps the window that begins with the page of the next event. */
static int move_window(int file, uint64_t length_bytes)
{
    const off_t page = (off_t)sysconf(_SC_PAGESIZE);
    const off_t position = (off_t)(sizeof *tape.head + length_bytes);
    const off_t start = position / page * page;
    const int error = grant(file, start + WINDOW_BYTES);
    if (error)
        return error;
    unsigned char *const fresh = mmap(NULL, WINDOW_BYTES,
        PROT_READ | PROT_WRITE, MAP_SHARED, file, start);
    if (fresh == MAP_FAILED)
        return errno;
    if (window)
        munmap(window, WINDOW_BYTES);
    window = fresh;
    tape.at = fresh + (position - start);
    return 0;
}

static int write_head(int file)
{
    tape.head = mmap(NULL, sizeof *tape.head, PROT_READ | PROT_WRITE,
        MAP_SHARED, file, 0);
    if (tape.head == MAP_FAILED)
        return errno;
    prctl(PR_GET_NAME, tape.head->program);
    memcpy(tape.head->magic, TRACE_MAGIC, sizeof tape.head->magic);
    return 0;
}

static int with_file(const char *path, int flags)
{
    const int before = errno;
    const int file = open(path, O_RDWR | O_CLOEXEC | flags, 0666);
    int error = 0;
    if (file < 0)
        error = errno;
    else
        error = move_window(file, flags ? 0 : tape.head->length_bytes);
    if (!error && flags)
        error = write_head(file);
    if (file >= 0)
        close(file);
    errno = before;
    return error;
}

int tape_open(const char *path)
{
    return with_file(path, O_CREAT | O_TRUNC);
}

int tape_advance(const char *path)
{
    const unsigned char *const end = window + WINDOW_BYTES;
    return end - tape.at < 2 * TRACE_EVENT_BYTES_MAX ? with_file(path, 0) : 0;
}

void tape_commit(unsigned char *end)
{
    const uint64_t length =
        tape.head->length_bytes + (uint64_t)(end - tape.at);
    tape.at = end;
    __atomic_store_n(&tape.head->length_bytes, length, __ATOMIC_RELEASE);
}
