/* SPDX-License-Identifier: MIT */
/*
 * Valkey since 8.1, at start: every bin's index follows from its size by a
 * formula of its own, which is asserted for all bins.  Needed: bins from the
 * quantum on, four to each doubling.  A bin below the quantum comes first where
 * there is one, and moves the others up.
 */
#include "pattern.h"

static size_t quantum;

static unsigned log2_floor(size_t size)
{
    return 63 - (unsigned)__builtin_clzl(size);
}

/* The index among the bins from the quantum on. */
static size_t index_of(size_t size)
{
    if (size <= 4 * quantum)
        return size / quantum - 1;
    const unsigned lg = log2_floor(size - 1);
    const size_t step = (size_t)1 << (lg - 2);
    const size_t group = lg - log2_floor(quantum) - 2;
    return 4 + group * 4 + (size - ((size_t)1 << lg)) / step - 1;
}

int main(void)
{
    quantum = size_at("arenas.quantum");
    REQUIRE(quantum == 8 || quantum == 16, "%zu", quantum);
    const unsigned bins = read_unsigned("arenas.nbins");
    const size_t below = size_at("arenas.bin.0.size") < quantum ? 1 : 0;
    for (unsigned i = (unsigned)below; i < bins; i++) {
        const size_t size = size_at("arenas.bin.%u.size", i);
        REQUIRE(index_of(size) + below == i, "bin %u of %zu bytes has index "
                "%zu", i, size, index_of(size) + below);
        void *ptr = malloc(size);
        REQUIRE(malloc_usable_size(ptr) == size, "%zu", size);
        free(ptr);
    }
    return 0;
}
