/* SPDX-License-Identifier: MIT */
/*
 * background - background threads, switched on and off while the program runs.
 *
 * Goal: the names' results, the threads' name, and that they do run.
 * Method: /proc/self/task is read for the threads.
 */
#include "contract.h"

#include <dirent.h>
#include <time.h>

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The threads of this process that have the name. */
static unsigned threads_named(const char *name)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    while ((entry = readdir(tasks)) != NULL) {
        char path[300];
        char comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(comm, sizeof comm, file) != NULL)
            comm[strcspn(comm, "\n")] = '\0';
        fclose(file);
        count += strcmp(comm, name) == 0;
    }
    closedir(tasks);
    return count;
}

/* Whether the threads come to be there, or not, within two seconds. */
static bool comes(bool wanted)
{
    for (int i = 0; i < 200; i++) {
        if ((threads_named("jemalloc_bg_thd") != 0) == wanted)
            return true;
        sleep_ms(10);
    }
    return false;
}

static int set(bool on)
{
    return mallctl("background_thread", NULL, NULL, &on, sizeof on);
}

static void say_state(const char *when)
{
    char what[64];
    snprintf(what, sizeof what, "background_thread %s", when);
    say(what, "%s", yes_no(read_bool("background_thread")));
}

static int set_max(size_t max)
{
    return mallctl("max_background_threads", NULL, NULL, &max, sizeof max);
}

static void maxima(void)
{
    const size_t max = read_size("opt.max_background_threads");
    say("max is opt.max", "%s",
        yes_no(read_size("max_background_threads") == max));
    say("max set to 0", "%s", error_name(set_max(0)));
    say("max set to one more", "%s", error_name(set_max(max + 1)));
    say("max set to 1", "%s", error_name(set_max(1)));
    say("max then", "%zu", read_size("max_background_threads"));
    say("max set to 2, threads on", "%s, %s", error_name(set_max(2)),
        error_name(set(true)));
    say("set to 1 while on", "%s", error_name(set_max(1)));
    say("set back while on", "%s", error_name(set_max(max)));
}

/* Dirty memory, and nothing that ticks afterwards: what is left to the
 * threads. */
static void idle(void)
{
    ssize_t ms = 200;
    say("decay of arena 0", "%s",
        error_name(mallctl("arena.0.dirty_decay_ms", NULL, NULL, &ms,
                           sizeof ms)));
    const int flags = MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE;
    for (int i = 0; i < 20; i++) {
        char *ptrs[16];
        for (int j = 0; j < 16; j++) {
            ptrs[j] = mallocx(MIB, flags);
            memset(ptrs[j], 1, MIB);
        }
        for (int j = 0; j < 16; j++)
            dallocx(ptrs[j], MALLOCX_TCACHE_NONE);
    }
    sleep_ms(400);
    refresh();
    say("num_threads", "%s",
        read_size("stats.background_thread.num_threads") != 0 ? "some"
                                                              : "none");
    say("num_runs", "%s",
        read_u64("stats.background_thread.num_runs") != 0 ? "some" : "none");
}

int main(void)
{
    say_state("at first");
    say("threads at first", "%u", threads_named("jemalloc_bg_thd"));
    say("set off", "%s", error_name(set(false)));
    say("set on", "%s", error_name(set(true)));
    say_state("then");
    say("its threads come, by name", "%s", yes_no(comes(true)));
    say("set on again", "%s", error_name(set(true)));
    idle();
    say("set off", "%s", error_name(set(false)));
    say("its threads go", "%s", yes_no(comes(false)));
    say_state("at last");
    maxima();
    set(false);
    return 0;
}
