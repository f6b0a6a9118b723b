/* SPDX-License-Identifier: MIT */
/*
 * CockroachDB and RocksDB: the statistics as a text, cut at "arenas[", into a
 * buffer of 1 MiB; and the six figures that both watch.  Doris: the dirty bytes
 * of every size of extents, three beyond the number of large sizes.
 */
#include "pattern.h"

static struct {
    char text[MIB];
    size_t used;
} report;

static void put(void *opaque, const char *text)
{
    REQUIRE(opaque == &report, "%p", opaque);
    const size_t size = strlen(text);
    REQUIRE(report.used + size < sizeof report.text, "too much");
    memcpy(report.text + report.used, text, size + 1);
    report.used += size;
}

static void check_line(void)
{
    size_t allocated = 0;
    size_t active = 0;
    size_t metadata = 0;
    const char *line = strstr(report.text, "Allocated: ");
    REQUIRE(line != NULL, "no totals");
    REQUIRE(sscanf(line, "Allocated: %zu, active: %zu, metadata: %zu (n_thp",
                   &allocated, &active, &metadata) == 3, "%.80s", line);
    REQUIRE(allocated > 0 && allocated <= active, "%zu %zu", allocated, active);
    REQUIRE(strstr(line, ", resident: ") != NULL, "%.120s", line);
    REQUIRE(strstr(line, ", mapped: ") != NULL, "%.120s", line);
    REQUIRE(strstr(line, ", retained: ") != NULL, "%.120s", line);
    REQUIRE(strstr(report.text, "arenas[0]:") > line, "no arenas behind it");
}

static void extents(void)
{
    const unsigned sizes = read_unsigned("arenas.nlextents") + 3;
    size_t dirty = 0;
    for (unsigned i = 0; i < sizes; i++)
        dirty += size_at("stats.arenas.%u.extents.%u.dirty_bytes", ARENAS_ALL,
                         i);
    const size_t pages = size_at("stats.arenas.%u.pdirty", ARENAS_ALL);
    REQUIRE(dirty <= pages * 4096, "%zu bytes, %zu pages", dirty, pages);
}

int main(void)
{
    for (size_t size = 1; size < 4 * MIB; size += size / 2 + 1)
        free(malloc(size));
    malloc_stats_print(put, &report, "");
    check_line();
    REQUIRE(strncmp(report.text, "___ Begin jemalloc statistics ___\n", 34)
                == 0, "%.40s", report.text);
    REQUIRE(strstr(report.text, "--- End jemalloc statistics ---\n") != NULL,
            "no end");
    refresh();
    extents();
    return 0;
}
