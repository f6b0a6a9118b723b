/* SPDX-License-Identifier: MIT */
/*
 * Goal: every stack is kept once (T1), with the count of its holders, and the
 * memory of one that nobody holds becomes another's (T2); also where memory is
 * refused, with many threads, and after every prefix of an operation that a
 * fork leaves. Method: random stacks against a plain list of them; threads that
 * hold and drop the same few; each operation one instruction at a time.
 */
#include "unit/sys/step.h"

#include <pthread.h>

#include "ledger/stack.h"
#include "ledger/trace.h"
#include "page/meta.h"

enum { MANY = 50000, DEPTH = 24, THREADS = 4, TURNS = 20000 };

/* A stack that is told by its number; most have a beginning in common. */
struct sample {
    void *pc[DEPTH];
    unsigned count;
};

static struct sample sample_of(size_t number)
{
    struct sample sample;
    sample.count = (unsigned)(number % DEPTH + 1);
    for (unsigned i = 0; i < sample.count; i++)
        sample.pc[i] = (void *)(uintptr_t)(0x400000 + 16 * i);
    sample.pc[number / DEPTH % sample.count] =
        (void *)(uintptr_t)(0x800000 + number);
    return sample;
}

static struct trace *hold(size_t number)
{
    const struct sample sample = sample_of(number);
    return trace_hold(sample.pc, sample.count);
}

static bool is_of(const struct trace *trace, size_t number)
{
    const struct sample sample = sample_of(number);
    return trace != NULL && trace->count == sample.count
        && memcmp(trace->pc, sample.pc, sample.count * sizeof(void *)) == 0;
}

static void equal_stacks_are_one_trace(void **state)
{
    (void)state;
    struct sample sample = sample_of(7);
    struct trace *first = trace_hold(sample.pc, sample.count);
    assert_true(is_of(first, 7));
    assert_int_equal(first->holders, 1);
    const struct sample copy = sample;
    assert_ptr_equal(trace_hold(copy.pc, copy.count), first);
    trace_keep(first);
    assert_int_equal(first->holders, 3);
    for (unsigned i = 0; i < sample.count; i++) {
        sample.pc[i] = (char *)sample.pc[i] + 1;
        struct trace *other = trace_hold(sample.pc, sample.count);
        assert_ptr_not_equal(other, first);
        trace_drop(other);
        sample.pc[i] = (char *)sample.pc[i] - 1;
    }
    struct trace *shorter = trace_hold(sample.pc, sample.count - 1);
    assert_ptr_not_equal(shorter, first);
    trace_drop(shorter);
    assert_int_equal(first->holders, 3);
    for (int i = 0; i < 3; i++)
        trace_drop(first);
}

static void has_no_address_or_the_most(void **state)
{
    (void)state;
    static void *deep[STACK_DEPTH_MAX];
    for (size_t i = 0; i < STACK_DEPTH_MAX; i++)
        deep[i] = &deep[i];
    struct trace *none = trace_hold(deep, 0);
    struct trace *most = trace_hold(deep, STACK_DEPTH_MAX);
    assert_int_equal(none->count, 0);
    assert_int_equal(most->count, STACK_DEPTH_MAX);
    assert_memory_equal(most->pc, deep, sizeof deep);
    assert_ptr_equal(trace_hold(deep, 0), none);
    assert_ptr_equal(trace_hold(deep, STACK_DEPTH_MAX), most);
    for (int i = 0; i < 2; i++) {
        trace_drop(none);
        trace_drop(most);
    }
}

/* All of them at once: the tables grow, and nothing moves. */
static void keeps_many(void **state)
{
    (void)state;
    static struct trace *traces[MANY];
    for (size_t i = 0; i < MANY; i++)
        traces[i] = hold(i);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(is_of(traces[i], i));
        assert_ptr_equal(hold(i), traces[i]);
        assert_int_equal(traces[i]->holders, 2);
    }
    for (size_t i = 0; i < MANY; i++) {
        trace_drop(traces[i]);
        trace_drop(traces[i]);
    }
}

/* Ever new stacks, of which a few are held at a time: the memory of the first
 * ones is enough, and so are the tables. */
static void dropped_ones_make_room(void **state)
{
    (void)state;
    enum { HELD = 500 };
    static struct trace *traces[HELD];
    for (size_t i = 0; i < HELD; i++)
        traces[i] = hold(i);
    size_t space = 0;
    for (size_t i = HELD; i < 4 * MANY; i++) {
        trace_drop(traces[i % HELD]);
        traces[i % HELD] = hold(i);
        assert_true(is_of(traces[i % HELD], i));
        assert_int_equal(traces[i % HELD]->holders, 1);
        if (i == MANY)
            space = unit_address_bytes();
    }
    assert_int_equal(unit_address_bytes(), space);
    for (size_t i = 0; i < HELD; i++)
        trace_drop(traces[i]);
}

/* -- threads -- */

static void *hold_and_drop(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    struct trace *held[8] = { NULL };
    size_t numbers[8] = { 0 };
    for (int i = 0; i < TURNS; i++) {
        const size_t at = dice_below(&dice, 8);
        if (held[at] != NULL) {
            if (!is_of(held[at], numbers[at]))
                return argument;
            trace_drop(held[at]);
        }
        numbers[at] = MANY + dice_below(&dice, 100);
        held[at] = hold(numbers[at]);
        if (!is_of(held[at], numbers[at]))
            return argument;
        trace_keep(held[at]);
        trace_drop(held[at]);
    }
    for (size_t at = 0; at < 8; at++) {
        if (held[at] != NULL)
            trace_drop(held[at]);
    }
    return NULL;
}

static void threads_share_traces(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop,
            (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (size_t i = 0; i < 100; i++) {
        struct trace *trace = hold(MANY + i);
        assert_int_equal(trace->holders, 1);
        trace_drop(trace);
    }
}

/* -- refusals -- */

/* No memory for a table, or none for traces: what is known stays so. */
static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {
        1u << SYS_MAP, 1u << SYS_RESERVE, 1u << SYS_COMMIT
    };
    enum { MORE = 3 * MANY };
    static struct trace *traces[MORE];
    for (size_t k = 0; k < UNIT_COUNT(kinds); k++) {
        size_t count = 0;
        unit_fail_all(kinds[k]);
        while (count < MORE
            && (traces[count] = hold(10 * MANY + count)) != NULL)
            count++;
        assert_true(count < MORE);
        assert_null(hold(10 * MANY + count));
        for (size_t i = 0; i < count; i++)
            assert_ptr_equal(hold(10 * MANY + i), traces[i]);
        assert_true(unit_fail_none() > 0);
        traces[count] = hold(10 * MANY + count);
        assert_true(is_of(traces[count], 10 * MANY + count));
        trace_drop(traces[count]);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(traces[i]->holders, 2);
            trace_drop(traces[i]);
            trace_drop(traces[i]);
        }
    }
}

/* -- a fork at every instruction -- */

enum { FORK_HELD_MAX = 10000, FORK_FIRST = 30 * MANY };
static struct trace *fork_held[FORK_HELD_MAX];
static size_t fork_held_count;
static struct trace *fork_operand;

/* Nothing tells what the work has changed: every so many instructions a child
 * is to look. */
static uint64_t fork_pace;
static uint64_t fork_steps;

static uint64_t at_a_pace(void)
{
    return ++fork_steps / fork_pace;
}

/* In the child: all that was held is held, found, and its own; whatever else
 * there is can be held and dropped; and the tables can grow and be swept. */
static void all_is_well(void)
{
    enum { MORE = 800 };
    const size_t next = FORK_FIRST + fork_held_count;
    for (size_t i = 0; i < fork_held_count; i++) {
        EXPECT(is_of(fork_held[i], FORK_FIRST + i));
        EXPECT(hold(FORK_FIRST + i) == fork_held[i]);
        EXPECT_EQUAL(fork_held[i]->holders, 2);
    }
    struct trace *again = hold(next);
    EXPECT(is_of(again, next));
    EXPECT(hold(next) == again);
    for (size_t i = next + 1; i < next + MORE; i++) {
        struct trace *trace = hold(i);
        EXPECT(is_of(trace, i));
        EXPECT(trace != again);
        if (i % 2 == 0)
            trace_drop(trace);
    }
    EXPECT(is_of(again, next));
    for (size_t i = 0; i < fork_held_count; i++)
        EXPECT(is_of(fork_held[i], FORK_FIRST + i));
}

static void hold_one_more(void)
{
    fork_operand = hold(FORK_FIRST + fork_held_count);
}

static void drop_it(void)
{
    trace_drop(fork_operand);
}

static void step_through(void (*work)(void), uint64_t pace)
{
    const struct step step = { work, all_is_well, at_a_pace };
    fork_pace = pace;
    assert_true(step_run(&step) > 50);
}

static void fork_hold_until(size_t count)
{
    for (; fork_held_count < count; fork_held_count++)
        fork_held[fork_held_count] = hold(FORK_FIRST + fork_held_count);
}

static void fork_drop_all(void)
{
    while (fork_held_count > 0)
        trace_drop(fork_held[--fork_held_count]);
}

static void a_fork_leaves_something_sound(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    fork_hold_until(400);
    step_through(hold_one_more, 1);             /* from nothing */
    step_through(hold_one_more, 1);             /* once more */
    trace_drop(fork_operand);
    step_through(drop_it, 1);
    step_through(hold_one_more, 1);             /* from spare memory */
    trace_drop(fork_operand);
    fork_drop_all();
}

static size_t *fork_found;

static void find_growth(void)
{
    uint64_t calls = 0;
    while (calls == 0 && fork_held_count < FORK_HELD_MAX) {
        unit_count_calls(1u << SYS_MAP);
        fork_hold_until(fork_held_count + 1);
        calls = unit_fail_none();
    }
    *fork_found = fork_held_count - 1;
}

/* A table is replaced by a larger one; a child has found out when. */
static void a_fork_leaves_a_table_to_grow(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    fork_found = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(fork_found != MAP_FAILED);
    assert_int_equal(unit_in_child(fork(), find_growth), 0);
    assert_true(*fork_found < FORK_HELD_MAX - 1);
    fork_hold_until(*fork_found);
    unit_count_calls(1u << SYS_MAP);
    step_through(hold_one_more, 31);
    assert_int_equal(unit_fail_none(), 1);
    trace_drop(fork_operand);
    fork_drop_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_stacks_are_one_trace),
        cmocka_unit_test(has_no_address_or_the_most),
        /* Forks are minded where there were threads. */
        cmocka_unit_test(threads_share_traces),
        cmocka_unit_test(a_fork_leaves_something_sound),
        cmocka_unit_test(a_fork_leaves_a_table_to_grow),
        cmocka_unit_test(keeps_many),
        cmocka_unit_test(dropped_ones_make_room),
        cmocka_unit_test_teardown(a_refusal_changes_nothing, unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
