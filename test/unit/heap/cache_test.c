/* SPDX-License-Identifier: MIT */
/*
 * Explicit caches: numbers, what is in hand, whose memory they hand out, what
 * becomes of them when their arena ends or the process forks.
 */
#include "bench.h"

#include <sys/wait.h>

#include "heap/arenas.h"
#include "heap/cache.h"
#include "heap/request.h"

static void *take(unsigned id, size_t size)
{
    const struct request request = {
        .size = size, .arena = REQUEST_AUTO, .cache = (int)id,
    };
    void *pointer = request_take(&request);
    CHILD_EXPECT(pointer != NULL);
    return memset(pointer, 3, size);
}

static unsigned make(void)
{
    unsigned id;
    CHILD_EXPECT(cache_create(&id));
    CHILD_EXPECT(cache_is(id));
    return id;
}

static int numbers_are_used_again(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < CACHES_MAX; i++)
        CHILD_EXPECT(make() == i);
    unsigned id;
    CHILD_EXPECT(!cache_create(&id));
    CHILD_EXPECT(cache_destroy(17) && !cache_is(17));
    CHILD_EXPECT(!cache_destroy(17) && !cache_flush(17));
    CHILD_EXPECT(make() == 17);
    CHILD_EXPECT(!cache_flush(CACHES_MAX) && !cache_destroy(UINT32_MAX));
    return 0;
}

static const size_t sizes[] = { 1, 16, 100, 1000, 5000, 65536, 65537, MiB };
enum { SIZES = sizeof sizes / sizeof sizes[0], HELD = 500 };

/* Blocks come from the cache's heap, go back there, and nothing stays. */
static int what_goes_in_comes_out(void *unused)
{
    (void)unused;
    const unsigned id = make();
    static void *held[HELD];
    struct dice dice = { 7 };
    for (int turn = 0; turn < 30000; turn++) {
        void **at = &held[dice_below(&dice, HELD)];
        if (*at != NULL && dice_below(&dice, 2) == 0)
            request_give(*at, (int)id);
        else if (*at != NULL)
            API(free)(*at);
        *at = take(id, sizes[dice_below(&dice, SIZES)]);
        if (turn % 1000 == 0) {
            CHILD_EXPECT(cache_flush(id));
            API(audit_all)();
        }
    }
    const struct heap *heap = cache_heap(id, NULL);
    CHILD_EXPECT(heap != NULL && heap != thread.own);
    void *block = take(id, 100);
    CHILD_EXPECT(owner_of(block) == (uintptr_t)heap);
    request_give(block, (int)id);
    for (size_t i = 0; i < HELD; i++)
        request_give(held[i], (int)id);
    CHILD_EXPECT(cache_destroy(id));
    CHILD_EXPECT(is_orphan(heap) && is_in_no_hand(heap));
    return nothing_is_left() ? 0 : 1;
}

/* What was freed last is handed out first, as far as there is room. */
static int what_was_freed_last_comes_first(void *unused)
{
    (void)unused;
    enum { FEW = 3 };
    const unsigned id = make();
    for (size_t i = 0; i < SIZES; i++) {
        void *held[FEW];
        if (sizes[i] > CLASS_BYTES_MAX)
            continue;
        for (size_t k = 0; k < FEW; k++)
            held[k] = take(id, sizes[i]);
        for (size_t k = 0; k < FEW; k++)
            request_give(held[k], (int)id);
        for (size_t k = FEW; k-- > 0;)
            CHILD_EXPECT(take(id, sizes[i]) == held[k]);
        for (size_t k = 0; k < FEW; k++)
            request_give(held[k], (int)id);
    }
    const struct heap *heap = cache_heap(id, NULL);
    CHILD_EXPECT(!is_in_no_hand(heap));
    API(audit_all)();
    CHILD_EXPECT(cache_flush(id) && is_in_no_hand(heap));
    CHILD_EXPECT(cache_destroy(id));
    return nothing_is_left() ? 0 : 1;
}

/* What is freed into a cache that is not its own goes where it belongs. */
static int others_blocks_go_home(void *unused)
{
    (void)unused;
    const unsigned id = make();
    request_give(take(id, 100), (int)id);
    for (size_t i = 0; i < SIZES; i++) {
        void *mine = API(malloc)(sizes[i]);
        request_give(mine, (int)id);
        void *its = take(id, sizes[i]);
        free_elsewhere(its);
    }
    CHILD_EXPECT(cache_destroy(id));
    return nothing_is_left() ? 0 : 1;
}

static int an_arena_ends_before_its_cache(void *unused)
{
    (void)unused;
    unsigned index;
    CHILD_EXPECT(arenas_create(&index));
    const unsigned id = make();
    CHILD_EXPECT(cache_heap(id, arenas_at(index)) != NULL);
    void *block = take(id, 100);
    CHILD_EXPECT(arenas_of(block) == arenas_at(index));
    /* Of another arena the cache has nothing. */
    CHILD_EXPECT(cache_heap(id, &arena_main) == NULL);
    CHILD_EXPECT(arenas_destroy(index));
    CHILD_EXPECT(cache_is(id));
    block = take(id, 100);
    CHILD_EXPECT(arenas_of(block) == &arena_main);
    request_give(block, (int)id);
    CHILD_EXPECT(cache_destroy(id));
    return nothing_is_left() ? 0 : 1;
}

/* A child of fork has the same numbers, with nothing in hand. */
static int a_fork_empties_caches(void *unused)
{
    (void)unused;
    const unsigned id = make();
    void *block = take(id, 100);
    const pid_t pid = fork();
    CHILD_EXPECT(pid >= 0);
    if (pid == 0) {
        CHILD_EXPECT(cache_is(id));
        void *next = take(id, 100);
        CHILD_EXPECT(next != block);
        request_give(block, (int)id);
        request_give(next, (int)id);
        API(audit_all)();
        CHILD_EXPECT(cache_destroy(id));
        _exit(nothing_is_left() ? 0 : 1);
    }
    int status;
    CHILD_EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    request_give(block, (int)id);
    CHILD_EXPECT(cache_destroy(id));
    return nothing_is_left() ? 0 : 1;
}

#define CHILD_TEST(name)                       \
    static void name##_test(void **state)      \
    {                                          \
        (void)state;                           \
        child_passes(name, NULL);              \
    }
CHILD_TEST(numbers_are_used_again)
CHILD_TEST(what_goes_in_comes_out)
CHILD_TEST(what_was_freed_last_comes_first)
CHILD_TEST(others_blocks_go_home)
CHILD_TEST(an_arena_ends_before_its_cache)
CHILD_TEST(a_fork_empties_caches)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_used_again_test),
        cmocka_unit_test(what_goes_in_comes_out_test),
        cmocka_unit_test(what_was_freed_last_comes_first_test),
        cmocka_unit_test(others_blocks_go_home_test),
        cmocka_unit_test(an_arena_ends_before_its_cache_test),
        cmocka_unit_test(a_fork_empties_caches_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
