/* SPDX-License-Identifier: MIT */
/*
 * names - what a look-up by mallctl() costs, by name and by mib.
 *
 * Stands for programs that read statistics often: a gauge per request, a
 * counter per task. Prints the best of some rounds, in nanoseconds, for the
 * library that serves; it needs one that exports mallctl().
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int by_name_call(const char *name, void *old, size_t *old_bytes,
    void *new, size_t new_bytes);
typedef int by_mib_call(const size_t *mib, size_t depth, void *old,
    size_t *old_bytes, void *new, size_t new_bytes);
typedef int to_mib_call(const char *name, size_t *mib, size_t *depth);

static by_name_call *by_name;
static by_mib_call *by_mib;
static to_mib_call *to_mib;

enum { ROUNDS = 50, CALLS = 4000, DEPTH_MAX = 8 };

static const struct {
    const char *name;
    size_t bytes;
} leaves[] = {
    { "version", 8 },
    { "epoch", 8 },
    { "stats.allocated", 8 },
    { "arenas.narenas", 4 },
    { "thread.allocated", 8 },
    { "opt.zero_realloc", 8 },
    { "arenas.bin.3.size", 8 },
    { "stats.arenas.0.pactive", 8 },
    { "stats.arenas.0.bins.3.curregs", 8 },
    { "stats.arenas.0.hpa_shard.nonfull_slabs.3.npageslabs_nonhuge", 8 },
};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct cost {
    double name_ns;
    double mib_ns;
};

/* The time of a call, of one round. */
static struct cost round_of(const char *name, size_t bytes)
{
    uint64_t value;
    size_t mib[DEPTH_MAX];
    size_t depth = DEPTH_MAX - 1;
    (void)to_mib(name, mib, &depth);
    const double start = now_ns();
    for (int i = 0; i < CALLS; i++) {
        size_t room = bytes;
        (void)by_name(name, &value, &room, NULL, 0);
    }
    const double middle = now_ns();
    for (int i = 0; i < CALLS; i++) {
        size_t room = bytes;
        (void)by_mib(mib, depth, &value, &room, NULL, 0);
    }
    return (struct cost){
        (middle - start) / CALLS, (now_ns() - middle) / CALLS
    };
}

static void report(const char *name, size_t bytes)
{
    uint64_t value;
    size_t room = bytes;
    if (by_name(name, &value, &room, NULL, 0) != 0) {
        printf("%-60s not there\n", name);
        return;
    }
    struct cost best = round_of(name, bytes);
    for (int i = 1; i < ROUNDS; i++) {
        const struct cost one = round_of(name, bytes);
        if (one.name_ns < best.name_ns)
            best.name_ns = one.name_ns;
        if (one.mib_ns < best.mib_ns)
            best.mib_ns = one.mib_ns;
    }
    printf("%-60s name %6.1f  mib %6.1f\n", name, best.name_ns, best.mib_ns);
}

int main(void)
{
    by_name = (by_name_call *)dlsym(RTLD_DEFAULT, "mallctl");
    by_mib = (by_mib_call *)dlsym(RTLD_DEFAULT, "mallctlbymib");
    to_mib = (to_mib_call *)dlsym(RTLD_DEFAULT, "mallctlnametomib");
    if (by_name == NULL || by_mib == NULL || to_mib == NULL) {
        fprintf(stderr, "names: no mallctl() here; preload one\n");
        return EXIT_FAILURE;
    }
    uint64_t any = 1;
    (void)by_name("epoch", NULL, NULL, &any, sizeof any);
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
        report(leaves[i].name, leaves[i].bytes);
    return EXIT_SUCCESS;
}
