/* SPDX-License-Identifier: MIT */
/*
 * caches - tcaches by number, and the thread's own.
 *
 * Goal: ids are given out, emptied, given back and given out again as jemalloc
 * does, and what a thread may do to its own cache has the same results.
 * Method: a line for each step; misuse that ends the process, in a child.
 */
#include "contract.h"

#include <pthread.h>

static unsigned id;

static int create(unsigned *made)
{
    size_t bytes = sizeof *made;
    return mallctl("tcache.create", made, &bytes, NULL, 0);
}

static int on_id(const char *name, unsigned which)
{
    return mallctl(name, NULL, NULL, &which, sizeof which);
}

/* -- by number -- */

static void life(void)
{
    unsigned first = 99;
    unsigned second = 99;
    say("create", "%s", error_name(create(&first)));
    const int error = create(&second);
    say("create again", "%s, %s", error_name(error),
        second == first + 1 ? "the next id" : "another id");
    void *ptr = mallocx(100, MALLOCX_TCACHE(first));
    dallocx(ptr, MALLOCX_TCACHE(first));
    void *again = mallocx(100, MALLOCX_TCACHE(first));
    say("freed into a cache, taken from it", "%s", yes_no(again == ptr));
    dallocx(again, MALLOCX_TCACHE(first));
    say("flush", "%s", error_name(on_id("tcache.flush", first)));
    say("flush again", "%s", error_name(on_id("tcache.flush", first)));
    say("a block after a flush", "%s",
        yes_no(mallocx(100, MALLOCX_TCACHE(first)) != NULL));
    say("destroy", "%s", error_name(on_id("tcache.destroy", first)));
    unsigned third = 99;
    create(&third);
    say("a destroyed id is given again", "%s", yes_no(third == first));
    say("destroy of an id never given", "%s",
        error_name(on_id("tcache.destroy", 1000)));
    say("flush of an id never given", "%s",
        error_name(on_id("tcache.flush", 1000)));
    on_id("tcache.destroy", second);
}

/* With sizes and arenas of all kinds, in a turn. */
static void work(void)
{
    unsigned ids[8];
    void *blocks[8][32];
    size_t wrong = 0;
    for (int i = 0; i < 8; i++)
        wrong += create(&ids[i]) != 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++) {
            for (int j = 0; j < 32; j++) {
                const size_t size = (size_t)((round * 37 + j * j * 53) % 40000)
                                    + 1;
                blocks[i][j] = mallocx(size, MALLOCX_TCACHE(ids[i]));
                wrong += blocks[i][j] == NULL;
                memset(blocks[i][j], i, size);
            }
        }
        for (int i = 0; i < 8; i++) {
            for (int j = 0; j < 32; j++)
                dallocx(blocks[i][j], MALLOCX_TCACHE(ids[(i + round) % 8]));
        }
        if (round % 10 == 9)
            wrong += on_id("tcache.flush", ids[round % 8]) != 0;
    }
    for (int i = 0; i < 8; i++)
        wrong += on_id("tcache.destroy", ids[i]) != 0;
    say("eight caches at work", "%zu wrong", wrong);
}

static void limit(void)
{
    unsigned made = 0;
    unsigned last = 0;
    int error = 0;
    while (made < 5000 && (error = create(&last)) == 0)
        made++;
    say("as many caches as there can be", "%s, about %u00", error_name(error),
        (made + 50) / 100);
    say("mallocx by the last", "%s",
        yes_no(mallocx(100, MALLOCX_TCACHE(last)) != NULL));
}

static void destroy_twice(void)
{
    on_id("tcache.destroy", id);
    say("destroyed twice", "%s", error_name(on_id("tcache.destroy", id)));
}

static void use_invalid(void)
{
    close(STDERR_FILENO);
    mallocx(100, MALLOCX_TCACHE(4000));
}

static void use_destroyed(void)
{
    close(STDERR_FILENO);
    on_id("tcache.destroy", id);
    dallocx(mallocx(100, 0), MALLOCX_TCACHE(id));
}

static void flush_largest(void)
{
    say("flush of the largest number", "%s",
        error_name(on_id("tcache.flush", UINT32_MAX)));
}

static void misused(void)
{
    create(&id);
    say_ending("the flush of the largest number", in_child(flush_largest));
    say_ending("an id destroyed twice", in_child(destroy_twice));
    say_ending("mallocx by an id never given", in_child(use_invalid));
    say_ending("dallocx by a destroyed id", in_child(use_destroyed));
}

/* -- the thread's own -- */

static int enable(bool on, bool *was)
{
    size_t bytes = sizeof *was;
    return mallctl("thread.tcache.enabled", was, &bytes, &on, sizeof on);
}

static void own(const char *who)
{
    char what[64];
    bool was = false;
    for (int i = 0; i < 6; i++) {
        const bool on = i == 1 || i == 2 || i == 5;
        const int error = enable(on, &was);
        free(malloc(100));
        snprintf(what, sizeof what, "%s: %d. enabled = %s", who, i,
                 yes_no(on));
        say(what, "%s, was %s, is %s", error_name(error), yes_no(was),
            yes_no(read_bool("thread.tcache.enabled")));
        snprintf(what, sizeof what, "%s: %d. flush", who, i);
        say(what, "%s", error_name(act("thread.tcache.flush")));
    }
    snprintf(what, sizeof what, "%s: idle", who);
    say(what, "%s", error_name(act("thread.idle")));
}

static void *other_thread(void *unused)
{
    own("a thread");
    return unused;
}

/* What comes back from a flush is free again, by any thread. */
static void flushed_is_free(void)
{
    void *blocks[100];
    act("thread.tcache.flush");
    refresh();
    const size_t before = read_size("stats.allocated");
    for (int i = 0; i < 100; i++)
        blocks[i] = malloc(200);
    for (int i = 0; i < 100; i++)
        free(blocks[i]);
    act("thread.tcache.flush");
    refresh();
    const size_t after = read_size("stats.allocated");
    say("allocated after a flush", "%s",
        after == before ? "as before" : after > before ? "more" : "less");
}

int main(void)
{
    own("main");
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    flushed_is_free();
    life();
    work();
    misused();
    limit();
    return 0;
}
