/* SPDX-License-Identifier: MIT */
/*
 * orchard - a program whose memory is known, for profiles of it.
 *
 * Usage: orchard MODE [FILE...]
 *
 * It grows fruit, each kind in a function of its own, and says how much it
 * holds: a line "KIND OBJECTS BYTES" for each, in bytes as the allocator gave
 * them. Some is given back. Then it does what the mode says:
 *
 *   dump FILE...   writes profiles there, one after the other
 *   storm FOLDER   200 threads write profiles at once
 *   starve FILE    writes a profile when no memory is left, and one later
 *   family FILE    children write FILE.child while a thread writes FILE
 *   log FILE       takes a log of what it does meanwhile
 *   recent         prints what it took last
 *   nothing        ends
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

enum { STORM_THREADS = 200, CHILDREN = 20, BASKETS = 16 };

/* What is held, so that nothing can be optimized away. */
static struct basket {
    const char *kind;
    size_t count;
    size_t bytes;
    void *fruit[30000];
} basket[BASKETS];

static int (*mallctl)(const char *, void *, size_t *, void *, size_t);

static void must(int works, const char *what)
{
    if (works)
        return;
    (void)fprintf(stderr, "orchard: %s\n", what);
    exit(2);
}

/* -- fruit -- */

static void keep(struct basket *in, void *fruit)
{
    must(fruit != NULL, "no memory");
    in->bytes += malloc_usable_size(fruit);
    in->fruit[in->count++] = fruit;
}

static NOINLINE void apples(struct basket *in)
{
    for (int i = 0; i < 20000; i++)
        keep(in, malloc(100));
}

static NOINLINE void pears(struct basket *in)
{
    for (int i = 0; i < 3000; i++)
        keep(in, malloc(5000));
}

static NOINLINE void melons(struct basket *in)
{
    for (int i = 0; i < 60; i++)
        keep(in, malloc(500000));
}

static NOINLINE void salad(struct basket *in)
{
    static const size_t size[] = { 24, 300, 7000, 90000 };
    for (int i = 0; i < 2000; i++)
        keep(in, malloc(size[i % 4]));
}

static NOINLINE void cherries(struct basket *in)
{
    for (int i = 0; i < 1000; i++)
        keep(in, calloc(8, 1000));
}

/* Grows, and is eaten: the basket is empty in the end. */
static NOINLINE void berries(struct basket *in)
{
    for (int i = 0; i < 10000; i++)
        keep(in, malloc(3000));
    while (in->count > 0)
        free(in->fruit[--in->count]);
    in->bytes = 0;
}

static void *pick_cherries(void *in)
{
    must(pthread_setname_np(pthread_self(), "picker") == 0, "a name");
    const char *name = "picker";
    (void)mallctl("thread.prof.name", NULL, NULL, &name, sizeof name);
    cherries(in);
    return NULL;
}

static void grow(void)
{
    static void (*const kinds[])(struct basket *) = {
        apples, pears, melons, salad, berries };
    static const char *const names[] = {
        "apples", "pears", "melons", "salad", "berries" };
    size_t at = 0;
    for (; at < sizeof kinds / sizeof *kinds; at++) {
        basket[at].kind = names[at];
        kinds[at](&basket[at]);
    }
    for (int i = 0; i < 2; i++, at++) {
        pthread_t thread;
        basket[at].kind = "cherries";
        must(pthread_create(&thread, NULL, pick_cherries, &basket[at]) == 0,
            "a thread");
        (void)pthread_join(thread, NULL);
    }
    for (size_t i = 0; i < at; i++)
        (void)printf("%s %zu %zu\n", basket[i].kind, basket[i].count,
            basket[i].bytes);
}

/* -- what it does then -- */

static int dump(const char *path)
{
    return mallctl("prof.dump", NULL, NULL, &path, sizeof path);
}

static void dump_all(char **paths)
{
    for (; *paths != NULL; paths++) {
        const int error = dump(*paths);
        (void)printf("dump %s: %d\n", *paths, error);
    }
}

static pthread_barrier_t barrier;

static void *dump_in_storm(void *path)
{
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < 3; i++) {
        keep(&(struct basket){ .count = 0 }, malloc(1000));
        must(dump(path) == 0, "a dump in the storm");
    }
    return NULL;
}

static void storm(const char *folder)
{
    static char path[STORM_THREADS][200];
    pthread_t thread[STORM_THREADS];
    (void)pthread_barrier_init(&barrier, NULL, STORM_THREADS);
    for (int i = 0; i < STORM_THREADS; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%d.%s", folder, i / 2,
            i % 4 < 2 ? "heap" : "pb.gz");
        must(pthread_create(&thread[i], NULL, dump_in_storm, path[i]) == 0,
            "a thread");
    }
    for (int i = 0; i < STORM_THREADS; i++)
        (void)pthread_join(thread[i], NULL);
}

static _Atomic int family_ends;

static void *dump_on(void *path)
{
    while (!family_ends)
        must(dump(path) == 0, "a dump of the parent");
    return NULL;
}

static void family(const char *path)
{
    pthread_t thread;
    char child_path[200];
    (void)snprintf(child_path, sizeof child_path, "%s.child", path);
    must(pthread_create(&thread, NULL, dump_on, (void *)path) == 0,
        "a thread");
    for (int i = 0; i < CHILDREN; i++) {
        const pid_t child = fork();
        if (child == 0) {
            (void)alarm(20);
            apples(&basket[BASKETS - 1]);
            _exit(dump(child_path) != 0);
        }
        int status = -1;
        must(child > 0 && waitpid(child, &status, 0) == child && status == 0,
            "a child");
    }
    family_ends = 1;
    (void)pthread_join(thread, NULL);
}

/* Takes all there is, as a list of blocks, and then nothing more is to be had
 * in any way. */
static void starve(char **paths)
{
    void **list = NULL;
    const struct rlimit tight = { 400u << 20, RLIM_INFINITY };
    const struct rlimit none = { 1, RLIM_INFINITY };
    const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
    must(setrlimit(RLIMIT_AS, &tight) == 0, "a limit");
    for (size_t size = 1 << 20; size >= 64; size /= 4) {
        for (void **block; (block = malloc(size)) != NULL; list = block)
            *block = list;
    }
    must(setrlimit(RLIMIT_AS, &none) == 0, "no more");
    dump_all(paths);
    while (list != NULL) {
        void **next = *list;
        free(list);
        list = next;
    }
    must(setrlimit(RLIMIT_AS, &any) == 0, "no limit");
    dump_all(paths);
}

static void keep_log(const char *path)
{
    must(mallctl("prof.log_start", NULL, NULL, &path, sizeof path) == 0,
        "log_start");
    for (int i = 0; i < 3; i++)
        berries(&basket[BASKETS - 1]);
    must(mallctl("prof.log_stop", NULL, NULL, NULL, 0) == 0, "log_stop");
}

static void print_text(void *to, const char *text)
{
    (void)fputs(text, to);
}

static void print_recent(void)
{
    struct {
        void (*write)(void *, const char *);
        void *to;
    } packet = { print_text, stdout };
    must(mallctl("experimental.prof_recent.alloc_dump", NULL, NULL, &packet,
        sizeof packet) == 0, "alloc_dump");
}

int main(int count, char **arguments)
{
    must(count > 1, "there is no mode");
    static char buffer[1 << 16];
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    *(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    must(mallctl != NULL, "there is no mallctl");
    const char *mode = arguments[1];
    grow();
    if (strcmp(mode, "dump") == 0)
        dump_all(arguments + 2);
    else if (strcmp(mode, "storm") == 0)
        storm(arguments[2]);
    else if (strcmp(mode, "starve") == 0)
        starve(arguments + 2);
    else if (strcmp(mode, "family") == 0)
        family(arguments[2]);
    else if (strcmp(mode, "log") == 0)
        keep_log(arguments[2]);
    else if (strcmp(mode, "recent") == 0)
        print_recent();
    else
        must(strcmp(mode, "nothing") == 0, "there is no such mode");
    return 0;
}
