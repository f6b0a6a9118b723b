/* SPDX-License-Identifier: MIT */
/*
 * report_profile - a heap profile, as read from a file of either format.
 *
 * Owns     the profile in memory; it stays until the tool ends.
 * Used by  report.c and what it is made of.
 *
 * Readers end the tool with a message where a file is no profile, or not a
 * whole one.
 *
 * Tests    test/programs/report.py
 */
#ifndef REPORT_PROFILE_H
#define REPORT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file whose code was mapped. */
struct profile_module {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    char *file;                 /* "": none */
    char *build_id;             /* as digits; "": not known */
    bool is_open;               /* report_symbol.h's: it looked for names, */
    void *names;                /* and what it found */
};

/* Estimates, of what was sampled. */
struct profile_values {
    double objects;
    double bytes;
};

struct profile_stack {
    uint64_t *address;          /* inside the calls, the innermost first */
    size_t count;
    struct profile_values live;
    struct profile_values ever; /* with what was freed */
};

struct profile {
    const char *path;
    const char *format;
    uint64_t rate_bytes;        /* between samples; 0: not said */
    bool has_ever;
    struct profile_module *module;
    size_t module_count;
    struct profile_stack *stack;
    size_t stack_count;
};

/* The bytes of a file; behind them is a 0. */
struct profile_text {
    char *bytes;
    size_t length;
};

struct profile profile_read(const char *path);

/* The readers of the formats, for profile_read(). */
void profile_read_heap(struct profile *profile, struct profile_text text);
void profile_read_pprof(struct profile *profile, struct profile_text text);

/* For readers: one more, all zero. */
struct profile_stack *profile_add_stack(struct profile *profile);
struct profile_module *profile_add_module(struct profile *profile);

__attribute__((noreturn))
void profile_refuse(const struct profile *profile, const char *why);

/* Memory, or the end of the tool. */
void *need(void *memory);

/* The array with room for one more behind so many of so many bytes each. */
void *array_grow(void *array, size_t count, size_t each_bytes);

#endif
