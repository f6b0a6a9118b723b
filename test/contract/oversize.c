/* SPDX-License-Identifier: MIT */
/*
 * oversize - where very large objects come from, and where they go.
 *
 * Goal: what oversize_threshold promises: above it objects do not share an
 * arena with others, unless one is asked for, and freed they do not stay.
 * Method: run with oversize_threshold:2097152; arenas.lookup tells the arena.
 */
#include "contract.h"

enum { HUGE = 2 << 20 };

static unsigned arena_of(void *ptr)
{
    unsigned arena = 4711;
    size_t bytes = sizeof arena;
    mallctl("arenas.lookup", &arena, &bytes, &ptr, sizeof ptr);
    return arena;
}

static unsigned create(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    return arena;
}

static void routes(void)
{
    void *huge = mallocx(HUGE, 0);
    void *half = mallocx(HUGE / 2, 0);
    say("opt.oversize_threshold", "%zu", read_size("opt.oversize_threshold"));
    say("an object above the threshold", "arena 0 %s, the thread's %s",
        yes_no(arena_of(huge) == 0),
        yes_no(arena_of(huge) == read_unsigned("thread.arena")));
    say("one below it", "the same arena %s",
        yes_no(arena_of(half) == arena_of(huge)));
    dallocx(half, 0);
    dallocx(huge, 0);
    const unsigned arena = create();
    huge = mallocx(HUGE, MALLOCX_ARENA(arena));
    say("above it, for an arena", "that arena %s",
        yes_no(arena_of(huge) == arena));
    dallocx(huge, 0);
    unsigned bound = create();
    mallctl("thread.arena", NULL, NULL, &bound, sizeof bound);
    huge = mallocx(HUGE, 0);
    say("above it, the thread bound to an arena", "that arena %s",
        yes_no(arena_of(huge) == bound));
    dallocx(huge, 0);
    bound = 0;
    mallctl("thread.arena", NULL, NULL, &bound, sizeof bound);
}

static size_t dirty_of(unsigned arena)
{
    char name[64];
    refresh();
    snprintf(name, sizeof name, "stats.arenas.%u.pdirty", arena);
    return read_size(name);
}

/* An arena's own threshold: what is freed above it goes back at once. */
static void given_back(void)
{
    char name[64];
    const unsigned arena = create();
    const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    snprintf(name, sizeof name, "arena.%u.oversize_threshold", arena);
    size_t threshold = 4 * MIB;
    say("arena's threshold set", "%s",
        error_name(mallctl(name, NULL, NULL, &threshold, sizeof threshold)));
    char *ptr = mallocx(8 * MIB, flags);
    memset(ptr, 1, 8 * MIB);
    dallocx(ptr, MALLOCX_TCACHE_NONE);
    say("dirty after 8 MiB were freed", "%s",
        dirty_of(arena) * 4096 <= MIB ? "at most 1 MiB" : "more");
}

int main(void)
{
    routes();
    given_back();
    return 0;
}
