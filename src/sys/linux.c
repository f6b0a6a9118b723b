/* SPDX-License-Identifier: MIT */
/*
 * linux - the contract of sys.h on Linux.
 *
 * Memory calls go to the kernel without libc in between: they must neither
 * touch errno (free keeps it) nor run another library's idea of mmap, which
 * may allocate. Sanitized builds go through libc, whose interceptors have to
 * see them.
 */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/units.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SYS_THROUGH_LIBC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SYS_THROUGH_LIBC 1
#endif
#endif
#ifndef SYS_THROUGH_LIBC
#define SYS_THROUGH_LIBC 0
#endif

struct sys_fault sys_fault;

/* What is known of the machine; 0: not asked for yet. */
static struct {
    _Atomic size_t page_bytes;
    size_t pretended_bytes;
    _Atomic size_t address_limit;
    _Atomic uint32_t exit_key_state;
    pthread_key_t exit_key;
    int error_fd;
} sys_state = { .error_fd = STDERR_FILENO };

/* -- system calls -- */

/* The result of a system call, or minus the error. */
static long linux_call(long number, const long argument[6])
{
#if defined(__x86_64__) && !SYS_THROUGH_LIBC
    long result;
    register long r10 __asm__("r10") = argument[3];
    register long r8 __asm__("r8") = argument[4];
    register long r9 __asm__("r9") = argument[5];
    __asm__ volatile("syscall"
        : "=a"(result)
        : "a"(number), "D"(argument[0]), "S"(argument[1]), "d"(argument[2]),
          "r"(r10), "r"(r8), "r"(r9)
        : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__) && !SYS_THROUGH_LIBC
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = argument[0];
    register long x1 __asm__("x1") = argument[1];
    register long x2 __asm__("x2") = argument[2];
    register long x3 __asm__("x3") = argument[3];
    register long x4 __asm__("x4") = argument[4];
    register long x5 __asm__("x5") = argument[5];
    __asm__ volatile("svc 0"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
        : "memory");
    return x0;
#else
    const int saved = errno;
    long result = syscall(number, argument[0], argument[1], argument[2],
        argument[3], argument[4], argument[5]);
    if (result == -1)
        result = -errno;
    errno = saved;
    return result;
#endif
}

static bool linux_is_error(long result)
{
    return (unsigned long)result > (unsigned long)-4096L;
}

/* Is this the call that a test wants to fail? */
bool sys_fails(enum sys_call kind)
{
    if (LIKELY(sys_fault.kinds == 0))
        return false;
    if (!((sys_fault.kinds >> kind) & 1))
        return false;
    const uint64_t number = add_relaxed(&sys_fault.calls, 1) + 1;
    return number >= sys_fault.from && number <= sys_fault.to;
}

static void *linux_mmap(size_t bytes, int protection)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if SYS_THROUGH_LIBC
    const int saved = errno;
    void *result = mmap(NULL, bytes, protection, flags, -1, 0);
    errno = saved;
    return result == MAP_FAILED ? NULL : result;
#else
    const long result = linux_call(SYS_mmap,
        (long[6]){ 0, (long)bytes, protection, flags, -1, 0 });
    return linux_is_error(result) ? NULL : (void *)result;
#endif
}

static bool linux_munmap(void *address, size_t bytes)
{
#if SYS_THROUGH_LIBC
    const int saved = errno;
    const int result = munmap(address, bytes);
    errno = saved;
    return result == 0;
#else
    return linux_call(SYS_munmap, (long[6]){ (long)address, (long)bytes })
        == 0;
#endif
}

/*
 * Map so that the start is a multiple of align: as it comes if that happens
 * to be aligned (recent kernels align large mappings), else with room to
 * spare and the ends cut off. Ends that the kernel refuses to cut stay
 * mapped: address space lost, but never touched.
 */
static void *linux_map_aligned(size_t bytes, size_t align, int protection)
{
    char *base = linux_mmap(bytes, protection);
    if (base == NULL || ((uintptr_t)base & (align - 1)) == 0)
        return base;
    if (!linux_munmap(base, bytes))
        return NULL;

    const size_t spare = align - (size_t)4 * KiB;
    if (bytes + spare < bytes)
        return NULL;
    base = linux_mmap(bytes + spare, protection);
    if (base == NULL)
        return NULL;
    char *start = (char *)round_up((uintptr_t)base, align);
    const size_t before = (size_t)(start - base);
    if (before > 0)
        (void)!linux_munmap(base, before);
    if (before < spare)
        (void)!linux_munmap(start + bytes, spare - before);
    return start;
}

/* -- memory -- */

void *sys_reserve(size_t bytes, size_t align)
{
    if (sys_fails(SYS_RESERVE))
        return NULL;
    return linux_map_aligned(bytes, max_size(align, sys_page_bytes()),
        PROT_NONE);
}

void *sys_map(size_t bytes)
{
    if (sys_fails(SYS_MAP))
        return NULL;
    return linux_map_aligned(bytes, sys_page_bytes(),
        PROT_READ | PROT_WRITE);
}

void *sys_map_wiped(size_t bytes)
{
    if (sys_fails(SYS_WIPED))
        return NULL;
    void *start = linux_mmap(bytes, PROT_READ | PROT_WRITE);
    if (start == NULL)
        return NULL;
    if (linux_call(SYS_madvise, (long[6]){ (long)start, (long)bytes,
            MADV_WIPEONFORK }) == 0)
        return start;
    (void)linux_munmap(start, bytes);
    return NULL;
}

bool sys_commit(void *address, size_t bytes)
{
    if (sys_fails(SYS_COMMIT))
        return false;
    return linux_call(SYS_mprotect, (long[6]){ (long)address, (long)bytes,
        PROT_READ | PROT_WRITE }) == 0;
}

bool sys_release(void *address, size_t bytes)
{
    if (sys_fails(SYS_RELEASE))
        return false;
    return linux_munmap(address, bytes);
}

bool sys_purge(void *address, size_t bytes)
{
    if (sys_fails(SYS_PURGE))
        return false;
    return linux_call(SYS_madvise, (long[6]){ (long)address, (long)bytes,
        MADV_DONTNEED }) == 0;
}

/* What sys_clear() decides about at once, and its pages at most. */
#define LINUX_CLEAR_BYTES (2 * MiB)
enum { LINUX_CLEAR_PAGES = 512 };
_Static_assert(LINUX_CLEAR_BYTES / 4096 == LINUX_CLEAR_PAGES, "small pages");

/* Are most pages of a range resident? If the system does not say, yes. Pages
 * that are swapped out are not. */
static bool linux_is_warm(char *start, size_t bytes)
{
    unsigned char pages[LINUX_CLEAR_PAGES] = { 0 };
    if (linux_call(SYS_mincore, (long[6]){ (long)start, (long)bytes,
            (long)pages }) != 0)
        return true;
    size_t resident = 0;
    for (size_t i = 0; i < LINUX_CLEAR_PAGES; i++)
        resident += pages[i] & 1;
    return resident * getauxval(AT_PAGESZ) > bytes / 2;
}

static void linux_drop(char *from, const char *to)
{
    const size_t bytes = (size_t)(to - from);
    if (bytes > 0 && !sys_purge(from, bytes))
        memset(from, 0, bytes);
}

void sys_clear(void *address, size_t bytes)
{
    char *const end = (char *)address + bytes;
    char *cold = address;       /* up to `at`, to be purged in one go */
    for (char *at = address; at < end;) {
        const size_t step = min_size(LINUX_CLEAR_BYTES, (size_t)(end - at));
        if (linux_is_warm(at, step)) {
            linux_drop(cold, at);
            memset(at, 0, step);
            cold = at + step;
        }
        at += step;
    }
    linux_drop(cold, end);
}

bool sys_resize(void *address, size_t old_bytes, size_t new_bytes)
{
    if (sys_fails(SYS_RESIZE))
        return false;
    const long result = linux_call(SYS_mremap, (long[6]){ (long)address,
        (long)old_bytes, (long)new_bytes, 0 });
    return !linux_is_error(result);
}

bool sys_move(void *address, size_t old_bytes, void *target,
    size_t new_bytes)
{
    if (sys_fails(SYS_MOVE))
        return false;
    const long result = linux_call(SYS_mremap, (long[6]){ (long)address,
        (long)old_bytes, (long)new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
        (long)target });
    if (!linux_is_error(result))
        return true;
    /* The kernel may have unmapped the target before it gave up. */
    (void)linux_call(SYS_mmap, (long[6]){ (long)target, (long)new_bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0 });
    return false;
}

void *sys_lift(void *address, size_t bytes)
{
    if (sys_fails(SYS_LIFT))
        return NULL;
    const long result = linux_call(SYS_mremap, (long[6]){ (long)address,
        (long)bytes, (long)bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP });
    return linux_is_error(result) ? NULL : (void *)result;
}

/* -- facts -- */

size_t sys_page_bytes(void)
{
    size_t bytes = load_relaxed(&sys_state.page_bytes);
    if (UNLIKELY(bytes == 0)) {
        bytes = max_size(getauxval(AT_PAGESZ), sys_state.pretended_bytes);
        store_relaxed(&sys_state.page_bytes, bytes);
    }
    return bytes;
}

void sys_pretend_page_bytes(size_t bytes)
{
    sys_state.pretended_bytes = bytes;
    store_relaxed(&sys_state.page_bytes, 0);
}

size_t sys_address_limit(void)
{
    size_t limit = load_relaxed(&sys_state.address_limit);
    if (limit == 0) {
        struct rlimit answer = { RLIM_INFINITY, RLIM_INFINITY };
        (void)linux_call(SYS_prlimit64,
            (long[6]){ 0, RLIMIT_AS, 0, (long)&answer });
        limit = answer.rlim_cur == RLIM_INFINITY ? SIZE_MAX
            : max_size(answer.rlim_cur, 1);
        store_relaxed(&sys_state.address_limit, limit);
    }
    return limit;
}

/* glibc 2.32 and later keep it; elsewhere there are always threads. */
extern WEAK char __libc_single_threaded;

bool sys_single_threaded(void)
{
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0;
}

uint64_t sys_now_ms(void)
{
    struct timespec now = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t linux_clock_ns(clockid_t clock)
{
    struct timespec now = { 0, 0 };
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t sys_now_ns(void)
{
    return linux_clock_ns(CLOCK_MONOTONIC);
}

uint64_t sys_wall_ns(void)
{
    return linux_clock_ns(CLOCK_REALTIME);
}

extern char **environ;

unsigned sys_processors(void)
{
    /* As many as a kernel can be built for. */
    uint64_t mask[8192 / 64];
    unsigned count = 0;
    const long bytes = linux_call(SYS_sched_getaffinity,
        (long[6]){ 0, sizeof mask, (long)mask });
    for (long i = 0; i < bytes / (long)sizeof *mask; i++)
        count += bits_count(mask[i]);
    return count > 0 ? count : 1;
}

unsigned sys_processor(void)
{
    unsigned processor = 0;
    (void)linux_call(SYS_getcpu, (long[6]){ (long)&processor });
    return processor;
}

bool sys_read_link(const char *path, char *target, size_t bytes)
{
    const long length = linux_call(SYS_readlinkat,
        (long[6]){ AT_FDCWD, (long)path, (long)target, (long)bytes - 1 });
    if (linux_is_error(length))
        return false;
    target[length] = 0;
    return true;
}

bool sys_read_file(const char *path, char *text, size_t bytes)
{
    const long file = linux_call(SYS_openat,
        (long[6]){ AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC });
    if (linux_is_error(file))
        return false;
    const long length = linux_call(SYS_read,
        (long[6]){ file, (long)text, (long)bytes - 1 });
    (void)linux_call(SYS_close, (long[6]){ file });
    if (linux_is_error(length))
        return false;
    text[length] = 0;
    return true;
}

const char *sys_environment(const char *name)
{
    if (environ == NULL || getauxval(AT_SECURE) != 0)
        return NULL;
    const size_t length = strlen(name);
    for (char **entry = environ; *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    }
    return NULL;
}

/* The kernel puts random bytes there, for libc. */
const void *sys_first_stack_top(void)
{
    static _Atomic uintptr_t top;
    uintptr_t known = load_relaxed(&top);
    if (known == 0) {
        known = getauxval(AT_RANDOM);
        store_relaxed(&top, known);
    }
    return (const void *)known;
}

/* -- threads and processes -- */

enum { KEY_NONE, KEY_READY, KEY_REFUSED, KEY_BUSY, KEY_GENERATION };

/* Is nobody alive making the key, and is there none? */
static bool sys_lacks_exit_key(uint32_t state, uint32_t busy)
{
    return state == KEY_NONE || (state >= KEY_BUSY && state != busy);
}

/*
 * The key is made once; a thread that comes meanwhile waits for it. Whoever
 * was at it in an older generation has vanished: then it is made again.
 */
static bool sys_exit_key(void (*call)(void *))
{
    _Atomic uint32_t *word = &sys_state.exit_key_state;
    fork_check();
    const uint32_t busy = KEY_BUSY + fork_generation() * KEY_GENERATION;
    /* pairs with sys_exit_key() */
    uint32_t state = load_acquire(word);
    /* pairs with sys_exit_key() */
    if (sys_lacks_exit_key(state, busy) && cas_acquire(word, &state, busy)) {
        const bool made = pthread_key_create(&sys_state.exit_key, call) == 0;
        state = made ? KEY_READY : KEY_REFUSED;
        /* pairs with sys_exit_key() */
        store_release(word, state);
    }
    while (state == busy) {
        /* pairs with sys_exit_key() */
        state = load_acquire(word);
    }
    return state == KEY_READY;
}

/* glibc's list of calls for C++ thread_local objects needs no key. */
extern WEAK int __cxa_thread_atexit_impl(void (*call)(void *),
    void *argument, void *library);
extern void *__dso_handle;

bool sys_on_thread_exit(void (*call)(void *), void *argument)
{
    if (sys_fails(SYS_THREAD_EXIT))
        return false;
    if (sys_exit_key(call)
        && pthread_setspecific(sys_state.exit_key, argument) == 0)
        return true;
    return &__cxa_thread_atexit_impl != NULL
        && __cxa_thread_atexit_impl(call, argument, &__dso_handle) == 0;
}

bool sys_is_first_thread(void)
{
    return linux_call(SYS_gettid, (long[6]){ 0 })
        == linux_call(SYS_getpid, (long[6]){ 0 });
}

bool sys_thread_name(char name[16])
{
    return linux_call(SYS_prctl, (long[6]){ PR_GET_NAME, (long)name }) == 0;
}

bool sys_thread_is_watched(void)
{
    void *list = NULL;
    size_t length = 0;
    return linux_call(SYS_get_robust_list,
        (long[6]){ 0, (long)&list, (long)&length }) == 0 && list != NULL;
}

void sys_on_fork_child(void (*call)(void))
{
    (void)pthread_atfork(NULL, NULL, call);
}

void sys_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)linux_call(SYS_futex, (long[6]){ (long)word, FUTEX_WAIT_PRIVATE,
        value });
}

/* Far enough away to be for ever. */
#define LINUX_WAIT_SECONDS_MAX ((uint64_t)1 << 30)

void sys_wait_ms(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    const struct timespec timeout = {
        .tv_sec = (time_t)min_size(ms / 1000, LINUX_WAIT_SECONDS_MAX),
        .tv_nsec = (long)(ms % 1000) * 1000000,
    };
    (void)linux_call(SYS_futex, (long[6]){ (long)word, FUTEX_WAIT_PRIVATE,
        value, (long)&timeout });
}

void sys_wake_one(_Atomic uint32_t *word)
{
    (void)linux_call(SYS_futex, (long[6]){ (long)word, FUTEX_WAKE_PRIVATE,
        1 });
}

/* -- output -- */

/* A copy of stderr gets a number that programs do not count on. */
enum { KEPT_ERROR_FD_MIN = 500 };

void sys_keep_error_output(void)
{
    const long copy = linux_call(SYS_fcntl,
        (long[6]){ STDERR_FILENO, F_DUPFD_CLOEXEC, KEPT_ERROR_FD_MIN });
    if (!linux_is_error(copy))
        sys_state.error_fd = (int)copy;
}

void sys_write_error(const char *bytes, size_t length)
{
    while (length > 0) {
        const long result = linux_call(SYS_write,
            (long[6]){ sys_state.error_fd, (long)bytes, (long)length });
        if (result == -EINTR)
            continue;
        if (linux_is_error(result))
            return;
        bytes += result;
        length -= (size_t)result;
    }
}
