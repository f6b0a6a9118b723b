/* SPDX-License-Identifier: MIT */
/*
 * live - which object lives at an address: the recorder's table.
 *
 * An object lies at the first free place from the one that its address gives.
 * Holds    at every call:
 *   V1  no place between an object and the one its address gives is free
 *   V2  at most half of the places are taken
 *
 * Tests    test/programs/record.py
 */
#define _GNU_SOURCE
#include "live.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

struct place {
    uintptr_t address;      /* 0: free */
    uint64_t birth;
};

enum { BITS_FIRST = 16 };

static struct place *places;
static unsigned bits;       /* their number is a power of two */
static size_t taken;

/* The upper bits of a product depend on all bits of the address. */
static size_t home(uintptr_t address)
{
    return (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

static size_t after(size_t index)
{
    return (index + 1) & (((size_t)1 << bits) - 1);
}

static void insert(struct place object)
{
    size_t index = home(object.address);
    while (places[index].address)
        index = after(index);
    places[index] = object;
}

static bool grow(void)
{
    struct place *const old = places;
    const size_t old_count = old ? (size_t)1 << bits : 0;
    const unsigned wanted = old ? bits + 1 : BITS_FIRST;
    const int error = errno;
    void *const fresh = mmap(NULL, sizeof *old << wanted,
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = error;
    if (fresh == MAP_FAILED)
        return false;
    places = fresh;
    bits = wanted;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].address)
            insert(old[i]);
    if (old)
        munmap(old, old_count * sizeof *old);
    return true;
}

bool live_put(const void *address, uint64_t birth)
{
    if ((!places || taken >= (size_t)1 << (bits - 1)) && !grow())
        return false;
    insert((struct place){(uintptr_t)address, birth});
    taken++;
    return true;
}

/* Moves later objects up into the hole, where V1 would break otherwise. */
static void close_hole(size_t hole)
{
    for (size_t i = after(hole); places[i].address; i = after(i)) {
        const size_t mask = ((size_t)1 << bits) - 1;
        const size_t far = (i - home(places[i].address)) & mask;
        if (far >= ((i - hole) & mask)) {
            places[hole] = places[i];
            hole = i;
        }
    }
    places[hole].address = 0;
}

bool live_take(const void *address, uint64_t *birth)
{
    if (!places)
        return false;
    size_t index = home((uintptr_t)address);
    while (places[index].address != (uintptr_t)address) {
        if (!places[index].address)
            return false;
        index = after(index);
    }
    *birth = places[index].birth;
    close_hole(index);
    taken--;
    return true;
}
