/* SPDX-License-Identifier: MIT */
/*
 * Valkey since 8.1, active defragmentation.  At start: the quantum that its own
 * jemalloc is built with, keys for the figures of every bin, and every bin's
 * index, which follows from its size by a formula of its own; all asserted.
 * Later, of every object: the bytes of its slab by the blocks of it are a bin's
 * size.  Needed: bins from the quantum on, four to each doubling, and slabs of
 * whole blocks.  A bin below the quantum comes first where there is one, and
 * moves the others up; with Valkey's quantum of 8 none may.
 *
 *     valkey_bins [QUANTUM]      16 unless the library is built with another
 */
#include "pattern.h"

enum { KEY_WORDS = 6 };

struct key {
    size_t word[KEY_WORDS];
    size_t length;
};

static size_t quantum;
static size_t below;        /* bins below the quantum */
static unsigned bins;
static struct key batch_query;

static unsigned log2_floor(size_t size)
{
    return 63 - (unsigned)__builtin_clzl(size);
}

static size_t index_of(size_t size)
{
    if (size <= 4 * quantum)
        return below + size / quantum - 1;
    const unsigned lg = log2_floor(size - 1);
    const size_t step = (size_t)1 << (lg - 2);
    const size_t group = lg - log2_floor(quantum) - 2;
    return below + 4 + group * 4 + (size - ((size_t)1 << lg)) / step - 1;
}

static struct key key_of(const char *name)
{
    struct key key = {.length = KEY_WORDS};
    const int error = mallctlnametomib(name, key.word, &key.length);
    REQUIRE(error == 0 && key.length <= KEY_WORDS, "%s: %s", name,
            error_name(error));
    return key;
}

static size_t read_key(const struct key *key)
{
    size_t value = 0;
    size_t bytes = sizeof value;
    REQUIRE(mallctlbymib(key->word, key->length, &value, &bytes, NULL, 0) == 0,
            "a key that was found is not read");
    return value;
}

/* A figure of a bin of all arenas, by its key. */
static size_t figure(unsigned bin, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "stats.arenas.4096.bins.%u.%s", bin, what);
    const struct key key = key_of(name);
    return read_key(&key);
}

/* The size of a pointer's block, from its slab. */
static size_t block_bytes(void *ptr)
{
    size_t answer[3] = {(size_t)-1, (size_t)-1, (size_t)-1};
    size_t bytes = sizeof answer;
    mallctlbymib(batch_query.word, batch_query.length, answer, &bytes, &ptr,
                 sizeof ptr);
    REQUIRE(answer[0] != (size_t)-1 && answer[1] > 0 && answer[2] > 0,
            "%zu free of %zu in %zu bytes", answer[0], answer[1], answer[2]);
    return answer[2] / answer[1];
}

static void check_bin(unsigned bin)
{
    const size_t size = size_at("arenas.bin.%u.size", bin);
    REQUIRE(bin < below || index_of(size) == bin,
            "bin %u of %zu bytes has index %zu", bin, size, index_of(size));
    void *blocks[3];
    for (int i = 0; i < 3; i++) {
        blocks[i] = mallocx(size, MALLOCX_TCACHE_NONE);
        REQUIRE(malloc_usable_size(blocks[i]) == size, "%zu", size);
        /* Elsewhere it is whole pages that are divided. */
        REQUIRE(quantum != 8 || block_bytes(blocks[i]) == size,
                "a block of %zu has %zu", size, block_bytes(blocks[i]));
    }
    refresh();
    const size_t slabs = figure(bin, "curslabs");
    REQUIRE(slabs >= 1 && figure(bin, "nonfull_slabs") <= slabs,
            "bin %u has %zu slabs", bin, slabs);
    REQUIRE(figure(bin, "curregs") >= 3, "bin %u has %zu blocks", bin,
            figure(bin, "curregs"));
    for (int i = 0; i < 3; i++)
        sdallocx(blocks[i], size, MALLOCX_TCACHE_NONE);
}

int main(int argc, char **argv)
{
    const size_t wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 16;
    quantum = size_at("arenas.quantum");
    REQUIRE(quantum == wanted, "%zu", quantum);
    batch_query = key_of("experimental.utilization.batch_query");
    bins = read_unsigned("arenas.nbins");
    REQUIRE(bins > 30, "%u", bins);
    below = size_at("arenas.bin.0.size") < quantum ? 1 : 0;
    REQUIRE(quantum > 8 || below == 0, "bins below %zu", quantum);
    for (unsigned i = 0; i < bins; i++)
        check_bin(i);
    /* What is larger than all bins has no index. */
    void *large = malloc(4 * MIB);
    REQUIRE(block_bytes(large) > size_at("arenas.bin.%u.size", bins - 1),
            "%zu", block_bytes(large));
    free(large);
    return 0;
}
