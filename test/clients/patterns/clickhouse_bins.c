/* SPDX-License-Identifier: MIT */
/*
 * ClickHouse, system.jemalloc_bins and its asynchronous metrics: the figures of
 * every bin and every large size over all arenas.  Needed: every leaf, with its
 * type; counts that agree with each other and with stats.allocated.
 */
#include "pattern.h"

__attribute__((format(printf, 1, 2)))
static uint64_t count_at(const char *format, ...)
{
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    uint64_t value = 0;
    size_t bytes = sizeof value;
    REQUIRE(mallctl(name, &value, &bytes, NULL, 0) == 0, "%s", name);
    return value;
}

/* Live bytes of all rows of the table. */
static size_t walk(void)
{
    size_t live = 0;
    const unsigned bins = read_unsigned("arenas.nbins");
    for (unsigned i = 0; i < bins; i++) {
        const size_t size = size_at("arenas.bin.%u.size", i);
        const uint64_t up = count_at("stats.arenas.4096.bins.%u.nmalloc", i);
        const uint64_t down = count_at("stats.arenas.4096.bins.%u.ndalloc", i);
        REQUIRE(up >= down, "bin %u: %llu of %llu", i,
                (unsigned long long)down, (unsigned long long)up);
        REQUIRE(up - down == size_at("stats.arenas.4096.bins.%u.curregs", i),
                "bin %u: %llu live", i, (unsigned long long)(up - down));
        live += size * (up - down);
    }
    const unsigned larges = read_unsigned("arenas.nlextents");
    for (unsigned i = 0; i < larges; i++) {
        const size_t size = size_at("arenas.lextent.%u.size", i);
        const uint64_t up = count_at("stats.arenas.4096.lextents.%u.nmalloc",
                                     i);
        const uint64_t down
            = count_at("stats.arenas.4096.lextents.%u.ndalloc", i);
        REQUIRE(up >= down, "large size %u", i);
        live += size * (up - down);
    }
    return live;
}

static void metrics(void)
{
    const size_t allocated = size_at("stats.allocated");
    const size_t active = size_at("stats.active");
    const size_t resident = size_at("stats.resident");
    REQUIRE(allocated <= active && active <= resident, "%zu %zu %zu",
            allocated, active, resident);
    REQUIRE(active <= size_at("stats.mapped"), "%zu", active);
    (void)size_at("stats.metadata");
    (void)size_at("stats.metadata_thp");
    (void)size_at("stats.retained");
    (void)size_at("stats.background_thread.num_threads");
    (void)count_at("stats.background_thread.num_runs");
    (void)count_at("stats.background_thread.run_interval");
    for (unsigned i = 0; i < 2; i++) {
        (void)size_at("stats.arenas.4096.%s", i == 0 ? "pactive" : "pdirty");
        (void)count_at("stats.arenas.4096.%s_npurge", i ? "dirty" : "muzzy");
        (void)count_at("stats.arenas.4096.%s_purged", i ? "dirty" : "muzzy");
    }
}

int main(void)
{
    enum { BLOCKS = 20000 };
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(i % 6000 + (i % 1000 == 0 ? 300 * KIB : 1));
    for (size_t i = 0; i < BLOCKS; i += 3)
        free(blocks[i]);
    act("thread.tcache.flush");
    refresh();
    const size_t allocated = size_at("stats.allocated");
    const size_t live = walk();
    REQUIRE(live >= allocated * 95 / 100 && live <= allocated * 13 / 10,
            "rows hold %zu bytes, allocated are %zu", live, allocated);
    metrics();
    REQUIRE(act_on("arena.%u.purge", ARENAS_ALL) == 0, "purge");
    return 0;
}
