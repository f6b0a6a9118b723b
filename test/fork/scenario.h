/* SPDX-License-Identifier: MIT */
/*
 * scenario - what torture.c's victim does, one instruction at a time.
 *
 * Owns     the table `scenarios`: for each, what several threads do before,
 *          and the few calls that the victim is stepped through. All blocks
 *          are slots of one table, so that any thread can free them.
 * Used by  torture.c.
 *
 * A row is a list of moves, who does what with slots [first, first + count).
 * ORPHAN's moves are each made by a thread that then ends. A scenario that
 * takes memory anew each time must not touch more of it than it needs: each
 * fork pays for the pages.
 */
#ifndef FORK_SCENARIO_H
#define FORK_SCENARIO_H

#include "../expect.h"

enum who { VICTIM, HELPER, MAIN, ORPHAN };

enum verb { NOTHING, TAKE, ZERO, ALIGNED, GIVE, SECOND, RESIZE, TRIM };

struct move {
    enum who who;
    enum verb verb;
    unsigned first;
    unsigned count;
    size_t size;
    size_t align;
};

/* How a victim lives. */
enum {
    UNBORN = 1,                 /* allocates nothing before */
    ALONE = 2,                  /* nobody died before: no heap to adopt */
    ENDS = 4,                   /* is stepped through its thread's end, too */
    LATE = 8,                   /* does it when its heap is gone already */
    CHAINS = 16                 /* may take a chain of kept runs along */
};

struct scenario {
    const char *name;
    unsigned life;
    const struct move *before;
    const struct move *act;
};

enum { SLOTS = 1600 };
static void *slots[SLOTS];

static inline void *slot_take(const struct move *move, void *old)
{
    switch (move->verb) {
    case TAKE: return subject_malloc(move->size);
    case ZERO: return subject_calloc(1, move->size);
    case ALIGNED: return subject_aligned_alloc(move->align, move->size);
    default: return subject_realloc(old, move->size);
    }
}

static inline void move_make(const struct move *move)
{
    const unsigned end = move->first + move->count;
    if (move->verb == TRIM) {
        subject_trim(0);
    } else if (move->verb == GIVE || move->verb == SECOND) {
        for (unsigned i = move->first; i < end; i += move->verb - GIVE + 1) {
            subject_free(slots[i]);
            slots[i] = NULL;
        }
    } else {
        for (unsigned i = move->first; i < end; i++) {
            slots[i] = slot_take(move, slots[i]);
            if (slots[i] == NULL)
                FAIL("no memory for a slot of %zu bytes", move->size);
        }
    }
}

/* How much memory moves are about. */
static inline size_t moves_bytes(const struct move *move)
{
    size_t bytes = 0;
    for (; move->verb != NOTHING; move++)
        bytes += move->count * move->size;
    return bytes;
}

#define MOVES(...) (const struct move[]){__VA_ARGS__, {.verb = NOTHING}}
#define NO_MOVES (const struct move[]){{.verb = NOTHING}}

static const struct scenario scenarios[] = {
    /* -- malloc -- */
    {"malloc-first", UNBORN | ALONE, NO_MOVES,
     MOVES({VICTIM, TAKE, 0, 1, 64, 0})},
    {"malloc-first-adopts", UNBORN, NO_MOVES,
     MOVES({VICTIM, TAKE, 0, 1, 64, 0})},
    {"malloc-first-run", UNBORN | ALONE, NO_MOVES,
     MOVES({VICTIM, TAKE, 0, 1, 100000, 0})},
    {"malloc-hit", 0,
     MOVES({VICTIM, TAKE, 0, 8, 64, 0}, {VICTIM, GIVE, 0, 4, 64, 0}),
     MOVES({VICTIM, TAKE, 0, 4, 64, 0})},
    {"malloc-medium", 0,
     MOVES({VICTIM, TAKE, 0, 8, 2000, 0}, {VICTIM, GIVE, 0, 4, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 4, 2000, 0})},
    {"refill-new-class", 0, NO_MOVES,
     MOVES({VICTIM, TAKE, 0, 2, 3000, 0})},
    {"refill-freed", 0,
     MOVES({VICTIM, TAKE, 0, 60, 112, 0}, {VICTIM, GIVE, 0, 50, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 40, 112, 0})},
    {"refill-segments", 0,
     MOVES({VICTIM, TAKE, 0, 600, 64, 0}, {VICTIM, GIVE, 0, 590, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 60, 64, 0})},
    {"refill-remote", 0,
     MOVES({VICTIM, TAKE, 0, 64, 192, 0}, {MAIN, GIVE, 0, 24, 0, 0},
           {HELPER, GIVE, 24, 24, 0, 0}),
     MOVES({VICTIM, TAKE, 100, 40, 192, 0})},
    {"refill-opens-slab", 0, MOVES({VICTIM, TAKE, 0, 4, 8192, 0}),
     MOVES({VICTIM, TAKE, 4, 9, 8192, 0})},
    {"refill-opens-long-slab", 0, NO_MOVES,
     MOVES({VICTIM, TAKE, 0, 9, 65536, 0})},
    {"refill-kept-slab", 0,
     MOVES({VICTIM, TAKE, 0, 40, 8192, 0}, {VICTIM, GIVE, 0, 40, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 17, 10000, 0})},
    {"refill-partial", 0,
     MOVES({VICTIM, TAKE, 0, 200, 1024, 0}, {VICTIM, SECOND, 0, 200, 0, 0}),
     MOVES({VICTIM, TAKE, 200, 50, 1024, 0})},
    {"refill-adopts-slab", 0,
     MOVES({ORPHAN, TAKE, 0, 64, 8192, 0}, {MAIN, SECOND, 0, 64, 0, 0}),
     MOVES({VICTIM, TAKE, 64, 12, 8192, 0})},
    {"refill-disowns", 0, MOVES({VICTIM, TAKE, 0, 1000, 8192, 0}),
     MOVES({VICTIM, TAKE, 1000, 34, 8192, 0})},
    {"late-malloc", LATE, MOVES({VICTIM, TAKE, 0, 20, 192, 0}),
     MOVES({VICTIM, TAKE, 20, 2, 192, 0}, {VICTIM, TAKE, 22, 1, 100000, 0})},
    /* -- free, by the owner -- */
    {"free-hit", 0, MOVES({VICTIM, TAKE, 0, 40, 64, 0}),
     MOVES({VICTIM, GIVE, 10, 4, 64, 0})},
    {"free-closes-list", 0, MOVES({VICTIM, TAKE, 0, 600, 64, 0}),
     MOVES({VICTIM, GIVE, 300, 150, 64, 0})},
    {"free-wakes-slab", 0, MOVES({VICTIM, TAKE, 0, 300, 1024, 0}),
     MOVES({VICTIM, GIVE, 0, 30, 1024, 0})},
    {"free-closes-slab", 0, MOVES({VICTIM, TAKE, 0, 64, 8192, 0}),
     MOVES({VICTIM, GIVE, 0, 24, 8192, 0})},
    {"free-tears-down", CHAINS,
     MOVES({VICTIM, TAKE, 0, 300, 8192, 0}, {VICTIM, GIVE, 0, 220, 0, 0}),
     MOVES({VICTIM, GIVE, 220, 70, 8192, 0})},
    {"free-takes-back", CHAINS,
     MOVES({VICTIM, TAKE, 0, 1200, 8192, 0},
           {VICTIM, GIVE, 300, 900, 0, 0}),
     MOVES({VICTIM, GIVE, 0, 16, 8192, 0})},
    /* -- free, by others -- */
    {"remote-first", 0, MOVES({HELPER, TAKE, 0, 40, 64, 0}),
     MOVES({VICTIM, GIVE, 0, 3, 64, 0})},
    {"remote-last", 0, MOVES({HELPER, TAKE, 0, 24, 8192, 0}),
     MOVES({VICTIM, GIVE, 0, 24, 8192, 0})},
    {"remote-orphan", 0, MOVES({ORPHAN, TAKE, 0, 64, 64, 0}),
     MOVES({VICTIM, GIVE, 0, 20, 64, 0})},
    {"remote-orphan-last", 0, MOVES({ORPHAN, TAKE, 0, 24, 8192, 0}),
     MOVES({VICTIM, GIVE, 0, 24, 8192, 0})},
    {"remote-orphan-many", 0, MOVES({ORPHAN, TAKE, 0, 60, 1024, 0}),
     MOVES({VICTIM, GIVE, 0, 60, 1024, 0})},
    {"remote-disowned", 0, MOVES({HELPER, TAKE, 0, 1200, 8192, 0}),
     MOVES({VICTIM, GIVE, 0, 24, 8192, 0})},
    /* The owner sleeps: after three times 256 KiB it is clear. */
    {"remote-asleep", 0,
     MOVES({HELPER, TAKE, 0, 240, 8192, 0}, {VICTIM, SECOND, 0, 180, 0, 0}),
     MOVES({VICTIM, GIVE, 180, 18, 8192, 0})},
    {"remote-asleep-current", 0,
     MOVES({MAIN, TAKE, 0, 101, 8192, 0}, {VICTIM, GIVE, 0, 88, 0, 0}),
     MOVES({VICTIM, GIVE, 88, 13, 8192, 0})},
    {"late-free", LATE, MOVES({VICTIM, TAKE, 0, 24, 8192, 0}),
     MOVES({VICTIM, GIVE, 0, 24, 8192, 0})},
    /* -- runs -- */
    {"run-take", 0, NO_MOVES, MOVES({VICTIM, TAKE, 0, 1, 100000, 0})},
    {"run-take-hand", 0,
     MOVES({VICTIM, TAKE, 0, 2, 100000, 0}, {VICTIM, GIVE, 0, 1, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 1, 100000, 0})},
    {"run-take-chain", 0,
     MOVES({VICTIM, TAKE, 0, 4, 1000000, 0}, {VICTIM, GIVE, 0, 3, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 2, 1000000, 0})},
    {"run-take-region", 0, MOVES({VICTIM, TAKE, 0, 14, 4 << 20, 0}),
     MOVES({VICTIM, TAKE, 14, 2, 4 << 20, 0})},
    {"run-aligned", 0, NO_MOVES,
     MOVES({VICTIM, ALIGNED, 0, 1, 300000, 2 << 20})},
    {"run-zero", 0,
     MOVES({VICTIM, TAKE, 0, 2, 100000, 0}, {VICTIM, GIVE, 0, 1, 0, 0}),
     MOVES({VICTIM, ZERO, 0, 1, 100000, 0})},
    {"run-give", 0, MOVES({VICTIM, TAKE, 0, 7, 100000, 0}),
     MOVES({VICTIM, GIVE, 0, 6, 100000, 0})},
    {"run-give-long", 0, MOVES({VICTIM, TAKE, 0, 3, 3 << 20, 0}),
     MOVES({VICTIM, GIVE, 0, 3, 3 << 20, 0})},
    {"run-give-others", 0, MOVES({HELPER, TAKE, 0, 2, 300000, 0}),
     MOVES({VICTIM, GIVE, 0, 2, 300000, 0})},
    /* -- mappings -- */
    {"mapping-take", 0, NO_MOVES, MOVES({VICTIM, TAKE, 0, 1, 5 << 20, 0})},
    {"mapping-take-cached", 0,
     MOVES({VICTIM, TAKE, 0, 2, 5 << 20, 0}, {VICTIM, GIVE, 0, 1, 0, 0}),
     MOVES({VICTIM, TAKE, 0, 1, 5 << 20, 0})},
    {"mapping-give", 0, MOVES({VICTIM, TAKE, 0, 2, 5 << 20, 0}),
     MOVES({VICTIM, GIVE, 0, 1, 5 << 20, 0})},
    {"mapping-give-beyond", 0, MOVES({VICTIM, TAKE, 0, 2, 60 << 20, 0}),
     MOVES({VICTIM, GIVE, 0, 2, 60 << 20, 0})},
    {"mapping-aligned", 0, NO_MOVES,
     MOVES({VICTIM, ALIGNED, 0, 1, 5 << 20, 8 << 20})},
    /* -- realloc -- */
    {"realloc-block", 0, MOVES({VICTIM, TAKE, 0, 8, 100, 0}),
     MOVES({VICTIM, RESIZE, 0, 2, 300, 0})},
    {"realloc-run-grows", 0, MOVES({VICTIM, TAKE, 0, 1, 100000, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 500000, 0})},
    {"realloc-run-shrinks", 0, MOVES({VICTIM, TAKE, 0, 1, 1000000, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 200000, 0})},
    {"realloc-run-moves", 0, MOVES({VICTIM, TAKE, 0, 2, 100000, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 500000, 0})},
    {"realloc-run-to-mapping", 0, MOVES({VICTIM, TAKE, 0, 1, 900000, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 3 << 20, 0})},
    {"realloc-run-to-block", 0, MOVES({VICTIM, TAKE, 0, 1, 100000, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 1000, 0})},
    {"realloc-mapping-grows", 0, MOVES({VICTIM, TAKE, 0, 1, 5 << 20, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 20 << 20, 0})},
    {"realloc-mapping-shrinks", 0, MOVES({VICTIM, TAKE, 0, 1, 20 << 20, 0}),
     MOVES({VICTIM, RESIZE, 0, 1, 5 << 20, 0})},
    /* -- purging -- */
    {"trim", 0,
     MOVES({VICTIM, TAKE, 0, 16, 8192, 0}, {VICTIM, TAKE, 16, 2, 300000, 0},
           {VICTIM, TAKE, 18, 32, 4096, 0}, {VICTIM, GIVE, 0, 18, 0, 0},
           {VICTIM, SECOND, 18, 32, 0, 0}),
     MOVES({VICTIM, TRIM, 0, 0, 0, 0})},
    {"trim-others", 0,
     MOVES({HELPER, TAKE, 0, 16, 8192, 0}, {ORPHAN, TAKE, 16, 16, 8192, 0},
           {HELPER, GIVE, 0, 8, 0, 0}, {MAIN, GIVE, 8, 20, 0, 0}),
     MOVES({VICTIM, TRIM, 0, 0, 0, 0})},
    /* -- the end of a thread -- */
    {"end-hands-full", ENDS,
     MOVES({VICTIM, TAKE, 0, 20, 8, 0}, {VICTIM, TAKE, 20, 20, 48, 0},
           {VICTIM, TAKE, 40, 20, 256, 0}, {VICTIM, TAKE, 60, 40, 1024, 0},
           {VICTIM, TAKE, 100, 30, 4096, 0}, {VICTIM, TAKE, 130, 2, 65536, 0},
           {VICTIM, TAKE, 132, 4, 100000, 0}, {VICTIM, SECOND, 0, 136, 0, 0},
           {HELPER, GIVE, 21, 1, 0, 0}, {MAIN, GIVE, 61, 1, 0, 0}),
     NO_MOVES},
    {"end-all-given", ENDS | ALONE,
     MOVES({VICTIM, TAKE, 0, 20, 24, 0}, {VICTIM, TAKE, 20, 16, 8192, 0},
           {VICTIM, TAKE, 36, 2, 300000, 0}, {VICTIM, GIVE, 0, 38, 0, 0}),
     NO_MOVES},
    {"end-others-free", ENDS,
     MOVES({VICTIM, TAKE, 0, 32, 8192, 0}, {HELPER, GIVE, 0, 20, 0, 0},
           {MAIN, SECOND, 20, 12, 0, 0}),
     NO_MOVES},
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

#endif
