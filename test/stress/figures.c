/* SPDX-License-Identifier: MIT */
/*
 * Figures: statistics read and printed while threads work.
 *
 * Goal: no figure is impossible, whatever goes on, and when all is given back
 * nothing is left over.  Method: threads allocate, free, and pass blocks to
 * each other through a box; others take epochs, read leaves, print text and
 * JSON, purge, and reset counters.  In a sanitizer's core there are no races.
 * Afterwards what was passed on is freed and the threads are gone.
 */
#include "stress.h"

/* Weak: the C library has neither. */
__attribute__((weak)) int SUBJECT_NAME(mallctl)(
    const char *name, void *value, size_t *bytes, void *new_value,
    size_t new_bytes);
__attribute__((weak)) void SUBJECT_NAME(malloc_stats_print)(
    void (*write)(void *, const char *), void *opaque, const char *options);

enum { WORKERS = 4, READERS = 2, STEPS = 200000, ROUNDS = 40, PLACES = 512 };

static struct marked *_Atomic box[PLACES];
static atomic_size_t working;

/* -- asking -- */

static size_t leaf(const char *name)
{
    size_t value = 0, bytes = sizeof value;
    EXPECT_THAT(SUBJECT_NAME(mallctl)(name, &value, &bytes, NULL, 0) == 0,
                "%s", name);
    return value;
}

static void take_epoch(void)
{
    uint64_t any = 1;
    EXPECT_EQUAL(SUBJECT_NAME(mallctl)("epoch", NULL, NULL, &any, sizeof any),
                 0);
}

static void act(const char *name)
{
    EXPECT_THAT(SUBJECT_NAME(mallctl)(name, NULL, NULL, NULL, 0) == 0, "%s",
                name);
}

static void count_bytes(void *opaque, const char *text)
{
    *(size_t *)opaque += strlen(text);
}

static void print_with(const char *options)
{
    size_t bytes = 0;
    SUBJECT_NAME(malloc_stats_print)(count_bytes, &bytes, options);
    EXPECT(bytes > 100);
}

/* -- at the same time -- */

static void *work(void *argument)
{
    struct dice dice = {(uintptr_t)argument};
    const unsigned steps = test_scaled(STEPS, 20);
    for (unsigned i = 0; i < steps; i++) {
        struct marked *block =
            marked_take(marked_size(&dice), dice_next(&dice));
        if (dice_below(&dice, 2) == 0)
            block = atomic_exchange_explicit(
                &box[dice_below(&dice, PLACES)], block, memory_order_acq_rel);
        if (block != NULL)
            marked_free(block);
    }
    atomic_fetch_sub_explicit(&working, 1, memory_order_relaxed);
    return NULL;
}

static void *look(void *argument)
{
    struct dice dice = {(uintptr_t)argument};
    for (size_t round = 0; round < ROUNDS
         || atomic_load_explicit(&working, memory_order_relaxed) > 0;
         round++) {
        switch (dice_below(&dice, 8)) {
        case 0: print_with("J"); break;
        case 1: print_with(""); break;
        case 2: act("stats.mutexes.reset"); break;
        case 3: act("arena.0.purge"); break;
        case 4: EXPECT(leaf("live.active") > 0); break;
        default: take_epoch(); break;
        }
        EXPECT(leaf("stats.metadata") > 0);
        EXPECT(leaf("stats.arenas.0.small.allocated") < 64 * GIB);
        EXPECT(leaf("stats.arenas.0.large.allocated") < 64 * GIB);
        EXPECT(leaf("stats.arenas.0.bins.3.curslabs") < GIB);
        EXPECT(leaf("stats.arenas.0.bins.3.curregs") < GIB);
    }
    return NULL;
}

/* What the program itself has, where malloc is the library's, is the rest. */
static size_t left(void)
{
    act("thread.tcache.flush");
    take_epoch();
    EXPECT_AT_MOST(leaf("stats.allocated"), leaf("stats.active"));
    EXPECT_AT_MOST(leaf("stats.active"), leaf("stats.resident"));
    EXPECT_AT_MOST(leaf("stats.active"), leaf("stats.mapped"));
    return leaf("stats.allocated");
}

int main(int argc, char **argv)
{
    static struct crew crew;
    test_begin("figures", argc, argv);
    const size_t before = left();
    atomic_init(&working, WORKERS);
    for (uintptr_t i = 1; i <= WORKERS; i++)
        crew_add(&crew, work, (void *)i);
    for (uintptr_t i = 1; i <= READERS; i++)
        crew_add(&crew, look, (void *)(100 + i));
    crew_join(&crew);
    for (size_t i = 0; i < PLACES; i++) {
        if (box[i] != NULL)
            marked_free(box[i]);
    }
    /* Stacks and the like, of threads that have been. */
    const size_t kept = SUBJECT_PREFIXED ? 0 : 64 * KIB;
    EXPECT_AT_MOST(left(), before + kept);
    return test_passed("%zu bytes before, %zu after", before, left());
}
