/* SPDX-License-Identifier: MIT */
/*
 * BIND 9, isc_mem: an arena for each memory context, with a decay time of its
 * own; every allocation is accounted by sallocx, and freed by sdallocx with
 * exactly that size; the arena is destroyed with its context.
 */
#include "pattern.h"

enum { CONTEXTS = 40, BLOCKS = 300 };

struct context {
    unsigned arena;
    int flags;
    size_t in_use;
    void *blocks[BLOCKS];
};

static void context_open(struct context *context)
{
    char name[64];
    ssize_t ms = 5000;
    context->arena = arena_new();
    context->flags = MALLOCX_ARENA(context->arena) | MALLOCX_TCACHE_NONE;
    context->in_use = 0;
    snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", context->arena);
    REQUIRE(mallctl(name, NULL, NULL, &ms, sizeof ms) == 0, "%s", name);
    REQUIRE((ssize_t)size_at("%s", name) == ms, "%s", name);
}

static void *context_get(struct context *context, size_t size, bool zero)
{
    void *ptr = mallocx(size, context->flags | (zero ? MALLOCX_ZERO : 0));
    REQUIRE(ptr != NULL, "%zu", size);
    context->in_use += sallocx(ptr, context->flags);
    return ptr;
}

static void *context_resize(struct context *context, void *ptr, size_t size)
{
    context->in_use -= sallocx(ptr, context->flags);
    ptr = rallocx(ptr, size, context->flags);
    REQUIRE(ptr != NULL, "%zu", size);
    context->in_use += sallocx(ptr, context->flags);
    return ptr;
}

static void context_put(struct context *context, void *ptr)
{
    const size_t size = sallocx(ptr, context->flags);
    context->in_use -= size;
    sdallocx(ptr, size, context->flags);
}

static void context_work(struct context *context)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        const size_t size = i * 37 % 5000 + (i % 100 == 0 ? 200 * KIB : 1);
        context->blocks[i] = context_get(context, size, i % 2 == 0);
        if (i % 2 == 0)
            REQUIRE(*(char *)context->blocks[i] == 0, "%zu", size);
        memset(context->blocks[i], 0xbe, size);
    }
    for (size_t i = 0; i < BLOCKS; i += 3)
        context->blocks[i] = context_resize(context, context->blocks[i],
                                            i * 91 % 9000 + 1);
    refresh();
    const size_t seen
        = size_at("stats.arenas.%u.small.allocated", context->arena)
          + size_at("stats.arenas.%u.large.allocated", context->arena);
    REQUIRE(seen == context->in_use, "arena %u: %zu by statistics, %zu by "
            "sallocx", context->arena, seen, context->in_use);
    for (size_t i = 0; i < BLOCKS; i++)
        context_put(context, context->blocks[i]);
    REQUIRE(context->in_use == 0, "%zu left", context->in_use);
}

int main(void)
{
    static struct context contexts[CONTEXTS];
    const unsigned before = read_unsigned("arenas.narenas");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CONTEXTS; i++)
            context_open(&contexts[i]);
        for (int i = 0; i < CONTEXTS; i++)
            context_work(&contexts[i]);
        for (int i = 0; i < CONTEXTS; i++)
            REQUIRE(act_on("arena.%u.destroy", contexts[i].arena) == 0, "%d",
                    i);
    }
    REQUIRE(read_unsigned("arenas.narenas") == before + CONTEXTS,
            "numbers are not used again");
    return 0;
}
