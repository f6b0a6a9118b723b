/* SPDX-License-Identifier: MIT */
/*
 * unit - what the unit tests share beside cmocka: system calls that fail on
 * command, children that have to end in a certain way, and what of a range of
 * memory is resident.
 *
 * A child never returns to cmocka: it uses EXPECT() of expect.h, which ends
 * the process, and none of cmocka's assertions.
 */
#ifndef SYS_UNIT_H
#define SYS_UNIT_H

#include "expect.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "sys/sys.h"
#include "util/units.h"

/* Seconds after which a child counts as hanging. */
enum { UNIT_CHILD_SECONDS = 10 };

#define UNIT_COUNT(array) (sizeof(array) / sizeof *(array))

/* -- system calls that fail -- */

/* Of the calls of these kinds, let those numbered from..to fail. */
static inline void unit_fail(uint32_t kinds, uint64_t from, uint64_t to)
{
    sys_fault.calls = 0;
    sys_fault.from = from;
    sys_fault.to = to;
    sys_fault.kinds = kinds;
}

/* Let every call of these kinds fail. */
static inline void unit_fail_all(uint32_t kinds)
{
    unit_fail(kinds, 1, UINT64_MAX);
}

/* Let nothing fail, but count. */
static inline void unit_count_calls(uint32_t kinds)
{
    unit_fail(kinds, UINT64_MAX, UINT64_MAX);
}

/* Nothing fails any more; how many calls were counted. */
static inline uint64_t unit_fail_none(void)
{
    const uint64_t calls = sys_fault.calls;
    sys_fault.kinds = 0;
    sys_fault.calls = 0;
    sys_fault.from = 0;
    sys_fault.to = 0;
    return calls;
}

/* A teardown: a test that failed leaves no failing calls behind. */
static inline int unit_teardown(void **state)
{
    (void)state;
    (void)unit_fail_none();
    return 0;
}

/* -- children -- */

/* What a child does. */
struct unit_work {
    void (*call)(void *);
    void *argument;
};

/* `child` is what fork or its like answered: in the child, do the work and end;
 * in the parent, wait for it. Its wait status; -1: there is none. */
static inline int unit_in_child(pid_t child, void (*work)(void))
{
    if (child == 0) {
        (void)alarm(UNIT_CHILD_SECONDS);
        work();
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

/* Do the work in a child, whose stderr comes back; its wait status. */
static inline int unit_child(struct unit_work work, char *output,
    size_t bytes)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)alarm(UNIT_CHILD_SECONDS);
        work.call(work.argument);
        _exit(0);
    }
    (void)close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < bytes
        && (got = read(ends[0], output + used, bytes - 1 - used)) > 0)
        used += (size_t)got;
    output[used] = 0;
    (void)close(ends[0]);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

/* The work ends well. */
static inline void unit_expect_success(struct unit_work work)
{
    char output[1024];
    const int status = unit_child(work, output, sizeof output);
    if (status != 0)
        print_error("child: status %x: %s\n", (unsigned)status, output);
    assert_int_equal(status, 0);
}

/* The work panics, and the message holds these words. */
static inline void unit_expect_panic(struct unit_work work,
    const char *words)
{
    char output[1024];
    const int status = unit_child(work, output, sizeof output);
    if (!WIFSIGNALED(status) || strstr(output, words) == NULL)
        print_error("expected \"%s\", came status %x: %s\n", words,
            (unsigned)status, output);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(output, "<ashlar>: "));
    assert_non_null(strstr(output, words));
}

static inline void unit_write_byte(void *address)
{
    *(volatile char *)address = 1;
}

/* The address cannot be written to. */
static inline void unit_expect_untouchable(void *address)
{
    char output[1024];
    const int status = unit_child(
        (struct unit_work){ unit_write_byte, address }, output,
        sizeof output);
    /* A sanitizer reports the signal and exits. */
    assert_true(SUBJECT_SANITIZED ? status != 0
        : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/*
 * Run the tests once for each page size, in a process each, because the size
 * is asked for once; call leaves what cmocka returned. The exit status.
 */
static inline int unit_run_page_sizes(void (*call)(void *))
{
    static const size_t sizes[] = { 4 * KiB, 16 * KiB, 64 * KiB };
    int failures = 0;
    for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
        (void)printf("pages of %zu KiB\n", sizes[i] / KiB);
        (void)fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            int result = 1;
            sys_pretend_page_bytes(sizes[i]);
            call(&result);
            (void)fflush(NULL);
            _exit(result != 0);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            failures++;
    }
    return failures;
}

/* -- memory -- */

/* How much of the range is in memory now. */
static inline size_t unit_resident_bytes(void *start, size_t bytes)
{
    enum { VECTOR_PAGES = 1024 };
    unsigned char pages[VECTOR_PAGES];
    const size_t page = page_bytes();
    size_t resident = 0;
    for (size_t at = 0; at < bytes; at += VECTOR_PAGES * page) {
        const size_t length = min_size(bytes - at, VECTOR_PAGES * page);
        if (mincore((char *)start + at, length, pages) != 0)
            return SIZE_MAX;
        for (size_t i = 0; i < length / page; i++)
            resident += (pages[i] & 1) * page;
    }
    return resident;
}

/* Is any of the range mapped? */
static inline bool unit_is_mapped(void *start, size_t bytes)
{
    return msync(start, bytes, MS_ASYNC) == 0;
}

/* The address space that this process uses. */
static inline size_t unit_address_bytes(void)
{
    return proc_number("/proc/self/status", "VmSize:") * KIB;
}

#endif
