/* SPDX-License-Identifier: MIT */
/*
 * launch - runs one command and writes down what it cost.
 *
 *   launch REPORT PRELOAD COMMAND [ARGUMENT]...
 *
 * PRELOAD is what LD_PRELOAD will be for the command; "" for nothing. REPORT is
 * a file that gets one line:
 *
 *   wall=0.413 user=0.401 system=0.009 peak_kb=9120 minor=1893 major=0 exit=0
 *
 * exit is the exit status, or 128 + N after signal N; it is also launch's own.
 *
 * The kernel's peak of a process starts at the peak of the one it was forked
 * from: from python that is 10 MB. This program is small and static, so what it
 * hands down, half a MB, is less than any dynamic program needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CANNOT_RUN = 127, CANNOT_REPORT = 126, SIGNALLED = 128 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

static int complain(const char *what, int status)
{
    dprintf(STDERR_FILENO, "launch: %s: %s\n", what, strerror(errno));
    return status;
}

static int become(const char *preload, char **command)
{
    if (*preload)
        setenv("LD_PRELOAD", preload, 1);
    else
        unsetenv("LD_PRELOAD");
    execvp(command[0], command);
    return complain(command[0], CANNOT_RUN);
}

int main(int count, char **words)
{
    if (count < 4) {
        dprintf(STDERR_FILENO,
            "usage: launch REPORT PRELOAD COMMAND [ARGUMENT]...\n");
        return 2;
    }
    int report = open(words[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (report < 0)
        return complain(words[1], CANNOT_REPORT);

    double start = now();
    pid_t child = fork();
    if (child < 0)
        return complain("fork", CANNOT_RUN);
    if (child == 0)
        _exit(become(words[2], words + 3));
    struct rusage used;
    int status;
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            return complain("wait4", CANNOT_REPORT);
    double wall = now() - start;

    int ended = WIFEXITED(status) ? WEXITSTATUS(status)
                                  : SIGNALLED + WTERMSIG(status);
    int written = dprintf(report,
        "wall=%.6f user=%.6f system=%.6f peak_kb=%ld minor=%ld major=%ld "
        "exit=%d\n",
        wall, seconds_of(used.ru_utime), seconds_of(used.ru_stime),
        used.ru_maxrss, used.ru_minflt, used.ru_majflt, ended);
    return written > 0 ? ended : complain(words[1], CANNOT_REPORT);
}
