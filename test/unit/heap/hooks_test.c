/* SPDX-License-Identifier: MIT */
/*
 * Extent hooks: what they are asked for, that nothing else is touched, what
 * happens when one refuses, and that they may use the allocator themselves.
 */
#include "bench.h"

#include "heap/arenas.h"
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
    size_t purged_bytes;
    bool refuse_alloc;
    bool refuse_dalloc;
    bool refuse_purge;
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
    CHILD_EXPECT(committed && arena == its->index);
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
    CHILD_EXPECT(committed && arena == its->index);
    CHILD_EXPECT(i < LOANS && its->loan[i].bytes == size);
    its->destroys++;
    its->loan[i].start = NULL;
}

static bool book_commit(struct extent_hooks *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    struct books *its = books_of(hooks);
    CHILD_EXPECT(loan_at(its, addr) < LOANS && arena == its->index);
    CHILD_EXPECT(offset + length <= size);
    its->commits++;
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

/* -- tests -- */

static int all_memory_is_theirs(void *unused)
{
    (void)unused;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    /* A purge asks each whether it wants its memory back. */
    CHILD_EXPECT(loans() == 0 && books.dallocs == books.allocs);
    take_all(held, true);
    CHILD_EXPECT(loans() > 0);
    return close_books();
}

static int purged_memory_is_not_zero(void *unused)
{
    (void)unused;
    books.refuse_dalloc = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    CHILD_EXPECT(books.purged_bytes > 0 && loans() > 0);
    take_all(held, true);
    for (size_t i = 0; i < SIZES; i++) {
        void *grown = API(realloc)(held[i], sizes[i] * 2);
        CHILD_EXPECT(grown != NULL && *(char *)grown == 0x55);
        API(free)(grown);
    }
    const int result = close_books();
    CHILD_EXPECT(books.destroys > 0);
    return result;
}

static int rubbish_is_cleared(void *unused)
{
    (void)unused;
    books.dressed = true;
    books.uncommitted = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    CHILD_EXPECT(books.commits == books.allocs);
    free_all(held);
    books.uncommitted = false;
    take_all(held, true);
    return close_books();
}

static int a_refusal_loses_nothing(void *unused)
{
    (void)unused;
    books.refuse_alloc = true;
    open_books();
    for (size_t i = 0; i < SIZES; i++)
        CHILD_EXPECT(take(sizes[i], false) == NULL);
    books.refuse_alloc = false;
    books.crooked = true;
    CHILD_EXPECT(take(100, false) == NULL && loans() == 0);
    books.crooked = false;
    books.refuse_purge = true;
    books.refuse_dalloc = true;
    void *held[SIZES];
    for (int round = 0; round < 3; round++) {
        take_all(held, false);
        free_all(held);
        CHILD_EXPECT(arenas_at(books.index)->pool.dirty_bytes > 0);
    }
    /* What came back and was refused serves again. */
    const size_t asked = books.allocs;
    take_all(held, true);
    CHILD_EXPECT(books.allocs == asked);
    return close_books();
}

static int pinned_memory_is_not_purged(void *unused)
{
    (void)unused;
    books.flags = HOOKS_PINNED;
    books.refuse_dalloc = true;
    open_books();
    void *held[SIZES];
    take_all(held, false);
    free_all(held);
    CHILD_EXPECT(books.purged_bytes == 0);
    take_all(held, true);
    return close_books();
}

static int hooks_use_their_arena(void *unused)
{
    (void)unused;
    books.allocating = true;
    open_books();
    for (int round = 0; round < 6; round++) {
        /* Half of the rounds from outside, through the arena's own heap. */
        CHILD_EXPECT(arenas_bind(round % 2 == 0 ? books.index : 0));
        for (size_t i = 0; i < OLD; i++)
            old[i] = API(malloc)(i % 50 == 0 ? 100000 : 16 * (i % 60));
        void *held[SIZES];
        take_all(held, round == 2);
        free_all(held);
        (void)API(malloc_trim)(0);
        for (size_t i = 0; i < OLD; i++)
            free_old(i);
        API(audit_all)();
    }
    CHILD_EXPECT(arenas_bind(0));
    books.allocating = false;
    return close_books();
}

/* Some of arena 0's memory is the system's, the later is the hooks'. */
static int hooks_come_late(void *unused)
{
    (void)unused;
    open_books();
    void *before = API(malloc)(300000);
    CHILD_EXPECT(arenas_hooks(&arena_main) == &hooks_default);
    const unsigned manual = books.index;
    books.index = 0;
    CHILD_EXPECT(arenas_set_hooks(0, &books.hooks));
    void *mapping = API(malloc)(40 * MiB);
    CHILD_EXPECT(is_on_loan(mapping, 40 * MiB));
    CHILD_EXPECT(!is_on_loan(before, 300000));
    mapping = API(realloc)(mapping, 50 * MiB);
    CHILD_EXPECT(is_on_loan(mapping, 50 * MiB));
    API(free)(mapping);
    API(free)(before);
    CHILD_EXPECT(arenas_set_hooks(0, &hooks_default));
    void *after = API(malloc)(40 * MiB);
    CHILD_EXPECT(!is_on_loan(after, 40 * MiB));
    API(free)(after);
    books.index = manual;
    return close_books();
}

static void *churn(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    void *held[50] = { NULL };
    for (int turn = 0; turn < 3000; turn++) {
        void **at = &held[dice_below(&dice, 50)];
        API(free)(*at);
        *at = take(sizes[dice_below(&dice, SIZES - 2)], turn % 2 == 0);
        CHILD_EXPECT(*at != NULL);
        if (turn % 100 == 0)
            arena_purge(arenas_at(books.index));
    }
    for (size_t i = 0; i < 50; i++)
        API(free)(held[i]);
    return NULL;
}

static int threads_share_hooked_memory(void *unused)
{
    (void)unused;
    open_books();
    /* The books themselves are for one thread. */
    books.hooks = hooks_default;
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        threads_begin(&threads[i], 1, churn, (void *)(i + 1));
    threads_end(threads, 3);
    return close_books();
}

#define CHILD_TEST(name)                       \
    static void name##_test(void **state)      \
    {                                          \
        (void)state;                           \
        child_passes(name, NULL);              \
    }
CHILD_TEST(all_memory_is_theirs)
CHILD_TEST(purged_memory_is_not_zero)
CHILD_TEST(rubbish_is_cleared)
CHILD_TEST(a_refusal_loses_nothing)
CHILD_TEST(pinned_memory_is_not_purged)
CHILD_TEST(hooks_use_their_arena)
CHILD_TEST(hooks_come_late)
CHILD_TEST(threads_share_hooked_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_memory_is_theirs_test),
        cmocka_unit_test(purged_memory_is_not_zero_test),
        cmocka_unit_test(rubbish_is_cleared_test),
        cmocka_unit_test(a_refusal_loses_nothing_test),
        cmocka_unit_test(pinned_memory_is_not_purged_test),
        cmocka_unit_test(hooks_use_their_arena_test),
        cmocka_unit_test(hooks_come_late_test),
        cmocka_unit_test(threads_share_hooked_memory_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
