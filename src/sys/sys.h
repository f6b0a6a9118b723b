/* SPDX-License-Identifier: MIT */
/*
 * sys - the operating system, as this library sees it.
 *
 * Owns     every system call and every fact about the machine; it is the
 *          face of fork.h and life.h too.
 * Used by  all layers above; tests make calls fail through struct sys_fault.
 * Never    allocates, sets errno, or calls a libc function that another
 *          library might interpose to allocate.
 *
 * For all memory calls: addresses are multiples of the page size, sizes are
 * positive multiples of it; true or an address means success, false or NULL
 * that nothing changed.
 *
 * Tests    test/fault/fault_test.c  test/unit/sys/lock_test.c
 *          test/unit/sys/fork_test.c
 */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include "sys/barrier.h"
#include "sys/file.h"
#include "sys/fork.h"
#include "sys/helper.h"
#include "sys/life.h"
#include "sys/peek.h"
#include "sys/secret.h"
#include "sys/unwind.h"
#include "util/text.h"

/* -- memory -- */

/* Address space that cannot be touched; aligned to align (power of two). */
MUST_USE void *sys_reserve(size_t bytes, size_t align);

/* Readable, writable, zero; aligned to the page size. */
MUST_USE void *sys_map(size_t bytes);

/* As sys_map; in a child of fork it reads as zero again. */
MUST_USE void *sys_map_wiped(size_t bytes);

/* Make a reserved range usable; it reads as zero until written. */
MUST_USE bool sys_commit(void *address, size_t bytes);

/* Give a range back; fails when the kernel would have to split a mapping
 * and may not. */
MUST_USE bool sys_release(void *address, size_t bytes);

/* Drop the contents: the range reads as zero again and costs no memory. */
MUST_USE bool sys_purge(void *address, size_t bytes);

/* Let a range read as zero: what is resident of it is cleared, where that is
 * most of it, and the rest purged; so what was never touched stays so. */
void sys_clear(void *address, size_t bytes);

/* Change the length of one whole mapping where it lies. */
MUST_USE bool sys_resize(void *address, size_t old_bytes, size_t new_bytes);

/* Move the pages of one whole mapping onto target, a mapping of new_bytes of
 * ours, which they replace. On failure both are as they were. */
MUST_USE bool sys_move(void *address, size_t old_bytes, void *target,
    size_t new_bytes);

/* Move the pages of a range to addresses of their own, where they are one
 * mapping; the range itself stays, and reads as zero. NULL: refused. */
MUST_USE void *sys_lift(void *address, size_t bytes);

/* -- facts, each found when first asked for -- */

size_t sys_page_bytes(void);

/* The address space that the process may use in all; SIZE_MAX: any. */
size_t sys_address_limit(void);

/* Only one thread exists: atomics and locks are not needed. */
bool sys_single_threaded(void);

/* Milliseconds of a monotonic clock with a resolution of some. */
uint64_t sys_now_ms(void);

/* Nanoseconds of a monotonic clock, for short times. */
uint64_t sys_now_ns(void);

/* Nanoseconds since 1970. */
uint64_t sys_wall_ns(void);

/* Processors that this process may run on, 1 or more; asked for anew. */
unsigned sys_processors(void);

/* The number of the processor that the calling thread runs on. */
unsigned sys_processor(void);

/* Where a symbolic link points, at most bytes - 1 of it; false: nowhere. */
MUST_USE bool sys_read_link(const char *path, char *target, size_t bytes);

/* The text of a file, as far as it fits, with a 0 at its end. false: it cannot
 * be read. */
MUST_USE bool sys_read_file(const char *path, char *text, size_t bytes);

/* A variable of the environment; NULL also in set-user-id programs. */
const char *sys_environment(const char *name);

/* An address above every frame on the stack that the process began with; NULL:
 * none is known. */
const void *sys_first_stack_top(void);

/* -- threads and processes -- */

/* Call back when the calling thread ends; false: no such call will come. */
MUST_USE bool sys_on_thread_exit(void (*call)(void *), void *argument);

/* Is the caller the thread that the process began with? In a child that is
 * the one that forked. Asked for anew each time. */
bool sys_is_first_thread(void);

/* What the system calls the calling thread: at most 15 characters, and a 0.
 * false: it does not say. */
MUST_USE bool sys_thread_name(char name[16]);

/* Does the kernel mark the robust mutexes of the calling thread when it ends?
 * Not in the child of a bare clone, of which libc does not know. */
bool sys_thread_is_watched(void);

/* Call back in every child of fork(), before it runs. */
void sys_on_fork_child(void (*call)(void));

/* Sleep while *word == value, at most until woken; may return early. */
void sys_wait(_Atomic uint32_t *word, uint32_t value);
void sys_wake_one(_Atomic uint32_t *word);

/* As sys_wait, at most so long; UINT64_MAX: for ever. */
void sys_wait_ms(_Atomic uint32_t *word, uint32_t value, uint64_t ms);

/* -- output and the end -- */

void sys_write_error(const char *bytes, size_t length);

/* Go on writing to what is stderr now, also after the program closed it, as
 * many do at their end. */
void sys_keep_error_output(void);

enum misuse {
#define MISUSE(id, message) MISUSE_##id,
#include "table/misuse.def"
};

/* What the program did, in one line to stderr and to the listener; then, as
 * option on_misuse says (set by sys_set_misuse_policy), abort or return. */
struct misuse_report {
    enum misuse what;
    const char *call;
    const void *pointer;
    const char *kind;           /* "block"; NULL: nothing is known */
    size_t bytes;               /* of the block */
    const char *where;          /* "in a slab of this thread" */
};
COLD void misuse(struct misuse_report report);
void sys_set_misuse_policy(int64_t policy);

/* Who hears of reports beside stderr; NULL: nobody. */
void sys_set_listener(void (*listener)(const char *line));

/* Called with the report of a misuse instead of ending the process; NULL:
 * nothing is. */
void sys_set_stop(void (*stop)(const char *line));

/* Something that cannot be: say so and end the process. */
COLD NORETURN void panic(const char *what);

/* End the process, as abort does: why was said before. */
COLD NORETURN void sys_stop(void);

/* End the process with an exit status, also if it is ending already: what is
 * buffered in the program is written, and handlers that are left are run. */
COLD NORETURN void sys_exit(int status);

/* Hand a line to who hears of misuse instead of abort; false: nobody does. */
MUST_USE bool sys_tell_stop(const char *line);

/* ASSERT costs nothing in release builds; CHECK is always there. */
#define SYS_QUOTE_(x) #x
#define SYS_QUOTE(x) SYS_QUOTE_(x)
#define CHECK(condition)                                              \
    (LIKELY(condition) ? (void)0                                      \
        : panic(__FILE__ ":" SYS_QUOTE(__LINE__) ": " #condition))
#define ASSERT(condition) \
    (ASHLAR_DEBUG ? CHECK(condition) : (void)sizeof(!(condition)))

/* -- the seam for tests -- */

enum sys_call {
    SYS_RESERVE, SYS_MAP, SYS_COMMIT, SYS_RELEASE, SYS_PURGE, SYS_RESIZE,
    SYS_MOVE, SYS_LIFT, SYS_THREAD_EXIT, SYS_WIPED, SYS_BARRIER,
    SYS_THREAD_START,
    SYS_CALL_KINDS
};

/*
 * The calls numbered from..to (from 1, counted over all kinds in the set
 * `kinds`) fail. All zero, as at start, nothing fails.
 */
struct sys_fault {
    _Atomic uint64_t calls;
    uint64_t from;
    uint64_t to;
    uint32_t kinds;             /* bit k: calls of kind k count */
};
extern struct sys_fault sys_fault;

/* For sys/: is this call to fail? */
MUST_USE bool sys_fails(enum sys_call kind);

/* Pretend that pages are larger than they are; before the first call. */
void sys_pretend_page_bytes(size_t bytes);

#endif
