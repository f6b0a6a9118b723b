/* SPDX-License-Identifier: MIT */
/*
 * Redis and Valkey, active defragmentation: many objects, most of them
 * deleted; then each that lies in a slab emptier than its bin's mean is copied
 * to a new place, past the caches.  Needed: bins with their figures, the
 * utilization of a pointer's slab, and that moving does empty slabs.
 */
#include "pattern.h"

enum { OBJECTS = 60000, PASSES = 6 };

static char *objects[OBJECTS];

static size_t size_of(size_t i)
{
    return 24 + i % 7 * 40;
}

/* What Valkey reads for a bin, once a cycle. */
struct bin {
    size_t size;
    size_t blocks;        /* in its slabs */
    size_t used;
    size_t slabs;
    size_t nonfull;
};

static struct bin bins[256];
static unsigned bin_count;

static void read_bins(void)
{
    refresh();
    bin_count = read_unsigned("arenas.nbins");
    REQUIRE(bin_count > 20 && bin_count < 256, "%u bins", bin_count);
    for (unsigned i = 0; i < bin_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "arenas.bin.%u.nregs", i);
        const size_t in_slab = read_u32(name);
        REQUIRE(in_slab > 0, "bin %u", i);
        bins[i].size = size_at("arenas.bin.%u.size", i);
        bins[i].used = size_at("stats.arenas.4096.bins.%u.curregs", i);
        bins[i].slabs = size_at("stats.arenas.4096.bins.%u.curslabs", i);
        bins[i].nonfull = size_at("stats.arenas.4096.bins.%u.nonfull_slabs",
                                  i);
        bins[i].blocks = bins[i].slabs * in_slab;
        REQUIRE(bins[i].used <= bins[i].blocks, "bin %u: %zu of %zu", i,
                bins[i].used, bins[i].blocks);
    }
}

static const struct bin *bin_of(size_t size)
{
    for (unsigned i = 0; i < bin_count; i++) {
        if (bins[i].size >= size)
            return &bins[i];
    }
    return NULL;
}

static size_t slabs_of_all(void)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < bin_count; i++)
        bytes += bins[i].blocks * bins[i].size;
    return bytes;
}

/* The test of Valkey: free blocks of this slab above those of the mean. */
static bool should_move(void *ptr)
{
    size_t answer[3];
    size_t bytes = sizeof answer;
    REQUIRE(mallctl("experimental.utilization.batch_query", answer, &bytes,
                    &ptr, sizeof ptr) == 0, "batch_query");
    REQUIRE(answer[1] > 0 && answer[0] < answer[1], "%zu free of %zu",
            answer[0], answer[1]);
    const struct bin *bin = bin_of(malloc_usable_size(ptr));
    if (bin == NULL || bin->nonfull < 2 || answer[0] == 0)
        return false;
    const size_t free_in_bin = bin->blocks - bin->used;
    return answer[0] * bin->blocks >= free_in_bin * answer[1];
}

static size_t defrag_once(void)
{
    size_t moved = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        char *old = objects[i];
        if (old == NULL || !should_move(old))
            continue;
        char *new = mallocx(size_of(i), MALLOCX_TCACHE_NONE);
        memcpy(new, old, size_of(i));
        sdallocx(old, size_of(i), MALLOCX_TCACHE_NONE);
        objects[i] = new;
        moved++;
    }
    return moved;
}

static void fill(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(size_of(i));
        memset(objects[i], (int)(i % 251), size_of(i));
    }
    uint64_t state = 12345;
    for (size_t i = 0; i < OBJECTS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (state >> 61 != 0) {
            free(objects[i]);
            objects[i] = NULL;
        }
    }
    REQUIRE(act("thread.tcache.flush") == 0, "flush");
}

int main(void)
{
    fill();
    read_bins();
    const size_t before = slabs_of_all();
    size_t moved = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        moved += defrag_once();
        act("thread.tcache.flush");
        read_bins();
    }
    const size_t after = slabs_of_all();
    REQUIRE(moved > 100, "%zu moved", moved);
    REQUIRE(after < before * 2 / 3, "slabs of %zu KiB before, %zu after",
            before / KIB, after / KIB);
    for (size_t i = 0; i < OBJECTS; i++)
        REQUIRE(objects[i] == NULL
                    || (objects[i][0] == (char)(i % 251)
                        && objects[i][size_of(i) - 1] == (char)(i % 251)),
                "object %zu is spoiled", i);
    return 0;
}
