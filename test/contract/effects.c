/* SPDX-License-Identifier: MIT */
/*
 * effects - what options do, seen by a program.
 *
 * Goal: an option that is accepted has its effect.  Method: run.py runs this
 * under each of a few option texts; a line for everything that one of them
 * changes.
 */
#include "contract.h"

enum { UNTOUCHED = 777 };

void *_Znwm(size_t size);

static void *hidden(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr));
    return ptr;
}

static size_t hidden_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static const char *bytes_of(const unsigned char *ptr, size_t size)
{
    static char text[24];
    for (size_t i = 1; i < size; i++) {
        if (ptr[i] != ptr[0])
            return "mixed";
    }
    snprintf(text, sizeof text, "all %02x", ptr[0]);
    return text;
}

/* Zeros mean something only where they were asked for. */
static const char *filling(const unsigned char *ptr, size_t size)
{
    const char *text = bytes_of(ptr, size);
    const char *conf = getenv("MALLOC_CONF");
    const bool zeros = conf != NULL && strstr(conf, "zero:true") != NULL;
    const bool told = strcmp(text, "all a5") == 0
                      || (zeros && strcmp(text, "all 00") == 0);
    return told ? text : "anything";
}

/* Of memory that had other contents before. */
static void contents(size_t size)
{
    char what[64];
    unsigned char *ptrs[8];
    for (int i = 0; i < 8; i++)
        memset(ptrs[i] = malloc(size), 0x11, size);
    for (int i = 0; i < 8; i++)
        free(ptrs[i]);
    unsigned char *ptr = hidden(malloc(size));
    snprintf(what, sizeof what, "malloc of %zu", size);
    say(what, "%s", filling(ptr, size));
    memset(ptr, 0x22, size);
    const size_t whole = malloc_usable_size(ptr);
    ptr = hidden(realloc(ptr, whole + size));
    snprintf(what, sizeof what, "what realloc adds to %zu", size);
    say(what, "%s", filling(ptr + whole, size));
    free(ptr);
}

/* A block that somebody looks at after it was freed. */
static void freed(void)
{
    unsigned char *ptr = hidden(malloc(400));
    memset(ptr, 0x33, 400);
    free(ptr);
    const char *text = bytes_of(ptr + 64, 300);
    say("a block after its free", "%s",
        strcmp(text, "all 5a") == 0 ? text : "anything");
}

static void resize_to_nothing(void)
{
    errno = UNTOUCHED;
    void *ptr = hidden(realloc(hidden(malloc(100)), hidden_size(0)));
    say("realloc(p, 0)", "%s, errno %s", ptr == NULL ? "NULL" : "a block",
        error_name(errno));
    say("zero_reallocs", "%zu", read_size("stats.zero_reallocs"));
    free(ptr);
}

static void ask_too_much(void)
{
    void *ptr = hidden(malloc(hidden_size(SIZE_MAX / 3)));
    say("malloc of too much", "%s", ptr == NULL ? "NULL" : "a block");
}

static void align_badly(void)
{
    void *ptr = hidden(aligned_alloc(hidden_size(3), 10));
    say("aligned_alloc(3, 10)", "%s", ptr == NULL ? "NULL" : "a block");
}

static void new_too_much(void)
{
    _Znwm(hidden_size(SIZE_MAX / 3));
}

static void say_u(const char *name)
{
    say(name, "%u", read_unsigned(name));
}

static void settings(void)
{
    const unsigned narenas = read_unsigned("arenas.narenas");
    say("arenas", "%u", narenas);
    say("thread.tcache.enabled", "%s",
        yes_no(read_bool("thread.tcache.enabled")));
    say("arena.0.dirty_decay_ms", "%zd",
        (ssize_t)read_size("arena.0.dirty_decay_ms"));
    say("arena.0.muzzy_decay_ms", "%zd",
        (ssize_t)read_size("arena.0.muzzy_decay_ms"));
    say("arenas.dirty_decay_ms", "%zd",
        (ssize_t)read_size("arenas.dirty_decay_ms"));
    say("background_thread", "%s", yes_no(read_bool("background_thread")));
    say("max_background_threads", "%zu", read_size("max_background_threads"));
    say("arenas.tcache_max", "%zu", read_size("arenas.tcache_max"));
    say_u("arenas.bin.3.nshards");
    say("arenas.bin.3.slab_size", "%zu", read_size("arenas.bin.3.slab_size"));
    const char *dss = "?";
    size_t bytes = sizeof dss;
    mallctl("arena.0.dss", &dss, &bytes, NULL, 0);
    say("arena.0.dss", "%s", dss);
}

int main(void)
{
    settings();
    contents(100);
    contents(5000);
    contents(3 * MIB);
    freed();
    say_ending("the realloc to nothing", in_child(resize_to_nothing));
    say_ending("the malloc of too much", in_child(ask_too_much));
    say_ending("the bad alignment", in_child(align_badly));
    say_ending("new of too much", in_child(new_too_much));
    return 0;
}
