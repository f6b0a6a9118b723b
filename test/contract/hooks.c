/* SPDX-License-Identifier: MIT */
/*
 * hooks - extent hooks: read, set, called with a client's own struct, and made
 * to refuse.
 *
 * Goal: what clients build on hooks holds: which are there, what they are
 * called with, that a refusal loses nothing.  Method: hooks that check their
 * arguments and pass them on to the default ones; how often and in which order
 * they are called is the library's own affair, so a line says whether they
 * were called, and whether any argument was wrong.
 */
#include "contract.h"

enum { PAGE = 4096 };

static struct extent_hooks *defaults;    /* those that arena 0 began with */
static struct extent_hooks own;
static unsigned owner;            /* the arena that own serves */

static struct {
    unsigned alloc, dalloc, destroy, commit, decommit, purge, split, merge;
    unsigned wrong;               /* calls with arguments that cannot be */
    bool refuse_alloc, refuse_dalloc, refuse_split, refuse_merge, refuse_purge;
} seen;

static void check(const struct extent_hooks *hooks, size_t size, unsigned arena)
{
    seen.wrong += hooks != &own || size == 0 || size % PAGE != 0
                  || (owner != 0 && arena != owner);
}

static void *count_alloc(struct extent_hooks *hooks, void *want, size_t size,
                         size_t align, bool *zero, bool *commit, unsigned arena)
{
    seen.alloc++;
    check(hooks, size, arena);
    seen.wrong += align < PAGE || (align & (align - 1)) != 0;
    if (seen.refuse_alloc)
        return NULL;
    return defaults->alloc(hooks, want, size, align, zero, commit, arena);
}

static bool count_dalloc(struct extent_hooks *hooks, void *at, size_t size,
                         bool committed, unsigned arena)
{
    seen.dalloc++;
    check(hooks, size, arena);
    if (seen.refuse_dalloc)
        return true;
    return defaults->dalloc(hooks, at, size, committed, arena);
}

static void count_destroy(struct extent_hooks *hooks, void *at, size_t size,
                          bool committed, unsigned arena)
{
    seen.destroy++;
    check(hooks, size, arena);
    defaults->destroy(hooks, at, size, committed, arena);
}

static void check_range(size_t size, size_t offset, size_t length)
{
    seen.wrong += length == 0 || length % PAGE != 0 || offset % PAGE != 0
                  || offset + length > size;
}

static bool count_commit(struct extent_hooks *hooks, void *at, size_t size,
                         size_t offset, size_t length, unsigned arena)
{
    seen.commit++;
    check(hooks, size, arena);
    check_range(size, offset, length);
    return defaults->commit(hooks, at, size, offset, length, arena);
}

static bool count_decommit(struct extent_hooks *hooks, void *at, size_t size,
                           size_t offset, size_t length, unsigned arena)
{
    seen.decommit++;
    check(hooks, size, arena);
    check_range(size, offset, length);
    return defaults->decommit(hooks, at, size, offset, length, arena);
}

static bool count_purge(struct extent_hooks *hooks, void *at, size_t size,
                        size_t offset, size_t length, unsigned arena)
{
    seen.purge++;
    check(hooks, size, arena);
    check_range(size, offset, length);
    if (seen.refuse_purge)
        return true;
    return defaults->purge_forced(hooks, at, size, offset, length, arena);
}

static bool count_split(struct extent_hooks *hooks, void *at, size_t size,
                        size_t left, size_t right, bool committed,
                        unsigned arena)
{
    seen.split++;
    check(hooks, size, arena);
    seen.wrong += left + right != size;
    if (seen.refuse_split)
        return true;
    return defaults->split(hooks, at, size, left, right, committed, arena);
}

static bool count_merge(struct extent_hooks *hooks, void *at, size_t size,
                        void *next, size_t next_size, bool committed,
                        unsigned arena)
{
    seen.merge++;
    check(hooks, size + next_size, arena);
    seen.wrong += (char *)at + size != next;
    if (seen.refuse_merge)
        return true;
    return defaults->merge(hooks, at, size, next, next_size, committed, arena);
}

static void own_all(void)
{
    own = (struct extent_hooks){
        .alloc = count_alloc,       .dalloc = count_dalloc,
        .destroy = count_destroy,   .commit = count_commit,
        .decommit = count_decommit, .purge_lazy = count_purge,
        .purge_forced = count_purge, .split = count_split,
        .merge = count_merge,
    };
    memset(&seen, 0, sizeof seen);
}

/* -- reading and setting -- */

static struct extent_hooks *hooks_of(unsigned arena)
{
    char name[64];
    struct extent_hooks *hooks = NULL;
    size_t bytes = sizeof hooks;
    snprintf(name, sizeof name, "arena.%u.extent_hooks", arena);
    mallctl(name, &hooks, &bytes, NULL, 0);
    return hooks;
}

static int set_hooks(unsigned arena, struct extent_hooks *hooks,
                     struct extent_hooks **old)
{
    char name[64];
    size_t bytes = sizeof *old;
    snprintf(name, sizeof name, "arena.%u.extent_hooks", arena);
    return mallctl(name, old, &bytes, &hooks, sizeof hooks);
}

static unsigned create(struct extent_hooks *hooks)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    const int error = mallctl("arenas.create", &arena, &bytes, &hooks,
                              sizeof hooks);
    return error == 0 ? arena : 0;
}

static void say_defaults(void)
{
    const struct extent_hooks *hooks = hooks_of(0);
    say("the default hooks", "alloc %s dalloc %s destroy %s commit %s "
        "decommit %s purge_lazy %s purge_forced %s split %s merge %s",
        yes_no(hooks->alloc), yes_no(hooks->dalloc), yes_no(hooks->destroy),
        yes_no(hooks->commit), yes_no(hooks->decommit),
        yes_no(hooks->purge_lazy), yes_no(hooks->purge_forced),
        yes_no(hooks->split), yes_no(hooks->merge));
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    say("a new arena has the same", "%s", yes_no(hooks_of(arena) == hooks));
    say("arena 1 has the same alloc", "%s",
        yes_no(hooks_of(1) != NULL && hooks_of(1)->alloc == hooks->alloc));
}

/* The default functions, called by a client with a struct of its own. */
static void call_defaults(void)
{
    struct extent_hooks mine = *hooks_of(0);
    bool zero = true;
    bool commit = true;
    char *at = mine.alloc(&mine, NULL, 2 * MIB, 2 * MIB, &zero, &commit, 7);
    say("default alloc", "%s, aligned %s, zero %s, commit %s",
        at == NULL ? "NULL" : "memory", yes_no((uintptr_t)at % (2 * MIB) == 0),
        yes_no(zero), yes_no(commit));
    memset(at, 7, 2 * MIB);
    say("default split", "%s",
        yes_no(mine.split(&mine, at, 2 * MIB, MIB, MIB, true, 7)));
    say("default merge", "%s",
        yes_no(mine.merge(&mine, at, MIB, at + MIB, MIB, true, 7)));
    const bool refused = mine.purge_forced(&mine, at, 2 * MIB, 0, MIB, 7);
    say("default purge_forced", "%s, zero then %s", yes_no(refused),
        yes_no(at[0] == 0 && at[MIB - 1] == 0 && at[MIB] == 7));
    const bool kept = mine.dalloc(&mine, at, 2 * MIB, true, 7);
    say("default dalloc says no while memory is retained", "%s", yes_no(kept));
    if (kept)
        mine.destroy(&mine, at, 2 * MIB, true, 7);
}

/* -- at work -- */

static void *blocks[400];

static void fill(int flags)
{
    size_t wrong = 0;
    for (int i = 0; i < 400; i++) {
        const size_t size = i % 10 == 0 ? (size_t)i * 3000 + 1
                                        : (size_t)i * 20 + 1;
        blocks[i] = mallocx(size, flags | (i % 3 == 0 ? MALLOCX_ZERO : 0));
        wrong += blocks[i] == NULL;
        if (blocks[i] != NULL && i % 3 == 0)
            wrong += *(char *)blocks[i] != 0;
        if (blocks[i] != NULL)
            memset(blocks[i], 0xee, size);
    }
    if (wrong != 0)
        say("blocks missing or not zero", "%zu", wrong);
}

static void drop(void)
{
    for (int i = 0; i < 400; i++)
        dallocx(blocks[i], MALLOCX_TCACHE_NONE);
}

static void live(const char *what)
{
    owner = 0;
    owner = create(&own);
    const int flags = MALLOCX_ARENA(owner) | MALLOCX_TCACHE_NONE;
    for (int round = 0; round < 4; round++) {
        fill(flags);
        drop();
        act_on("arena.%u.purge", owner);
    }
    char *large = mallocx(8 * MIB, flags);
    const size_t less = large == NULL ? 0 : xallocx(large, 4 * MIB, 0, flags);
    if (large != NULL)
        dallocx(large, MALLOCX_TCACHE_NONE);
    const int destroyed = act_on("arena.%u.destroy", owner);
    say(what, "alloc called %s, gone at the end %s, wrong calls %u, shrunk "
        "to %zu, destroy %s", yes_no(seen.alloc != 0),
        yes_no(seen.dalloc + seen.destroy != 0), seen.wrong, less,
        error_name(destroyed));
}

static void counted(void)
{
    own_all();
    live("hooks that count");
    say("split called", "%s", yes_no(seen.split != 0));
    say("purge called, or decommit or dalloc", "%s",
        yes_no(seen.purge + seen.decommit + seen.dalloc != 0));
}

static void refusing(void)
{
    own_all();
    seen.refuse_dalloc = true;
    live("hooks that refuse dalloc");
    own_all();
    seen.refuse_merge = true;
    live("hooks that refuse merge");
    own_all();
    seen.refuse_purge = true;
    live("hooks that refuse to purge");
    own_all();
    own = (struct extent_hooks){.alloc = count_alloc};
    owner = 0;
    owner = create(&own);
    fill(MALLOCX_ARENA(owner) | MALLOCX_TCACHE_NONE);
    drop();
    say("alloc alone", "alloc called %s, wrong calls %u, destroy %s",
        yes_no(seen.alloc != 0), seen.wrong,
        error_name(act_on("arena.%u.destroy", owner)));
}

/* Shrinking and growing in place, step by step. */
static void resized(void)
{
    own_all();
    owner = 0;
    owner = create(&own);
    const int flags = MALLOCX_ARENA(owner) | MALLOCX_TCACHE_NONE;
    void *ptr = mallocx(4 * MIB, flags);
    memset(&seen, 0, sizeof seen);
    const size_t less = xallocx(ptr, 2 * MIB, 0, flags);
    say("shrunk in place", "%s, split called %s", yes_no(less == 2 * MIB),
        yes_no(seen.split != 0));
    memset(&seen, 0, sizeof seen);
    const size_t more = xallocx(ptr, 4 * MIB, 0, flags);
    say("grown in place", "%s, merge called %s", yes_no(more == 4 * MIB),
        yes_no(seen.merge != 0));
    memset(&seen, 0, sizeof seen);
    seen.refuse_split = true;
    say("shrunk while split refuses", "%s",
        yes_no(xallocx(ptr, 2 * MIB, 0, flags) == 2 * MIB));
    seen.refuse_split = false;
    dallocx(ptr, MALLOCX_TCACHE_NONE);
    memset(&seen, 0, sizeof seen);
    say("purge", "%s", error_name(act_on("arena.%u.purge", owner)));
    say("memory was given back", "%s, wrong calls %u",
        yes_no(seen.dalloc + seen.decommit + seen.purge != 0), seen.wrong);
    say("destroy", "%s", error_name(act_on("arena.%u.destroy", owner)));
}

/* What has no memory says so, and works again when there is some. */
static void starved(void)
{
    own_all();
    owner = 0;
    owner = create(&own);
    const int flags = MALLOCX_ARENA(owner) | MALLOCX_TCACHE_NONE;
    void *first = mallocx(100, flags);
    seen.refuse_alloc = true;
    say("512 MiB while alloc refuses", "%s",
        mallocx(512 * MIB, flags) == NULL ? "NULL" : "a block");
    seen.refuse_alloc = false;
    void *second = mallocx(64 * MIB, flags);
    say("64 MiB when it does not", "%s", second == NULL ? "NULL" : "a block");
    dallocx(first, MALLOCX_TCACHE_NONE);
    dallocx(second, MALLOCX_TCACHE_NONE);
    say("wrong calls", "%u", seen.wrong);
    seen.refuse_alloc = true;
    own.alloc = count_alloc;
    say("arenas.create while alloc refuses", "%s",
        create(&own) == 0 ? "refused" : "an arena");
    seen.refuse_alloc = false;
}

/* -- changed while in use -- */

static void exchanged(void)
{
    own_all();
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    owner = arena;
    struct extent_hooks *old = NULL;
    int error = set_hooks(arena, &own, &old);
    say("set hooks", "%s", error_name(error));
    say("the old were the defaults", "%s", yes_no(old == defaults));
    say("read back", "%s", yes_no(hooks_of(arena) == &own));
    fill(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    void *large = mallocx(100 * MIB, MALLOCX_ARENA(arena)
                                         | MALLOCX_TCACHE_NONE);
    say("called for what is new", "%s, wrong %u", yes_no(seen.alloc != 0),
        seen.wrong);
    dallocx(large, MALLOCX_TCACHE_NONE);
    drop();
    error = set_hooks(arena, defaults, &old);
    say("set back", "%s, old %s", error_name(error), yes_no(old == &own));
    say("hooks of a missing arena", "%s",
        error_name(set_hooks(read_unsigned("arenas.narenas") + 2, &own,
                             &old)));
    say("hooks of all", "%s", error_name(set_hooks(ARENAS_ALL, &own, &old)));
}

/* Hooks for an automatic arena that is not there yet, then for arena 0. */
static void automatic(void)
{
    own_all();
    owner = 0;
    struct extent_hooks *old = NULL;
    say("hooks of arena 3", "%s", error_name(set_hooks(3, &own, &old)));
    unsigned index = 3;
    say("bind to it", "%s",
        error_name(mallctl("thread.arena", NULL, NULL, &index, sizeof index)));
    void *large = malloc(20 * MIB);
    say("its alloc is called", "%s, wrong %u", yes_no(seen.alloc != 0),
        seen.wrong);
    free(large);
    set_hooks(3, defaults, &old);
    index = 0;
    mallctl("thread.arena", NULL, NULL, &index, sizeof index);
    say("hooks of arena 0", "%s", error_name(set_hooks(0, &own, &old)));
    free(malloc(40 * MIB));
    say("set back", "%s", error_name(set_hooks(0, defaults, &old)));
}

int main(void)
{
    defaults = hooks_of(0);
    say_defaults();
    call_defaults();
    counted();
    refusing();
    resized();
    starved();
    exchanged();
    automatic();
    return 0;
}
