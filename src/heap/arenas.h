/* SPDX-License-Identifier: MIT */
/*
 * arenas - arenas by number.
 *
 * Owns     which numbers are taken, creating and destroying arenas, and which
 *          arena a thread lives in.
 * Used by  request.c, cache.c, ctl/, api/start.c.
 * Never    asked by plain malloc and free: threads live in arena 0 until they
 *          say otherwise.
 *
 * Numbers are those of jemalloc's interface. The first ones are automatic:
 * there from the start, and made when somebody first asks for one by its
 * number. Those above are made by arenas_create(), and their numbers are used
 * again after arenas_destroy().
 *
 * Tests    test/unit/heap/arenas_test.c
 */
#ifndef HEAP_ARENAS_H
#define HEAP_ARENAS_H

#include "heap/arena.h"
#include "table/option.h"

/* A number has to fit twelve bits of MALLOCX_ARENA(), one of whose values says
 * that there is none. */
enum { ARENAS_MAX = 4095 };

/* At start: how many are automatic, one at least. Without this call options and
 * processors decide, when somebody first asks. */
void arenas_set_automatic(unsigned count);

/* For arenas made from now on: after how long memory goes back. Of the two
 * others arena 0 knows at once: muzzy_decay_ms is only kept for who asks. */
void arenas_set_dirty_decay_ms(int64_t dirty_decay_ms);
int64_t arenas_dirty_decay_ms(void);
void arenas_set_muzzy_decay_ms(int64_t muzzy_decay_ms);
int64_t arenas_muzzy_decay_ms(void);
void arenas_set_oversize_threshold(size_t bytes);

/* Where objects go that are as large as oversize_threshold says: an arena of
 * their own, behind the automatic ones, that keeps nothing. NULL: no memory. */
struct arena *arenas_for_oversize(void);

/* How many numbers there are; it never falls. */
unsigned arenas_count(void);
unsigned arenas_automatic(void);

/* NULL: there is none, or nobody has asked for it yet. */
struct arena *arenas_at(unsigned index);

/* The same; an automatic one is made if need be. NULL: no such, no memory. */
struct arena *arenas_touch(unsigned index);

/* The arena of a live object; NULL: it is none, as far as can be told. */
struct arena *arenas_of(const void *pointer);

/* A new arena; false: no memory, or no number left. */
MUST_USE bool arenas_create(unsigned *index);

/*
 * Free everything in an arena made by arenas_create(), whoever holds it; and
 * give up its memory and number too. Nobody may use the arena meanwhile, and no
 * thread may have blocks of it in hand. false: it is no such arena, or, to be
 * destroyed, a thread lives in it.
 */
MUST_USE bool arenas_reset(unsigned index);
MUST_USE bool arenas_destroy(unsigned index);

/* Where a thread begins to live: in arena 0, or, by option percpu_arena, in
 * that of the processor it runs on. */
struct arena *arenas_for_birth(void);

/* Arenas of processors, the first ones; 0 without that option. */
unsigned arenas_of_processors(void);

/* In a slow path that holds nothing: by that option the calling thread moves
 * now and then to where it runs, unless it lives in an arena that was made. */
COLD void arenas_follow_slow(void);
static inline void arenas_follow(void)
{
    if (UNLIKELY(option_now.percpu_arena != PERCPU_DISABLED))
        arenas_follow_slow();
}

/* The calling thread lives in this arena from now on. false: there is no such
 * arena (arenas_exists()), or no memory. */
MUST_USE bool arenas_bind(unsigned index);

/* Is there an arena of this number, made or not yet? */
bool arenas_exists(unsigned index);

/* The hooks that an arena has from now on: what it has already stays with those
 * that gave it. false: there is no such arena. */
bool arenas_set_hooks(unsigned index, struct extent_hooks *hooks);
struct extent_hooks *arenas_hooks(const struct arena *arena);

/* Do the hooks of a new arena give memory? They are asked for a region, and
 * have it back. */
MUST_USE bool arenas_try_hooks(unsigned index);

/* An arena without a number, and never with hooks, that serves what hooks
 * allocate. NULL: no memory. */
struct arena *arenas_for_hooks(void);

/* Where it lives. */
struct arena *arenas_bound(void);

/* Does the address lie in memory that an arena hands out? Takes locks; for
 * messages. */
bool arenas_reach(const void *pointer);

/* Of all arenas there are, one after the other. */
void arenas_each(void (*call)(struct arena *));

#endif
