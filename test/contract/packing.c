/* SPDX-License-Identifier: MIT */
/*
 * packing - where blocks come from when slabs have room in many places.
 *
 * Goal: what is freed here and there is filled again before new slabs are
 * opened, and the fullest or oldest slab first.  Method: slabs of 1 KiB blocks
 * in an arena of their own; all but one block of each are freed, and as many
 * taken again.  Whether each comes back at its old place, in order, is told
 * too.  Run with narenas:1.
 */
#include "contract.h"

enum { SIZE = 1024, SLABS_MAX = 8, BLOCKS_MAX = 4096 };

static char *blocks[BLOCKS_MAX];
static unsigned arena;
static int flags;

static size_t in_slab(void)
{
    char name[64];
    for (unsigned i = 0; i < read_unsigned("arenas.nbins"); i++) {
        snprintf(name, sizeof name, "arenas.bin.%u.size", i);
        if (read_size(name) != SIZE)
            continue;
        snprintf(name, sizeof name, "arenas.bin.%u.nregs", i);
        return read_u32(name);
    }
    return 0;
}

/* Fills the slabs, and frees all but one block of each: another in each. */
static size_t make_holes(size_t nregs)
{
    size_t freed = 0;
    for (size_t i = 0; i < SLABS_MAX * nregs; i++)
        blocks[i] = mallocx(SIZE, flags);
    for (size_t i = 0; i < SLABS_MAX * nregs; i++) {
        if (i % nregs == i / nregs)
            continue;
        dallocx(blocks[i], flags);
        freed++;
    }
    return freed;
}

static void fill_holes(size_t nregs, size_t freed)
{
    size_t same = 0;
    size_t inside = 0;
    for (size_t i = 0; i < SLABS_MAX * nregs; i++) {
        if (i % nregs == i / nregs)
            continue;
        char *ptr = mallocx(SIZE, flags);
        same += ptr == blocks[i];
        for (size_t j = 0; j < SLABS_MAX * nregs; j++) {
            if (blocks[j] == ptr) {
                inside++;
                break;
            }
        }
    }
    say("holes filled from the holes", "%s", yes_no(inside == freed));
    say("each at its old place, in order", "%s", yes_no(same == freed));
}

int main(void)
{
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    const size_t nregs = in_slab();
    if (nregs == 0 || nregs * SLABS_MAX > BLOCKS_MAX)
        return 2;
    const size_t freed = make_holes(nregs);
    fill_holes(nregs, freed);
    return 0;
}
