/* SPDX-License-Identifier: MIT */
/*
 * ask - what the tests of ctl/ share: every leaf there is, from ctl.list, and
 * asking by name with fewer arguments.
 */
#ifndef ASK_H
#define ASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

#include "ctl/tree.h"
#include "heap/request.h"

#define ASK_UNUSED __attribute__((unused))

enum { ASK_NAME_BYTES = 128, ASK_ROOM_BYTES = 64 };

/* -- one leaf -- */

/* Read into *value, as long as it is. */
#define ASK(name, value) ask_bytes(name, value, sizeof *(value))
#define TELL(name, value) ctl_by_name(name, NULL, NULL, value, sizeof *(value))
#define DO(name) ctl_by_name(name, NULL, NULL, NULL, 0)

static ASK_UNUSED int ask_bytes(const char *name, void *value, size_t bytes)
{
    return ctl_by_name(name, value, &bytes, NULL, 0);
}

static ASK_UNUSED uint64_t ask_u64(const char *name)
{
    uint64_t value;
    assert_int_equal(ASK(name, &value), 0);
    return value;
}

static ASK_UNUSED unsigned ask_unsigned(const char *name)
{
    unsigned value;
    assert_int_equal(ASK(name, &value), 0);
    return value;
}

/* A name with a number in it. */
static ASK_UNUSED const char *ask_name(const char *before, unsigned number,
    const char *behind)
{
    static char name[ASK_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s%u%s", before, number, behind);
    return name;
}

static ASK_UNUSED void ask_epoch(void)
{
    const uint64_t any = 1;
    assert_int_equal(TELL("epoch", &any), 0);
}

/* -- every leaf -- */

struct ask_leaf {
    char name[ASK_NAME_BYTES];      /* with a number for each <i> and <j> */
    char written_so[ASK_NAME_BYTES];    /* as it is in the list */
    char access[3];
    char status[16];
    size_t read_bytes;              /* 0: nothing is read */
    size_t written_bytes;
};

/* The field of a line, after so many tabs. */
static inline const char *ask_field(const char *line, int tabs, size_t *length)
{
    while (tabs-- > 0)
        line = strchr(line, '\t') + 1;
    *length = strcspn(line, "\t\n");
    return line;
}

static inline void ask_copy_field(char *to, const char *line, int tabs)
{
    size_t length;
    const char *from = ask_field(line, tabs, &length);
    memcpy(to, from, length);
    to[length] = '\0';
}

/* The name with 0 wherever any number may stand. */
static inline void ask_fill_in(struct ask_leaf *leaf)
{
    char *to = leaf->name;
    for (const char *from = leaf->written_so; *from != '\0';) {
        const bool is_index = *from == '<';
        *to++ = is_index ? '0' : *from;
        from += is_index ? 3 : 1;
    }
    *to = '\0';
}

/* Call for every leaf of the list; how many there were. */
static ASK_UNUSED unsigned ask_each(
    void (*call)(const struct ask_leaf *leaf, void *argument), void *argument)
{
    const char *line;
    unsigned count = 0;
    assert_int_equal(ASK("ctl.list", &line), 0);
    for (; *line != '\0'; line = strchr(line, '\n') + 1, count++) {
        struct ask_leaf leaf;
        ask_copy_field(leaf.written_so, line, 0);
        ask_copy_field(leaf.access, line, 3);
        ask_copy_field(leaf.status, line, 4);
        ask_fill_in(&leaf);
        size_t mib[TREE_DEPTH_MAX];
        size_t depth = TREE_DEPTH_MAX;
        const struct node *node = tree_find(leaf.name, mib, &depth);
        assert_non_null(node);
        assert_non_null(node->leaf);
        leaf.read_bytes = leaf.access[0] == 'r' ? node->leaf->read_bytes : 0;
        leaf.written_bytes
            = leaf.access[1] == 'w' ? node->leaf->written_bytes : 0;
        call(&leaf, argument);
    }
    return count;
}

static inline bool ask_is(const struct ask_leaf *leaf, const char *name)
{
    return strcmp(leaf->written_so, name) == 0;
}

/* Is there no such leaf, at this time? */
static inline bool ask_is_absent(const struct ask_leaf *leaf)
{
    return strcmp(leaf->status, "absent") == 0
        || (strcmp(leaf->status, "armed") == 0 && !profile_is_armed());
}

/* -- arenas and what is in them -- */

static ASK_UNUSED unsigned create(void)
{
    unsigned index;
    assert_int_equal(ASK("arenas.create", &index), 0);
    return index;
}

static ASK_UNUSED void destroy(unsigned index)
{
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), 0);
}

static ASK_UNUSED void *take(size_t size, int arena)
{
    const struct request request = {
        .size = size,
        .arena = arena,
        .cache = arena < 0 ? REQUEST_AUTO : REQUEST_NO_CACHE,
    };
    void *pointer = request_take(&request);
    assert_non_null(pointer);
    return pointer;
}

#endif
