/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever frame pointers hold, nothing is touched that is not there
 * (W1), and what is right is found: on the thread's own stack and on others,
 * deep ones and small ones, in signals, in children. Method: frames made by
 * hand, with every kind of broken link; real ones; signals that interrupt a
 * walk. No unwinder is looked for here: that is unwind_test.c.
 */
#include "unit/ledger/dive.h"

#include <ucontext.h>

static void walks_from_frame_to_frame(void **state)
{
    (void)state;
    struct link links[LINKS];
    chain_make(links, LINKS);
    expect_chain(links, LINKS);
    void *pc[LINKS + 1];
    for (unsigned most = 0; most < LINKS; most++) {
        pc[most] = &links;
        assert_int_equal(stack_take(links, pc, most), most);
        assert_ptr_equal(pc[most], &links);
    }
    option_now.prof_bt_max = 7;
    expect_chain(links, 7);
    option_now.prof_bt_max = STACK_DEPTH_USUAL;
}

/* Memory with a page that cannot be read, and one that is not there. */
static char *pages;

static int map_pages(void **state)
{
    (void)state;
    const size_t page = page_bytes();
    pages = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED
        || mprotect(pages + 4 * page, page, PROT_NONE) != 0
        || munmap(pages + 6 * page, page) != 0;
}

/* Break the chain behind its first `at` links, in every way. */
static void expect_breaks(struct link *links, unsigned at)
{
    const uintptr_t first = (uintptr_t)links;
    const uintptr_t next = (uintptr_t)&links[at + 1];
    const void *no_frame[] = {
        NULL, links, &links[at], (void *)(first - 8), (void *)(first - 65536),
        (void *)(next + 1), (void *)(next + 4),
        pages, pages + 4 * page_bytes(), pages + 6 * page_bytes(),
        __builtin_thread_pointer(), (char *)__builtin_thread_pointer() - 8,
        sys_first_stack_top(), (void *)8, (void *)4096, (void *)-16,
        (void *)INTPTR_MAX, (void *)(INTPTR_MAX - 7),
        (void *)((uintptr_t)1 << 63), (void *)((uintptr_t)1 << 47),
        (void *)(uintptr_t)0xdeadbeefdeadbee8,
    };
    void *no_code[] = {
        NULL, (void *)1, (void *)4095, (void *)-1, (void *)links,
        (void *)((uintptr_t)1 << 63),
    };
    for (size_t i = 0; i < UNIT_COUNT(no_frame); i++) {
        chain_make(links, LINKS);
        links[at].above = no_frame[i];
        expect_chain(links, at + 1);
    }
    for (size_t i = 0; i < UNIT_COUNT(no_code); i++) {
        chain_make(links, LINKS);
        links[at].pc = no_code[i];
        expect_chain(links, at);
    }
}

static void *break_links(void *argument)
{
    struct link links[LINKS];
    for (unsigned at = 0; at < LINKS - 1; at += 14)
        expect_breaks(links, at);
    return argument;
}

static void ends_where_no_frame_can_be(void **state)
{
    (void)state;
    (void)break_links(NULL);
    in_thread(break_links, NULL);
}

/* A stack that is not the thread's: each step from it goes up, or to the
 * thread's own stack and stays there. */
static void *walk_elsewhere(void *argument)
{
    struct link here[LINKS];
    struct link *there = (struct link *)(void *)(pages + page_bytes());
    /* What the walk is to know of this stack. */
    chain_make(here, LINKS);
    expect_chain(here, LINKS);

    chain_make(there, LINKS);
    expect_chain(there, LINKS);
    there[LINKS / 2].above = pages + 4 * page_bytes();      /* no access */
    expect_chain(there, LINKS / 2 + 1);
    there[LINKS / 2].above = pages + 4 * page_bytes() - 8;  /* half of it */
    expect_chain(there, LINKS / 2 + 1);
    there[LINKS / 2].above = pages + 6 * page_bytes();      /* not there */
    expect_chain(there, LINKS / 2 + 1);
    there[LINKS / 2].above = &there[LINKS / 2 - 1];         /* a circle */
    expect_chain(there, LINKS / 2 + 1);
    there[LINKS / 2].above = (char *)&there[LINKS / 2 + 1] + 4;
    expect_chain(there, LINKS / 2 + 1);

    there[LINKS / 2].above = &here[LINKS / 2 + 1];
    expect_chain(there, LINKS);
    here[LINKS - 2].above = &there[LINKS - 1];              /* not back */
    expect_chain(there, LINKS - 1);
    return argument;
}

static void reads_other_stacks_with_care(void **state)
{
    (void)state;
    (void)walk_elsewhere(NULL);
    in_thread(walk_elsewhere, NULL);
}

/* Below a thread's stack, behind a guard, is another: nothing joins them. */
static void *walk_below(void *argument)
{
    struct link here[LINKS];
    struct link *below = argument;
    chain_make(here, LINKS);
    expect_chain(here, LINKS);
    chain_make(below, LINKS);
    below[9].above = &here[10];
    expect_chain(below, LINKS);
    below[9].above = &below[page_bytes() / sizeof *below];  /* the guard */
    expect_chain(below, 10);
    return argument;
}

static void a_guard_ends_the_own_stack(void **state)
{
    enum { STACK_BYTES = 2 * 1024 * 1024 };
    const size_t page = page_bytes();
    pthread_attr_t attributes;
    pthread_t thread;
    char *below = test_map(2 * page + STACK_BYTES);
    (void)state;
    assert_int_equal(mprotect(below + page, page, PROT_NONE), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, below + 2 * page,
        STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, walk_below, below),
        0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(munmap(below, 2 * page + STACK_BYTES), 0);
}

static void needs_little_stack(void **state)
{
    (void)state;
    expect_little_stack(2 * KiB);
}

/* A context of its own has no root that we know. */
static ucontext_t fiber, fiber_home;
static struct dive *fiber_dive;

static void fiber_run(void)
{
    dive(fiber_dive, fiber_dive->depth);
}

static void walk_in_one_fiber(void)
{
    enum { FIBER_BYTES = 256 * 1024 };
    static void *pc[STACK_DEPTH_USUAL];
    static struct dive with;
    with = (struct dive){ take_here, 20, 0, STACK_DEPTH_USUAL, pc };
    fiber_dive = &with;
    char *stack = test_map(FIBER_BYTES);
    assert_int_equal(getcontext(&fiber), 0);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = FIBER_BYTES;
    fiber.uc_link = &fiber_home;
    makecontext(&fiber, fiber_run, 0);
    assert_int_equal(swapcontext(&fiber_home, &fiber), 0);
    assert_int_equal(munmap(stack, FIBER_BYTES), 0);
    assert_in_range(with.count, 21, 30);
    for (unsigned r = 2; r < 20; r++)
        assert_ptr_equal(pc[r], pc[1]);
}

static void walks_in_a_fiber(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        walk_in_one_fiber();
}

/* -- the program's own -- */

static unsigned hook_count;

static void find_like_a_program(void **pc, unsigned *count, unsigned pc_max)
{
    for (unsigned i = 0; i < pc_max; i++)
        pc[i] = code_of(i);
    *count = hook_count;
}

static void a_hook_replaces_it(void **state)
{
    void *pc[LINKS];
    struct link links[LINKS];
    (void)state;
    chain_make(links, LINKS);
    assert_true(stack_hook() == stack_find);
    stack_set_hook(find_like_a_program);
    assert_true(stack_hook() == find_like_a_program);
    links[0].pc = &links;
    for (hook_count = 0; hook_count < 20; hook_count++) {
        assert_int_equal(stack_take(links, pc, 10), min_size(hook_count, 10));
        for (unsigned i = 0; i < 10 && i < hook_count; i++)
            assert_ptr_equal(pc[i], code_of(i));
    }
    stack_set_hook(stack_find);
    links[0].pc = code_of(0);
    expect_chain(links, LINKS);
}

static NOINLINE unsigned ask_the_default(void **pc)
{
    unsigned count = 0;
    stack_hook()(pc, &count, 3);
    __asm__ volatile("" : : : "memory");
    return count;
}

static void programs_may_call_the_default(void **state)
{
    void *pc[4] = { NULL };
    (void)state;
    const unsigned count = ask_the_default(pc);
    assert_in_range(count, 1, 3);
    assert_null(pc[3]);
    /* In the function above. */
    assert_in_range((uintptr_t)pc[0], (uintptr_t)ask_the_default,
        (uintptr_t)ask_the_default + 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_from_frame_to_frame),
        cmocka_unit_test(ends_where_no_frame_can_be),
        cmocka_unit_test(reads_other_stacks_with_care),
        cmocka_unit_test(is_cut_where_it_is_deep),
        cmocka_unit_test(a_guard_ends_the_own_stack),
        cmocka_unit_test(needs_little_stack),
        cmocka_unit_test(works_in_a_child),
        cmocka_unit_test(walks_in_a_fiber),
        cmocka_unit_test(signals_may_interrupt_it),
        cmocka_unit_test(a_hook_replaces_it),
        cmocka_unit_test(programs_may_call_the_default),
    };
    return cmocka_run_group_tests(tests, map_pages, NULL);
}
