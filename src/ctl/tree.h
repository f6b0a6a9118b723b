/* SPDX-License-Identifier: MIT */
/*
 * tree - names to numbers to leaves.
 *
 * Owns     the tree of table/ctl.def and option.def, built when it is first
 *          asked for: a node per part of a name, found by its place among its
 *          parent's children, or by a hash of its name, which takes one step
 *          for each number in the name and one more (stretch.h). That place is
 *          its number in a mib; the order is the table's.
 * Used by  ctl.c, leaf_build.c (ctl.list).
 * Never    knows what a leaf does, and never allocates.
 *
 * Holds    R1  the children of a node lie side by side
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
    uint8_t is_read : 1;
    uint8_t is_written : 1;
    uint8_t is_always : 1;      /* neither absent nor armed */
    uint32_t argument;
};

struct node {
    const struct leaf *leaf;    /* NULL: it has children */
    const struct node *children;
    tree_has *has;              /* not NULL: its one child stands for all
                                 * numbers of which this is true */
    uint16_t count;             /* of children */
    uint16_t name;              /* its number in tree.names */
    uint8_t depth;              /* how many parts its name has */
};

/* The node of a name. Of mib, with room for TREE_DEPTH_MAX, only the numbers
 * in the name are filled in. NULL: no such name. */
const struct node *tree_named(const char *name, size_t *mib);

/* The same, of a name's first *depth parts; then *depth is how many there are,
 * and mib has all their numbers. */
const struct node *tree_find(const char *name, size_t *mib, size_t *depth);

/* The node of a mib. NULL: no such. */
const struct node *tree_at(const size_t *mib, size_t depth);

/* A line for each leaf: name, type read, type written, access, status and
 * meaning, with tabs between them. */
const char *tree_list(void);

#endif
