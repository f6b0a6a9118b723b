/* SPDX-License-Identifier: MIT */
/*
 * shared - an arena in shared memory: another process sees what lies in it.
 *
 * The arena's memory is cut from one mapping of a memory file. A child inherits
 * the mapping at the same address, so pointers into it mean the same there. The
 * parent builds a list when the child is there already; the child walks it and
 * writes its answer into an object.
 *
 * Only the process that made the arena allocates and frees in it: the books are
 * in its own memory. Others read and write objects.
 *
 *     cc shared.c -lashlar      (docs/HOOKS.md)
 */
#define _GNU_SOURCE
#include <jemalloc/jemalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)256 << 20)  /* addresses; pages come when touched */
enum { ITEMS = 100000 };

/* Each hook is called with the address of the hooks: that of the whole. */
static struct store {
    extent_hooks_t hooks;
    char *base;
    size_t used;                /* cut off so far */
} store;

/* The lock of a program with threads would go around the arithmetic. */
static void *store_alloc(extent_hooks_t *hooks, void *new_address, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    struct store *its = (struct store *)(void *)hooks;
    const uintptr_t end = (uintptr_t)its->base + FILE_BYTES;
    const uintptr_t start =
        ((uintptr_t)its->base + its->used + alignment - 1) & -alignment;
    (void)arena;
    if (new_address != NULL || start > end || size > end - start)
        return NULL;
    its->used = start + size - (uintptr_t)its->base;
    *zero = true;               /* a new file's pages are */
    *commit = true;
    return (void *)start;
}

/* What lies there is not needed: no pages for it. There is no dalloc, so the
 * arena keeps the addresses for itself. */
static bool store_purge(extent_hooks_t *hooks, void *address, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    (void)hooks;
    (void)size;
    (void)arena;
    return madvise((char *)address + offset, length, MADV_REMOVE) != 0;
}

static bool store_open(unsigned *arena)
{
    extent_hooks_t *hooks = &store.hooks;
    size_t bytes = sizeof *arena;
    const int file = memfd_create("shared", 0);
    if (file < 0 || ftruncate(file, FILE_BYTES) != 0)
        return false;
    store.base = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
        file, 0);
    store.hooks.alloc = store_alloc;
    store.hooks.purge_forced = store_purge;
    return store.base != MAP_FAILED && mallctl("arenas.create", arena, &bytes,
        &hooks, sizeof hooks) == 0;
}

struct item {
    struct item *next;
    uint64_t value;             /* of the first one: the child's answer */
};

/* Waits for the address of a list, and adds it up. */
static int child_main(const int ends[2])
{
    struct item *first;
    close(ends[1]);             /* or nobody would hear the parent die */
    if (read(ends[0], &first, sizeof first) != sizeof first)
        return 1;
    for (const struct item *at = first->next; at != NULL; at = at->next)
        first->value += at->value;
    return 0;
}

int main(void)
{
    unsigned arena;
    int ends[2], status;
    if (!store_open(&arena) || pipe(ends) != 0)
        return 1;
    const pid_t child = fork();
    if (child == 0)
        _exit(child_main(ends));

    struct item *list = NULL;
    for (uint64_t i = 0; i <= ITEMS; i++) {
        struct item *item = mallocx(sizeof *item,
            MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
        if (item == NULL)
            return 1;
        *item = (struct item){ .next = list, .value = ITEMS - i };
        list = item;
    }
    if (write(ends[1], &list, sizeof list) != sizeof list
        || waitpid(child, &status, 0) != child || status != 0)
        return 1;
    const bool right = list->value == (uint64_t)ITEMS * (ITEMS + 1) / 2;
    printf("shared: %zu KiB cut off, the child's sum is %s\n",
        store.used >> 10, right ? "right" : "wrong");
    return !right;
}
