/* SPDX-License-Identifier: MIT */
/*
 * hooks_bench - what the tests of extent hooks share.
 *
 * Owns     hooks that keep books of what they lent and check each call against
 *          them, and an arena that has them.
 * Used by  test/unit/heap/hooks_test.c, test/unit/heap/part_test.c.
 */
#ifndef HOOKS_BENCH_H
#define HOOKS_BENCH_H

#include "bench.h"

#include "heap/arenas.h"
#include "heap/large.h"
#include "heap/request.h"

/* -- hooks that keep books -- */

enum { LOANS = 64 };

/* Registered as hooks, which is what each hook is called with. */
static struct books {
    struct extent_hooks hooks;
    struct {
        char *start;
        size_t bytes;
    } loan[LOANS];
    unsigned index;
    size_t allocs;
    size_t dallocs;
    size_t destroys;
    size_t commits;
    size_t decommits;
    size_t splits;
    size_t parts;               /* dallocs of less than alloc gave */
    size_t purged_bytes;
    bool refuse_alloc;
    bool refuse_dalloc;
    bool refuse_purge;
    bool refuse_commit;
    bool uncommitted;           /* alloc says so, commit must follow */
    bool dressed;               /* memory comes full of rubbish */
    bool crooked;               /* alloc gives what is not aligned */
    bool allocating;            /* hooks use the arena that they serve */
    uintptr_t flags;
} books;

static struct books *books_of(struct extent_hooks *hooks)
{
    CHILD_EXPECT(hooks == &books.hooks);
    return (struct books *)(void *)hooks;
}

static void *take(size_t size, bool zero);

/* What the thread took before, of all kinds, for hooks to free. */
enum { OLD = 2000 };
static void *old[OLD];

/* Off the list first: the free may call a hook, which frees some too. */
static void free_old(size_t i)
{
    void *object = old[i];
    old[i] = NULL;
    API(free)(object);
}

/* The allocator, from within a hook that serves it just now. */
static void use_the_arena(const struct books *its)
{
    if (!its->allocating)
        return;
    void *held[40];
    for (size_t i = 0; i < 40; i++) {
        held[i] = i % 2 == 0 ? API(malloc)(100 * i + 1)
            : take(50 * i, false);
        CHILD_EXPECT(held[i] != NULL);
    }
    for (size_t i = 0; i < 40; i++)
        API(free)(held[i]);
    size_t freed = 0;
    for (size_t i = 0; i < OLD && freed < 10; i++) {
        freed += old[i] != NULL;
        free_old(i);
    }
}

/* The loan that the range is a part of. */
static size_t loan_around(const struct books *its, const char *start,
    size_t bytes)
{
    size_t i = 0;
    while (i < LOANS && (its->loan[i].start == NULL
            || start < its->loan[i].start
            || start + bytes > its->loan[i].start + its->loan[i].bytes))
        i++;
    return i;
}

static size_t loan_at(const struct books *its, const void *start)
{
    size_t i = 0;
    while (i < LOANS && its->loan[i].start != start)
        i++;
    return i;
}

static void *book_alloc(struct extent_hooks *hooks, void *new_addr,
    size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    struct books *its = books_of(hooks);
    CHILD_EXPECT(new_addr == NULL && arena == its->index && *commit);
    CHILD_EXPECT(is_power_of_two(alignment) && alignment >= SLICE_BYTES);
    CHILD_EXPECT(size > 0 && size % sys_page_bytes() == 0);
    its->allocs++;
    if (its->refuse_alloc)
        return NULL;
    const size_t i = loan_at(its, NULL);
    CHILD_EXPECT(i < LOANS);
    char *start = hooks_default.alloc(hooks, NULL, size + MiB, alignment,
        zero, commit, arena);
    CHILD_EXPECT(start != NULL);
    its->loan[i].start = its->crooked ? start + 4096 : start;
    its->loan[i].bytes = size;
    if (its->dressed) {
        memset(start, 0xee, size);
        *zero = false;
    }
    *commit = !its->uncommitted;
    use_the_arena(its);
    return (char *)((uintptr_t)its->loan[i].start | its->flags);
}

static bool book_dalloc(struct extent_hooks *hooks, void *addr, size_t size,
    bool committed, unsigned arena)
{
    struct books *its = books_of(hooks);
    const size_t i = loan_at(its, addr);
    CHILD_EXPECT(committed || its->decommits > 0);
    CHILD_EXPECT(arena == its->index);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    its->dallocs++;
    use_the_arena(its);
    if (its->refuse_dalloc)
        return true;
    its->loan[i].start = NULL;
    return false;
}

static void book_destroy(struct extent_hooks *hooks, void *addr, size_t size,
    bool committed, unsigned arena)
{
    struct books *its = books_of(hooks);
    const size_t i = loan_at(its, addr);
    CHILD_EXPECT(committed || its->decommits > 0);
    CHILD_EXPECT(arena == its->index);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    its->destroys++;
    its->loan[i].start = NULL;
}

/* A part of a loan that is left when it is cut. */
static void keep_loan(struct books *its, char *start, size_t bytes)
{
    const size_t i = loan_at(its, NULL);
    if (bytes == 0)
        return;
    CHILD_EXPECT(i < LOANS);
    its->loan[i].start = start;
    its->loan[i].bytes = bytes;
}

/* The same where parts may come back: nobody touches them again. */
static UNUSED bool book_dalloc_part(struct extent_hooks *hooks, void *addr,
    size_t size, bool committed, unsigned arena)
{
    struct books *its = books_of(hooks);
    char *start = addr;
    const size_t i = loan_around(its, start, size);
    CHILD_EXPECT(committed || its->decommits > 0);
    CHILD_EXPECT(arena == its->index && i < LOANS);
    its->dallocs++;
    if (its->refuse_dalloc)
        return true;
    char *whole = its->loan[i].start;
    const size_t bytes = its->loan[i].bytes;
    its->parts += bytes != size;
    its->loan[i].start = NULL;
    keep_loan(its, whole, (size_t)(start - whole));
    keep_loan(its, start + size, (size_t)(whole + bytes - (start + size)));
    CHILD_EXPECT(mprotect(addr, size, PROT_NONE) == 0);
    return false;
}

static UNUSED bool book_split(struct extent_hooks *hooks, void *addr,
    size_t size, size_t size_a, size_t size_b, bool committed,
    unsigned arena)
{
    struct books *its = books_of(hooks);
    CHILD_EXPECT(loan_around(its, addr, size) < LOANS);
    CHILD_EXPECT(size_a > 0 && size_b > 0 && size_a + size_b == size);
    CHILD_EXPECT(committed && arena == its->index);
    its->splits++;
    return false;
}

/* What is decommitted cannot be touched. */
static bool book_commit(struct extent_hooks *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    struct books *its = books_of(hooks);
    const size_t i = loan_at(its, addr);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    CHILD_EXPECT(arena == its->index && length > 0);
    CHILD_EXPECT(offset + length <= size);
    use_the_arena(its);
    if (its->refuse_commit)
        return true;
    its->commits++;
    CHILD_EXPECT(mprotect((char *)addr + offset, length,
        PROT_READ | PROT_WRITE) == 0);
    return false;
}

static bool book_decommit(struct extent_hooks *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    struct books *its = books_of(hooks);
    const size_t i = loan_at(its, addr);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    CHILD_EXPECT(arena == its->index && length > 0);
    CHILD_EXPECT(offset + length <= size);
    use_the_arena(its);
    its->decommits++;
    memset((char *)addr + offset, 0xdd, length);
    CHILD_EXPECT(mprotect((char *)addr + offset, length, PROT_NONE) == 0);
    return false;
}

static bool book_purge(struct extent_hooks *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    struct books *its = books_of(hooks);
    const size_t i = loan_at(its, addr);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    CHILD_EXPECT(offset % SLICE_BYTES == 0 && length % SLICE_BYTES == 0);
    CHILD_EXPECT(length > 0 && offset + length <= size);
    CHILD_EXPECT(arena == its->index);
    use_the_arena(its);
    if (its->refuse_purge)
        return true;
    /* A hook may leave anything there. */
    memset((char *)addr + offset, 0xdd, length);
    its->purged_bytes += length;
    return false;
}

static void open_books(void)
{
    books.hooks = (struct extent_hooks){
        .alloc = book_alloc, .dalloc = book_dalloc, .destroy = book_destroy,
        .commit = book_commit, .purge_forced = book_purge,
    };
    CHILD_EXPECT(arenas_create(&books.index));
    CHILD_EXPECT(arenas_set_hooks(books.index, &books.hooks));
    CHILD_EXPECT(arenas_hooks(arenas_at(books.index)) == &books.hooks);
}

static size_t loans(void)
{
    size_t count = 0;
    for (size_t i = 0; i < LOANS; i++)
        count += books.loan[i].start != NULL;
    return count;
}

/* The arena is gone, and the hooks have everything back. */
static int close_books(void)
{
    API(audit_all)();
    CHILD_EXPECT(arenas_destroy(books.index));
    CHILD_EXPECT(loans() == 0);
    API(audit_all)();
    return nothing_is_left() ? 0 : 1;
}

static void *take(size_t size, bool zero)
{
    const struct request request = {
        .size = size, .zero = zero, .arena = (int)books.index,
        .cache = REQUEST_AUTO,
    };
    return request_take(&request);
}

static bool is_on_loan(const void *pointer, size_t size)
{
    for (size_t i = 0; i < LOANS; i++) {
        const char *start = books.loan[i].start;
        if (start != NULL && (const char *)pointer >= start
            && (const char *)pointer + size <= start + books.loan[i].bytes)
            return true;
    }
    return false;
}

static const size_t sizes[] = {
    1, 100, 1000, 5000, 20000, 65536, 65537, 1 * MiB, 5 * MiB, 33 * MiB
};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void take_all(void **held, bool zero)
{
    for (size_t i = 0; i < SIZES; i++) {
        held[i] = take(sizes[i], zero);
        CHILD_EXPECT(held[i] != NULL && is_on_loan(held[i], sizes[i]));
        for (size_t at = 0; zero && at < sizes[i]; at++)
            CHILD_EXPECT(((const char *)held[i])[at] == 0);
        memset(held[i], 0x55, sizes[i]);
    }
}

static void free_all(void *const *held)
{
    for (size_t i = 0; i < SIZES; i++)
        API(free)(held[i]);
    arena_purge(arenas_at(books.index));
}

#define CHILD_TEST(name)                       \
    static void name##_test(void **state)      \
    {                                          \
        (void)state;                           \
        child_passes(name, NULL);              \
    }

#endif
