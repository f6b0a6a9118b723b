/* SPDX-License-Identifier: MIT */
/*
 * print - the statistics as a text for people, or as JSON.
 *
 * Owns     what malloc_stats_print() writes: layout and keys are jemalloc's,
 *          which programs parse.
 * Used by  api/jemalloc.c, api/start.c.
 * Never    allocates, or holds a lock while it calls the writer. Every figure
 *          is read as mallctl() would answer, after a new epoch; so where
 *          another thread takes an epoch meanwhile, the rest is of that one.
 *
 * Tests    test/stats/run.py  test/unit/ctl/print_test.c
 */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include "ctl/figure.h"
#include "ctl/sheet.h"

/* What the letters of opts ask for; without them, all but json. */
struct print_wish {
    bool json;                  /* J */
    bool general;               /* g omits */
    bool merged;                /* m */
    bool destroyed;             /* d */
    bool unmerged;              /* a */
    bool bins;                  /* b */
    bool large;                 /* l */
    bool mutexes;               /* x */
    bool extents;               /* e */
    bool huge;                  /* h */
};

/* opts may be NULL; letters that mean nothing are ignored. The writer gets
 * pieces of text, each ended by 0. */
void print_stats(void (*write)(void *, const char *), void *opaque,
    const char *opts);

/* The two layouts, of the last epoch; and what the text begins with. */
void print_text(struct sheet *sheet, const struct print_wish *wish);
void print_settings(struct sheet *sheet);
void print_json(struct sheet *sheet, const struct print_wish *wish);

/* What both print, each list ended by NULL: the leaf of each name, under
 * config, stats, stats.arenas.<i> and so on. */
extern const char *const print_config_keys[];
extern const char *const print_live_keys[];
extern const char *const print_mutex_keys[];
extern const char *const print_process_mutexes[];
extern const char *const print_arena_mutexes[];
extern const char *const print_memory_keys[];
extern const char *const print_size_keys[];
extern const char *const print_profile_keys[];

/* jemalloc counts huge page slabs of so many lengths. */
enum { PRINT_PAGE_SLABS = 64 };

/* Which of the numbers of arenas, from *index on, is to be printed next: ones
 * that the last epoch saw. false: none is left. */
bool print_next_arena(size_t *index);

/* Sums are printed if there are two arenas, or no single ones are wanted. */
bool print_wants_merged(const struct print_wish *wish);
bool print_wants_destroyed(const struct print_wish *wish);

/* An arena's name into a buffer of ARENA_NAME_BYTES; its use of sbrk; its
 * number, below 10,000, as text. */
void print_arena_name(size_t index, char *name);
const char *print_dss(size_t index);
void print_number(char digits[8], size_t number);

/* Lines of the text: name: "value", name: number. */
void print_line_quoted(struct sheet *sheet, const char *name,
    const char *value);
void print_line_number(struct sheet *sheet, const char *name,
    uint64_t value);

/* What was asked for of each class, of all arenas: printed with their sums, and
 * only where it is counted. path: prof.stats.bins.0. or lextents.0. */
enum { PRINT_ASKED_FIGURES = 4 };
struct print_asked {
    struct figure live;
    struct figure ever;
};
bool print_wants_asked(size_t arena);
struct print_asked print_find_asked(const char *path);
void print_read_asked(const struct print_asked *asked, size_t i,
    uint64_t figures[PRINT_ASKED_FIGURES]);

/* What the system does about huge pages. */
const char *print_thp_mode(void);

#endif
