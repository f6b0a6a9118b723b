/* SPDX-License-Identifier: MIT */
/*
 * check - is what a program gives back a block that is out?
 *
 * Owns     marks, the look at lists of free blocks, and what is said when a
 *          program misuses a pointer (table/misuse.def).
 * Used by  fast.h (the two tests that every free affords), slab.c and
 *          remote.c (marks, lists), alloc.c (reports).
 * Never    reports on suspicion: a mark that is there where it should not be
 *          only starts a search, and what is reported was found on a list.
 *
 * The mark of a free block is its scaled index xor the slab's key. Frees set
 * it; the refill that takes a list over walks it once and tests that every link
 * leads to a block. In a thread's hand a block has its mark still; it goes when
 * the block is handed out. Blocks of 8 bytes, which a build of quantum 8 has,
 * have no room for a mark: whether they are free already nobody knows.
 *
 * Tests    test/unit/heap/check_test.c  test/unit/heap/search_test.c
 *          test/unit/heap/list_test.c  test/unit/heap/misuse_test.c
 *          test/misuse
 */
#ifndef HEAP_CHECK_H
#define HEAP_CHECK_H

#include "heap/remote.h"

/* Have free blocks of the class a mark? Where all have one, the class is not
 * even looked up. */
#define CHECK_MARKED(cls) \
    (ASHLAR_CHECKS && (sizeof(struct block) <= ASHLAR_QUANTUM || (cls) > 0))

/* What a free block of the slab has for a mark; for the owner. */
static ALWAYS_INLINE uint64_t check_mark(const struct slab *slab,
    const void *pointer)
{
    return slab_scaled(slab, pointer) ^ slab->key;
}

/* Is this the start of a block of the slab that was handed out, ever? The
 * owner; and any thread that knows the slab is unowned. */
static inline bool check_is_block(const struct slab *slab,
    const void *pointer)
{
    return slab_scaled(slab, pointer)
        < load_relaxed(&slab->fresh) * class_step[slab->cls];
}

/* The same as far as other threads can tell: the start of a block. */
bool check_may_be_block(const struct slab *slab, const void *pointer);

/* slab_scaled() for other threads, and a bound for it. */
static ALWAYS_INLINE uint64_t check_remote_scaled(const struct slab *slab,
    const void *pointer)
{
    return (uint64_t)((const char *)pointer - slab_extent(slab)->start)
        * class_factor[slab->remote_cls];
}

static ALWAYS_INLINE uint64_t check_remote_limit(const struct slab *slab)
{
    return class_blocks[slab->remote_cls] * class_step[slab->remote_cls];
}

/*
 * Is a pointer that is given back to a slab a block that is out? false, after
 * a report: no. The first is the owner's; the second any other thread's, and
 * sets the mark.
 */
MUST_USE bool check_give(const struct slab *slab, const char *call,
    const void *pointer);
MUST_USE bool check_give_remote(const struct slab *slab, const char *call,
    void *pointer);

/* The same as the second at a glance, which does not touch the lines of the
 * record that change all the time; false: it has to be asked. Of a slab that
 * nobody owns more is known. */
MUST_USE static ALWAYS_INLINE bool check_glance_remote(
    const struct slab *slab, struct block *block)
{
    const uint64_t scaled = check_remote_scaled(slab, block);
    const uint64_t mark = scaled ^ slab->remote_key;
    if (UNLIKELY(scaled >= check_remote_limit(slab)))
        return false;
    if (!CHECK_MARKED(slab->remote_cls))
        return true;
    if (UNLIKELY(block->mark == mark || load_relaxed(&slab->cold) != 0))
        return false;
    block->mark = mark;
    return true;
}

/* Set the mark of a block that any thread gives back. */
void check_set_remote_mark(const struct slab *slab, struct block *block);

/* A block that is being handed out may have been in hand since it was freed. */
static ALWAYS_INLINE void check_hand_out(struct block *block, size_t cls)
{
    if (CHECK_MARKED(cls))
        block->mark = 0;
}

/* Is a block that any thread asks about free? It is one of the slab's. */
bool check_is_free(const struct slab *slab, const void *pointer);

/* A list of free blocks, so many of them; what a walk finds out. */
struct check_list {
    struct block *first;
    uint32_t count;             /* after a walk: those that are sound */
    bool whole;                 /* there are no more on it */
    struct block *last;         /* NULL: none is */
    struct block *rest;         /* behind the last */
};

/* Walk a list to its end, or to where it is broken, which is reported. Bit i
 * of the result: block i is on it (the first 64). */
uint64_t check_walk(const struct slab *slab, struct check_list *list);

/* Take the first `count` blocks off a list to hand them out: as check_walk,
 * and none may come twice, and the last block's link goes. */
void check_cut(const struct slab *slab, struct check_list *list);

/*
 * Hardening: all blocks of a list, which a refill has just taken, look free
 * until one is handed out. false, after a report: it, or the link to it, was
 * overwritten.
 */
void check_mark_list(struct block *list);
MUST_USE bool check_unmark(struct block *block, unsigned cls);

/* A call was given a pointer that is no live block: say why it is none. */
COLD void check_report(const char *call, const void *pointer);

/* The same, knowing why. */
COLD void check_report_as(enum misuse what, const char *call,
    const void *pointer);

#endif
