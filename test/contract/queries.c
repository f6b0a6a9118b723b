/* SPDX-License-Identifier: MIT */
/*
 * queries - the names that take an argument and give an answer: lookup, the
 * utilization of slabs, many blocks at once, arenas with a configuration.
 *
 * Goal: arguments are checked and answers laid out as jemalloc does; the
 * figures are told by the rules that hold among them.
 */
#include "contract.h"

struct utilization {
    void *slab;           /* that the bin takes from now */
    size_t nfree, nregs, size, bin_nfree, bin_nregs;
};

static const char *errors(const char *name, void *old, size_t old_bytes,
                          void *new, size_t new_bytes)
{
    static char text[96];
    size_t bytes = old_bytes;
    const int error = mallctl(name, old, old == NULL ? NULL : &bytes, new,
                              new_bytes);
    snprintf(text, sizeof text, "%s, %zu of %zu bytes", error_name(error),
             bytes, old_bytes);
    return text;
}

/* -- arenas.lookup -- */

static void lookup_null(void)
{
    unsigned arena = 77;
    void *ptr = NULL;
    say("lookup of NULL", "%s", errors("arenas.lookup", &arena, 4, &ptr, 8));
}

static void lookup_stack(void)
{
    unsigned arena = 77;
    void *ptr = &arena;
    say("lookup of the stack", "%s",
        errors("arenas.lookup", &arena, 4, &ptr, 8));
}

static void lookup_nothing(void)
{
    say("lookup of nothing", "%s", errors("arenas.lookup", NULL, 0, NULL, 0));
}

static void lookup(void)
{
    unsigned arena = 77;
    void *ptr = malloc(100);
    void *large = malloc(3 * MIB);
    say("lookup", "%s", errors("arenas.lookup", &arena, 4, &ptr, 8));
    say("lookup of a large block", "%s",
        errors("arenas.lookup", &arena, 4, &large, 8));
    say("lookup, 3 bytes of answer", "%s",
        errors("arenas.lookup", &arena, 3, &ptr, 8));
    say("lookup, 4 bytes of argument", "%s",
        errors("arenas.lookup", &arena, 4, &ptr, 4));
    say_ending("the lookup of NULL", in_child(lookup_null));
    say_ending("the lookup of the stack", in_child(lookup_stack));
    say_ending("the lookup of nothing", in_child(lookup_nothing));
    free(large);
    free(ptr);
}

/* -- experimental.utilization -- */

static void query_nothing(void)
{
    struct utilization answer;
    say("query without an argument", "%s",
        errors("experimental.utilization.query", &answer, sizeof answer, NULL,
               0));
}

static void query(void)
{
    static const char name[] = "experimental.utilization.query";
    struct utilization answer;
    void *small = malloc(100);
    void *large = malloc(3 * MIB);
    memset(&answer, 0xa5, sizeof answer);
    say("query", "%s", errors(name, &answer, sizeof answer, &small, 8));
    say("query: size of a slab of its blocks", "%s",
        yes_no(answer.size >= answer.nregs * nallocx(100, 0)));
    say("query: free blocks", "%s",
        answer.nfree < answer.nregs ? "fewer than all" : "all");
    say("query: the bin", "%s",
        answer.bin_nfree <= answer.bin_nregs && answer.bin_nregs >= answer.nregs
            ? "has more" : "has less");
    say("query of a large block", "%s",
        errors(name, &answer, sizeof answer, &large, 8));
    say("query of a large block: blocks", "free %zu of %zu, size %s",
        answer.nfree, answer.nregs,
        answer.size >= 3 * MIB ? "enough" : "too small");
    say("query of 8 bytes", "%s", errors(name, &answer, 8, &small, 8));
    say("query, argument of 4 bytes", "%s",
        errors(name, &answer, sizeof answer, &small, 4));
    say("query without an answer", "%s", errors(name, NULL, 0, &small, 8));
    say_ending("the query without an argument", in_child(query_nothing));
    free(large);
    free(small);
}

static void batch_of_strangers(void)
{
    size_t answers[3][3];
    void *strangers[] = {NULL, &answers, (void *)16};
    memset(answers, 0xa5, sizeof answers);
    say("batch_query of strangers", "%s",
        errors("experimental.utilization.batch_query", answers, 72, strangers,
               24));
    say("batch_query of strangers: answers", "%zu %zu %zu", answers[0][0],
        answers[1][1], answers[2][2]);
}

static void batch_query(void)
{
    static const char name[] = "experimental.utilization.batch_query";
    void *ptrs[8];
    size_t answers[8][3];
    size_t wrong = 0;
    for (size_t i = 0; i < 8; i++)
        ptrs[i] = malloc((size_t)100 << i * 2);
    memset(answers, 0xa5, sizeof answers);
    say("batch_query", "%s",
        errors(name, answers, sizeof answers, ptrs, sizeof ptrs));
    for (size_t i = 0; i < 8; i++) {
        const size_t size = malloc_usable_size(ptrs[i]);
        wrong += answers[i][1] == 0 || answers[i][0] >= answers[i][1]
                 || answers[i][2] < answers[i][1] * size;
    }
    say("batch_query: answers wrong", "%zu", wrong);
    say("batch_query, 23 bytes for one", "%s",
        errors(name, answers, 23, ptrs, 8));
    say("batch_query, 2 answers, 3 arguments", "%s",
        errors(name, answers, 48, ptrs, 24));
    say("batch_query of 12 bytes", "%s", errors(name, answers, 24, ptrs, 12));
    say("batch_query of nothing", "%s", errors(name, answers, 0, ptrs, 0));
    for (size_t i = 0; i < 8; i++)
        free(ptrs[i]);
    say_ending("the batch_query of strangers", in_child(batch_of_strangers));
}

/* A slab whose blocks are freed one by one has one more free each time. */
static void batch_query_follows(void)
{
    static const char name[] = "experimental.utilization.batch_query";
    bool off = false;
    void *blocks[64];
    size_t wrong = 0;
    mallctl("thread.tcache.enabled", NULL, NULL, &off, sizeof off);
    for (int i = 0; i < 64; i++)
        blocks[i] = mallocx(512, MALLOCX_TCACHE_NONE);
    for (int i = 0; i < 63; i++) {
        size_t before[3];
        size_t after[3];
        size_t bytes = sizeof before;
        void *neighbour = blocks[i + 1];
        mallctl(name, before, &bytes, &neighbour, sizeof neighbour);
        const bool same = (uintptr_t)blocks[i] / 4096
                          == (uintptr_t)neighbour / 4096;
        dallocx(blocks[i], MALLOCX_TCACHE_NONE);
        mallctl(name, after, &bytes, &neighbour, sizeof neighbour);
        wrong += same && after[0] != before[0] + 1;
        wrong += after[1] != before[1] || after[2] != before[2];
    }
    say("batch_query follows frees", "%zu wrong", wrong);
    dallocx(blocks[63], MALLOCX_TCACHE_NONE);
}

/* -- experimental.batch_alloc -- */

struct batch {
    void **ptrs;
    size_t count;
    size_t size;
    int flags;
};

static void say_batch(const char *what, size_t count, size_t size, int flags)
{
    static void *ptrs[3000];
    struct batch batch = {ptrs, count, size, flags};
    size_t filled = 4711;
    size_t bytes = sizeof filled;
    memset(ptrs, 0, sizeof ptrs);
    const int error = mallctl("experimental.batch_alloc", &filled, &bytes,
                              &batch, sizeof batch);
    size_t wrong = 0;
    const size_t align = (size_t)1 << (flags & 63);
    for (size_t i = 0; i < filled && i < 3000; i++) {
        wrong += ptrs[i] == NULL || (uintptr_t)ptrs[i] % align != 0
                 || sallocx(ptrs[i], 0) != nallocx(size, flags);
        if ((flags & MALLOCX_ZERO) != 0)
            wrong += *(char *)ptrs[i] != 0;
        memset(ptrs[i], 0xff, size);
    }
    for (size_t i = 0; i < filled && i < 3000; i++)
        dallocx(ptrs[i], 0);
    say(what, "%s, %zu blocks, %zu wrong", error_name(error), filled, wrong);
}

static void batches(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    say_batch("batch of 1", 1, 100, 0);
    say_batch("batch of 1000", 1000, 100, 0);
    say_batch("batch of 3000, zeroed", 3000, 48, MALLOCX_ZERO);
    say_batch("batch aligned", 200, 100, MALLOCX_ALIGN(256));
    say_batch("batch of an arena", 500, 64,
              MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    say_batch("batch of nothing", 0, 100, 0);
    say_batch("batch of the impossible", 10, SIZE_MAX, 0);
    struct batch batch = {NULL, 0, 1, 0};
    size_t filled = 0;
    say("batch, argument cut", "%s",
        errors("experimental.batch_alloc", &filled, 8, &batch,
               sizeof batch - 1));
    say("batch, answer cut", "%s",
        errors("experimental.batch_alloc", &filled, 4, &batch, sizeof batch));
}

/* -- experimental.arenas_create_ext, pactivep -- */

struct configuration {
    struct extent_hooks *hooks;
    bool metadata_use_hooks;
};

static struct {
    struct extent_hooks hooks;
    struct extent_hooks *defaults;
    unsigned calls;
} counting;

static void *count_alloc(struct extent_hooks *hooks, void *want, size_t size,
                         size_t align, bool *zero, bool *commit, unsigned arena)
{
    counting.calls++;
    return counting.defaults->alloc(hooks, want, size, align, zero, commit,
                                    arena);
}

static void configured(bool metadata)
{
    size_t bytes = sizeof counting.defaults;
    mallctl("arena.0.extent_hooks", &counting.defaults, &bytes, NULL, 0);
    counting.hooks = *counting.defaults;
    counting.hooks.alloc = count_alloc;
    counting.calls = 0;
    struct configuration configuration = {&counting.hooks, metadata};
    unsigned arena = 0;
    bytes = sizeof arena;
    const int error = mallctl("experimental.arenas_create_ext", &arena, &bytes,
                              &configuration, sizeof configuration);
    char what[64];
    snprintf(what, sizeof what, "arenas_create_ext, metadata %s",
             yes_no(metadata));
    say(what, "%s, alloc called at birth %s", error_name(error),
        yes_no(counting.calls != 0));
    void *ptr = mallocx(100, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    say(what, "block %s, alloc called then %s", yes_no(ptr != NULL),
        yes_no(counting.calls != 0));
    say(what, "destroy %s", error_name(act_on("arena.%u.destroy", arena)));
}

static void live_pages(void)
{
    size_t *pages = NULL;
    say("pactivep", "%s",
        errors("experimental.arenas.0.pactivep", &pages, 8, NULL, 0));
    unsigned zero = 0;
    mallctl("thread.arena", NULL, NULL, &zero, sizeof zero);
    const size_t before = *(volatile size_t *)pages;
    void *ptr = mallocx(5 * MIB, MALLOCX_TCACHE_NONE);
    const size_t during = *(volatile size_t *)pages;
    dallocx(ptr, MALLOCX_TCACHE_NONE);
    say("pactivep moves with a large block", "%s",
        yes_no(during >= before + 5 * MIB / 4096));
    say("pactivep of a missing arena", "%s",
        errors("experimental.arenas.4000.pactivep", &pages, 8, NULL, 0));
}

int main(void)
{
    lookup();
    query();
    batch_query();
    batch_query_follows();
    batches();
    configured(true);
    configured(false);
    live_pages();
    return 0;
}
