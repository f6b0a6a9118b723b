/* SPDX-License-Identifier: MIT */
/*
 * arenas - the life of arenas made by number: created, filled, looked at,
 * reset, destroyed, and their numbers used again.
 *
 * Goal: every step, in and out of turn, has jemalloc's result.  Method: a line
 * for each; numbers of arenas are told by how they differ from narenas.
 */
#include "contract.h"

#include <limits.h>
#include <pthread.h>

static unsigned create(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    if (mallctl("arenas.create", &arena, &bytes, NULL, 0) != 0)
        _exit(3);
    return arena;
}

static void *take(unsigned arena, size_t size)
{
    return mallocx(size, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
}

static unsigned owner_of(void *ptr)
{
    unsigned arena = 123456;
    size_t bytes = sizeof arena;
    const int error = mallctl("arenas.lookup", &arena, &bytes, &ptr,
                              sizeof ptr);
    return error == 0 ? arena : (unsigned)-error;
}

static void say_act(const char *what, const char *format, unsigned arena)
{
    char name[96];
    snprintf(name, sizeof name, "arena.%u.%s", arena, format);
    say(what, "%s", error_name(act(name)));
}

static const char *stat_error(unsigned arena)
{
    char name[96];
    size_t value;
    size_t bytes = sizeof value;
    snprintf(name, sizeof name, "stats.arenas.%u.pactive", arena);
    return error_name(mallctl(name, &value, &bytes, NULL, 0));
}

static size_t stat_of(unsigned arena, const char *leaf)
{
    char name[96];
    snprintf(name, sizeof name, "stats.arenas.%u.%s", arena, leaf);
    return read_size(name);
}

static const char *sign_of(size_t value)
{
    return value == 0 ? "zero" : "positive";
}

/* -- birth -- */

static void birth(void)
{
    const unsigned before = read_unsigned("arenas.narenas");
    say("narenas before the first", "%s 1", before > 1 ? "more than" : "only");
    const unsigned first = create();
    const unsigned second = create();
    say("first arena", "narenas + %d", (int)(first - before));
    say("second arena", "narenas + %d", (int)(second - before));
    say("narenas then", "narenas + %d",
        (int)(read_unsigned("arenas.narenas") - before));
    say("stats before an epoch", "%s", stat_error(first));
    char name[64];
    snprintf(name, sizeof name, "arena.%u.initialized", first);
    say("initialized before an epoch", "%s", yes_no(read_bool(name)));
    refresh();
    say("stats after an epoch", "%s", stat_error(first));
    say("initialized after an epoch", "%s", yes_no(read_bool(name)));
    say("owner of a block", "%s", yes_no(owner_of(take(first, 100)) == first));
    say("owner of a large block", "%s",
        yes_no(owner_of(take(second, 3 * MIB)) == second));
}

/* -- what an arena holds -- */

static void figures(void)
{
    const unsigned arena = create();
    void *small[64];
    for (int i = 0; i < 64; i++)
        small[i] = take(arena, 100);
    void *large = take(arena, 3 * MIB);
    refresh();
    say("small.allocated of 64 blocks of 100", "%zu",
        stat_of(arena, "small.allocated"));
    say("large.allocated of 3 MiB", "%zu", stat_of(arena, "large.allocated"));
    say("small.nmalloc", "%s", sign_of(stat_of(arena, "small.nmalloc")));
    say("large.nmalloc", "%zu", stat_of(arena, "large.nmalloc"));
    say("pactive", "%s", sign_of(stat_of(arena, "pactive")));
    say("mapped", "%s", sign_of(stat_of(arena, "mapped")));
    for (int i = 0; i < 64; i++)
        dallocx(small[i], MALLOCX_TCACHE_NONE);
    dallocx(large, MALLOCX_TCACHE_NONE);
    refresh();
    say("small.allocated after", "%zu", stat_of(arena, "small.allocated"));
    say("large.allocated after", "%zu", stat_of(arena, "large.allocated"));
    say("large.ndalloc after", "%zu", stat_of(arena, "large.ndalloc"));
    say("small: nmalloc is ndalloc", "%s",
        yes_no(stat_of(arena, "small.nmalloc")
               == stat_of(arena, "small.ndalloc")));
    say_act("purge", "purge", arena);
    refresh();
    say("pdirty after a purge", "%zu", stat_of(arena, "pdirty"));
    say_act("decay", "decay", arena);
}

/* -- reset and destroy -- */

static void reset(void)
{
    const unsigned arena = create();
    for (int i = 0; i < 1000; i++)
        take(arena, (size_t)i * 37 + 1);
    take(arena, 5 * MIB);
    say_act("reset", "reset", arena);
    refresh();
    say("allocated after a reset", "small %zu, large %zu",
        stat_of(arena, "small.allocated"), stat_of(arena, "large.allocated"));
    say("a block after a reset", "%s",
        yes_no(owner_of(take(arena, 100)) == arena));
    say_act("reset again", "reset", arena);
    say_act("reset of arena 0", "reset", 0);
    say_act("reset of a missing arena", "reset",
            read_unsigned("arenas.narenas") + 3);
    say_act("reset of all", "reset", ARENAS_ALL);
}

static void destroy(void)
{
    const unsigned arena = create();
    for (int i = 0; i < 1000; i++)
        take(arena, (size_t)i * 37 + 1);
    void *large = take(arena, 5 * MIB);
    refresh();
    say_act("destroy", "destroy", arena);
    say("lookup of a block of a destroyed arena", "%s",
        owner_of(large) == (unsigned)-EINVAL ? "EINVAL" : "found");
    refresh();
    say("stats of a destroyed arena", "%s", stat_error(arena));
    say("stats of all destroyed arenas", "%s", stat_error(ARENAS_DESTROYED));
    say("its reset", "%s", error_name(act_on("arena.%u.reset", arena)));
    say("destroyed again", "%s", error_name(act_on("arena.%u.destroy", arena)));
    say("its purge", "%s", error_name(act_on("arena.%u.purge", arena)));
    say("narenas stays", "%s",
        yes_no(read_unsigned("arenas.narenas") == arena + 1));
    say("the number is used again", "%s", yes_no(create() == arena));
    say("a block of the second life", "%s",
        yes_no(owner_of(take(arena, 100)) == arena));
    say_act("destroy of arena 0", "destroy", 0);
    say_act("destroy of all", "destroy", ARENAS_ALL);
    say_act("destroy of the destroyed", "destroy", ARENAS_DESTROYED);
    say_act("destroy of a missing arena", "destroy",
            read_unsigned("arenas.narenas") + 3);
}

static void many(void)
{
    const unsigned before = read_unsigned("arenas.narenas");
    for (int i = 0; i < 300; i++) {
        const unsigned arena = create();
        if (owner_of(take(arena, 1000)) != arena)
            _exit(4);
        act_on("arena.%u.destroy", arena);
    }
    say("narenas after 300 lives", "narenas + %u",
        read_unsigned("arenas.narenas") - before);
}

/* -- threads -- */

static unsigned bound;

static int bind(unsigned arena)
{
    return mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}

static void *bound_thread(void *unused)
{
    say("thread.arena of a new arena", "%s", error_name(bind(bound)));
    say("thread.arena then", "%s",
        yes_no(read_unsigned("thread.arena") == bound));
    void *ptr = malloc(100);
    say("owner of a block of malloc", "%s", yes_no(owner_of(ptr) == bound));
    void *large = malloc(3 * MIB);
    say("owner of a large block", "%s", yes_no(owner_of(large) == bound));
    refresh();
    char name[64];
    snprintf(name, sizeof name, "stats.arenas.%u.nthreads", bound);
    say("threads of the arena", "%u", read_unsigned(name));
    say_act("destroy of a bound arena", "destroy", bound);
    free(ptr);
    free(large);
    say("thread.arena back to 0", "%s", error_name(bind(0)));
    return unused;
}

static void threads(void)
{
    bound = create();
    pthread_t thread;
    pthread_create(&thread, NULL, bound_thread, NULL);
    pthread_join(thread, NULL);
    say_act("destroy when the thread has left", "destroy", bound);
    say("thread.arena of a missing arena", "%s",
        error_name(bind(read_unsigned("arenas.narenas") + 1)));
    say("thread.arena 4096", "%s", error_name(bind(ARENAS_ALL)));
    say("thread.arena 0", "%s", error_name(bind(0)));
}

/* -- settings -- */

static void say_decay(const char *what, unsigned arena, ssize_t ms)
{
    char name[64];
    snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
    ssize_t old = 4711;
    size_t bytes = sizeof old;
    const int error = mallctl(name, &old, &bytes, &ms, sizeof ms);
    say(what, "%s, was %zd", error_name(error), old);
}

static void decays(void)
{
    const unsigned arena = create();
    say_decay("decay to -1", arena, -1);
    say_decay("decay to 0", arena, 0);
    say_decay("decay to 5000", arena, 5000);
    say_decay("decay to -2", arena, -2);
    say_decay("decay to SSIZE_MAX", arena, SSIZE_MAX);
    say_decay("decay stays 5000", arena, 5000);
    say_decay("decay of all", ARENAS_ALL, 5000);
    ssize_t ms = 123;
    say("arenas.dirty_decay_ms", "%s",
        error_name(mallctl("arenas.dirty_decay_ms", NULL, NULL, &ms,
                           sizeof ms)));
    say_decay("decay of the next arena", create(), 5000);
    ms = -2;
    say("arenas.dirty_decay_ms to -2", "%s",
        error_name(mallctl("arenas.dirty_decay_ms", NULL, NULL, &ms,
                           sizeof ms)));
}

static void say_dss(const char *what, unsigned arena, const char *setting)
{
    char name[64];
    snprintf(name, sizeof name, "arena.%u.dss", arena);
    const char *old = "?";
    size_t bytes = sizeof old;
    const int error = mallctl(name, &old, &bytes, &setting,
                              setting == NULL ? 0 : sizeof setting);
    say(what, "%s, was %s", error_name(error), old);
}

static void dss(void)
{
    const unsigned arena = create();
    say_dss("dss disabled", arena, "disabled");
    say_dss("dss primary", arena, "primary");
    say_dss("dss secondary", arena, "secondary");
    say_dss("dss none such", arena, "tertiary");
    say_dss("dss stays", arena, "disabled");
    say_dss("dss of all", ARENAS_ALL, "secondary");
}

static void thresholds(void)
{
    char name[64];
    const unsigned arena = create();
    snprintf(name, sizeof name, "arena.%u.oversize_threshold", arena);
    say("oversize_threshold", "%s", sign_of(read_size(name)));
    size_t limit = 1234567;
    say("oversize_threshold set", "%s",
        error_name(mallctl(name, NULL, NULL, &limit, sizeof limit)));
    say("and read", "%zu", read_size(name));
    snprintf(name, sizeof name, "arena.%u.retain_grow_limit", arena);
    limit = 10 * MIB;
    say("retain_grow_limit set", "%s",
        error_name(mallctl(name, NULL, NULL, &limit, sizeof limit)));
    say("and read", "%zu", read_size(name));
    limit = 1;
    say("retain_grow_limit of 1 byte", "%s",
        error_name(mallctl(name, NULL, NULL, &limit, sizeof limit)));
}

int main(void)
{
    birth();
    figures();
    reset();
    destroy();
    many();
    threads();
    decays();
    dss();
    thresholds();
    return 0;
}
