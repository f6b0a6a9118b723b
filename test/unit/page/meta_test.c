/* SPDX-License-Identifier: MIT */
/*
 * Goal: memory for our own structures is zero, aligned, never handed out
 * twice, and lies between pages that cannot be touched. Method: whole areas
 * are used up; calls fail on command. For pages of 4, 16 and 64 KiB.
 */
#include "unit/sys/unit.h"

#include <pthread.h>

#include "page/meta.h"

#define MOST (64 * KiB)

enum { BLOCKS = 2000, THREADS = 4 };

/* Use up the area: a size that divides whatever is left. */
static void use_up(void)
{
    unit_fail_all(1u << SYS_RESERVE);
    size_t count = 0;
    while (meta_take(CACHE_LINE_BYTES) != NULL)
        count++;
    (void)unit_fail_none();
    assert_true(count <= MiB / CACHE_LINE_BYTES);
}

static void is_zero_aligned_and_never_shared(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    static struct {
        unsigned char *start;
        size_t bytes;
    } blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        const size_t bytes = dice_between(&dice, 1, 3000);
        blocks[i].start = meta_take(bytes);
        blocks[i].bytes = bytes;
        assert_non_null(blocks[i].start);
        assert_int_equal((uintptr_t)blocks[i].start % CACHE_LINE_BYTES, 0);
        EXPECT_ZERO(blocks[i].start, bytes);
        memset(blocks[i].start, (int)(i % 255) + 1, bytes);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        for (size_t at = 0; at < blocks[i].bytes; at++)
            assert_int_equal(blocks[i].start[at], i % 255 + 1);
    }
}

static void gives_as_much_as_64_KiB(void **state)
{
    (void)state;
    unsigned char *most = meta_take(MOST);
    assert_non_null(most);
    EXPECT_ZERO(most, MOST);
    memset(most, 1, MOST);
}

static void take_too_much(void *argument)
{
    (void)!meta_take(*(size_t *)argument);
}

static void asking_for_too_much_is_our_mistake(void **state)
{
    (void)state;
    size_t bytes = MOST + 1;
    unit_expect_panic((struct unit_work){ take_too_much, &bytes },
        "meta.c:");
}

static void lies_between_pages_that_cannot_be_touched(void **state)
{
    (void)state;
    use_up();
    char *first = meta_take(CACHE_LINE_BYTES);
    assert_non_null(first);
    /* The area's own words come first. */
    char *area = first - CACHE_LINE_BYTES;
    assert_int_equal((uintptr_t)area % sys_page_bytes(), 0);
    unit_expect_untouchable(area - 1);
    unit_expect_untouchable(area - sys_page_bytes());

    char *last = first;
    unit_fail_all(1u << SYS_RESERVE);
    for (char *next; (next = meta_take(CACHE_LINE_BYTES)) != NULL;) {
        assert_ptr_equal(next, last + CACHE_LINE_BYTES);
        last = next;
    }
    (void)unit_fail_none();
    last[CACHE_LINE_BYTES - 1] = 1;
    unit_expect_untouchable(last + CACHE_LINE_BYTES);
    unit_expect_untouchable(last + CACHE_LINE_BYTES
        + sys_page_bytes() - 1);
}

static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    static const enum sys_call kinds[] = { SYS_RESERVE, SYS_COMMIT };
    use_up();
    for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
        const size_t space = unit_address_bytes();
        unit_fail_all(1u << kinds[i]);
        assert_null(meta_take(MOST));
        assert_null(meta_take(1));
        assert_int_equal(unit_fail_none(), 2);
        assert_int_equal(unit_address_bytes(), space);
    }
    unsigned char *taken = meta_take(MOST);
    assert_non_null(taken);
    EXPECT_ZERO(taken, MOST);
}

static void *take_and_mark(void *argument)
{
    const uintptr_t mark = (uintptr_t)argument;
    uintptr_t *before = NULL;
    for (int i = 0; i < BLOCKS; i++) {
        uintptr_t *taken = meta_take(2 * sizeof *taken);
        if (taken == NULL || taken[0] != 0 || taken[1] != 0)
            return argument;
        taken[0] = mark;
        taken[1] = (uintptr_t)before;
        before = taken;
    }
    for (; before != NULL; before = (uintptr_t *)before[1]) {
        if (before[0] != mark)
            return argument;
    }
    return NULL;
}

static void threads_get_memory_of_their_own(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_mark,
            (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void run(void *argument)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_zero_aligned_and_never_shared),
        cmocka_unit_test(gives_as_much_as_64_KiB),
        cmocka_unit_test(asking_for_too_much_is_our_mistake),
        cmocka_unit_test_teardown(lies_between_pages_that_cannot_be_touched,
            unit_teardown),
        cmocka_unit_test_teardown(a_refusal_changes_nothing, unit_teardown),
        cmocka_unit_test(threads_get_memory_of_their_own),
    };
    *(int *)argument = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return unit_run_page_sizes(run);
}
