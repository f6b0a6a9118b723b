/* SPDX-License-Identifier: MIT */
/*
 * frames - stacks that are hard to walk, compared with those of backtrace().
 *
 * Usage: frames PLUGIN PLUGIN
 *
 * Every object is sampled, and the hook that is told of it walks the stack
 * again by glibc's backtrace(), which asks the unwinder for every frame. Frames
 * of one function differ by what alloca took, are aligned anew, lie below
 * qsort's or a signal's, and belong to code that is unloaded and has other code
 * in its place: the two plugins are one program with frames of other sizes.
 *
 * Prints "NAME STACKS WRONG" of each kind; "again" is how often a plugin was
 * where another had been.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jemalloc/jemalloc.h>

#define NOINLINE __attribute__((noinline))
/* So that a call before it is no jump. */
#define STAY() __asm__ volatile("")

enum { DEEPEST = 25, WALKED_MAX = 128, THREADS = 3, ROUNDS = 6000 };

static atomic_size_t stacks, wrong;
static _Thread_local uint64_t dice_state;

static size_t dice(size_t limit)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(dice_state >> 33) % limit;
}

/* The stack ends with the same addresses as the one from here on. */
static void compare(const void *object, size_t size, void **stack,
    unsigned count, size_t usable)
{
    (void)object, (void)size, (void)usable;
    void *walked[WALKED_MAX];
    const int found = backtrace(walked, WALKED_MAX);
    int i = 0;
    while (i < found && walked[i] != stack[0])
        i++;
    atomic_fetch_add(&stacks, 1);
    if ((unsigned)(found - i) != count
        || memcmp(walked + i, stack, count * sizeof(*stack)) != 0)
        atomic_fetch_add(&wrong, 1);
}

static void say(const char *name)
{
    printf("%s %zu %zu\n", name, atomic_exchange(&stacks, 0),
        atomic_exchange(&wrong, 0));
}

/* -- functions that call each other at random -- */

static void go_on(size_t depth);

NOINLINE static void leaf(void)
{
    void *volatile object = malloc(dice(3000));
    free(object);
    STAY();
}

NOINLINE static void plain(size_t depth)
{
    volatile char room[40];
    room[0] = (char)depth;
    go_on(depth - 1);
    room[1] = room[0];
}

NOINLINE static void varied(size_t depth)
{
    const size_t bytes = dice(600);
    volatile char *room = alloca(bytes + 1);
    room[0] = (char)depth;
    if (dice(4) == 0)
        leaf();
    go_on(depth - 1);
    room[bytes] = (char)depth;
}

NOINLINE static void aligned(size_t depth)
{
    volatile char room[64] __attribute__((aligned(64)));
    room[0] = (char)depth;
    go_on(depth - 1);
    room[1] = room[0];
}

NOINLINE static int order(const void *one, const void *other)
{
    if (dice(16) == 0)
        leaf();
    return *(const int *)one - *(const int *)other;
}

NOINLINE static void sorted(size_t depth)
{
    int values[9];
    for (int i = 0; i < 9; i++)
        values[i] = (int)dice(100);
    qsort(values, 9, sizeof(*values), order);
    go_on(depth - 1);
    STAY();
}

NOINLINE static void raised(size_t depth)
{
    raise(SIGUSR1);
    go_on(depth - 1);
    STAY();
}

NOINLINE static void caught(int number)
{
    (void)number;
    leaf();
}

NOINLINE static void go_on(size_t depth)
{
    if (depth == 0) {
        leaf();
        return;
    }
    switch (dice(10)) {
    case 0: varied(depth); break;
    case 1: aligned(depth); break;
    case 2: sorted(depth); break;
    case 3: raised(depth); break;
    default: plain(depth); break;
    }
    STAY();
}

static void *wander(void *seed)
{
    dice_state = (uint64_t)(uintptr_t)seed;
    for (int i = 0; i < ROUNDS; i++)
        go_on(dice(DEEPEST));
    return NULL;
}

/* -- code in the place of other code -- */

/* Where it was. */
static void *visit(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW);
    void (*enter)(void (*)(void)) = NULL;
    if (plugin != NULL)
        *(void **)&enter = dlsym(plugin, "enter");
    if (enter == NULL) {
        fprintf(stderr, "frames: %s\n", dlerror());
        exit(1);
    }
    for (int i = 0; i < 500; i++)
        enter(leaf);
    dlclose(plugin);
    return *(void **)&enter;
}

int main(int count, char **argument)
{
    void (*hook)(const void *, size_t, void **, unsigned, size_t) = compare;
    void *first[4];
    pthread_t thread[THREADS];
    if (count != 3)
        return 2;
    backtrace(first, 4);        /* loads the unwinder */
    signal(SIGUSR1, caught);
    if (mallctl("experimental.hooks.prof_sample", NULL, NULL, (void *)&hook,
            sizeof(hook)) != 0)
        return 1;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, wander, (void *)(i + 1)) != 0)
            return 1;
    wander((void *)9);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    say("calls");
    void *place = NULL;
    size_t again = 0;
    for (int i = 0; i < 20; i++) {
        void *before = place;
        place = visit(argument[1 + i % 2]);
        again += place == before;
    }
    say("plugins");
    printf("again %zu 0\n", again);
    return 0;
}
