/* SPDX-License-Identifier: MIT */
/*
 * forks - the control tree and the allocator in the child of a fork.
 *
 * Goal: a child of one thread or of many allocates, reads and sets at once,
 * and its background threads are off until it asks.  Method: each child says
 * what it found; that none hangs is the suite's time limit.
 */
#include "contract.h"

#include <pthread.h>

static int set_bool(const char *name, bool value)
{
    return mallctl(name, NULL, NULL, &value, sizeof value);
}

static void use_all(void)
{
    size_t wrong = 0;
    for (size_t size = 1; size <= 4 * MIB; size += size / 2 + 1) {
        void *ptr = mallocx(size, MALLOCX_ZERO);
        wrong += ptr == NULL || sallocx(ptr, 0) < size;
        free(ptr);
    }
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    wrong += mallctl("arenas.create", &arena, &bytes, NULL, 0) != 0;
    wrong += mallocx(100, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE) == NULL;
    wrong += act_on("arena.%u.destroy", arena) != 0;
    wrong += act_on("arena.%u.purge", ARENAS_ALL) != 0;
    refresh();
    wrong += read_size("stats.allocated") == 0;
    wrong += act("thread.tcache.flush") != 0;
    say("in the child", "%zu wrong", wrong);
}

static void *kept;

static void free_parents(void)
{
    say("a block of the parent holds", "%s", yes_no(*(char *)kept == 42));
    free(kept);
    say("and is freed in the child", "yes");
}

static void grandchild(void)
{
    say_ending("a child's child", in_child(use_all));
}

/* -- many threads -- */

static volatile bool stop;

static void *churn(void *unused)
{
    unsigned turn = 0;
    while (!stop) {
        void *ptrs[50];
        for (int i = 0; i < 50; i++) {
            const size_t size = turn++ % 3000;
            ptrs[i] = malloc(i == 0 ? size * 99 : size);
        }
        for (int i = 0; i < 50; i++)
            free(ptrs[i]);
        refresh();
    }
    return unused;
}

static void fork_among_threads(void)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < 30; i++)
        say_ending("a child of many threads", in_child(use_all));
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* -- background threads -- */

static void look_at_background(void)
{
    say("background_thread in the child", "%s",
        yes_no(read_bool("background_thread")));
    say("set on in the child", "%s",
        error_name(set_bool("background_thread", true)));
    say("on in the child", "%s", yes_no(read_bool("background_thread")));
    say("set off in the child", "%s",
        error_name(set_bool("background_thread", false)));
}

static void background(void)
{
    say("background_thread on", "%s",
        error_name(set_bool("background_thread", true)));
    say_ending("a child of one with background threads",
               in_child(look_at_background));
    say("still on in the parent", "%s",
        yes_no(read_bool("background_thread")));
    say("off", "%s", error_name(set_bool("background_thread", false)));
}

int main(void)
{
    kept = malloc(1000);
    *(char *)kept = 42;
    say_ending("a child", in_child(use_all));
    say_ending("a child that frees", in_child(free_parents));
    say("the parent's block still holds", "%s", yes_no(*(char *)kept == 42));
    say_ending("a child with a child", in_child(grandchild));
    background();
    fork_among_threads();
    return 0;
}
