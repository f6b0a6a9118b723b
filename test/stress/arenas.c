/* SPDX-License-Identifier: MIT */
/*
 * Arenas: threads make, fill, empty and end arenas and caches in every order.
 *
 * Goal: nothing that one thread does with its own arenas and caches reaches
 * what others have; an arena that ends leaves nothing behind.
 * Method: each thread has a few arenas and caches, of which only it makes use,
 * as the contract asks. At random it takes and frees blocks through them, moves
 * into one of its arenas and out again, flushes and destroys caches, resets and
 * destroys arenas. Blocks of arena 0 pass between the threads meanwhile. Every
 * block is marked, and checked before it goes; what an arena takes with it is
 * checked before that.
 */
#include "stress.h"

#include <jemalloc/jemalloc.h>

#if !SUBJECT_PREFIXED
#pragma weak mallctl
#pragma weak mallocx
#pragma weak dallocx
#endif

enum { AT_ONCE = 4, ARENAS = 3, CACHES = 2, HELD = 60, SLOTS = 64 };

static _Atomic(struct marked *) slots[SLOTS];
static size_t steps;

struct home {
    struct dice dice;
    unsigned arena[ARENAS];
    unsigned cache[CACHES];
    struct marked *held[ARENAS][HELD];
};

/* -- mallctl, where nothing may go wrong -- */

static void control(const char *name, unsigned number)
{
    char path[64];
    snprintf(path, sizeof path, name, number);
    EXPECT_THAT(SUBJECT_NAME(mallctl)(path, NULL, NULL, NULL, 0) == 0, "%s",
                path);
}

static unsigned ask(const char *name)
{
    unsigned answer = UINT_MAX;
    size_t bytes = sizeof answer;
    EXPECT_EQUAL(SUBJECT_NAME(mallctl)(name, &answer, &bytes, NULL, 0), 0);
    return answer;
}

static void tell(const char *name, unsigned value)
{
    EXPECT_THAT(SUBJECT_NAME(mallctl)(name, NULL, NULL, &value,
                                      sizeof value) == 0, "%s %u", name,
                value);
}

/* -- one thread's arenas -- */

static int flags_for(struct home *home, size_t a)
{
    int flags = MALLOCX_ARENA(home->arena[a]);
    const size_t kind = dice_below(&home->dice, 3);
    if (kind == 0)
        flags |= MALLOCX_TCACHE_NONE;
    else if (kind == 1)
        flags |= MALLOCX_TCACHE(home->cache[dice_below(&home->dice, CACHES)]);
    return flags;
}

static void exchange(struct home *home, size_t a)
{
    struct marked **at = &home->held[a][dice_below(&home->dice, HELD)];
    if (*at != NULL) {
        marked_check(*at);
        SUBJECT_NAME(dallocx)(*at, dice_below(&home->dice, 2) == 0
            ? 0 : flags_for(home, a));
    }
    size_t size = marked_size(&home->dice);
    size = size < sizeof **at ? sizeof **at : size;
    *at = SUBJECT_NAME(mallocx)(size, flags_for(home, a));
    EXPECT(*at != NULL);
    mark(*at, size, dice_next(&home->dice));
}

/* What passes between threads, of whatever arena this one lives in. */
static void pass_on(struct home *home)
{
    struct marked *block =
        marked_take(marked_size(&home->dice), dice_next(&home->dice));
    block = atomic_exchange_explicit(&slots[dice_below(&home->dice, SLOTS)],
                                     block, memory_order_acq_rel);
    if (block != NULL)
        marked_free(block);
}

/* Nothing of the arena may be in a cache or a hand any more. */
static void forget_all(struct home *home, size_t a)
{
    for (size_t i = 0; i < HELD; i++) {
        if (home->held[a][i] != NULL)
            marked_check(home->held[a][i]);
        home->held[a][i] = NULL;
    }
    for (size_t c = 0; c < CACHES; c++)
        tell("tcache.flush", home->cache[c]);
}

static void end_arena(struct home *home, size_t a)
{
    forget_all(home, a);
    if (dice_below(&home->dice, 2) == 0) {
        control("arena.%u.reset", home->arena[a]);
        return;
    }
    control("arena.%u.destroy", home->arena[a]);
    home->arena[a] = ask("arenas.create");
}

static void renew_cache(struct home *home)
{
    unsigned *cache = &home->cache[dice_below(&home->dice, CACHES)];
    tell("tcache.destroy", *cache);
    *cache = ask("tcache.create");
}

/* Into an arena of its own, some work there, and back: what it took there goes
 * before the arena can. */
static void visit(struct home *home, size_t a)
{
    tell("thread.arena", home->arena[a]);
    struct marked *local[HELD] = {NULL};
    for (size_t i = 0; i < HELD; i++)
        local[i] = marked_take(marked_size(&home->dice), i);
    exchange(home, a);
    for (size_t i = 0; i < HELD; i++)
        marked_free(local[i]);
    tell("thread.arena", 0);
}

static void live(struct home *home)
{
    for (size_t step = 0; step < steps; step++) {
        const size_t a = dice_below(&home->dice, ARENAS);
        const size_t kind = dice_below(&home->dice, 200);
        if (kind == 0)
            end_arena(home, a);
        else if (kind == 1)
            renew_cache(home);
        else if (kind == 2)
            visit(home, a);
        else if (kind == 3)
            control("arena.%u.purge", home->arena[a]);
        else if (kind < 40)
            pass_on(home);
        else
            exchange(home, a);
    }
}

static void *thread_main(void *argument)
{
    struct home *home = calloc(1, sizeof *home);
    EXPECT(home != NULL);
    home->dice = (struct dice){test.seed + (uintptr_t)argument};
    for (size_t c = 0; c < CACHES; c++)
        home->cache[c] = ask("tcache.create");
    for (size_t a = 0; a < ARENAS; a++)
        home->arena[a] = ask("arenas.create");
    live(home);
    for (size_t a = 0; a < ARENAS; a++) {
        forget_all(home, a);
        control("arena.%u.destroy", home->arena[a]);
    }
    for (size_t c = 0; c < CACHES; c++)
        tell("tcache.destroy", home->cache[c]);
    free(home);
    return NULL;
}

int main(int argc, char **argv)
{
    struct crew crew = {.count = 0};
    uintptr_t born = 0;
    test_begin("arenas", argc, argv);
    steps = SUBJECT_SANITIZED ? 4000 : 20000;
    const unsigned waves = test.ops != 0 ? (unsigned)test.ops
                                         : test_scaled(12, 2);
    for (unsigned wave = 0; test_more(wave, waves); wave++) {
        for (size_t i = 0; i < AT_ONCE; i++)
            crew_add(&crew, thread_main, (void *)born++);
        crew_join(&crew);
        subject_audit();
    }
    for (size_t i = 0; i < SLOTS; i++) {
        struct marked *block = atomic_exchange(&slots[i], NULL);
        if (block != NULL)
            marked_free(block);
    }
    subject_audit();
    return test_passed("%zu threads of %zu steps", (size_t)born, steps);
}
