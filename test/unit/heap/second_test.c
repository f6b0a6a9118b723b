/* SPDX-License-Identifier: MIT */
/*
 * What threads of the second tier do beside counting, against second.h and the
 * part of count.h that is about blocks in hand: hands that can be done without,
 * limits for them, letting go, and filling. Each test runs in a child of its
 * own, for some of this is for life.
 */
#include "bench.h"

#include "heap/arenas.h"
#include "heap/count.h"
#include "heap/hand.h"
#include "heap/second.h"

static size_t usable(void *pointer)
{
    return API(malloc_usable_size)(pointer);
}

static const size_t sizes[] = {
    0, 1, 16, 17, 100, 1000, 5000, 40000, 65536, 65537, 200000, 3 * MiB,
    40 * MiB,
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* -- blocks in hand -- */

static int go_without(void *argument)
{
    (void)argument;
    CHILD_EXPECT(count_cache_enabled() && count_flush_cache());
    CHILD_EXPECT(count_cache_blocks_max(100) > 0);
    count_enable_cache(false);
    CHILD_EXPECT(!count_cache_enabled() && !count_flush_cache());
    CHILD_EXPECT(count_cache_blocks_max(100) == 0);
    void *one = API(malloc)(100);
    struct slab *slab = slab_with(one);
    const uint32_t live = slab_live(slab);
    API(free)(one);
    CHILD_EXPECT(slab_live(slab) == live - 1);
    count_enable_cache(true);
    CHILD_EXPECT(count_cache_enabled() && thread.heap == thread.own);
    one = API(malloc)(100);
    slab = slab_with(one);
    const uint32_t again = slab_live(slab);
    API(free)(one);
    CHILD_EXPECT(slab_live(slab) == again);
    count_idle();
    CHILD_EXPECT(hands_are_empty());
    API(audit_all)();
    return 0;
}

static void a_thread_can_go_without_hands(void **state)
{
    (void)state;
    child_passes(go_without, NULL);
}

/* Does a block stay in hand? */
static bool stays(size_t size)
{
    void *one = API(malloc)(size);
    struct slab *slab = slab_with(one);
    const uint32_t live = slab_live(slab);
    API(free)(one);
    return slab_live(slab) == live;
}

/* What a refill brings may be more than there is room for. */
static bool stays_in_the_end(size_t size)
{
    for (int i = 0; i < 64; i++) {
        if (stays(size))
            return true;
        (void)API(malloc)(size);
    }
    return false;
}

static int keep_less(void *argument)
{
    const bool counts = *(bool *)argument;
    if (counts)
        (void)count_allocated();
    CHILD_EXPECT(count_cache_max() == CLASS_BYTES_MAX);
    for (int i = 0; i < 3; i++)
        (void)API(malloc)(4097);
    CHILD_EXPECT(stays(1000) && stays(4097));
    count_set_cache_max(4000);
    CHILD_EXPECT(count_cache_max() == 4096);
    int kept = 0;
    for (int i = 0; i < 300; i++) {
        CHILD_EXPECT(!stays(4097));
        kept += stays(1000);
    }
    CHILD_EXPECT(kept > 100);
    CHILD_EXPECT(count_cache_blocks_max(4097) == 0);
    unsigned arena;
    CHILD_EXPECT(arenas_create(&arena) && arenas_bind(arena));
    CHILD_EXPECT(count_cache_max() == 4096 && !stays(4097));
    count_set_cache_max(SIZE_MAX);
    CHILD_EXPECT(count_cache_max() == CLASS_BYTES_MAX);
    CHILD_EXPECT(stays_in_the_end(4097));
    count_set_cache_blocks_max(900, 1024, 2);
    CHILD_EXPECT(count_cache_blocks_max(1000) == 2);
    CHILD_EXPECT(count_cache_blocks_max(1025) > 2);
    CHILD_EXPECT(stays_in_the_end(1000));
    API(audit_all)();
    return 0;
}

static void *have_less(void *argument)
{
    *(size_t *)argument = count_cache_max();
    return NULL;
}

static int be_born_with_less(void *argument)
{
    (void)argument;
    size_t most[2];
    hand_set_default_bytes_max(100);
    thread_run(have_less, &most[0]);
    hand_set_default_bytes_max(CLASS_BYTES_MAX);
    /* In the same heap. */
    thread_run(have_less, &most[1]);
    CHILD_EXPECT(most[0] == 96 && most[1] == CLASS_BYTES_MAX);
    return 0;
}

static void hands_have_the_limits_asked_for(void **state)
{
    (void)state;
    bool counts = false;
    child_passes(keep_less, &counts);
    counts = true;
    child_passes(keep_less, &counts);
    child_passes(be_born_with_less, NULL);
}

/* A counting thread keeps some, but not for ever. */
static int let_go(void *argument)
{
    (void)argument;
    enum { BLOCKS = 5000 };
    static void *block[BLOCKS];
    (void)count_allocated();
    void *one = API(malloc)(64);
    API(free)(one);
    CHILD_EXPECT(API(malloc)(64) == one);
    API(free)(one);
    for (int i = 0; i < BLOCKS; i++)
        block[i] = API(malloc)(64);
    for (int i = 0; i < BLOCKS; i++)
        API(free)(block[i]);
    const struct bin *bin = &thread.own->bin[class_of(64)];
    CHILD_EXPECT(bin->shelf == NULL);
    CHILD_EXPECT(count_flush_cache());
    CHILD_EXPECT(bin->handed == bin->folded);
    API(audit_all)();
    return 0;
}

static void a_counting_thread_lets_go(void **state)
{
    (void)state;
    child_passes(let_go, NULL);
}

/* -- filling -- */

static bool is_all(const void *pointer, int byte, size_t bytes)
{
    const unsigned char *at = pointer;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != byte)
            return false;
    }
    return true;
}

static int fill_junk(void *argument)
{
    (void)argument;
    second_set_fill((struct second_fill){
        .junk_taken = true, .junk_given = true });
    for (int i = 0; i < SIZES; i++) {
        char *one = API(malloc)(sizes[i]);
        const size_t bytes = usable(one);
        CHILD_EXPECT(is_all(one, 0xa5, bytes));
        memset(one, 7, bytes);
        one = API(realloc)(one, 2 * bytes);
        CHILD_EXPECT(is_all(one, 7, bytes));
        CHILD_EXPECT(is_all(one + bytes, 0xa5, usable(one) - bytes));
        API(free)(one);
        if (bytes < 100000)
            CHILD_EXPECT(is_all(one + 16, 0x5a, 2 * bytes - 16));
        one = API(calloc)(1, bytes);
        CHILD_EXPECT(is_all(one, 0, bytes));
        API(free)(one);
    }
    API(audit_all)();
    return 0;
}

static int fill_zero(void *argument)
{
    (void)argument;
    second_set_fill((struct second_fill){
        .zero = true, .junk_taken = true });
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SIZES; i++) {
            char *one = API(malloc)(sizes[i]);
            const size_t bytes = usable(one);
            CHILD_EXPECT(is_all(one, 0, bytes));
            memset(one, 7, bytes);
            one = API(realloc)(one, 3 * sizes[i] + 1);
            CHILD_EXPECT(is_all(one + bytes, 0, usable(one) - bytes));
            memset(one, 7, usable(one));
            API(free)(one);
        }
    }
    return 0;
}

static void blocks_are_filled(void **state)
{
    (void)state;
    child_passes(fill_junk, NULL);
    child_passes(fill_zero, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_can_go_without_hands),
        cmocka_unit_test(hands_have_the_limits_asked_for),
        cmocka_unit_test(a_counting_thread_lets_go),
        cmocka_unit_test(blocks_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
