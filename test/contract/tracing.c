/* SPDX-License-Identifier: MIT */
/*
 * tracing - experimental.hooks.install and remove: functions that are called
 * at every allocation and free.
 *
 * Goal: up to four sets of functions, called by each function of the family,
 * until they are removed.  Method: the functions count; a line for each call.
 */
#include "contract.h"

enum { HOOKS_MAX = 4 };

struct tracer {
    void (*alloc)(void *, int, void *, uintptr_t, uintptr_t[3]);
    void (*dalloc)(void *, int, void *, uintptr_t[3]);
    void (*expand)(void *, int, void *, size_t, size_t, uintptr_t[4]);
    void *extra;
};

static struct {
    unsigned allocs, dallocs, expands;
    bool strange;         /* another extra than was given */
} seen;

static void on_alloc(void *extra, int type, void *result, uintptr_t raw,
                     uintptr_t arguments[3])
{
    seen.allocs++;
    seen.strange |= extra != &seen || (uintptr_t)result != raw;
    (void)type;
    (void)arguments;
}

static void on_dalloc(void *extra, int type, void *address,
                      uintptr_t arguments[3])
{
    seen.dallocs++;
    seen.strange |= extra != &seen || (uintptr_t)address != arguments[0];
    (void)type;
}

static void *install(int *error)
{
    struct tracer tracer = {on_alloc, on_dalloc, NULL, &seen};
    void *handle = NULL;
    size_t bytes = sizeof handle;
    *error = mallctl("experimental.hooks.install", &handle, &bytes, &tracer,
                     sizeof tracer);
    return handle;
}

static int drop(void *handle)
{
    return mallctl("experimental.hooks.remove", NULL, NULL, &handle,
                   sizeof handle);
}

static void say_seen(const char *what)
{
    say(what, "%u allocs, %u dallocs, strange %s", seen.allocs, seen.dallocs,
        yes_no(seen.strange));
    memset(&seen, 0, sizeof seen);
}

static void *volatile kept;

static void family(void)
{
    kept = malloc(10);
    say_seen("malloc");
    free(kept);
    say_seen("free");
    kept = calloc(3, 10);
    say_seen("calloc");
    kept = realloc(kept, 10000);
    say_seen("realloc that moves");
    free(kept);
    say_seen("free of it");
    kept = mallocx(10, 0);
    say_seen("mallocx");
    dallocx(kept, 0);
    say_seen("dallocx");
    kept = mallocx(10, MALLOCX_ALIGN(4096));
    say_seen("mallocx aligned");
    sdallocx(kept, 10, MALLOCX_ALIGN(4096));
    say_seen("sdallocx");
    kept = aligned_alloc(64, 100);
    say_seen("aligned_alloc");
    free(kept);
    say_seen("free of it, too");
    free(NULL);
    say_seen("free(NULL)");
}

int main(void)
{
    int error = 0;
    void *handle = install(&error);
    say("install", "%s, handle %s", error_name(error), yes_no(handle != NULL));
    memset(&seen, 0, sizeof seen);
    family();
    say("remove", "%s", error_name(drop(handle)));
    memset(&seen, 0, sizeof seen);
    free(malloc(10));
    say_seen("after it was removed");
    void *handles[HOOKS_MAX + 1];
    for (int i = 0; i <= HOOKS_MAX; i++) {
        handles[i] = install(&error);
        say("install one more", "%s", error_name(error));
    }
    for (int i = 0; i < HOOKS_MAX; i++)
        drop(handles[i]);
    handle = install(&error);
    say("install after all were removed", "%s", error_name(error));
    return 0;
}
