/* SPDX-License-Identifier: MIT */
/*
 * folly, usingJEMalloc(): all ten functions are there, and the thread's
 * counter of allocated bytes, through its pointer, changes by malloc(1).  Then
 * what folly builds on that: sizes by nallocx, growth in place by xallocx.
 */
#include "pattern.h"

static bool is_jemalloc(void)
{
    uint64_t *counter = NULL;
    size_t bytes = sizeof counter;
    if (mallctl("thread.allocatedp", &counter, &bytes, NULL, 0) != 0
        || bytes != sizeof counter)
        return false;
    const uint64_t before = *(volatile uint64_t *)counter;
    static void *volatile ptr;
    ptr = malloc(1);
    const bool moved = before != *(volatile uint64_t *)counter;
    free(ptr);
    return moved;
}

/* FBVector: grows in place where it can, else copies. */
static void grow(size_t size)
{
    unsigned char *ptr = malloc(nallocx(size, 0));
    REQUIRE(malloc_usable_size(ptr) == nallocx(size, 0), "%zu", size);
    memset(ptr, 1, size);
    const size_t wanted = nallocx(size * 2, 0);
    const size_t got = xallocx(ptr, wanted, 0, 0);
    REQUIRE(got >= size && got == malloc_usable_size(ptr), "%zu to %zu", size,
            got);
    memset(ptr, 2, got);
    sdallocx(ptr, got, 0);
}

/* MemoryIdler. */
static void idle(void)
{
    REQUIRE(act("thread.tcache.flush") == 0, "flush");
    size_t mib[3];
    size_t depth = 3;
    REQUIRE(mallctlnametomib("arena.0.purge", mib, &depth) == 0 && depth == 3,
            "%zu", depth);
    mib[1] = read_unsigned("thread.arena");
    REQUIRE(mallctlbymib(mib, depth, NULL, NULL, NULL, 0) == 0, "purge");
    REQUIRE(read_unsigned("opt.narenas") > 0, "no arenas");
}

int main(void)
{
    REQUIRE(is_jemalloc(), "folly would not know this for jemalloc");
    REQUIRE(is_jemalloc(), "not the second time");
    for (size_t size = 1; size <= 8 * MIB; size = size * 3 + 5)
        grow(size);
    idle();
    REQUIRE(is_jemalloc(), "not afterwards");
    return 0;
}
