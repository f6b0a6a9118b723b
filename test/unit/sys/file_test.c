/* SPDX-License-Identifier: MIT */
/*
 * Goal: files hold what was written; what goes wrong is the system's error,
 * never a signal, and errno stays. Method: files in a folder of their own, a
 * full device, a pipe without a reader, a limit on the size of files.
 */
#include "unit/sys/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 200000 };

static char folder[] = "/tmp/ashlar-file-XXXXXX";
static char path[64];
static char bytes[BYTES];
static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

static int begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, count_signal);
    (void)signal(SIGXFSZ, count_signal);
    (void)snprintf(path, sizeof path, "%s/file", mkdtemp(folder));
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void holds_what_was_written(void **state)
{
    (void)state;
    static char read_back[BYTES + 1];
    errno = 77;
    int file = file_create(path);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFD), FD_CLOEXEC);
    assert_int_equal(file_write(file, bytes, BYTES), 0);
    assert_int_equal(file_close(file), 0);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_size, BYTES);
    assert_int_equal(about.st_mode & ~(mode_t)umask(022) & 0777, 0644);

    file = file_open(path);
    assert_true(file >= 0);
    size_t used = 0;
    long some;
    while ((some = file_read(file, read_back + used, 4096)) > 0)
        used += (size_t)some;
    assert_int_equal(some, 0);
    assert_int_equal(used, BYTES);
    assert_memory_equal(read_back, bytes, BYTES);
    assert_int_equal(file_close(file), 0);
    assert_int_equal(errno, 77);

    /* What was there is gone. */
    file = file_create(path);
    assert_int_equal(file_close(file), 0);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_size, 0);
}

static void answers_errors(void **state)
{
    (void)state;
    errno = 77;
    assert_int_equal(file_create("/no/such/folder/file"), -ENOENT);
    assert_int_equal(file_create("/"), -EISDIR);
    assert_int_equal(file_open("/no/such/file"), -ENOENT);
    assert_int_equal(file_read(-1, bytes, 1), -EBADF);
    assert_int_equal(file_write(-1, bytes, 1), EBADF);
    assert_int_equal(file_close(-1), EBADF);
    const int full = file_create("/dev/full");
    assert_true(full >= 0);
    assert_int_equal(file_write(full, bytes, 1), ENOSPC);
    assert_int_equal(file_close(full), 0);
    assert_int_equal(errno, 77);
    assert_string_equal(file_error_text(ENOSPC), strerror(ENOSPC));
    assert_null(file_error_text(100000));
}

static void raises_no_signal(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(file_write(ends[1], bytes, 1), EPIPE);
    (void)close(ends[1]);

    const struct rlimit small = { 1000, RLIM_INFINITY };
    const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int file = file_create(path);
    assert_int_equal(file_write(file, bytes, 2000), EFBIG);
    assert_int_equal(file_close(file), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &any), 0);
    assert_int_equal(signals, 0);
    sigset_t now;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    assert_false(sigismember(&now, SIGPIPE));
    assert_false(sigismember(&now, SIGXFSZ));
}

static void keeps_a_signal_that_waits(void **state)
{
    (void)state;
    sigset_t pipes, pending;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    (void)sigemptyset(&pipes);
    (void)sigaddset(&pipes, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipes, NULL);
    (void)raise(SIGPIPE);
    assert_int_equal(file_write(ends[1], bytes, 1), EPIPE);
    (void)sigpending(&pending);
    assert_true(sigismember(&pending, SIGPIPE));
    (void)pthread_sigmask(SIG_UNBLOCK, &pipes, NULL);
    assert_int_equal(signals, 1);
    signals = 0;
    (void)close(ends[1]);
}

static void knows_the_process(void **state)
{
    (void)state;
    char link[64] = { 0 };
    char wanted[64];
    assert_int_equal(sys_process(), getpid());
    assert_true(readlink("/proc/self/ns/pid", link, sizeof link - 1) > 0);
    (void)snprintf(wanted, sizeof wanted, "pid:[%llu]",
        (unsigned long long)sys_process_namespace());
    assert_string_equal(link, wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_written),
        cmocka_unit_test(answers_errors),
        cmocka_unit_test(raises_no_signal),
        cmocka_unit_test(keeps_a_signal_that_waits),
        cmocka_unit_test(knows_the_process),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
