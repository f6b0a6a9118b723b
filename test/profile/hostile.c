/* SPDX-License-Identifier: MIT */
/*
 * hostile - what programs do to a heap profiler that it has to survive.
 *
 * Usage: hostile MODE FILE
 *
 * Each mode ends with a profile in the file, and lines "NAME BYTES USABLE
 * OBJECTS" of what functions hold by then, as sites.c prints them; "all" is
 * the sum of everything since the counts were set to 0.
 *
 *   deep      10,000 frames, on the first stack and on a thread's
 *   broken    callers whose frame pointer is anything; some not even known to
 *             the unwinder
 *   struck    signals, on their own stack, that find the program anywhere
 *   fibers    stacks that are not a thread's
 *   heirs     objects outlive their threads, and are given back by others
 *   arenas    objects end with their arena
 *   moves     every way to take, resize and give back, at random
 *   late      profiling is switched on and off in a process, and in threads
 *   narrow    there is no more memory, again and again
 *   closed    there are no more descriptors
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <jemalloc/jemalloc.h>

#define NOINLINE __attribute__((noinline))

enum { MANY = 1000 };

static void must(int held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* What is held, so that the compiler must believe in it. */
static void *held[100 * MANY];
static size_t held_count;

static void keep(void *object)
{
    must(object != NULL, "memory");
    held[held_count++] = object;
}

static void say(const char *name, size_t bytes, size_t objects)
{
    printf("%s %zu %zu %zu\n", name, bytes, nallocx(bytes, 0), objects);
}

static void set_bool(const char *name, bool value)
{
    must(mallctl(name, NULL, NULL, &value, sizeof(value)) == 0, name);
}

static void dump(const char *path)
{
    must(mallctl("prof.dump", NULL, NULL, &path, sizeof(path)) == 0, path);
}

/* -- deep -- */

static volatile int depth_wanted;

NOINLINE static void bottom(void)
{
    for (int i = 0; i < MANY; i++)
        keep(malloc(896));
}

NOINLINE static void descend(int depth)
{
    if (depth < depth_wanted)
        descend(depth + 1);
    else
        bottom();
    __asm__ volatile("");       /* so that the call above is no jump */
}

static void *descend_there(void *none)
{
    descend(0);
    return none;
}

static void deep(void)
{
    pthread_t thread;
    depth_wanted = 10000;
    descend(0);
    must(pthread_create(&thread, NULL, descend_there, NULL) == 0, "thread");
    pthread_join(thread, NULL);
    say("bottom", 896, 2 * MANY);
}

/* -- broken -- */

/* Calls malloc with this frame pointer; the second is a function of which the
 * unwinder knows nothing. */
void *malloc_framed(size_t bytes, uintptr_t frame);
void *malloc_unknown(size_t bytes, uintptr_t frame);

__asm__(
    ".text\n"
    ".type malloc_framed, @function\n"
    "malloc_framed:\n"
    ".cfi_startproc\n"
    "push %rbp\n"
    ".cfi_def_cfa_offset 16\n"
    ".cfi_offset %rbp, -16\n"
    "mov %rsi, %rbp\n"
    "call malloc@PLT\n"
    "pop %rbp\n"
    ".cfi_def_cfa_offset 8\n"
    "ret\n"
    ".cfi_endproc\n"
    ".size malloc_framed, . - malloc_framed\n"
    ".type malloc_unknown, @function\n"
    "malloc_unknown:\n"
    "push %rbp\n"
    "mov %rsi, %rbp\n"
    "call malloc@PLT\n"
    "pop %rbp\n"
    "ret\n"
    ".size malloc_unknown, . - malloc_unknown\n");

/* Where a frame could be: words that point to each other, or up, or away. */
static uintptr_t links[64];

static size_t write_frames(uintptr_t *frame)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(pages != MAP_FAILED && mprotect(pages + 4096, 4096, PROT_NONE) == 0,
        "pages");
    for (size_t i = 0; i < 64; i += 2) {
        links[i] = (uintptr_t)&links[(i + 2) % 64];
        links[i + 1] = (uintptr_t)write_frames;
    }
    volatile uintptr_t here[4] = { 0, 0, 0, 0 };
    here[0] = (uintptr_t)here;
    here[1] = (uintptr_t)dump;
    here[2] = ~(uintptr_t)7;
    const uintptr_t all[] = {
        0, 1, 8, ~(uintptr_t)0, ~(uintptr_t)7, (uintptr_t)1 << 47,
        (uintptr_t)0x1234567890abcdf0, (uintptr_t)pages + 4096 - 8,
        (uintptr_t)pages + 4096, (uintptr_t)pages + 3, (uintptr_t)links,
        (uintptr_t)here, (uintptr_t)here + 1, (uintptr_t)&here[2],
        (uintptr_t)here - 64, (uintptr_t)here + (1 << 20),
        (uintptr_t)here + (100 << 20), (uintptr_t)write_frames,
        (uintptr_t)environ, (uintptr_t)__builtin_frame_address(0),
    };
    memcpy(frame, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static void *call_broken(void *none)
{
    uintptr_t frame[64];
    const size_t count = write_frames(frame);
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < 100; j++) {
            keep(malloc_framed(1024, frame[i]));
            keep(malloc_unknown(2048, frame[i]));
        }
    say("malloc_framed", 1024, count * 100);
    say("malloc_unknown", 2048, count * 100);
    return none;
}

static void broken(void)
{
    pthread_t thread;
    call_broken(NULL);
    must(pthread_create(&thread, NULL, call_broken, NULL) == 0, "thread");
    pthread_join(thread, NULL);
}

/* -- struck -- */

static volatile sig_atomic_t may_take, strikes;

NOINLINE static int fall(int depth)
{
    return depth == 0 ? 0 : fall(depth - 1) + 1;
}

/* malloc is for a handler only where it did not interrupt it. */
NOINLINE static void strike(int number)
{
    (void)number;
    fall(50);
    if (may_take && strikes < MANY) {
        keep(malloc(768));
        strikes++;
    }
}

static volatile uint64_t spun;

NOINLINE static void spin(void)
{
    may_take = 1;
    for (int i = 0; i < 200000; i++)
        spun += (uint64_t)i * i;
    may_take = 0;
}

static void struck(void)
{
    static char stack[1 << 16];
    const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction action = { .sa_handler = strike, .sa_flags = SA_ONSTACK };
    const struct itimerval often = { { 0, 500 }, { 0, 500 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    must(sigaltstack(&other, NULL) == 0 && sigaction(SIGALRM, &action, NULL)
        == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0, "a timer");
    void *volatile some[16] = { NULL };
    for (int round = 0; round < 10000 && strikes < 100; round++) {
        spin();
        for (int i = 0; i < 2000; i++) {
            free(some[i % 16]);
            some[i % 16] = malloc((size_t)i);
        }
    }
    must(setitimer(ITIMER_REAL, &never, NULL) == 0, "no timer");
    for (int i = 0; i < 16; i++)
        free(some[i]);
    must(strikes > 0, "the timer never rang");
    say("strike", 768, (size_t)strikes);
}

/* -- fibers -- */

static ucontext_t thread_context, fiber_context;

NOINLINE static void fiber(void)
{
    for (int i = 0; i < MANY; i++) {
        keep(malloc(1024));
        if (i % 100 == 0)
            swapcontext(&fiber_context, &thread_context);
    }
}

static void fibers(void)
{
    const size_t bytes = 1 << 16;
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(stack != MAP_FAILED && getcontext(&fiber_context) == 0, "a fiber");
    fiber_context.uc_stack.ss_sp = stack;
    fiber_context.uc_stack.ss_size = bytes;
    fiber_context.uc_link = &thread_context;
    makecontext(&fiber_context, fiber, 0);
    for (int i = 0; i < MANY / 100 + 1; i++)
        must(swapcontext(&thread_context, &fiber_context) == 0, "a switch");
    say("fiber", 1024, MANY);
}

/* -- heirs -- */

static void *bequeath(void *estate)
{
    void **object = estate;
    for (int i = 0; i < MANY; i++)
        object[i] = malloc(i % 2 ? 384 : 40960);
    return NULL;
}

static void heirs(void)
{
    enum { THREADS = 20 };
    static void *estate[THREADS][MANY];
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&thread[i], NULL, bequeath, estate[i]) == 0,
            "thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < MANY; j++)
            if (j % 4 >= 2)
                free(estate[i][j]);
    say("bequeath", 384, THREADS * MANY / 4);
    say("bequeath", 40960, THREADS * MANY / 4);
}

/* -- arenas -- */

static unsigned make_arena(void)
{
    unsigned arena;
    size_t size = sizeof(arena);
    must(mallctl("arenas.create", &arena, &size, NULL, 0) == 0, "an arena");
    return arena;
}

NOINLINE static void fill_arena(unsigned arena, int count)
{
    const int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    for (int i = 0; i < count; i++) {
        must(mallocx(640, flags) != NULL, "a small one");
        must(mallocx(81920, flags) != NULL, "a large one");
    }
}

static void end_arena(unsigned arena, const char *how)
{
    char name[64];
    snprintf(name, sizeof(name), "arena.%u.%s", arena, how);
    must(mallctl(name, NULL, NULL, NULL, 0) == 0, name);
}

static void arenas(void)
{
    for (int i = 0; i < 10; i++) {
        const unsigned arena = make_arena();
        fill_arena(arena, 500);
        end_arena(arena, "reset");
        fill_arena(arena, 100);
        end_arena(arena, "destroy");
    }
    fill_arena(make_arena(), 300);
    say("fill_arena", 640, 300);
    say("fill_arena", 81920, 300);
}

/* -- moves -- */

enum { SLOTS = 512 };

static uint64_t dice_state = 88172645463325252u;

static size_t dice(size_t limit)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (size_t)(dice_state % limit);
}

static size_t dice_bytes(void)
{
    return 1 + dice((size_t)1 << (4 + dice(15)));
}

static int dice_flags(void)
{
    static const int flags[] = { 0, MALLOCX_ZERO, MALLOCX_LG_ALIGN(6),
        MALLOCX_LG_ALIGN(13), MALLOCX_TCACHE_NONE, MALLOCX_ARENA(0) };
    return flags[dice(6)];
}

static void *take(void)
{
    void *object = NULL;
    const size_t bytes = dice_bytes();
    switch (dice(6)) {
    case 0: return calloc(1, bytes);
    case 1: return aligned_alloc(256, bytes);
    case 2: return posix_memalign(&object, 4096, bytes) == 0 ? object : NULL;
    case 3: return mallocx(bytes, dice_flags());
    case 4: return memalign(32, bytes);
    default: return malloc(bytes);
    }
}

static void *resize(void *object)
{
    const size_t bytes = dice_bytes();
    switch (dice(4)) {
    case 0: return reallocarray(object, bytes, 1);
    case 1: return rallocx(object, bytes, dice_flags());
    case 2: xallocx(object, bytes, dice(1000), 0); return object;
    default: return realloc(object, bytes);
    }
}

static void give(void *object)
{
    const size_t bytes = sallocx(object, 0);
    switch (dice(3)) {
    case 0: sdallocx(object, bytes, 0); return;
    case 1: dallocx(object, dice(2) ? MALLOCX_TCACHE_NONE : 0); return;
    default: free(object); return;
    }
}

static void moves(void)
{
    static void *slot[SLOTS];
    for (int i = 0; i < 60000; i++) {
        void **at = &slot[dice(SLOTS)];
        if (*at == NULL) {
            *at = take();
            must(*at != NULL, "an object");
        } else if (dice(3) != 0) {
            *at = resize(*at);
            must(*at != NULL, "an object resized");
        } else {
            give(*at);
            *at = NULL;
        }
    }
    for (int i = 0; i < SLOTS; i++)
        if (slot[i] != NULL)
            say("all", malloc_usable_size(slot[i]), 1);
}

/* -- late -- */

NOINLINE static void before(void)
{
    for (int i = 0; i < MANY; i++)
        keep(malloc(512));
}

NOINLINE static void within(void)
{
    for (int i = 0; i < MANY; i++)
        keep(malloc(640));
}

NOINLINE static void after(void)
{
    for (int i = 0; i < MANY; i++)
        keep(malloc(768));
}

static void *not_here(void *none)
{
    set_bool("thread.prof.active", false);
    after();
    return none;
}

static void late(void)
{
    pthread_t thread;
    before();
    set_bool("prof.armed", true);
    set_bool("prof.active", true);
    within();
    must(pthread_create(&thread, NULL, not_here, NULL) == 0, "thread");
    pthread_join(thread, NULL);
    for (int i = 0; i < MANY; i += 2) {
        free(held[i]);
        free(held[MANY + i]);
    }
    set_bool("prof.active", false);
    after();
    say("before", 512, 0);
    say("within", 640, MANY / 2);
    say("after", 768, 0);
}

/* -- narrow, closed -- */

/* Lists of blocks of every size, until there is nothing more. */
static void *take_all(void)
{
    void *list = NULL;
    for (size_t bytes = 1 << 20; bytes >= 64; bytes /= 4) {
        void **block;
        while ((block = malloc(bytes)) != NULL) {
            *block = list;
            list = block;
        }
    }
    return list;
}

static void narrow(void)
{
    const struct rlimit tight = { 256u << 20, RLIM_INFINITY };
    const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
    must(setrlimit(RLIMIT_AS, &tight) == 0, "a limit");
    for (int i = 0; i < 3; i++) {
        void **list = take_all();
        must(list != NULL, "anything");
        while (list != NULL) {
            void **next = *list;
            free(list);
            list = next;
        }
    }
    must(setrlimit(RLIMIT_AS, &any) == 0, "no limit");
    within();
    say("within", 640, MANY);
}

static void closed(void)
{
    const struct rlimit few = { 3, 1024 }, usual = { 1024, 1024 };
    const char *path = "closed.heap";
    must(setrlimit(RLIMIT_NOFILE, &few) == 0, "a limit");
    within();
    must(mallctl("prof.dump", NULL, NULL, &path, sizeof(path)) == EFAULT,
        "a dump without descriptors");
    must(setrlimit(RLIMIT_NOFILE, &usual) == 0, "no limit");
    say("within", 640, MANY);
}

/* -- -- */

static const struct mode {
    const char *name;
    void (*run)(void);
} modes[] = {
    { "deep", deep }, { "broken", broken }, { "struck", struck },
    { "fibers", fibers }, { "heirs", heirs }, { "arenas", arenas },
    { "moves", moves }, { "late", late }, { "narrow", narrow },
    { "closed", closed },
};

int main(int count, char **argument)
{
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    must(count == 3, "usage: hostile MODE FILE");
    mallctl("prof.reset", NULL, NULL, NULL, 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, argument[1]) == 0) {
            modes[i].run();
            dump(argument[2]);
            return 0;
        }
    must(0, "there is no such mode");
}
