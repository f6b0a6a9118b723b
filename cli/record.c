/* SPDX-License-Identifier: MIT */
/*
 * record - the command `ashlar record`: runs a program and has every call of
 * its allocator written down.
 *
 * Owns     the options, and the first file, empty.
 * Uses     tool.h for all that it has in common with `ashlar run`.
 * Used by  main in ashlar.c.
 *
 * The tool becomes the command here too; the library that it preloads, from
 * recorder.c, does the work. docs/RECORD.md is for who uses it.
 *
 * Tests    test/programs/record.py
 */
#define _GNU_SOURCE
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

const char usage_record[] =
    "Usage: ashlar record [OPTION]... [--] COMMAND [ARG...]\n"
    "\n"
    "Runs COMMAND and writes every call of its allocator into a file: sizes,\n"
    "threads and lifetimes, no contents.\n"
    "\n"
    "  -o, --output FILE  the file (default: ashlar.trace)\n"
    "  -n, --limit N      the first N calls only\n"
    "  -c, --children     also the programs that COMMAND starts, each in\n"
    "                     FILE.PID\n"
    "  -l, --lib PATH     use this recorder; otherwise libashlar-record.so\n"
    "                     beside the tool or in the lib directory beside the\n"
    "                     tool's\n"
    "  -h, --help         show this text\n"
    "\n"
    "Exit status: that of COMMAND, or 125, 126 or 127 as with 'ashlar run'.\n"
    "\n"
    "Example: ashlar record -o sort.trace -- sort -n numbers.txt\n";

static unsigned long long limit_of(const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long limit = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || limit == 0)
        die(STATUS_TOOL_FAILED, "--limit '%s' is not a number of calls",
            text);
    return limit;
}

/* Makes the file, so that what is wrong with it is said by the tool and not in
   the midst of the program's output. Returns its absolute name. */
static char *make_file(const char *name)
{
    struct stat status;
    const int file =
        open(name, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
    if (file < 0 || fstat(file, &status) != 0)
        die(STATUS_TOOL_FAILED, "%s: %s", name, strerror(errno));
    if (!S_ISREG(status.st_mode))
        die(STATUS_TOOL_FAILED, "%s: not a regular file", name);
    char *const path = realpath(name, NULL);
    if (!path || ftruncate(file, 0) != 0)
        die(STATUS_TOOL_FAILED, "%s: %s", name, strerror(errno));
    close(file);
    return path;
}

/* The tool keeps its process id when it becomes the command. */
static void tell_recorder(const char *path, int children,
    unsigned long long limit)
{
    char value[PATH_MAX + 64];
    snprintf(value, sizeof value, RECORD_FORMAT "%s", (int)getpid(), children,
        limit, path);
    if (setenv(RECORD_VARIABLE, value, 1) != 0)
        die(STATUS_TOOL_FAILED, "cannot set " RECORD_VARIABLE ": %s",
            strerror(errno));
}

int record(int count, char **arguments)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"limit", required_argument, NULL, 'n'},
        {"children", no_argument, NULL, 'c'},
        {"lib", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *output = "ashlar.trace";
    const char *wanted = NULL;
    unsigned long long limit = 0;
    int children = 0;
    int letter;
    while ((letter = getopt_long(count, arguments, "+o:n:cl:h", options,
            NULL)) != -1) {
        switch (letter) {
        case 'o': output = optarg; break;
        case 'n': limit = limit_of(optarg); break;
        case 'c': children = 1; break;
        case 'l': wanted = optarg; break;
        case 'h': return say(usage_record);
        default:
            fputs(TRY_HELP "\n", stderr);    /* getopt has complained */
            return STATUS_TOOL_FAILED;
        }
    }
    const struct errand errand =
        errand_of(arguments + optind, wanted, "libashlar-record.so");
    tell_recorder(make_file(output), children, limit);
    become(&errand);
}
