/* SPDX-License-Identifier: MIT */
/*
 * tree - names to numbers to leaves.
 *
 * Owns     the tree of table/ctl.def and option.def, built when it is first
 *          asked for: a node per part of a name, found by a hash of its parent
 *          and its text, or by its place among its parent's children. That
 *          place is its number in a mib; the order is the table's.
 * Used by  ctl.c, leaf_build.c (ctl.list).
 * Never    knows what a leaf does, and never allocates.
 *
 * Holds    R1  the children of a node lie side by side in tree.children
 *          R2  nothing changes once ready is set
 *
 * Tests    test/unit/ctl/tree_test.c
 */
#ifndef CTL_TREE_H
#define CTL_TREE_H

#include "ctl/leaf.h"

enum { TREE_DEPTH_MAX = 7 };

typedef bool tree_has(size_t index);

/* What a row says. */
struct leaf {
    uint8_t handler;            /* enum leaf_handler */
    uint8_t read_bytes;
    uint8_t written_bytes;
    uint32_t argument;
};

struct node {
    const char *text;           /* up to a dot or a tab */
    const struct leaf *leaf;    /* NULL: it has children */
    tree_has *has;              /* not NULL: its one child stands for all
                                 * numbers of which this is true */
    uint16_t length;
    uint16_t parent;
    uint16_t first;             /* of its children, in tree.children */
    uint16_t count;
    uint16_t next;              /* its parent's next child; 0: none */
    uint16_t last;              /* of its children, while the tree grows */
    uint16_t place;             /* among its parent's children */
    bool is_read;
    bool is_written;
};

/* The node of a name, or of its first *depth parts; then *depth is how many
 * there are, and mib has their numbers. NULL: no such name. */
const struct node *tree_find(const char *name, size_t *mib, size_t *depth);

/* The node of a mib. NULL: no such. */
const struct node *tree_at(const size_t *mib, size_t depth);

/* A line for each leaf: name, type read, type written, access, status and
 * meaning, with tabs between them. */
const char *tree_list(void);

#endif
