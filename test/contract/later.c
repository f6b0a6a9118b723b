/* SPDX-License-Identifier: MIT */
/*
 * later - what jemalloc has had since 5.3.1, which Debian's library cannot be
 * asked about, or does not survive.
 *
 * Goal: these names and functions do what jemalloc's documents and sources say
 * of them.  Method: lines as everywhere here; later.tsv has what they must be.
 * run.py sets MALLOC_CONF to "dirty_decay_ms:500,narenas:2".
 */
#include "contract.h"

#include <pthread.h>

const char *malloc_conf_2_conf_harder = "narenas:3";

void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t align, size_t size);
void *pvalloc(size_t size);

static const char *set_size(const char *name, size_t value)
{
    return error_name(mallctl(name, NULL, NULL, &value, sizeof value));
}

/* -- C23's frees, and whole pages -- */

static void sized_frees(void)
{
    free_sized(NULL, 8);
    free_aligned_sized(NULL, 64, 8);
    void *ptr = malloc(8);
    say("malloc after free_sized(NULL)", "%s", ptr == NULL ? "NULL"
                                                           : "a block");
    free_sized(ptr, 8);
    ptr = aligned_alloc(256, 1000);
    free_aligned_sized(ptr, 256, 1000);
    say("free_aligned_sized", "ended well");
    ptr = pvalloc(5000);
    say("pvalloc(5000)", "page aligned %s, two pages %s",
        yes_no((uintptr_t)ptr % 4096 == 0),
        yes_no(malloc_usable_size(ptr) >= 8192));
    free(ptr);
    ptr = pvalloc(0);
    say("pvalloc(0)", "page aligned %s", yes_no((uintptr_t)ptr % 4096 == 0));
    free(ptr);
}

/* -- the thread's cache -- */

static void say_ncached(const char *what, size_t size)
{
    size_t count = 4711;
    size_t bytes = sizeof count;
    const int error = mallctl("thread.tcache.ncached_max.read_sizeclass",
                              &count, &bytes, &size, sizeof size);
    say(what, "%s, %s", error_name(error),
        error == 0 && count < 4711 ? "a number" : "none");
}

static const char *write_ncached(const char *text)
{
    return error_name(mallctl("thread.tcache.ncached_max.write", NULL, NULL,
                              &text, sizeof text));
}

static void cache_limits(void)
{
    const size_t max = read_size("thread.tcache.max");
    say("thread.tcache.max is opt.tcache_max", "%s",
        yes_no(max == read_size("opt.tcache_max")));
    say("set to 4097", "%s", set_size("thread.tcache.max", 4097));
    say("then", "%zu", read_size("thread.tcache.max"));
    say("set to 1 GiB", "%s", set_size("thread.tcache.max", 1024 * MIB));
    say("then at most what is cached", "%s",
        yes_no(read_size("thread.tcache.max") <= 64 * KIB));
    say_ncached("ncached_max of 8 bytes", 8);
    say_ncached("ncached_max of 1 GiB", 1024 * MIB);
    say("ncached_max 8-128:1", "%s", write_ncached("8-128:1"));
    say("ncached_max 256-1024:11|4096-8192:0", "%s",
        write_ncached("256-1024:11|4096-8192:0"));
    say("ncached_max of no text", "%s", write_ncached("no text"));
    void *ptr = malloc(100);
    free(ptr);
    bool off = false;
    mallctl("thread.tcache.enabled", NULL, NULL, &off, sizeof off);
    say("ncached_max without a cache", "%s", write_ncached("8-128:1"));
    off = true;
    mallctl("thread.tcache.enabled", NULL, NULL, &off, sizeof off);
}

/* -- names of arenas -- */

static void arena_names(void)
{
    char name[64];
    char text[32];
    char *buffer = text;
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    mallctl("arenas.create", &arena, &bytes, NULL, 0);
    snprintf(name, sizeof name, "arena.%u.name", arena);
    bytes = sizeof buffer;
    say("name", "%s", error_name(mallctl(name, &buffer, &bytes, NULL, 0)));
    char wanted[32];
    snprintf(wanted, sizeof wanted, "manual_%u", arena);
    say("is manual_ and its number", "%s", yes_no(strcmp(text, wanted) == 0));
    char *given = "of my own";
    say("set", "%s", error_name(mallctl(name, NULL, NULL, &given,
                                        sizeof given)));
    const int error = mallctl(name, &buffer, &bytes, NULL, 0);
    say("read", "%s, %s", error_name(error), text);
    given = "one that is longer than thirty-one characters";
    const int set = mallctl(name, NULL, NULL, &given, sizeof given);
    mallctl(name, &buffer, &bytes, NULL, 0);
    say("a long one", "%s, kept %zu characters", error_name(set),
        strlen(text));
    mallctl("arena.0.name", &buffer, &bytes, NULL, 0);
    say("arena 0", "%s", text);
}

/* -- where options came from -- */

static void say_source(const char *source)
{
    char name[64];
    const char *text = "?";
    size_t bytes = sizeof text;
    snprintf(name, sizeof name, "opt.malloc_conf.%s", source);
    const int error = mallctl(name, &text, &bytes, NULL, 0);
    say(name, "%s, %s", error_name(error), text);
}

static void sources(void)
{
    say_source("env_var");
    say_source("global_var");
    say_source("symlink");
    say_source("global_var_2_conf_harder");
    say("opt.narenas", "%u", read_unsigned("opt.narenas"));
    say("opt.dirty_decay_ms", "%zu", read_size("opt.dirty_decay_ms"));
}

/* -- events -- */

static struct {
    unsigned calls;
    uint64_t allocated;
    bool backwards;
} event;

static void on_event(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
    event.calls++;
    event.backwards |= allocated < event.allocated;
    event.allocated = allocated;
    (void)is_alloc;
    (void)deallocated;
}

static void events(void)
{
    struct {
        void (*call)(bool, uint64_t, uint64_t);
        uint64_t interval;
        bool alloc_only;
    } hook = {on_event, MIB, true};
    say("thread_event", "%s",
        error_name(mallctl("experimental.hooks.thread_event", NULL, NULL,
                           &hook, sizeof hook)));
    say("the same again", "%s",
        error_name(mallctl("experimental.hooks.thread_event", NULL, NULL,
                           &hook, sizeof hook)));
    for (int i = 0; i < 10000; i++)
        free(malloc(1000));
    say("calls for 10 MB, one each MiB", "%s",
        event.calls >= 8 && event.calls <= 11 ? "about 9" : "another number");
    say("allocated goes up", "%s", yes_no(!event.backwards));
    hook.call = NULL;
    say("an event without a function", "%s",
        error_name(mallctl("experimental.hooks.thread_event", NULL, NULL,
                           &hook, sizeof hook)));
}

/* -- figures without an epoch -- */

static void live(void)
{
    const size_t before = read_size("approximate_stats.active");
    void *ptr = mallocx(20 * MIB, MALLOCX_TCACHE_NONE);
    const size_t during = read_size("approximate_stats.active");
    dallocx(ptr, MALLOCX_TCACHE_NONE);
    say("approximate_stats.active follows 20 MiB", "%s",
        yes_no(during >= before + 19 * MIB && during <= before + 24 * MIB));
    say("metadata has parts", "%s",
        yes_no(read_size("stats.metadata_edata")
                   + read_size("stats.metadata_rtree")
               <= read_size("stats.metadata")));
    say("arenas.hugepage", "%zu", read_size("arenas.hugepage"));
}

/* -- arenas made, used and destroyed by many threads -- */

static unsigned arena_new(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    if (mallctl("arenas.create", &arena, &bytes, NULL, 0) != 0)
        _exit(3);
    return arena;
}

static unsigned owner_of(void *ptr)
{
    unsigned arena = 123456;
    size_t bytes = sizeof arena;
    mallctl("arenas.lookup", &arena, &bytes, &ptr, sizeof ptr);
    return arena;
}

static void *arena_thread(void *unused)
{
    unsigned arenas[4];
    void *blocks[4][50];
    uintptr_t wrong = 0;
    for (int i = 0; i < 4; i++)
        arenas[i] = arena_new();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < 50; j++) {
                const size_t size = (size_t)(j * j * 7 + round) + 1;
                blocks[i][j] = mallocx(size, MALLOCX_ARENA(arenas[i])
                                                 | MALLOCX_TCACHE_NONE);
                wrong += owner_of(blocks[i][j]) != arenas[i];
                memset(blocks[i][j], i, size);
            }
        }
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < 50; j++)
                free(blocks[i][j]);
        }
        act_on("arena.%u.purge", arenas[round % 4]);
    }
    act("thread.tcache.flush");
    for (int i = 0; i < 4; i++)
        wrong += act_on("arena.%u.destroy", arenas[i]) != 0;
    (void)unused;
    return (void *)wrong;
}

static void many_threads(void)
{
    pthread_t threads[8];
    uintptr_t wrong = 0;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, arena_thread, NULL);
    for (int i = 0; i < 8; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        wrong += (uintptr_t)result;
    }
    say("eight threads with four arenas each", "%zu wrong", (size_t)wrong);
}

int main(void)
{
    sources();
    sized_frees();
    cache_limits();
    arena_names();
    events();
    live();
    many_threads();
    return 0;
}
