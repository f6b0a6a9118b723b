/* SPDX-License-Identifier: MIT */
/*
 * Apache Arrow's pool: aligned blocks, one place for empty ones, decay times
 * set for all arenas there are and will be, everything given back on request.
 * HAProxy's trim: every arena below narenas purged by number.
 */
#include "pattern.h"

static void set_decay(ssize_t ms)
{
    static const char *const kinds[] = {"dirty", "muzzy"};
    for (int kind = 0; kind < 2; kind++) {
        char name[64];
        snprintf(name, sizeof name, "arenas.%s_decay_ms", kinds[kind]);
        REQUIRE(mallctl(name, NULL, NULL, &ms, sizeof ms) == 0, "%s", name);
        ssize_t now = 0;
        size_t bytes = sizeof now;
        REQUIRE(mallctl(name, &now, &bytes, NULL, 0) == 0 && now == ms, "%zd",
                now);
        const unsigned arenas = read_unsigned("arenas.narenas");
        for (unsigned i = 0; i < arenas; i++) {
            snprintf(name, sizeof name, "arena.%u.%s_decay_ms", i, kinds[kind]);
            const int error = mallctl(name, NULL, NULL, &ms, sizeof ms);
            /* An automatic arena that nobody used yet may not be there. */
            REQUIRE(error == 0 || error == EFAULT, "%s: %s", name,
                    error_name(error));
        }
    }
    const unsigned arena = arena_new();
    REQUIRE((ssize_t)size_at("arena.%u.dirty_decay_ms", arena) == ms, "%zd",
            ms);
    REQUIRE(act_on("arena.%u.destroy", arena) == 0, "%u", arena);
}

static void use(void)
{
    enum { BLOCKS = 500 };
    unsigned char *blocks[BLOCKS];
    const int flags = MALLOCX_ALIGN(64);
    for (size_t i = 0; i < BLOCKS; i++) {
        const size_t size = i * i + 1;
        blocks[i] = mallocx(size, flags);
        REQUIRE((uintptr_t)blocks[i] % 64 == 0, "%p", (void *)blocks[i]);
        memset(blocks[i], (int)i, size);
        blocks[i] = rallocx(blocks[i], size * 2, flags);
        REQUIRE((uintptr_t)blocks[i] % 64 == 0, "%p", (void *)blocks[i]);
        REQUIRE(blocks[i][size - 1] == (unsigned char)i, "%zu", i);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        dallocx(blocks[i], flags);
}

static void trim(void)
{
    const unsigned arenas = read_unsigned("arenas.narenas");
    act("thread.tcache.flush");
    for (unsigned i = 0; i <= arenas; i++)
        REQUIRE(act_on("arena.%u.purge", i) == 0, "arena %u of %u", i, arenas);
    REQUIRE(act_on("arena.%u.purge", ARENAS_ALL) == 0, "all");
    refresh();
    REQUIRE(size_at("stats.arenas.%u.pdirty", ARENAS_ALL) <= 512, "%zu dirty "
            "pages after a purge", size_at("stats.arenas.%u.pdirty",
                                           ARENAS_ALL));
}

int main(void)
{
    use();
    set_decay(1000);
    use();
    set_decay(0);
    use();
    set_decay(-1);
    use();
    trim();
    return 0;
}
