/* SPDX-License-Identifier: MIT */
/*
 * What is learned of return addresses, against stride.h.
 */
#include "../heap/bench.h"

#include "ledger/stride.h"

static const void *address(uintptr_t i)
{
    return (const void *)(0x7f0000001000 + 13 * i);
}

static void say(const void *pc, uint32_t bytes, int times)
{
    for (int i = 0; i < times; i++)
        stride_learn(pc, bytes);
}

static void a_distance_is_believed_after_some_times(void **state)
{
    (void)state;
    const void *pc = address(1);
    assert_int_equal(stride_of(pc), STRIDE_UNKNOWN);
    say(pc, 48, STRIDE_TIMES - 1);
    assert_int_equal(stride_of(pc), STRIDE_UNKNOWN);
    say(pc, 48, 1);
    assert_int_equal(stride_of(pc), 48);
    say(pc, 48, 100);
    assert_int_equal(stride_of(pc), 48);
}

static void one_that_varies_is_never_believed_again(void **state)
{
    (void)state;
    const void *pc = address(2);
    say(pc, 48, 100);
    say(pc, 64, 1);
    assert_int_equal(stride_of(pc), STRIDE_VARIES);
    say(pc, 48, 100);
    assert_int_equal(stride_of(pc), STRIDE_VARIES);
}

static void ends_are_learned_too(void **state)
{
    (void)state;
    say(address(3), STRIDE_END, STRIDE_TIMES);
    assert_int_equal(stride_of(address(3)), STRIDE_END);
}

/* More than there is room for: what was learned stays, and no address has the
 * distance of another. */
static void what_finds_no_room_stays_unknown(void **state)
{
    (void)state;
    size_t known = 0;
    for (uintptr_t i = 10; i < 10 + 3 * STRIDE_ADDRESSES; i++)
        say(address(i), (uint32_t)(8 + i * 8), STRIDE_TIMES);
    for (uintptr_t i = 10; i < 10 + 3 * STRIDE_ADDRESSES; i++) {
        const uint32_t bytes = stride_of(address(i));
        assert_true(bytes == STRIDE_UNKNOWN || bytes == 8 + i * 8);
        known += bytes != STRIDE_UNKNOWN;
    }
    assert_in_range(known, STRIDE_ADDRESSES * 3 / 4, STRIDE_ADDRESSES);
    assert_int_equal(stride_of(address(3)), STRIDE_END);
}

static void *tell(void *argument)
{
    for (uintptr_t i = 0; i < 200000; i++)
        stride_learn((const void *)(0x7e0000001000 + 16 * (i % 500)),
            (uint32_t)(64 + i % 500 * 8));
    return argument;
}

static int run_threads(void *unused)
{
    (void)unused;
    pthread_t thread_of[4];
    for (int i = 0; i < 4; i++)
        CHILD_EXPECT(pthread_create(&thread_of[i], NULL, tell, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHILD_EXPECT(pthread_join(thread_of[i], NULL) == 0);
    for (uintptr_t i = 0; i < 500; i++)
        CHILD_EXPECT(stride_of((const void *)(0x7e0000001000 + 16 * i))
            == 64 + i * 8);
    return 0;
}

static void threads_learn_together(void **state)
{
    (void)state;
    child_passes(run_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_learn_together),
        cmocka_unit_test(a_distance_is_believed_after_some_times),
        cmocka_unit_test(one_that_varies_is_never_believed_again),
        cmocka_unit_test(ends_are_learned_too),
        cmocka_unit_test(what_finds_no_room_stays_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
