/* SPDX-License-Identifier: MIT */
/*
 * tool - what the commands of the command-line tool share; in ashlar.c.
 */
#ifndef TOOL_H
#define TOOL_H

#include <limits.h>

/* The statuses are those of env, nohup and timeout: scripts know them. */
enum {
    STATUS_TOOL_FAILED = 125,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
};

#define TRY_HELP "Try 'ashlar --help' for more information."
#define HINT "\n" TRY_HELP

__attribute__((noreturn, format(printf, 2, 3)))
void die(int status, const char *format, ...);

/* Writes to standard output; returns the exit status of success. */
int say(const char *text);

/* Sets a variable to first, separator, second; an absent or empty part is left
   out together with the separator. */
void join_variable(const char *name, const char *first, char separator,
    const char *second);

/* What is to be run, and on what. */
struct errand {
    char **command;
    const char *library;
    char program[PATH_MAX];
};

/* Finds the program of a command, and the library: the wanted one or, if it is
   NULL, the one of that name that lies where the tool's libraries lie. Does
   not return if there is no command, if it cannot be executed, or the library
   not be preloaded into it. */
struct errand errand_of(char **command, const char *wanted, const char *name);

__attribute__((noreturn))
void become(const struct errand *errand);

/* The command `record`; in record.c. */
extern const char usage_record[];
int record(int count, char **arguments);

/* The command `report`; in report.c. */
extern const char usage_report[];
int report(int count, char **arguments);

#endif
