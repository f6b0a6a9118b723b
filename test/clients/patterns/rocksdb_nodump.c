/* SPDX-License-Identifier: MIT */
/*
 * RocksDB, JemallocNodumpAllocator: an arena whose memory is left out of core
 * dumps.  The default hooks are copied, alloc is replaced by one that calls the
 * original and then advises the kernel.  Needed: one original for all arenas,
 * callable with the client's struct; explicit tcaches; destroy.
 */
#include "pattern.h"

static struct extent_hooks hooks;
static hook_alloc *original;
static size_t allocs;

static void *alloc_nodump(struct extent_hooks *unused, void *want, size_t size,
                          size_t align, bool *zero, bool *commit,
                          unsigned arena)
{
    (void)unused;
    void *at = original(&hooks, want, size, align, zero, commit, arena);
    if (at != NULL)
        REQUIRE(madvise(at, size, MADV_DONTDUMP) == 0, "%p %zu", at, size);
    allocs++;
    return at;
}

/* Whether the mapping of an address is left out of dumps: dd in its flags. */
static bool is_nodump(const void *ptr)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;
    bool nodump = false;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long from;
        unsigned long to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= (unsigned long)ptr && (unsigned long)ptr < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            nodump = strstr(line, " dd") != NULL;
    }
    fclose(file);
    return nodump;
}

static unsigned arena_with_hooks(void)
{
    char name[64];
    const unsigned arena = arena_new();
    struct extent_hooks *old = NULL;
    struct extent_hooks *new = &hooks;
    size_t bytes = sizeof old;
    snprintf(name, sizeof name, "arena.%u.extent_hooks", arena);
    REQUIRE(mallctl(name, &old, &bytes, NULL, 0) == 0, "%s", name);
    REQUIRE(original == NULL || original == old->alloc, "another original");
    original = old->alloc;
    hooks = *old;
    hooks.alloc = alloc_nodump;
    REQUIRE(mallctl(name, NULL, NULL, &new, sizeof new) == 0, "%s", name);
    return arena;
}

static void use(unsigned arena, unsigned cache)
{
    const int flags = (int)((unsigned)MALLOCX_ARENA(arena)
                            | (unsigned)MALLOCX_TCACHE(cache));
    void *blocks[200];
    for (int i = 0; i < 200; i++) {
        const size_t size = (size_t)i * 997 + 1;
        blocks[i] = mallocx(size, flags);
        REQUIRE(blocks[i] != NULL, "%zu", size);
        memset(blocks[i], i, size);
        REQUIRE(malloc_usable_size(blocks[i]) >= size, "%zu", size);
        if (i % 50 == 0)
            REQUIRE(is_nodump(blocks[i]), "%zu bytes at %p", size, blocks[i]);
    }
    for (int i = 0; i < 200; i++)
        dallocx(blocks[i], MALLOCX_TCACHE(cache));
}

int main(void)
{
    for (int round = 0; round < 3; round++) {
        const unsigned arena = arena_with_hooks();
        unsigned cache = 0;
        size_t bytes = sizeof cache;
        REQUIRE(mallctl("tcache.create", &cache, &bytes, NULL, 0) == 0, "none");
        use(arena, cache);
        REQUIRE(mallctl("tcache.destroy", NULL, NULL, &cache, sizeof cache)
                    == 0, "%u", cache);
        REQUIRE(act_on("arena.%u.destroy", arena) == 0, "%u", arena);
    }
    REQUIRE(allocs >= 3, "%zu", allocs);
    return 0;
}
