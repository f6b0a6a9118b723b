/* SPDX-License-Identifier: MIT */
/*
 * report_heap - reads heap profiles in the format heap_v2: lines of text.
 *
 *     heap_v2/524288
 *       t*: 3: 12288 [0: 0]
 *     @ 0x55d0c8a9f1b4 0x7f3a5c2460b3
 *       t*: 3: 12288 [0: 0]
 *       t1: 3: 12288 [0: 0]
 *
 *     MAPPED_LIBRARIES:
 *     55d0c8a9e000-55d0c8aa0000 r-xp 00001000 fe:00 42     /usr/bin/name
 *
 * Tests    test/programs/report.py
 */
#include "report_profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct lines {
    const struct profile *profile;
    char *next;                 /* NULL: there is none */
    unsigned long number;       /* of the line that was taken last */
};

__attribute__((noreturn))
static void refuse_line(const struct lines *lines, const char *why)
{
    die(STATUS_TOOL_FAILED, "%s:%lu: %s", lines->profile->path, lines->number,
        why);
}

/* A file that is not whole ends within a line, or before its mappings. */
static char *take_line(struct lines *lines)
{
    char *const line = lines->next;
    lines->number++;
    char *const end = strchr(line, '\n');
    if (!end)
        refuse_line(lines, *line ? "cut off within a line"
            : "cut off before its mappings");
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    lines->next = end + 1;
    return line;
}

static struct profile_stack read_stack(const struct lines *lines, char *text)
{
    struct profile_stack stack = { .count = 0 };
    while (*(text += strspn(text, " "))) {
        char *end;
        const uint64_t address = strtoull(text, &end, 16);
        if (end == text || (*end && *end != ' '))
            refuse_line(lines, "not an address");
        stack.address = array_grow(stack.address, stack.count,
            sizeof *stack.address);
        /* The call is before the address that it returns to. */
        stack.address[stack.count++] = address - (address != 0);
        text = end;
    }
    return stack;
}

/* What was sampled stands for more: an object of so many bytes is sampled with
   the probability 1 - exp(-bytes / rate). */
static struct profile_values estimate(double objects, double bytes,
    uint64_t rate_bytes)
{
    if (objects == 0 || bytes == 0)
        return (struct profile_values){ 0, 0 };
    const double weight = -1 / expm1(-(bytes / objects) / (double)rate_bytes);
    return (struct profile_values){ objects * weight, bytes * weight };
}

/* "  t*: 3: 12288 [0: 0]", of all threads or, with a number, of one. */
static bool read_values(char *line, struct profile *profile,
    struct profile_stack *stack)
{
    uint64_t objects;
    uint64_t bytes;
    uint64_t objects_ever;
    uint64_t bytes_ever;
    char end;
    if (sscanf(line, " t*: %" SCNu64 ": %" SCNu64 " [%" SCNu64 ": %" SCNu64
            "%c", &objects, &bytes, &objects_ever, &bytes_ever, &end) != 5
        || end != ']')
        return false;
    stack->live =
        estimate((double)objects, (double)bytes, profile->rate_bytes);
    stack->ever = estimate((double)objects_ever, (double)bytes_ever,
        profile->rate_bytes);
    profile->has_ever |= objects_ever != 0;
    return true;
}

/* All lines up to the empty one before the mappings. */
static void read_stacks(struct lines *lines, struct profile *profile)
{
    struct profile_stack stack = { .count = 0 };
    bool is_open = false;       /* a stack waits for its values */
    char *line;
    while (*(line = take_line(lines))) {
        if (*line == '@') {
            if (is_open)
                refuse_line(lines, "the stack before has no counts");
            stack = read_stack(lines, line + 1);
            is_open = true;
        } else if (is_open && read_values(line, profile, &stack)) {
            *profile_add_stack(profile) = stack;
            is_open = false;
        } else if (is_open || strncmp(line, "  t", 3) != 0) {
            refuse_line(lines, "not a line of a profile");
        }
    }
    if (is_open)
        refuse_line(lines, "the stack before has no counts");
}

/* As the kernel writes them. */
static void read_modules(struct lines *lines, struct profile *profile)
{
    while (*lines->next) {
        char *const line = take_line(lines);
        struct profile_module module = { .build_id = "" };
        char kind[5];
        int file = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
                &module.start, &module.end, kind, &module.offset, &file) != 4
            || file == 0)
            refuse_line(lines, "not a mapping");
        module.file = line + file;
        if (kind[2] == 'x')
            *profile_add_module(profile) = module;
    }
}

void profile_read_heap(struct profile *profile, struct profile_text text)
{
    struct lines lines = { .profile = profile, .next = text.bytes };
    if (strlen(text.bytes) != text.length)
        profile_refuse(profile, "damaged: a text with a zero in it");
    char end;
    if (sscanf(take_line(&lines), "heap_v2/%" SCNu64 "%c",
            &profile->rate_bytes, &end) != 1 || profile->rate_bytes == 0)
        refuse_line(&lines, "no number of bytes between samples");
    profile->format = "heap_v2";
    read_stacks(&lines, profile);
    if (strcmp(take_line(&lines), "MAPPED_LIBRARIES:") != 0)
        refuse_line(&lines, "MAPPED_LIBRARIES: expected");
    read_modules(&lines, profile);
}
