/* SPDX-License-Identifier: MIT */
/*
 * hooks - memory that the program brings: extent hooks.
 *
 * Owns     the table of functions that an arena may be given instead of the
 *          system's calls, the default one, and how each is called.
 * Used by  region.c, mapping.c and pool.c, for pools with hooks of their own.
 * Never    calls a hook under a lock of ours: a hook may allocate and free, in
 *          the same arena too.
 *
 * The layout is that of jemalloc's extent_hooks_t, whose contract this is. A
 * hook says false for success. Memory is asked for in regions, aligned to
 * chunks, and, above LARGE_RUN_BYTES_MAX, for single objects, aligned to slices
 * or as the program asks; it is given back as it was asked for, or, where split
 * agrees, in parts; and purged in whole slices. Split and merge are asked where
 * an object shrinks or grows in place too, and nothing else follows from them
 * (docs/HOOKS.md).
 *
 * Tests    test/unit/heap/hooks_test.c  test/unit/heap/part_test.c
 */
#ifndef PAGE_HOOKS_H
#define PAGE_HOOKS_H

#include "util/atomic.h"
#include "util/compiler.h"

struct extent_hooks {
    void *(*alloc)(struct extent_hooks *hooks, void *new_addr, size_t size,
        size_t alignment, bool *zero, bool *commit, unsigned arena);
    bool (*dalloc)(struct extent_hooks *hooks, void *addr, size_t size,
        bool committed, unsigned arena);
    void (*destroy)(struct extent_hooks *hooks, void *addr, size_t size,
        bool committed, unsigned arena);
    bool (*commit)(struct extent_hooks *hooks, void *addr, size_t size,
        size_t offset, size_t length, unsigned arena);
    bool (*decommit)(struct extent_hooks *hooks, void *addr, size_t size,
        size_t offset, size_t length, unsigned arena);
    bool (*purge_lazy)(struct extent_hooks *hooks, void *addr, size_t size,
        size_t offset, size_t length, unsigned arena);
    bool (*purge_forced)(struct extent_hooks *hooks, void *addr, size_t size,
        size_t offset, size_t length, unsigned arena);
    bool (*split)(struct extent_hooks *hooks, void *addr, size_t size,
        size_t size_a, size_t size_b, bool committed, unsigned arena);
    bool (*merge)(struct extent_hooks *hooks, void *addr_a, size_t size_a,
        void *addr_b, size_t size_b, bool committed, unsigned arena);
};

/* What arenas have that were given none: the system's memory. A program may
 * call its functions with a struct of its own; they are the same for all
 * arenas. */
extern struct extent_hooks hooks_default;

/* What an alloc hook may say in the low bits of an address. */
enum { HOOKS_PINNED = 1, HOOKS_FLAGS = 0xff };

/* Whose functions, and the arena that they are told. */
struct hooks_source {
    struct extent_hooks *hooks; /* NULL: the system's memory */
    unsigned arena;
};

/* Memory from a hook. */
struct hooks_memory {
    char *start;                /* NULL: refused */
    size_t bytes;
    bool zero;                  /* it reads as zero */
    bool pinned;                /* it is not to be purged */
    bool decommitted;           /* all of it */
};

/*
 * What the calling thread does: it runs a hook, and what that asks for must not
 * lead to a hook again; or it holds a lock that a hook may want. In either case
 * no memory is taken from hooks or given to them: who asked tries again later.
 */
enum { HOOKS_RUNNING = 1, HOOKS_WAIT = 2 };
extern THREAD_LOCAL uint8_t hooks_state;

static inline bool hooks_are_running(void)
{
    return (hooks_state & HOOKS_RUNNING) != 0;
}

/* May hooks be called now? */
static inline bool hooks_may_run(void)
{
    return hooks_state == 0;
}

/* Around work under a lock; what hooks_hold() said goes to hooks_release(). */
static inline uint8_t hooks_hold(void)
{
    const uint8_t before = hooks_state;
    hooks_state = before | HOOKS_WAIT;
    return before;
}

static inline void hooks_release(uint8_t before)
{
    hooks_state = before;
}

/* Every hook is called through this, once there are hooks: it has the thread be
 * nobody meanwhile. */
typedef void hooks_wrapper(void (*call)(void *), void *argument);
void hooks_set_wrapper(hooks_wrapper *wrap);

/* Committed, at a multiple of align, which is a slice at least, and covered by
 * the page map. */
struct hooks_memory hooks_take(struct hooks_source source, size_t bytes,
    size_t align);

/* false: refused; it stays as it was. */
MUST_USE bool hooks_give(struct hooks_source source,
    struct hooks_memory memory);

/* The same, and if it is refused the hooks are told that nobody will come back
 * to it: the arena ends, or never used it. */
void hooks_give_up(struct hooks_source source, struct hooks_memory memory);

/* Of an object, in bytes: what it has in any case, and what follows. */
struct hooks_parts {
    size_t first;
    size_t second;
};

/* It is to become shorter, or longer, where it lies. false: the hooks are
 * against it. */
MUST_USE bool hooks_may_split(struct hooks_source source, void *start,
    struct hooks_parts parts);
MUST_USE bool hooks_may_merge(struct hooks_source source, void *start,
    struct hooks_parts parts);

/* A part of what was taken; what is there then is not known. It is decommitted,
 * and if that is refused purged; what was decommitted is committed before
 * anybody touches it. */
enum hooks_answer { HOOKS_REFUSED, HOOKS_PURGED, HOOKS_DECOMMITTED };
MUST_USE enum hooks_answer hooks_purge(struct hooks_source source,
    struct hooks_memory memory, size_t offset, size_t length);

/* false: refused; it stays as it was. */
MUST_USE bool hooks_commit(struct hooks_source source,
    struct hooks_memory memory, size_t offset, size_t length);

#endif
