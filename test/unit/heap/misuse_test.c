/* SPDX-License-Identifier: MIT */
/*
 * Every row of table/misuse.def, each by a small program that makes the
 * mistake: the exact line on stderr, and the end by SIGABRT; or, by option,
 * the line alone, or nothing, and a heap that is still sound.
 */
#include "bench.h"

#include "heap/remote.h"

/* -- programs: each leaves the pointer it misused in child_note[0] -- */

static void *misused(const void *pointer)
{
    child_note[0] = (uintptr_t)pointer;
    return (void *)(uintptr_t)pointer;
}

/* The thread has a heap, as any that got this far. */
static void live(void)
{
    CHILD_EXPECT(API(malloc)(1) != NULL);
}

static void free_of_the_stack(void)
{
    live();
    char local[64];
    API(free)(misused(&local[16]));
}

static void free_of_static_data(void)
{
    static char data[64];
    live();
    API(free)(misused(data));
}

static void free_before_the_first_request(void)
{
    static char data[64];
    API(free)(misused(data));
}

static void free_of_a_small_number(void)
{
    live();
    API(free)(misused((void *)(uintptr_t)16));
}

static void free_of_unmapped_memory(void)
{
    live();
    char *pages = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHILD_EXPECT(munmap(pages, 4 * MiB) == 0);
    API(free)(misused(pages + MiB));
}

static void free_of_a_neighbours_block(void)
{
    live();
    API(free)(misused(malloc(100)));
}

static void free_of_a_block_with_a_high_bit(void)
{
    char *block = API(malloc)(100);
    free_elsewhere(misused((void *)((uintptr_t)block | (uintptr_t)1 << 48)));
}

static void free_of_a_run_with_a_high_bit(void)
{
    char *run = API(malloc)(100 * KiB);
    API(free)(misused((void *)((uintptr_t)run | (uintptr_t)1 << 55)));
}

static void free_of_an_address_of_the_kernel(void)
{
    live();
    API(free)(misused((void *)(UINTPTR_MAX - 4095)));
}

static void free_far_inside_a_run(void)
{
    char *run = API(malloc)(200 * KiB);
    API(free)(misused(run + 100 * KiB));
}

static void free_far_inside_a_mapping(void)
{
    char *mapping = API(malloc)(48 * MiB);
    API(free)(misused(mapping + 3 * MiB));
}

static void free_of_a_freed_mapping(void)
{
    char *mapping = API(malloc)(48 * MiB);
    API(free)(mapping);
    API(free)(misused(mapping));
}

static void realloc_of_the_stack(void)
{
    live();
    char local[64];
    CHILD_EXPECT(API(realloc)(misused(&local[16]), 10) == NULL);
}

static void realloc_inside_a_block(void)
{
    char *block = API(malloc)(100);
    CHILD_EXPECT(API(realloc)(misused(block + 16), 10) == NULL);
}

static void usable_size_of_static_data(void)
{
    static char data[64];
    live();
    CHILD_EXPECT(API(malloc_usable_size)(misused(data)) == 0);
}

static void free_inside_a_remote_block(void)
{
    char *block = API(malloc)(100);
    free_elsewhere(misused(block + 16));
}

static void free_behind_the_last_remote_block(void)
{
    /* 341 blocks of 192 bytes leave 64 bytes of the slice. */
    char *block = API(malloc)(192);
    char *slab = (char *)round_down((uintptr_t)block, SLICE_BYTES);
    free_elsewhere(misused(slab + 341 * 192));
}

static void free_inside_a_run(void)
{
    char *run = API(malloc)(100 * KiB);
    API(free)(misused(run + 16));
}

static void free_inside_a_mapping(void)
{
    char *mapping = API(malloc)(48 * MiB);
    API(free)(misused(mapping + 4096));
}

static void free_of_a_freed_run(void)
{
    char *run = API(malloc)(100 * KiB);
    API(free)(run);
    API(free)(misused(run));
}

static void free_of_a_freed_long_run(void)
{
    char *run = API(malloc)(2 * MiB);
    API(free)(run);
    API(free)(misused(run));
}

static void free_of_a_freed_run_elsewhere(void)
{
    char *run = API(malloc)(100 * KiB);
    API(free)(run);
    free_elsewhere(misused(run));
}

static void drain_of_an_overwritten_list(void)
{
    char *block = API(malloc)(100);
    char *second = API(malloc)(100);
    /* One stays, so that the slab does. */
    CHILD_EXPECT(API(malloc)(100) != NULL);
    free_elsewhere(block);
    free_elsewhere(second);
    /* Written after it was freed. */
    const uintptr_t nonsense = 0x414141414141;
    memcpy(misused(second), &nonsense, sizeof nonsense);
    thread_flush();
    for (int i = 0; i < 100; i++)
        CHILD_EXPECT(API(malloc)(100) != NULL);
}

static void free_of_a_free_block(void)
{
    char *block = API(malloc)(100);
    API(free)(block);
    API(free)(misused(block));
}

static void free_of_a_remote_free_block(void)
{
    char *block = API(malloc)(100);
    free_elsewhere(block);
    free_elsewhere(misused(block));
}

static void free_off_the_start_of_a_block(void)
{
    char *block = API(malloc)(100);
    API(free)(misused(block + 3));
}

static void free_of_a_block_never_handed_out(void)
{
    char *block = API(malloc)(100);
    char *slab = (char *)round_down((uintptr_t)block, SLICE_BYTES);
    API(free)(misused(slab + 500 * 112));
}

static void free_with_another_size(void)
{
    live();
    thread_set_default(THREAD_HARDENED, true);
    /* The block is freed all the same. */
    API(free_sized)(misused(API(malloc)(100)), 1000);
    thread_set_default(THREAD_HARDENED, false);
}

#define MINE " bytes in a slab of this thread"
#define THEIRS " bytes in a slab of another thread"
#define RUN " bytes in a run of slices"
#define MAPPING " bytes in a mapping"
#define PROGRAM(id, call, bytes, where, program) \
    { MISUSE_##id, #id, call, bytes, where, program, #program }
static const struct program {
    enum misuse what;
    const char *id;
    const char *call;
    size_t block_bytes;         /* 0: nothing is known */
    const char *where;
    void (*run)(void);
    const char *name;
} programs[] = {
    PROGRAM(foreign, "free", 0, "", free_of_the_stack),
    PROGRAM(foreign, "free", 0, "", free_of_static_data),
    PROGRAM(foreign, "free", 0, "", free_before_the_first_request),
    PROGRAM(foreign, "free", 0, "", free_of_a_small_number),
    PROGRAM(foreign, "free", 0, "", free_of_unmapped_memory),
    PROGRAM(foreign, "free", 0, "", free_of_a_neighbours_block),
    PROGRAM(foreign, "free", 0, "", free_of_a_block_with_a_high_bit),
    PROGRAM(foreign, "free", 0, "", free_of_a_run_with_a_high_bit),
    PROGRAM(foreign, "free", 0, "", free_of_an_address_of_the_kernel),
    PROGRAM(foreign, "realloc", 0, "", realloc_of_the_stack),
    PROGRAM(foreign, "malloc_usable_size", 0, "",
        usable_size_of_static_data),
    PROGRAM(nothing, "free", 0, "", free_of_a_freed_mapping),
    PROGRAM(nothing, "free", 112, MINE, free_of_a_block_never_handed_out),
    PROGRAM(misaligned, "free", 112, MINE, free_off_the_start_of_a_block),
    PROGRAM(interior, "realloc", 112, MINE, realloc_inside_a_block),
    PROGRAM(interior, "free", 112, THEIRS, free_inside_a_remote_block),
    PROGRAM(interior, "free", 192, THEIRS,
        free_behind_the_last_remote_block),
    PROGRAM(interior, "free", 100 * KiB, RUN, free_inside_a_run),
    PROGRAM(interior, "free", 200 * KiB, RUN, free_far_inside_a_run),
    PROGRAM(interior, "free", 48 * MiB, MAPPING, free_inside_a_mapping),
    PROGRAM(interior, "free", 48 * MiB, MAPPING, free_far_inside_a_mapping),
    PROGRAM(double_free, "free", 112, MINE, free_of_a_free_block),
    PROGRAM(double_free, "free", 112, THEIRS, free_of_a_remote_free_block),
    PROGRAM(double_free, "free", 100 * KiB, RUN, free_of_a_freed_run),
    PROGRAM(double_free, "free", 2 * MiB, RUN, free_of_a_freed_long_run),
    PROGRAM(double_free, "free", 100 * KiB, RUN,
        free_of_a_freed_run_elsewhere),
    PROGRAM(corrupted, "malloc", 112, MINE, drain_of_an_overwritten_list),
    PROGRAM(size, "free", 112, MINE, free_with_another_size),
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static const char *const message[] = {
#define MISUSE(id, text) text,
#include "table/misuse.def"
};
enum { ROWS = sizeof message / sizeof message[0] };

/* -- running them -- */

struct attempt {
    const struct program *program;
    int64_t policy;
};

static int run_program(void *argument)
{
    const struct attempt *attempt = argument;
    sys_set_misuse_policy(attempt->policy);
    const int error = errno = ERANGE;
    attempt->program->run();
    /* Still here: the policy is not to end. realloc may have set errno. */
    if (strcmp(attempt->program->call, "free") == 0)
        CHILD_EXPECT(errno == error);
    for (size_t size = 1; size < 8 * MiB; size *= 3) {
        char *block = API(calloc)(1, size);
        CHILD_EXPECT(block != NULL);
        memset(block, 1, size);
        API(free)(block);
    }
    API(audit_all)();
    return 0;
}

static void expected_line(char *line, size_t bytes,
    const struct program *program)
{
    char block[100] = "";
    if (program->block_bytes != 0)
        (void)snprintf(block, sizeof block, " (%s of %zu%s)",
            program->block_bytes > CLASS_BYTES_MAX ? "large object" : "block",
            program->block_bytes, program->where);
    (void)snprintf(line, bytes, "<ashlar>: %s(0x%llx): %s%s\n",
        program->call, (unsigned long long)child_note[0],
        message[program->what], block);
}

static void expect_end(const struct program *program, int64_t policy,
    int signal)
{
    struct attempt attempt = { program, policy };
    const struct child child = child_run(run_program, &attempt);
    char line[256] = "";
    if (policy != MISUSE_IGNORE)
        expected_line(line, sizeof line, program);
    if (strcmp(child.text, line) != 0 || child.signal != signal
        || child.status != 0)
        fail_msg("%s: signal %d, status %d\n  wrote   %s\n  wanted  %s",
            program->name, child.signal, child.status, child.text, line);
}

static void every_mistake_is_named_and_ends_the_process(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROGRAMS; i++)
        expect_end(&programs[i], MISUSE_ABORT, SIGABRT);
}

static void after_a_warning_the_process_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROGRAMS; i++)
        expect_end(&programs[i], MISUSE_WARN, 0);
}

static void ignored_nothing_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROGRAMS; i++)
        expect_end(&programs[i], MISUSE_IGNORE, 0);
}

static void every_row_of_the_table_has_a_program(void **state)
{
    (void)state;
    for (size_t row = 0; row < ROWS; row++) {
        bool found = false;
        for (size_t i = 0; i < PROGRAMS; i++)
            found |= programs[i].what == (enum misuse)row;
        if (!found)
            fail_msg("no program for: %s", message[row]);
    }
}

/* What is no mistake says nothing. */
static int no_mistake(void *argument)
{
    (void)argument;
    API(free)(NULL);
    CHILD_EXPECT(API(malloc_usable_size)(NULL) == 0);
    free_elsewhere(API(malloc)(100));
    free_elsewhere(API(malloc)(100 * KiB));
    free_elsewhere(API(malloc)(48 * MiB));
    API(free)(API(realloc)(NULL, 10));
    thread_flush();
    API(audit_all)();
    return 0;
}

static void what_is_right_says_nothing(void **state)
{
    (void)state;
    const struct child child = child_run(no_mistake, NULL);
    assert_string_equal(child.text, "");
    assert_int_equal(child.signal, 0);
    assert_int_equal(child.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_has_a_program),
        cmocka_unit_test(every_mistake_is_named_and_ends_the_process),
        cmocka_unit_test(after_a_warning_the_process_goes_on),
        cmocka_unit_test(ignored_nothing_is_said),
        cmocka_unit_test(what_is_right_says_nothing),
    };
    return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
