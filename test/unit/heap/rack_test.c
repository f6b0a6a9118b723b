/* SPDX-License-Identifier: MIT */
/*
 * Places in racks, against rack.h: each is handed out once, aligned as blocks
 * of its class are, found again, and what is empty goes back.
 */
#include "bench.h"

#include "heap/rack.h"

enum { PLACES = 3000 };

static char *place[PLACES];

static void shuffle(unsigned count)
{
    uint64_t random = 7;
    for (unsigned i = count - 1; i > 0; i--) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const unsigned other = (unsigned)((random >> 33) % (i + 1));
        char *swapped = place[i];
        place[i] = place[other];
        place[other] = swapped;
    }
}

static size_t alignment_of(size_t bytes)
{
    return bytes & (0 - bytes);
}

/* All places are apart: each is filled with its number. */
static int run_each_is_handed_out_once(void *argument)
{
    const unsigned cls = *(const unsigned *)argument;
    const size_t bytes = class_bytes[cls];
    const unsigned count = bytes > 8192 ? 100 : PLACES;
    for (unsigned i = 0; i < count; i++) {
        place[i] = rack_take(&arena_main, cls);
        CHILD_EXPECT(place[i] != NULL);
        CHILD_EXPECT((uintptr_t)place[i] % alignment_of(bytes) == 0);
        memset(place[i], (int)i, bytes);
        const struct heap_place at = heap_find(place[i]);
        CHILD_EXPECT(heap_is_sampled(at));
        CHILD_EXPECT(rack_is_place(at.extent, place[i]));
        CHILD_EXPECT(!rack_is_place(at.extent, place[i] + 8));
        CHILD_EXPECT(rack_bytes(at.extent) == bytes);
        rack_audit(at.extent);
    }
    for (unsigned i = 0; i < count; i++) {
        CHILD_EXPECT(place[i][0] == (char)i);
        CHILD_EXPECT(place[i][bytes - 1] == (char)i);
    }
    shuffle(count);
    for (unsigned i = 0; i < count; i++)
        CHILD_EXPECT(rack_give(place[i]));
    return 0;
}

static void each_is_handed_out_once(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        child_passes(run_each_is_handed_out_once, &cls);
}

static size_t live_mappings(void)
{
    size_t count = 0;
    for (const struct extent *at = arena_main.pool.live; at; at = at->next)
        count++;
    return count;
}

static int run_empty_racks_go_back(void *unused)
{
    (void)unused;
    const unsigned cls = class_of(1000);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < PLACES; i++)
            place[i] = rack_take(&arena_main, cls);
        CHILD_EXPECT(live_mappings() >= PLACES / 64);
        shuffle(PLACES);
        for (unsigned i = 0; i < PLACES; i++)
            CHILD_EXPECT(rack_give(place[i]));
        CHILD_EXPECT(live_mappings() == 1);
    }
    rack_purge(&arena_main.racks);
    CHILD_EXPECT(live_mappings() == 0);
    CHILD_EXPECT(rack_take(&arena_main, cls) != NULL);
    return 0;
}

static void empty_racks_go_back(void **state)
{
    (void)state;
    child_passes(run_empty_racks_go_back, NULL);
}

static int run_what_is_no_place_is_refused(void *unused)
{
    (void)unused;
    char *one = rack_take(&arena_main, class_of(100));
    char *other = rack_take(&arena_main, class_of(100));
    CHILD_EXPECT(!rack_give(one + 16));
    CHILD_EXPECT(rack_give(one));
    CHILD_EXPECT(!rack_give(one));
    CHILD_EXPECT(rack_take(&arena_main, class_of(100)) == one);
    CHILD_EXPECT(other != one);
    return 0;
}

static void what_is_no_place_is_refused(void **state)
{
    (void)state;
    child_passes(run_what_is_no_place_is_refused, NULL);
}

/* The holder of the lock vanishes in fork: the child has racks. */
static int run_a_vanished_holder(void *unused)
{
    (void)unused;
    const unsigned cls = class_of(100);
    char *one = rack_take(&arena_main, cls);
    arena_main.racks.lock.broken = true;
    char *other = rack_take(&arena_main, cls);
    CHILD_EXPECT(other != NULL && other != one);
    /* The old list was left alone, and so its places are. */
    CHILD_EXPECT(heap_find(other).extent != heap_find(one).extent);
    CHILD_EXPECT(rack_give(one));
    CHILD_EXPECT(rack_give(other));
    CHILD_EXPECT(rack_take(&arena_main, cls) == other);
    return 0;
}

static void a_vanished_holder_does_no_harm(void **state)
{
    (void)state;
    child_passes(run_a_vanished_holder, NULL);
}

static int run_no_memory(void *unused)
{
    (void)unused;
    API(free)(API(malloc)(1));
    sys_fault.kinds = 1u << SYS_MAP | 1u << SYS_RESERVE;
    store_relaxed(&sys_fault.calls, 0);
    sys_fault.from = 1;
    sys_fault.to = UINT64_MAX;
    CHILD_EXPECT(rack_take(&arena_main, class_of(100)) == NULL);
    sys_fault.kinds = 0;
    CHILD_EXPECT(rack_take(&arena_main, class_of(100)) != NULL);
    return 0;
}

static void without_memory_there_is_no_place(void **state)
{
    (void)state;
    child_passes(run_no_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_handed_out_once),
        cmocka_unit_test(empty_racks_go_back),
        cmocka_unit_test(what_is_no_place_is_refused),
        cmocka_unit_test(a_vanished_holder_does_no_harm),
        cmocka_unit_test(without_memory_there_is_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
