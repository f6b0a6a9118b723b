/* SPDX-License-Identifier: MIT */
/*
 * Blocks of the smallest class against slab.h and check.h: whoever frees one,
 * and wherever it goes, nothing is written beyond it, and it is handed out
 * once. With a quantum of 8 it has room for its link alone. Method: all blocks
 * of a slab are out and written; every other of the last ones is freed, in each
 * way, and taken again; what is out stays as it was written.
 */
#include "check_bench.h"

enum { LAST = 600 };

struct way {
    uint8_t reason;             /* of enum thread_reason; 0: none */
    bool unowned;
    bool elsewhere;
};

static size_t bytes;
static size_t count;

static void fill(size_t i)
{
    memset(held.block[i], (int)(i % 251), bytes);
}

static void expect_filled(size_t i)
{
    const unsigned char *at = (const unsigned char *)held.block[i];
    for (size_t k = 0; k < bytes; k++)
        CHILD_EXPECT(at[k] == i % 251);
}

static bool is_freed(size_t i)
{
    return i >= count - LAST && i % 2 == 0;
}

static void hold_a_slab(void)
{
    const unsigned cls = class_of(1);
    bytes = class_bytes[cls];
    count = class_blocks[cls];
    hold(cls, count);
    for (size_t i = 0; i < count; i++)
        fill(i);
}

static void free_every_other(bool elsewhere)
{
    for (size_t i = 0; i < count; i++) {
        if (is_freed(i) && elsewhere)
            free_elsewhere(held.block[i]);
        else if (is_freed(i))
            API(free)(held.block[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_freed(i))
            expect_filled(i);
    }
}

static void take_again(void)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_freed(i))
            continue;
        held.block[i] = API(malloc)(1);
        fill(i);
    }
    for (size_t i = 0; i < count; i++)
        expect_filled(i);
}

static int free_and_take(void *argument)
{
    const struct way *way = argument;
    listen();
    CHILD_EXPECT(thread_heap() != NULL);
    if (way->reason != 0)
        thread_set_default(way->reason, true);
    hold_a_slab();
    if (way->unowned)
        let_go(held.cls);
    for (int round = 0; round < 3; round++) {
        free_every_other(way->elsewhere);
        if (round == 1)
            thread_flush();
        API(audit_all)();
        take_again();
    }
    free_all_held();
    expect_silence();
    API(audit_all)();
    CHILD_EXPECT(nothing_is_left());
    return 0;
}

static void what_is_free_stays_within_its_bytes(void **state)
{
    (void)state;
    static const uint8_t reasons[] = {
        0, THREAD_HARDENED, THREAD_COUNTED, THREAD_NO_CACHE
    };
    for (size_t i = 0; i < sizeof reasons; i++) {
        for (int how = 0; how < 4; how++) {
            struct way way = { reasons[i], how & 1, how & 2 };
            child_passes(free_and_take, &way);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_free_stays_within_its_bytes),
    };
    return cmocka_run_group_tests_name("smallest", tests, NULL, NULL);
}
