/* SPDX-License-Identifier: MIT */
/*
 * ashlar - the command-line tool: runs a program on the library.
 *
 * Owns     the command line, the search for the library, the refusals.
 * Uses     libc, and the version from the public header; not the library.
 *          cli/record.c and cli/report.c for the commands of those names.
 * Used by  people at a shell, test/programs.
 *
 * The tool becomes the command (execvp), so the command's exit status and
 * the signals it gets or dies of are its own, with nothing to pass through.
 * What the dynamic loader would silently ignore is refused beforehand: a
 * preload that does nothing looks exactly like one that works.
 *
 * Never    forks, waits, or changes a variable other than LD_PRELOAD,
 *          MALLOC_CONF, and the recorder's.
 * Tests    test/programs/cli.py
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ashlar/ashlar.h"
#include "tool.h"

enum {
    HEAD_BYTES = 256,       /* what the kernel reads of a script's #! line */
    SCRIPT_DEPTH_MAX = 5,   /* interpreters the kernel follows before ELOOP */
};

struct file_head {
    char bytes[HEAD_BYTES + 1];
    size_t length_bytes;
};

static const char usage_tool[] =
    "Usage: ashlar run [OPTION]... [--] COMMAND [ARG...]\n"
    "       ashlar record [OPTION]... [--] COMMAND [ARG...]\n"
    "       ashlar report [OPTION]... FILE\n"
    "       ashlar help\n"
    "\n"
    "Ashlar is a memory allocator; this tool runs programs on it.\n"
    "\n"
    "  run             run COMMAND with the library preloaded\n"
    "  record          run COMMAND and write down its calls of malloc\n"
    "  report          say where a heap profile's memory was allocated\n"
    "  help            show this text ('ashlar help run': that of run)\n"
    "  -h, --help      the same\n"
    "  -V, --version   show the version\n";

static const char usage_run[] =
    "Usage: ashlar run [OPTION]... [--] COMMAND [ARG...]\n"
    "\n"
    "Runs COMMAND with libashlar.so first in LD_PRELOAD.\n"
    "\n"
    "  -s, --stats        print the library's statistics on stderr at exit\n"
    "  -c, --conf K:V     add the option K with the value V to MALLOC_CONF;\n"
    "                     more than one: K:V,K:V or --conf again\n"
    "  -l, --lib PATH     use this library; otherwise the one beside the\n"
    "                     tool or in the lib directory beside the tool's\n"
    "  -h, --help         show this text\n"
    "\n"
    "Exit status: that of COMMAND, or\n"
    "  125  ashlar itself failed, or COMMAND cannot be preloaded because\n"
    "       it is static, gains privileges, or is of another architecture\n"
    "  126  COMMAND was found but cannot be executed\n"
    "  127  COMMAND was not found\n"
    "\n"
    "Example: ashlar run --stats -- sort -n numbers.txt\n";

/* -- saying things -- */

void die(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ashlar: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

/* Text that could not be written must not look like success. */
int say(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        die(STATUS_TOOL_FAILED, "standard output: %s", strerror(errno));
    return EXIT_SUCCESS;
}

/* -- the environment -- */

/* Sets name to first, separator, second; an absent or empty part is left
   out together with the separator. */
void join_variable(const char *name, const char *first, char separator,
    const char *second)
{
    if (!first || !*first || !second || !*second)
        separator = '\0';
    char *value = NULL;
    const char between[] = {separator, '\0'};
    if (asprintf(&value, "%s%s%s", first ? first : "", between,
            second ? second : "") < 0 || setenv(name, value, 1) != 0)
        die(STATUS_TOOL_FAILED, "cannot set %s: %s", name, strerror(errno));
    free(value);
}

static void append_option(const char *option)
{
    if (!strchr(option, ':'))
        die(STATUS_TOOL_FAILED,
            "option '%s' is not of the form KEY:VALUE", option);
    join_variable("MALLOC_CONF", getenv("MALLOC_CONF"), ',', option);
}

/* -- looking into files -- */

/* False when the file cannot be read: a program may be executable and
   unreadable, and then nothing can be said about it. */
static bool read_head(const char *path, struct file_head *head)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = pread(fd, head->bytes, HEAD_BYTES, 0);
    close(fd);
    head->length_bytes = length < 0 ? 0 : (size_t)length;
    head->bytes[head->length_bytes] = '\0';
    return length >= 0;
}

/* Fills a header of either width: the two agree in the fields used here,
   e_ident, e_type and e_machine. */
static bool read_elf(const char *path, Elf64_Ehdr *elf)
{
    struct file_head head;
    if (!read_head(path, &head) || head.length_bytes < sizeof *elf)
        return false;
    memcpy(elf, head.bytes, sizeof *elf);
    return memcmp(elf->e_ident, ELFMAG, SELFMAG) == 0;
}

/* True also when the headers cannot be read to the end, since a program
   must be refused only for a known reason. */
static bool has_loader(const char *path, const Elf64_Ehdr *elf)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    bool found = false;
    for (unsigned i = 0; i < elf->e_phnum && !found; i++) {
        Elf64_Phdr segment;
        const off_t offset = (off_t)(elf->e_phoff + i * sizeof segment);
        const ssize_t got = pread(fd, &segment, sizeof segment, offset);
        found = got != (ssize_t)sizeof segment || segment.p_type == PT_INTERP;
    }
    close(fd);
    return found;
}

/* -- finding the library -- */

/* ld.so splits LD_PRELOAD at these and knows no quoting. */
static void check_library(const char *path)
{
    Elf64_Ehdr elf;
    if (strpbrk(path, ": "))
        die(STATUS_TOOL_FAILED, "%s: LD_PRELOAD cannot hold a path with a "
            "colon or a space; move or link the library", path);
    if (!read_elf(path, &elf) || elf.e_type != ET_DYN)
        die(STATUS_TOOL_FAILED, "%s: not a shared library", path);
}

/* Looks beside the running executable, which is not argv[0]: that is only
   what the caller chose to say. */
static char *find_library(const char *name)
{
    char own[PATH_MAX] = "";
    struct utsname system;
    if (readlink("/proc/self/exe", own, sizeof own - 1) < 0
        || uname(&system) != 0)
        die(STATUS_TOOL_FAILED, "cannot find the library: %s",
            strerror(errno));
    *strrchr(own, '/') = '\0';
    char multiarch[sizeof system.machine + 32];
    snprintf(multiarch, sizeof multiarch, "/../lib/%s-linux-gnu",
        system.machine);
    const char *const places[] = {"", "/../lib", multiarch, "/../lib64"};

    char tried[8][PATH_MAX + sizeof multiarch + 64];
    for (size_t i = 0; i < 8; i++) {
        snprintf(tried[i], sizeof tried[i], "%s%s/%s%s", own, places[i / 2],
            name, i % 2 ? ".0" : "");
        char *const found = realpath(tried[i], NULL);
        if (found)
            return found;
    }
    fputs("ashlar: the library was not found; these were tried:\n", stderr);
    for (size_t i = 0; i < 8; i++)
        fprintf(stderr, "  %s\n", tried[i]);
    fputs("Name it with --lib PATH.\n", stderr);
    exit(STATUS_TOOL_FAILED);
}

static const char *library_of(const char *wanted, const char *name)
{
    char *const path = wanted ? realpath(wanted, NULL) : find_library(name);
    if (!path)
        die(STATUS_TOOL_FAILED, "%s: %s (named by --lib, nothing else was "
            "tried)", wanted, strerror(errno));
    check_library(path);
    return path;
}

/* -- finding the command -- */

static bool is_program(const char *path, int *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            *error = errno;
        return false;
    }
    if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
        return true;
    *error = EACCES;
    return false;
}

/* Finds what execvp would start, by its rules: an empty element of PATH is
   the current directory, and a name with a slash is not searched for. */
static void find_command(const char *name, char path[PATH_MAX])
{
    char standard[PATH_MAX] = "";
    const char *place = getenv("PATH");
    if (!place && confstr(_CS_PATH, standard, sizeof standard) > 0)
        place = standard;
    int error = ENOENT;
    const bool searched = *name && !strchr(name, '/');
    snprintf(path, PATH_MAX, "%s", name);
    if (!searched && is_program(path, &error))
        return;
    while (searched && place) {
        const int length = (int)strcspn(place, ":");
        const int wrote = snprintf(path, PATH_MAX, "%.*s/%s",
            length ? length : 1, length ? place : ".", name);
        if (wrote < PATH_MAX && is_program(path, &error))
            return;
        place = place[length] ? place + length + 1 : NULL;
    }
    die(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
        "%s: %s", name, searched && error == ENOENT
        ? "command not found" : strerror(error));
}

/* Replaces a script by the program the kernel would start for it, script
   after script; a file of no known kind is run by execvp with sh. */
static void find_interpreter(const char *name, char path[PATH_MAX])
{
    for (int depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
        struct file_head head;
        if (!read_head(path, &head)
            || strncmp(head.bytes, ELFMAG, SELFMAG) == 0)
            return;
        const char *interpreter = "/bin/sh";
        if (strncmp(head.bytes, "#!", 2) == 0) {
            char *const start =
                head.bytes + 2 + strspn(head.bytes + 2, " \t");
            start[strcspn(start, " \t\n")] = '\0';
            interpreter = start;
        }
        int error = ENOENT;
        if (!is_program(interpreter, &error))
            die(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
                "%s: its interpreter '%s': %s", name, interpreter,
                strerror(error));
        snprintf(path, PATH_MAX, "%s", interpreter);
    }
    die(STATUS_NOT_EXECUTABLE, "%s: %s", name, strerror(ELOOP));
}

/* -- refusing what preloading cannot reach -- */

/* The kernel's rule for AT_SECURE, under which ld.so drops LD_PRELOAD; the
   bits alone do not count where they give the caller nothing new. */
static bool gains_privileges(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    const mode_t group_bits = S_ISGID | S_IXGRP;
    const bool user = status.st_mode & S_ISUID;
    const bool group = (status.st_mode & group_bits) == group_bits;
    return (user && status.st_uid != getuid())
        || (group && status.st_gid != getgid())
        || (getuid() != 0
            && getxattr(path, "security.capability", NULL, 0) > 0);
}

static void refuse_unreachable(const char *name, const char *path,
    const char *library)
{
    if (gains_privileges(path))
        die(STATUS_TOOL_FAILED, "%s: %s gains privileges (setuid, setgid or "
            "file capabilities), so the loader would ignore the library",
            name, path);
    Elf64_Ehdr program;
    Elf64_Ehdr ours;
    if (!read_elf(path, &program) || !read_elf(library, &ours))
        return;
    if (program.e_ident[EI_CLASS] != ours.e_ident[EI_CLASS]
        || program.e_machine != ours.e_machine)
        die(STATUS_TOOL_FAILED, "%s: %s is for another architecture than "
            "the library, so the loader would ignore it", name, path);
    if (program.e_ident[EI_CLASS] == ELFCLASS64 && !has_loader(path, &program))
        die(STATUS_TOOL_FAILED, "%s: %s is statically linked, so nothing "
            "can be preloaded into it", name, path);
}

/* -- the commands -- */

struct errand errand_of(char **command, const char *wanted, const char *name)
{
    if (!*command)
        die(STATUS_TOOL_FAILED, "no command to run" HINT);
    struct errand errand = {
        .command = command, .library = library_of(wanted, name) };
    char reached[PATH_MAX];
    find_command(*command, errand.program);
    snprintf(reached, sizeof reached, "%s", errand.program);
    find_interpreter(*command, reached);
    refuse_unreachable(*command, reached, errand.library);
    return errand;
}

void become(const struct errand *errand)
{
    join_variable("LD_PRELOAD", errand->library, ':', getenv("LD_PRELOAD"));
    execvp(errand->program, errand->command);
    die(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
        "%s: %s", *errand->command, strerror(errno));
}

static int run(int count, char **arguments)
{
    static const struct option options[] = {
        {"stats", no_argument, NULL, 's'},
        {"conf", required_argument, NULL, 'c'},
        {"lib", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *wanted = NULL;
    int letter;
    while ((letter = getopt_long(count, arguments, "+sc:l:h", options,
            NULL)) != -1) {
        switch (letter) {
        case 's': append_option("stats_print:true"); break;
        case 'c': append_option(optarg); break;
        case 'l': wanted = optarg; break;
        case 'h': return say(usage_run);
        default:
            fputs(TRY_HELP "\n", stderr);    /* getopt has complained */
            return STATUS_TOOL_FAILED;
        }
    }
    const struct errand errand =
        errand_of(arguments + optind, wanted, "libashlar.so");
    become(&errand);
}

/* One row for each command: a word, what it does, its help. */
static const struct command {
    const char *name;
    int (*run)(int count, char **arguments);
    const char *usage;
} commands[] = {
    {"run", run, usage_run},
    {"record", record, usage_record},
    {"report", report, usage_report},
};

static const struct command *command_of(const char *word)
{
    for (size_t i = 0; word && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

int main(int count, char **arguments)
{
    static char name[] = "ashlar";
    const char *const word = count > 1 ? arguments[1] : "";
    const struct command *command = command_of(word);
    if (command) {
        arguments[1] = name;    /* getopt begins its messages with it */
        return command->run(count - 1, arguments + 1);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return say("ashlar " ASHLAR_VERSION_STRING "\n");
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return say(usage_tool);
    if (strcmp(word, "help") == 0) {
        command = command_of(arguments[2]);
        return say(command ? command->usage : usage_tool);
    }
    if (!*word)
        die(STATUS_TOOL_FAILED, "no command given" HINT);
    die(STATUS_TOOL_FAILED, "unknown %s '%s'" HINT,
        *word == '-' ? "option" : "command", word);
}
