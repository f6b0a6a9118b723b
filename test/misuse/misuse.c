/* SPDX-License-Identifier: MIT */
/*
 * One misuse, committed on purpose: misuse MISTAKE SCENE BYTES
 *
 * The scene prepares live blocks of so many bytes and chooses a victim among
 * them, and the thread that will do wrong; the mistake does it. stdout says
 *
 *   pointer 0x...    what will be misused; the last one before the report
 *   said <ashlar>..  what malloc_message was called with
 *   alive            the process went on; every block left was given back and
 *                    the heap still serves all sizes, to two threads
 *
 * and "absurd ..." when the scene did not come about. run.py runs every pair
 * that makes sense, and knows what has to come. Preloaded, nothing linked.
 */
#include "misuse.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* -- saying -- */

void say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    const int used = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(STDOUT_FILENO, line, (size_t)used) != used)
        _exit(3);
}

void insist(bool held, const char *what)
{
    if (held)
        return;
    say("absurd %s\n", what);
    _exit(2);
}

void *misused(const void *pointer)
{
    say("pointer 0x%llx\n", (unsigned long long)(uintptr_t)pointer);
    return (void *)(uintptr_t)pointer;
}

static void listen_to_reports(void *opaque, const char *line)
{
    insist(opaque == NULL, "malloc_message has an argument");
    say("said %s", line);
}

/* -- afterwards -- */

/* Blocks of every size, whose contents stay what they are. */
static void *expect_heap_works(void *unused)
{
    enum { BLOCKS = 20 };
    for (size_t bytes = 1; bytes < 8 * MIB; bytes = bytes * 5 / 2 + 1) {
        unsigned char *block[BLOCKS];
        const int count = bytes > MIB ? 2 : BLOCKS;
        for (int i = 0; i < count; i++) {
            block[i] = malloc(bytes);
            insist(block[i] != NULL, "no memory afterwards");
            memset(block[i], i + 1, bytes < 4096 ? bytes : 4096);
        }
        for (int i = 0; i < count; i++) {
            insist(block[i][0] == i + 1 && (bytes > 4096
                || block[i][bytes - 1] == i + 1), "blocks overlap");
            free(block[i]);
        }
    }
    return unused;
}

static void expect_all_is_well(void)
{
    pthread_t thread;
    for (size_t i = 0; i < scene.count; i++) {
        free(scene.block[i]);
        scene.block[i] = NULL;
    }
    expect_heap_works(NULL);
    insist(pthread_create(&thread, NULL, expect_heap_works, NULL) == 0,
        "no thread afterwards");
    pthread_join(thread, NULL);
    malloc_trim(0);
    say("alive\n");
}

/* -- the two words -- */

static bool run_named(const struct named *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0) {
            table->run();
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    insist(argc == 4, "usage: misuse MISTAKE SCENE BYTES");
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    void (**listener)(void *, const char *) =
        (void (**)(void *, const char *))dlsym(RTLD_DEFAULT,
            "malloc_message");
    insist(listener != NULL, "no malloc_message: is the library preloaded?");
    if (getenv("MISUSE_DEAF") == NULL)
        *listener = listen_to_reports;
    scene.bytes = (size_t)strtoull(argv[3], NULL, 0);
    insist(run_named(scenes, argv[2]), "no such scene");
    insist(run_named(twice_mistakes, argv[1])
        || run_named(astray_mistakes, argv[1])
        || run_named(list_mistakes, argv[1]), "no such mistake");
    expect_all_is_well();
    return 0;
}
