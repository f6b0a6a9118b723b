/* SPDX-License-Identifier: MIT */
/*
 * Goal: a stack is what the unwinder says, or the frame pointers where they say
 * the same; and no lock of the loader is waited for. Method: stacks against
 * backtrace() of libc; frame pointers that are right for a while; a thread that
 * waits for us while it loads. What works without the unwinder works with it.
 *
 * What is learned stays for the process's life, so that is asked in children.
 */
#include "unit/ledger/dive.h"

#include <execinfo.h>
#include <link.h>

/* Not with an older libgcc or another C library. */
static void need_unwinder(void)
{
    stack_arm();
    if (!sys_unwind_is_found())
        skip();
}

/* Nor are calls written for other machines. */
static void need_calls(void)
{
#if !defined(__x86_64__)
    skip();
#endif
}

/* libc's stack from the same address on is the same. */
static NOINLINE void compare_with_libc(const struct dive *with)
{
    FRAMED();
    void *libc[2 * STACK_DEPTH_USUAL];
    const int depth = backtrace(libc, 2 * STACK_DEPTH_USUAL);
    int first = 0;
    while (first < depth && libc[first] != framed->pc)
        first++;
    EXPECT(first < depth);
    memset(with->pc, 0, with->pc_max * sizeof *with->pc);
    const unsigned count = stack_take(framed, with->pc, with->pc_max);
    EXPECT_EQUAL(count, depth - first);
    EXPECT(memcmp(with->pc, libc + first, count * sizeof *libc) == 0);
    FRAMED_END();
}

/* The compiler may use the frame pointer for other things here. */
static NOINLINE unsigned plain(const struct dive *with, unsigned depth)
{
    unsigned sum = depth;
    if (depth == 0)
        with->bottom(with);
    else
        sum += plain(with, depth - 1);
    __asm__ volatile("" : "+r"(sum) : : "memory");
    return sum;
}

static void *compare_plain(void *argument)
{
    void *pc[STACK_DEPTH_USUAL];
    struct dive with = { compare_with_libc, 20, 0, STACK_DEPTH_USUAL, pc };
    for (int i = 0; i < 300; i++) {
        (void)plain(&with, with.depth);
        dive(&with, with.depth);
    }
    return argument;
}

static void compare_in_child(void *argument)
{
    (void)compare_plain(argument);
    in_thread(compare_plain, argument);
}

static void says_what_libc_says(void **state)
{
    (void)state;
    need_unwinder();
    unit_expect_success((struct unit_work){ compare_in_child, NULL });
}

/* Ways to call a function: with a frame pointer, with a number instead of one,
 * or with that of the frame before. All have tables. */
enum link_kind { LINK_RIGHT, LINK_BROKEN, LINK_SKIPS };
typedef void calls_bottom(void (*bottom)(const struct dive *dive),
    const struct dive *with);

#if defined(__x86_64__)
#define CALLS(name, line)                                     \
    __asm__(".text\n" #name ":\n.cfi_startproc\n"             \
        "push %rbp\n.cfi_def_cfa_offset 16\n"                 \
        ".cfi_offset %rbp, -16\n" line "\n"                   \
        "mov %rdi, %rax\nmov %rsi, %rdi\ncall *%rax\n"        \
        "pop %rbp\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc"); \
    extern HIDDEN calls_bottom name
CALLS(call_right, "mov %rsp, %rbp");
CALLS(call_broken, "mov $8, %ebp");
CALLS(call_skipping, "nop");
static calls_bottom *const link_calls[] =
    { call_right, call_broken, call_skipping };
#else
static calls_bottom *const link_calls[3];
#endif

static enum link_kind link_kind;

static NOINLINE void take_by_link(const struct dive *with)
{
    FRAMED();
    link_calls[link_kind](take_here, with);
    FRAMED_END();
}

enum { TRUST_DEPTH = 20, TRUST_FIRST = 64, TRUST_RECHECK = 64 };

/* So many stacks by such links, from one place; how many of them were as the
 * link says, where it is wrong. The first ever is right, whatever the link. */
static NOINLINE unsigned take_stacks(unsigned count, enum link_kind kind)
{
    FRAMED();
    static unsigned right;
    void *pc[STACK_DEPTH_USUAL];
    struct dive with =
        { take_by_link, TRUST_DEPTH, 0, STACK_DEPTH_USUAL, pc };
    unsigned wrong = 0;
    link_kind = kind;
    for (unsigned i = 0; i < count; i++) {
        dive(&with, with.depth);
        if (right == 0)
            right = with.count;
        EXPECT(with.count == right || with.count == right - 1);
        wrong += with.count != right;
    }
    FRAMED_END();
    return wrong;
}

/* What is cut teaches nothing about where stacks end. */
static NOINLINE void take_cut_stacks(const struct dive *with)
{
    FRAMED();
    for (int i = 0; i < 10; i++) {
        EXPECT_EQUAL(stack_take(framed, with->pc, 2), 2);
        EXPECT(stack_take(framed, with->pc, with->pc_max) > TRUST_DEPTH);
    }
    FRAMED_END();
}

static NOINLINE void break_and_take(const struct dive *with)
{
    FRAMED();
    link_calls[LINK_BROKEN](take_cut_stacks, with);
    FRAMED_END();
}

static void *trust_and_distrust(void *argument)
{
    FRAMED();
    /* Not trusted from the start. Where the stack ends is learned by the first
     * that is right, so that the second counts. */
    EXPECT_EQUAL(take_stacks(10, LINK_BROKEN), 0);
    EXPECT_EQUAL(take_stacks(10, LINK_SKIPS), 0);
    EXPECT_EQUAL(take_stacks(TRUST_FIRST, LINK_RIGHT), 0);
    EXPECT_EQUAL(take_stacks(1, LINK_SKIPS), 0);
    EXPECT_EQUAL(take_stacks(TRUST_FIRST + 1, LINK_RIGHT), 0);
    /* Trusted where it ends as stacks do, and only there. */
    EXPECT_EQUAL(take_stacks(2 * TRUST_RECHECK, LINK_BROKEN), 0);
    /* Until the next look; and then not any more. */
    unsigned wrong = 0;
    while (take_stacks(1, LINK_SKIPS) == 1)
        wrong++;
    EXPECT(wrong > 0 && wrong < TRUST_RECHECK);
    EXPECT_EQUAL(take_stacks(2 * TRUST_RECHECK, LINK_SKIPS), 0);
    /* It takes twice as many the second time. */
    EXPECT_EQUAL(take_stacks(2 * TRUST_FIRST - 20, LINK_RIGHT), 0);
    EXPECT_EQUAL(take_stacks(1, LINK_SKIPS), 0);
    EXPECT_EQUAL(take_stacks(2 * TRUST_FIRST + 10, LINK_RIGHT), 0);
    EXPECT_EQUAL(take_stacks(1, LINK_SKIPS), 1);
    void *pc[STACK_DEPTH_USUAL];
    const struct dive cut =
        { break_and_take, TRUST_DEPTH, 0, STACK_DEPTH_USUAL, pc };
    dive(&cut, cut.depth);
    FRAMED_END();
    return argument;
}

static void trust_in_child(void *argument)
{
    in_thread(trust_and_distrust, argument);
}

static void trusts_frame_pointers_after_a_while(void **state)
{
    (void)state;
    need_unwinder();
    need_calls();
    if (SUBJECT_TSAN)           /* its threads begin without frame pointers */
        skip();
    unit_expect_success((struct unit_work){ trust_in_child, NULL });
}

/* As deep, and as often, but one address is another. */
static NOINLINE void take_a_wrong_address(const struct dive *with)
{
    FRAMED();
    void *pc[STACK_DEPTH_USUAL];
    struct link links[STACK_DEPTH_USUAL];
    const unsigned count = stack_take(framed, with->pc, with->pc_max);
    for (unsigned i = 0; i < count; i++)
        links[i] = (struct link){ &links[i + 1], with->pc[i] };
    links[count - 1].above = NULL;
    links[count / 2].pc = code_of(0);
    for (int i = 0; i < 3 * TRUST_FIRST; i++) {
        EXPECT_EQUAL(stack_take(links, pc, STACK_DEPTH_USUAL), count);
        EXPECT(memcmp(pc, with->pc, count * sizeof *pc) == 0);
    }
    FRAMED_END();
}

static void mislead_in_child(void *argument)
{
    void *pc[STACK_DEPTH_USUAL];
    const struct dive with =
        { take_a_wrong_address, TRUST_DEPTH, 0, STACK_DEPTH_USUAL, pc };
    (void)argument;
    dive(&with, with.depth);
}

static void wrong_addresses_are_never_trusted(void **state)
{
    (void)state;
    need_unwinder();
    unit_expect_success((struct unit_work){ mislead_in_child, NULL });
}

/* Trusted or not, the same stack is the same addresses. */
static void *compare_all_the_way(void *argument)
{
    FRAMED();
    void *pc[STACK_DEPTH_USUAL];
    struct dive with =
        { compare_with_libc, TRUST_DEPTH, 0, STACK_DEPTH_USUAL, pc };
    EXPECT_EQUAL(take_stacks(1, LINK_BROKEN), 0);
    for (int i = 0; i < 10 * TRUST_FIRST; i++)
        dive(&with, with.depth);
    EXPECT_EQUAL(take_stacks(10, LINK_RIGHT), 0);
    EXPECT_EQUAL(take_stacks(1, LINK_SKIPS), 1);
    FRAMED_END();
    return argument;
}

static void compare_trusted_in_child(void *argument)
{
    in_thread(compare_all_the_way, argument);
}

static void trusted_stacks_are_whole(void **state)
{
    (void)state;
    need_unwinder();
    need_calls();
    if (SUBJECT_TSAN)
        skip();
    unit_expect_success((struct unit_work){ compare_trusted_in_child, NULL });
}

/* Code that was compiled just now has frame pointers, maybe, and no tables. */
static void *code_without_tables(void)
{
    /* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi;
     * call *%rax; pop %rbp; ret */
    static const unsigned char code[] = {
        0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7,
        0x48, 0x89, 0xd6, 0xff, 0xd0, 0x5d, 0xc3
    };
    char *page = test_map(page_bytes());
    memcpy(page, code, sizeof code);
    EXPECT(mprotect(page, page_bytes(), PROT_READ | PROT_EXEC) == 0);
    return page;
}

typedef void calls_dive(void (*dive)(const struct dive *, unsigned),
    const struct dive *with, size_t depth);
typedef void calls_take(void (*take)(const struct dive *),
    const struct dive *with);

static NOINLINE void call_without_tables(const struct dive *with)
{
    FRAMED();
    void *page = code_without_tables();
    calls_dive *call_dive;
    calls_take *call_take;
    memcpy(&call_dive, &page, sizeof page);
    memcpy(&call_take, &page, sizeof page);
    struct dive below = { take_here, 10, 0, with->pc_max, with->pc };
    call_dive(dive, &below, below.depth);
    EXPECT(below.count > below.depth + 2 + with->depth);
    /* From there at once, nothing says that the frame pointer is one. */
    call_take(take_here, &below);
    EXPECT_EQUAL(below.count, 1);
    FRAMED_END();
}

static void *dive_without_tables(void *argument)
{
    void *pc[STACK_DEPTH_USUAL];
    const struct dive with =
        { call_without_tables, 20, 0, STACK_DEPTH_USUAL, pc };
    dive(&with, with.depth);
    return argument;
}

static void code_without_tables_is_walked(void **state)
{
    (void)state;
    need_unwinder();
    need_calls();
    in_thread(dive_without_tables, NULL);
}

/* Somebody loads a library, and waits for this thread meanwhile. */
static int take_while_locked(struct dl_phdr_info *info, size_t bytes,
    void *argument)
{
    (void)info;
    (void)bytes;
    in_thread(compare_plain, argument);
    return 1;
}

static void hold_loader_lock(void *argument)
{
    (void)dl_iterate_phdr(take_while_locked, argument);
}

static void never_waits_for_the_loader(void **state)
{
    (void)state;
    need_unwinder();
    if (SUBJECT_SANITIZED)      /* they do, when a thread begins */
        skip();
    unit_expect_success((struct unit_work){ hold_loader_lock, NULL });
}

static void needs_little_stack(void **state)
{
    (void)state;
    need_unwinder();
    expect_little_stack(6 * KiB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_libc_says),
        cmocka_unit_test(trusts_frame_pointers_after_a_while),
        cmocka_unit_test(wrong_addresses_are_never_trusted),
        cmocka_unit_test(trusted_stacks_are_whole),
        cmocka_unit_test(code_without_tables_is_walked),
        cmocka_unit_test(never_waits_for_the_loader),
        cmocka_unit_test(is_cut_where_it_is_deep),
        cmocka_unit_test(needs_little_stack),
        cmocka_unit_test(works_in_a_child),
        cmocka_unit_test(signals_may_interrupt_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
