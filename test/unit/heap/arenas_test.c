/* SPDX-License-Identifier: MIT */
/*
 * Arenas by number: they are made, used, reset and destroyed in every order,
 * nothing of one is handed out for another, and nothing is left behind.
 */
#include "bench.h"

#include <sched.h>

#include "heap/arenas.h"
#include "heap/cache.h"
#include "heap/request.h"

static void *take_in(unsigned index, size_t size)
{
    const struct request request = {
        .size = size, .arena = (int)index, .cache = REQUEST_AUTO,
    };
    return request_take(&request);
}

static unsigned make(void)
{
    unsigned index = 0;
    CHILD_EXPECT(arenas_create(&index));
    CHILD_EXPECT(index >= arenas_automatic());
    return index;
}

static bool is_empty(unsigned index)
{
    API(audit_all)();
    return arenas_at(index)->pool.taken_bytes == 0;
}

static int numbers_are_used_again(void *unused)
{
    (void)unused;
    const unsigned first = make();
    const unsigned second = make();
    CHILD_EXPECT(second == first + 1);
    CHILD_EXPECT(arenas_count() == second + 1);
    char name[ARENA_NAME_BYTES];
    snprintf(name, sizeof name, "manual_%u", first);
    CHILD_EXPECT(strcmp(arenas_at(first)->name, name) == 0);
    CHILD_EXPECT(arenas_destroy(first));
    CHILD_EXPECT(arenas_at(first) == NULL && !arenas_exists(first));
    CHILD_EXPECT(arenas_count() == second + 1);
    CHILD_EXPECT(make() == first);
    CHILD_EXPECT(arenas_destroy(first) && arenas_destroy(second));
    /* What is no arena of that kind is refused. */
    CHILD_EXPECT(!arenas_destroy(first) && !arenas_reset(first));
    CHILD_EXPECT(!arenas_destroy(0) && !arenas_reset(0));
    CHILD_EXPECT(!arenas_destroy(ARENAS_MAX) && !arenas_bind(ARENAS_MAX));
    CHILD_EXPECT(take_in(first, 100) == NULL);
    return 0;
}

static int as_many_as_numbers(void *unused)
{
    (void)unused;
    unsigned index;
    unsigned made = 0;
    while (arenas_create(&index)) {
        void *block = take_in(index, 16);
        CHILD_EXPECT(block != NULL && arenas_of(block) == arenas_at(index));
        made++;
    }
    CHILD_EXPECT(made == ARENAS_MAX - arenas_automatic());
    for (index = arenas_automatic(); index < ARENAS_MAX; index++)
        CHILD_EXPECT(arenas_destroy(index));
    API(audit_all)();
    return 0;
}

/* Of all kinds: slabs of one and of eight slices, runs, mappings. */
static const size_t sizes[] = {
    1, 16, 100, 1000, 4096, 5000, 20000, 65536, 65537, 300000, 5 * MiB,
    40 * MiB
};
enum { SIZES = sizeof sizes / sizeof sizes[0], HELD = 400 };

static int an_arena_gives_its_own(void *unused)
{
    (void)unused;
    const unsigned index = make();
    void *held[SIZES];
    for (size_t i = 0; i < SIZES; i++) {
        held[i] = take_in(index, sizes[i]);
        CHILD_EXPECT(held[i] != NULL);
        CHILD_EXPECT(arenas_of(held[i]) == arenas_at(index));
        memset(held[i], 1, sizes[i]);
    }
    /* What is freed does not come back for arena 0. */
    for (size_t i = 0; i < SIZES; i++)
        API(free)(held[i]);
    for (size_t i = 0; i < SIZES; i++) {
        void *block = API(malloc)(sizes[i]);
        CHILD_EXPECT(arenas_of(block) == &arena_main);
        API(free)(block);
    }
    arena_purge(arenas_at(index));
    CHILD_EXPECT(is_empty(index));
    CHILD_EXPECT(arenas_destroy(index));
    return 0;
}

static void fill(unsigned index, void **held)
{
    for (size_t i = 0; i < HELD; i++) {
        held[i] = take_in(index, sizes[i % (SIZES - 1)]);
        CHILD_EXPECT(held[i] != NULL);
        memset(held[i], 2, sizes[i % (SIZES - 1)]);
    }
}

static int reset_frees_everything(void *unused)
{
    (void)unused;
    const unsigned index = make();
    static void *held[HELD];
    for (int round = 0; round < 3; round++) {
        fill(index, held);
        void *mapping = take_in(index, 40 * MiB);
        /* Some came back before, from this thread and another. */
        for (size_t i = 0; i < HELD; i += 3)
            API(free)(held[i]);
        for (size_t i = 1; i < 40; i += 3)
            free_elsewhere(held[i]);
        CHILD_EXPECT(arenas_reset(index));
        CHILD_EXPECT(is_empty(index));
        CHILD_EXPECT(arenas_of(held[2]) == NULL);
        CHILD_EXPECT(arenas_of(mapping) == NULL);
    }
    CHILD_EXPECT(arenas_destroy(index));
    return nothing_is_left() ? 0 : 1;
}

/* -- threads that live elsewhere -- */

static void *live_in(void *argument)
{
    const unsigned index = *(const unsigned *)argument;
    void *before = API(malloc)(100);
    CHILD_EXPECT(arenas_bind(index));
    CHILD_EXPECT(arenas_bound() == arenas_at(index));
    CHILD_EXPECT(!arenas_destroy(index));
    void *held[SIZES];
    for (size_t i = 0; i < SIZES; i++) {
        held[i] = API(malloc)(sizes[i]);
        CHILD_EXPECT(arenas_of(held[i]) == arenas_at(index));
    }
    /* What it had in the other arena goes back there. */
    CHILD_EXPECT(arenas_of(before) == &arena_main);
    API(free)(before);
    CHILD_EXPECT(arenas_of(API(malloc)(100)) == arenas_at(index));
    for (size_t i = 0; i < SIZES; i += 2)
        API(free)(held[i]);
    return NULL;
}

static int threads_live_in_arenas(void *unused)
{
    (void)unused;
    unsigned index = make();
    for (int round = 0; round < 5; round++) {
        thread_run(live_in, &index);
        API(audit_all)();
    }
    CHILD_EXPECT(load_relaxed(&arenas_at(index)->threads) == 0);
    CHILD_EXPECT(arenas_destroy(index));
    return nothing_is_left() ? 0 : 1;
}

static int a_thread_comes_and_goes(void *unused)
{
    (void)unused;
    struct dice dice = { 1 };
    unsigned index[4];
    for (size_t i = 0; i < 4; i++)
        index[i] = make();
    static void *held[HELD];
    for (int turn = 0; turn < 20000; turn++) {
        void **at = &held[dice_below(&dice, HELD)];
        API(free)(*at);
        *at = API(malloc)(sizes[dice_below(&dice, SIZES - 2)]);
        if (turn % 50 == 0)
            CHILD_EXPECT(arenas_bind(dice_below(&dice, 5) == 0 ? 0
                : index[dice_below(&dice, 4)]));
    }
    CHILD_EXPECT(arenas_bind(0));
    API(audit_all)();
    for (size_t i = 0; i < HELD; i++)
        API(free)(held[i]);
    for (size_t i = 0; i < 4; i++) {
        arena_purge(arenas_at(index[i]));
        CHILD_EXPECT(is_empty(index[i]));
        CHILD_EXPECT(arenas_destroy(index[i]));
    }
    return nothing_is_left() ? 0 : 1;
}

/* -- oversize objects -- */

static int oversize_objects_go_elsewhere(void *unused)
{
    (void)unused;
    arenas_set_oversize_threshold(2 * MiB);
    arenas_set_automatic(4);
    CHILD_EXPECT(arenas_count() == 5);
    void *small = API(malloc)(2 * MiB - 1);
    void *large = API(malloc)(2 * MiB);
    CHILD_EXPECT(arenas_of(small) == &arena_main);
    const struct arena *other = arenas_of(large);
    CHILD_EXPECT(other->index == 4 && !other->manual);
    CHILD_EXPECT(strcmp(other->name, "auto_oversize") == 0);
    CHILD_EXPECT(make() == 5);
    memset(large, 1, 2 * MiB);
    API(free)(large);
    CHILD_EXPECT(other->pool.dirty_bytes == 0);
    /* Who names an arena gets its memory. */
    large = take_in(5, 3 * MiB);
    CHILD_EXPECT(arenas_of(large) == arenas_at(5));
    API(free)(large);
    API(free)(small);
    API(audit_all)();
    return 0;
}

/* -- no memory -- */

static int refusals_lose_nothing(void *unused)
{
    (void)unused;
    const unsigned index = make();
    for (uint64_t nth = 1; nth < 12; nth++) {
        sys_fault = (struct sys_fault){
            .from = nth, .to = nth, .kinds = UINT32_MAX,
        };
        void *block = take_in(index, 100);
        void *large = take_in(index, 40 * MiB);
        unsigned more;
        const bool made = arenas_create(&more);
        fail_no_calls();
        API(free)(block);
        API(free)(large);
        if (made)
            CHILD_EXPECT(arenas_destroy(more));
        API(audit_all)();
    }
    CHILD_EXPECT(arenas_destroy(index));
    return nothing_is_left() ? 0 : 1;
}

/* Of the processors that there are, the first two. */
static void run_on(unsigned which)
{
    cpu_set_t all;
    CHILD_EXPECT(sched_getaffinity(0, sizeof all, &all) == 0);
    for (unsigned i = 0, seen = 0; i < CPU_SETSIZE; i++) {
        cpu_set_t one;
        if (!CPU_ISSET(i, &all) || seen++ != which)
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        CHILD_EXPECT(sched_setaffinity(0, sizeof one, &one) == 0);
        return;
    }
    _exit(0);
}

static void allocate_some(void)
{
    void *taken[4000];
    for (int i = 0; i < 4000; i++)
        CHILD_EXPECT((taken[i] = API(malloc)(500)) != NULL);
    for (int i = 0; i < 4000; i++)
        API(free)(taken[i]);
}

static int a_thread_follows_its_processor(void *which)
{
    option_now.percpu_arena = PERCPU_PERCPU;
    API(free)(API(malloc)(1));
    cpu_set_t all;
    CHILD_EXPECT(sched_getaffinity(0, sizeof all, &all) == 0);
    run_on(*(const unsigned *)which);
    allocate_some();
    CHILD_EXPECT(arenas_bound()->index
        == (unsigned)sched_getcpu() % arenas_of_processors());
    CHILD_EXPECT(sched_setaffinity(0, sizeof all, &all) == 0);
    /* One that was asked for is not left. */
    const unsigned own = make();
    CHILD_EXPECT(arenas_bind(own));
    allocate_some();
    CHILD_EXPECT(arenas_bound()->index == own);
    API(audit_all)();
    return 0;
}

static void a_thread_follows_its_processor_test(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++)
        child_passes(a_thread_follows_its_processor, &which);
}

#define CHILD_TEST(name)                       \
    static void name##_test(void **state)      \
    {                                          \
        (void)state;                           \
        child_passes(name, NULL);              \
    }
CHILD_TEST(numbers_are_used_again)
CHILD_TEST(as_many_as_numbers)
CHILD_TEST(an_arena_gives_its_own)
CHILD_TEST(reset_frees_everything)
CHILD_TEST(threads_live_in_arenas)
CHILD_TEST(a_thread_comes_and_goes)
CHILD_TEST(oversize_objects_go_elsewhere)
CHILD_TEST(refusals_lose_nothing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_used_again_test),
        cmocka_unit_test(as_many_as_numbers_test),
        cmocka_unit_test(an_arena_gives_its_own_test),
        cmocka_unit_test(reset_frees_everything_test),
        cmocka_unit_test(threads_live_in_arenas_test),
        cmocka_unit_test(a_thread_comes_and_goes_test),
        cmocka_unit_test(oversize_objects_go_elsewhere_test),
        cmocka_unit_test(refusals_lose_nothing_test),
        cmocka_unit_test(a_thread_follows_its_processor_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
