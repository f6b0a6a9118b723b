/* SPDX-License-Identifier: MIT */
/*
 * profiles - heap profiling, as a program asks for it.
 *
 * Goal: what is sampled, counted, named and written is what jemalloc says.
 * Method: run.py runs each part, the first argument, under a few option texts;
 * the second is a folder for what is written.  With lg_prof_sample:0 every
 * object is sampled, and counts are exact.
 */
#include "contract.h"

#include <dirent.h>
#include <pthread.h>

enum { OBJECTS = 10, SIZE = 1000, STACK_MAX = 128 };

static const char *folder;

static int write_bool(const char *name, bool on)
{
    return mallctl(name, NULL, NULL, &on, sizeof on);
}

static int write_text(const char *name, const char *text)
{
    return mallctl(name, NULL, NULL, &text, sizeof text);
}

static int write_size(const char *name, size_t value)
{
    return mallctl(name, NULL, NULL, &value, sizeof value);
}

static const char *path_of(const char *file)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

static void *hidden(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr));
    return ptr;
}

/* -- leaves: what is written, and what is read then -- */

static void switches(void)
{
    static const char *const names[] = {
        "prof.active", "prof.thread_active_init", "thread.prof.active",
        "prof.gdump",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char what[64];
        size_t value = 1;
        say(names[i], "%s", yes_no(read_bool(names[i])));
        for (int on = 0; on <= 1; on++) {
            snprintf(what, sizeof what, "%s made %s", names[i],
                     on ? "true" : "false");
            say(what, "%s, then %s", error_name(write_bool(names[i], on)),
                yes_no(read_bool(names[i])));
        }
        snprintf(what, sizeof what, "%s of 8 bytes", names[i]);
        say(what, "%s",
            error_name(mallctl(names[i], NULL, NULL, &value, sizeof value)));
        write_bool(names[i], false);
    }
}

static void rates(void)
{
    say("prof.lg_sample", "%zu", read_size("prof.lg_sample"));
    say("prof.interval", "%ju", (uintmax_t)read_u64("prof.interval"));
    static const size_t rates[] = {12, 0, 63, 64, 1000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        char what[64];
        snprintf(what, sizeof what, "reset to %zu", rates[i]);
        const int error = write_size("prof.reset", rates[i]);
        say(what, "%s, then %zu", error_name(error),
            read_size("prof.lg_sample"));
    }
    say("reset to nothing", "%s, then %zu", error_name(act("prof.reset")),
        read_size("prof.lg_sample"));
    int small = 5;
    say("reset by 4 bytes", "%s", error_name(mallctl("prof.reset", NULL, NULL,
        &small, sizeof small)));
}

static void logs(void)
{
    say("log_stop at first", "%s", error_name(act("prof.log_stop")));
    say("log_start", "%s",
        error_name(write_text("prof.log_start", path_of("log"))));
    say("log_start again", "%s",
        error_name(write_text("prof.log_start", path_of("again"))));
    say("log_stop", "%s", error_name(act("prof.log_stop")));
    say("log_stop again", "%s", error_name(act("prof.log_stop")));
    say("the log is there", "%s", yes_no(access(path_of("log"), R_OK) == 0));
    say("log_start nowhere", "%s",
        error_name(write_text("prof.log_start", "/nonexistent/log")));
    say("log_stop nowhere", "%s", error_name(act("prof.log_stop")));
}

static void dumps(void)
{
    say("dump", "%s", error_name(write_text("prof.dump", path_of("heap"))));
    say("dump nowhere", "%s",
        error_name(write_text("prof.dump", "/nonexistent/heap")));
    say("dump to NULL", "%s", error_name(write_text("prof.dump", NULL)));
    say("dump to nothing", "%s", error_name(act("prof.dump")));
    say("prefix", "%s",
        error_name(write_text("prof.prefix", path_of("other"))));
    say("dump with it", "%s", error_name(act("prof.dump")));
    say("an empty prefix", "%s", error_name(write_text("prof.prefix", "")));
    say("dump without a name", "%s", error_name(act("prof.dump")));
    say("dump by name", "%s",
        error_name(write_text("prof.dump", path_of("named"))));
}

static void recents(void)
{
    static const char *const name = "experimental.prof_recent.alloc_max";
    static const size_t counts[] = {5, 0, SIZE_MAX, SIZE_MAX - 1, 3};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        size_t was = 99;
        size_t bytes = sizeof was;
        size_t count = counts[i];
        char what[64];
        const int error = mallctl(name, &was, &bytes, &count, sizeof count);
        snprintf(what, sizeof what, "recent %zd", (ssize_t)counts[i]);
        say(what, "%s, was %zd, then %zd", error_name(error), (ssize_t)was,
            (ssize_t)read_size(name));
    }
}

/* The files in the folder, with the process's number taken out of them. */
static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void files(const char *what)
{
    char pid[24];
    struct dirent **entries;
    snprintf(pid, sizeof pid, ".%d.", (int)getpid());
    const int count = scandir(folder, &entries, is_file, alphasort);
    for (int i = 0; i < count; i++) {
        char line[320];
        char *name = entries[i]->d_name;
        char *at = strstr(name, pid);
        if (at != NULL)
            snprintf(line, sizeof line, "%.*s.PID.%s", (int)(at - name), name,
                     at + strlen(pid));
        else
            snprintf(line, sizeof line, "%s", name);
        say(what, "%s", line);
    }
}

static void leaves(void)
{
    switches();
    rates();
    logs();
    dumps();
    recents();
    files("a file");
}

/* -- arming: in a process that began without profiling -- */

static void arming(void)
{
    static const char *const needing[] = {"prof.dump", "prof.reset"};
    const bool on = true;
    for (int round = 0; round < 2; round++) {
        const char *when = round == 0 ? "before" : "after";
        char what[64];
        for (size_t i = 0; i < sizeof needing / sizeof needing[0]; i++) {
            snprintf(what, sizeof what, "%s %s", needing[i], when);
            say(what, "%s", error_name(act(needing[i])));
        }
        snprintf(what, sizeof what, "lg_sample and activity %s", when);
        say(what, "%zu, %s", read_size("prof.lg_sample"),
            yes_no(read_bool("prof.active")));
        if (round == 0)
            say("prof.armed made true", "%s", error_name(mallctl(
                "prof.armed", NULL, NULL, (void *)&on, sizeof on)));
    }
    say("opt.prof then", "%s", yes_no(read_bool("opt.prof")));
}

/* -- threads: their names -- */

static const char *name_now(void)
{
    const char *name = NULL;
    size_t bytes = sizeof name;
    const int error = mallctl("thread.prof.name", &name, &bytes, NULL, 0);
    return error == 0 ? name : error_name(error);
}

static void rename_to(const char *what, const char *name)
{
    const int error = write_text("thread.prof.name", name);
    say(what, "%s, then \"%s\"", error_name(error), name_now());
}

static void *other_thread(void *unused)
{
    say("another's name", "\"%s\"", name_now());
    rename_to("another renamed", "another");
    say("reset meanwhile", "%s", error_name(act("prof.reset")));
    say("and its name", "\"%s\"", name_now());
    say("is it sampled", "%s", yes_no(read_bool("thread.prof.active")));
    return unused;
}

static void threads(void)
{
    const char *name = "both";
    size_t bytes = sizeof name;
    say("name", "\"%s\"", name_now());
    rename_to("renamed", "hi there");
    rename_to("with a tab", "hi\tthere");
    rename_to("of 15", "123456789012345");
    rename_to("nothing", NULL);
    rename_to("with a line end", "hi\nthere");
    rename_to("beyond ASCII", "h\xc3\xa9");
    say("read and written", "%s",
        error_name(mallctl("thread.prof.name", &name, &bytes, &name,
                           sizeof name)));
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    write_bool("prof.thread_active_init", false);
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    rename_to("renamed to none", "");
}

/* -- counts: in a profile, exact where every object is sampled -- */

static void *objects[OBJECTS];

static void take_all(void)
{
    write_bool("prof.active", true);
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = hidden(malloc(SIZE));
    write_bool("prof.active", false);
}

/* The head of a profile, up to its first stack or the maps; a thread's number
 * is left out. */
static void say_head(const char *what, const char *file)
{
    char line[256];
    write_text("prof.dump", path_of(file));
    FILE *profile = fopen(path_of(file), "r");
    if (profile == NULL) {
        say(what, "no file");
        return;
    }
    while (fgets(line, sizeof line, profile) != NULL
           && (line[0] == ' ' || line[0] == 'h')) {
        line[strcspn(line, "\n")] = '\0';
        const char *at = strncmp(line, "  t", 3) == 0 && line[3] != '*'
            ? strchr(line, ':') : NULL;
        say(what, "%s%s", at != NULL ? "  tN" : "", at != NULL ? at : line);
    }
    fclose(profile);
}

static void counts(void)
{
    write_bool("prof.active", false);
    write_text("thread.prof.name", "main thread");
    act("prof.reset");
    take_all();
    say_head("ten objects", "ten");
    for (int i = 0; i < OBJECTS / 2; i++)
        free(objects[i]);
    say_head("half of them freed", "five");
    act("prof.reset");
    say_head("forgotten", "none");
    for (int i = OBJECTS / 2; i < OBJECTS; i++)
        free(objects[i]);
    say_head("freed after that", "freed");
}

/* -- sums: prof.stats of a class -- */

struct sums {
    uint64_t bytes;
    uint64_t objects;
};

static unsigned class_of(const char *kind, size_t size)
{
    char name[64];
    snprintf(name, sizeof name, "arenas.n%ss", kind);
    const unsigned count = read_unsigned(name);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "arenas.%s.%u.size", kind, i);
        if (read_size(name) >= size)
            return i;
    }
    return count;
}

static struct sums sums_of(const char *kind, size_t size, const char *which)
{
    char name[64];
    struct sums sums = {77, 77};
    size_t bytes = sizeof sums;
    snprintf(name, sizeof name, "prof.stats.%ss.%u.%s", kind,
             class_of(kind, size), which);
    if (mallctl(name, &sums, &bytes, NULL, 0) != 0)
        sums.bytes = sums.objects = 99;
    return sums;
}

static void say_sums(const char *what, const char *kind, size_t size)
{
    const struct sums live = sums_of(kind, size, "live");
    const struct sums ever = sums_of(kind, size, "accum");
    say(what, "live %ju bytes of %ju, ever %ju of %ju", (uintmax_t)live.bytes,
        (uintmax_t)live.objects, (uintmax_t)ever.bytes,
        (uintmax_t)ever.objects);
}

static void sums_of_size(const char *kind, size_t size)
{
    char what[64];
    void *held[3];
    write_bool("prof.active", true);
    for (size_t i = 0; i < 3; i++)
        held[i] = hidden(malloc(size - i));
    write_bool("prof.active", false);
    snprintf(what, sizeof what, "three of %zu", size);
    say_sums(what, kind, size);
    for (int i = 0; i < 3; i++) {
        free(held[i]);
        snprintf(what, sizeof what, "of %zu freed %d", size, i + 1);
        say_sums(what, kind, size);
    }
    act("prof.reset");
    snprintf(what, sizeof what, "of %zu after a reset", size);
    say_sums(what, kind, size);
}

static void sums(void)
{
    write_bool("prof.active", false);
    sums_of_size("bin", 448);
    sums_of_size("bin", 1792);
    sums_of_size("lextent", 327680);
}

/* -- hooks: what is called, and with what -- */

static struct {
    unsigned taken, given, stacks, dumps;
    const void *pointer;
    size_t size, usable;
    unsigned depth;
    char path[256];
} seen;

typedef void find_stack(void **pc, unsigned *count, unsigned count_max);
static find_stack *usual;

static void own_stack(void **pc, unsigned *count, unsigned count_max)
{
    seen.stacks++;
    *count = count_max < 3 ? count_max : 3;
    for (unsigned i = 0; i < *count; i++)
        pc[i] = (void *)(uintptr_t)(0x1000 + i);
}

static void longer_stack(void **pc, unsigned *count, unsigned count_max)
{
    seen.stacks++;
    usual(pc, count, count_max);
    seen.depth = *count;
    if (*count < count_max)
        pc[(*count)++] = (void *)(uintptr_t)0x3030;
}

static void note_dump(const char *path)
{
    seen.dumps++;
    snprintf(seen.path, sizeof seen.path, "%s", path);
}

static void *exchange_hook(const char *name, void *hook)
{
    void *was = NULL;
    size_t bytes = sizeof was;
    const int error = mallctl(name, &was, &bytes, &hook, sizeof hook);
    if (error != 0)
        say(name, "%s", error_name(error));
    return was;
}

static void stack_hooks(void)
{
    static const char *const name = "experimental.hooks.prof_backtrace";
    void *none = NULL;
    usual = (find_stack *)(uintptr_t)exchange_hook(name,
        (void *)(uintptr_t)own_stack);
    say("there was one", "%s", yes_no(usual != NULL));
    void *object = hidden(malloc(SIZE));
    say("own stack", "called %u", seen.stacks);
    say("none", "%s",
        error_name(mallctl(name, NULL, NULL, &none, sizeof none)));
    say("it was ours", "%s", yes_no(exchange_hook(name,
        (void *)(uintptr_t)longer_stack) == (void *)(uintptr_t)own_stack));
    seen.stacks = 0;
    void *second = hidden(malloc(SIZE));
    say("longer stack", "called %u, with the usual one %s", seen.stacks,
        yes_no(seen.depth > 0 && seen.depth < STACK_MAX));
    exchange_hook(name, (void *)(uintptr_t)usual);
    free(object);
    free(second);
}

static void dump_hooks(void)
{
    static const char *const name = "experimental.hooks.prof_dump";
    say("no dump hook", "%s", yes_no(exchange_hook(name,
        (void *)(uintptr_t)note_dump) == NULL));
    write_text("prof.dump", path_of("hooked"));
    say("a dump", "told %u times, the name is right %s", seen.dumps,
        yes_no(strcmp(seen.path, path_of("hooked")) == 0));
    write_text("prof.dump", "/nonexistent/heap");
    say("a dump that fails", "told %u times", seen.dumps);
    say("it was ours", "%s", yes_no(exchange_hook(name, NULL)
        == (void *)(uintptr_t)note_dump));
    act("prof.dump");
    say("a dump without", "told %u times", seen.dumps);
}

static void hooks(void)
{
    stack_hooks();
    dump_hooks();
}

/* -- samples: the hooks that 5.3.0 lacks; their order is said -- */

static void note_take(const void *pointer, size_t size, void **stack,
                      unsigned depth, size_t usable)
{
    seen.taken++;
    seen.pointer = pointer;
    seen.size = size;
    seen.usable = usable;
    seen.depth = depth > 0 && stack[0] != NULL ? depth : 0;
    free(hidden(malloc(100)));      /* what a hook allocates is not sampled */
}

static void note_give(const void *pointer, size_t usable)
{
    seen.given += pointer == seen.pointer && usable == seen.usable;
}

static void sample(const char *what)
{
    memset(&seen, 0, sizeof seen);
    void *object = hidden(malloc(10));
    const bool right = seen.pointer == object && seen.size == 10
                       && seen.usable == malloc_usable_size(object)
                       && seen.depth > 0;
    const unsigned given = seen.given;
    free(object);
    say(what, "taken %u, rightly %s, given %u, then %u", seen.taken,
        yes_no(right), given, seen.given);
}

static void samples(void)
{
    static const char *const take = "experimental.hooks.prof_sample";
    static const char *const give = "experimental.hooks.prof_sample_free";
    sample("without hooks");
    exchange_hook(take, (void *)(uintptr_t)note_take);
    sample("with one");
    exchange_hook(give, (void *)(uintptr_t)note_give);
    sample("with both");
    say("read back", "%s %s",
        yes_no(exchange_hook(take, NULL) == (void *)(uintptr_t)note_take),
        yes_no(exchange_hook(give, NULL) == (void *)(uintptr_t)note_give));
    sample("without again");
    say("neither read nor written", "%s %s", error_name(act(take)),
        error_name(act(give)));
}

/* -- automatic files, the log, the latest, and the end -- */

static void automatic(void)
{
    for (int i = 0; i < 8; i++)
        free(hidden(malloc(MIB)));
    void *high = hidden(malloc(64 * MIB));
    memset(high, 1, 64 * MIB);
    act("prof.dump");
    free(high);
}

static void logged(void)
{
    write_text("thread.prof.name", "logger");
    write_text("prof.log_start", path_of("log.json"));
    for (int i = 0; i < OBJECTS; i++)
        free(hidden(malloc(SIZE)));
    act("prof.log_stop");
}

static void put(void *opaque, const char *text)
{
    if (opaque != &seen || write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(2);
}

static void latest(void)
{
    struct {
        void (*write)(void *, const char *);
        void *opaque;
    } to = {put, &seen};
    void *kept = hidden(malloc(SIZE));
    free(hidden(malloc(2 * SIZE)));
    write_bool("prof.active", false);
    say("written", "%s",
        error_name(mallctl("experimental.prof_recent.alloc_dump", NULL, NULL,
                           &to, sizeof to)));
    free(kept);
}

static void leak(void)
{
    write_bool("prof.active", false);
    act("prof.reset");
    take_all();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        {"leaves", leaves},   {"arming", arming},       {"threads", threads},
        {"counts", counts},   {"sums", sums},           {"hooks", hooks},
        {"samples", samples}, {"logged", logged},       {"latest", latest},
        {"leak", leak},       {"automatic", automatic},
    };
    folder = argc > 2 ? argv[2] : ".";
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (argc > 1 && strcmp(argv[1], parts[i].name) == 0)
            parts[i].run();
    }
    return 0;
}
