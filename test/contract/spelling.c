/* SPDX-License-Identifier: MIT */
/*
 * spelling - names that are written oddly, cut short or wrong, and numbers
 * (mibs) that clients patch or cut.
 *
 * Goal: what jemalloc takes for a name, and what it refuses, is the same here.
 * Method: each name is read; a mib is made of a shorter name, completed by
 * hand and asked.
 */
#include "contract.h"

enum { DEPTH_MAX = 9 };

static const char *const names[] = {
    "", ".", "..", " ", "a", "opt", "opt.", ".opt", "opt..abort", "opt.abort.",
    "opt.abort.x", "opt.Abort", "OPT.abort", " opt.abort", "opt.abort ",
    "opt.abor", "opt.aborts", "version.", "version.x", "versio", "epoch ",
    "thread", "thread.tcache", "arena", "arena.", "arena.0", "arena.0.",
    "arenas", "arenas.bin", "arenas.bin.0", "arenas.bin.x.size",
    "arena.x.initialized", "arena..initialized", "arena.-.initialized",
    "arena.0.initialized", "arena.00.initialized", "arena.+0.initialized",
    "arena.-0.initialized", "arena. 0.initialized", "arena.0 .initialized",
    "arena.0x.initialized", "arena.0x0.initialized", "arena.0abc.initialized",
    "arena.\t0.initialized", "arena.-1.initialized",
    "arena.4096.initialized", "arena.4097.initialized",
    "arena.4098.initialized", "arena.4294967295.initialized",
    "arena.4294967296.initialized", "arena.18446744073709551615.initialized",
    "arena.18446744073709551616.initialized",
    "arena.99999999999999999999999.initialized",
    "arenas.bin.00.size", "arenas.bin.+1.size", "arenas.bin. 1.size",
    "arenas.bin.1x.size", "arenas.bin.-1.size", "arenas.bin.1000.size",
    "arenas.bin.4294967296.size", "arenas.lextent.1000.size",
    "arenas.lextent. 0.size", "stats.arenas.0", "stats.arenas.0.bins",
    "stats.arenas.x.pactive", "stats.arenas. 0.pactive",
    "stats.arenas.00.pactive", "stats.arenas.4096.pactive",
    "stats.arenas.4097.pactive", "stats.arenas.4098.pactive",
    "stats.arenas.0.bins.x.curregs", "stats.arenas.0.bins. 0.curregs",
    "stats.arenas.0.bins.1000.curregs",
    "stats.arenas.0.lextents.1000.curlextents",
    "stats.arenas.0.small.resident", "stats.arenas.0.small",
    "stats.arenas.0.mutexes.unknown.num_ops", "stats.mutexes.ctl",
    "stats.cactive", "stats.huge.allocated", "opt.lg_dirty_mult",
    "opt.purge", "arenas.extend", "arenas.purge", "arenas.nregs",
    "arena.0.dirty_decay_time", "a.b.c.d.e.f.g.h.i.j.k.l.m",
    "arena.0.initialized.x.y.z.a.b.c.d.e.f",
    "stats.arenas.0.bins.0.mutex.num_ops.x",
    "stats.arenas.0.bins.0.mutex.num_ops.",
    "arena.00000000000000000000000000000000000000.initialized",
    "arena.-18446744073709551615.initialized",
};

static void say_name(const char *name)
{
    unsigned char value[64];
    size_t bytes = sizeof value;
    size_t mib[DEPTH_MAX];
    size_t depth = DEPTH_MAX;
    char what[128];
    const int error = mallctl(name, value, &bytes, NULL, 0);
    const int found = mallctlnametomib(name, mib, &depth);
    snprintf(what, sizeof what, "\"%s\"", name);
    for (char *at = what; *at != '\0'; at++)
        *at = *at == '\t' ? '~' : *at;
    /* Longer than any value: EINVAL says that the name stands for one. */
    say(what, "%s, mib %s", error_name(error), error_name(found));
}

/* -- mibs -- */

static void say_mib(const char *what, const size_t *mib, size_t depth)
{
    size_t value = 0;
    size_t bytes = sizeof value;
    const int error = mallctlbymib(mib, depth, &value, &bytes, NULL, 0);
    say(what, "%s, %zu bytes", error_name(error), bytes);
}

/* arenas.bin.J.size, J patched in, as Redis does. */
static void patched_bins(void)
{
    size_t mib[4];
    size_t depth = 4;
    say("mib of arenas.bin.0.size", "%s, depth %zu",
        error_name(mallctlnametomib("arenas.bin.0.size", mib, &depth)), depth);
    const unsigned bins = read_unsigned("arenas.nbins");
    size_t last = 0;
    bool ascending = true;
    for (mib[2] = 0; mib[2] < bins; mib[2]++) {
        size_t size = 0;
        size_t bytes = sizeof size;
        if (mallctlbymib(mib, depth, &size, &bytes, NULL, 0) != 0
            || size <= last || nallocx(size, 0) != size)
            ascending = false;
        last = size;
    }
    say("bins ascend, and each is a size of nallocx", "%s", yes_no(ascending));
    mib[2] = bins;
    say_mib("the bin behind the last", mib, depth);
    mib[2] = SIZE_MAX;
    say_mib("bin SIZE_MAX", mib, depth);
}

/* stats.arenas.I.bins.J.curregs from the mib of its parent's name. */
static void partial_names(void)
{
    size_t mib[DEPTH_MAX];
    size_t depth = DEPTH_MAX;
    say("mib of stats.arenas.0.bins.0", "%s, depth %zu",
        error_name(mallctlnametomib("stats.arenas.0.bins.0", mib, &depth)),
        depth);
    depth = DEPTH_MAX;
    say("mib of stats", "%s, depth %zu",
        error_name(mallctlnametomib("stats", mib, &depth)), depth);
    say_mib("stats by its mib", mib, 1);
    say_mib("a mib of depth 0", mib, 0);
    mib[0] = 1000;
    say_mib("a first component behind the last", mib, 1);
    mib[0] = SIZE_MAX;
    say_mib("first component SIZE_MAX", mib, 1);
}

static void patched_arenas(void)
{
    size_t mib[DEPTH_MAX];
    size_t depth = DEPTH_MAX;
    mallctlnametomib("arena.0.dirty_decay_ms", mib, &depth);
    const size_t narenas = read_unsigned("arenas.narenas");
    const struct {
        const char *what;
        size_t index;
    } indices[] = {
        {"arena 0", 0}, {"arena narenas", narenas},
        {"arena narenas + 1", narenas + 1}, {"arena 4096", ARENAS_ALL},
        {"arena 4097", ARENAS_DESTROYED}, {"arena 2^32", 4294967296},
        {"arena SIZE_MAX", SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        char what[64];
        snprintf(what, sizeof what, "decay of %s by mib", indices[i].what);
        mib[1] = indices[i].index;
        say_mib(what, mib, depth);
    }
    depth = DEPTH_MAX;
    mallctlnametomib("stats.arenas.0.pactive", mib, &depth);
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        char what[64];
        snprintf(what, sizeof what, "stats of %s by mib", indices[i].what);
        mib[2] = indices[i].index;
        say_mib(what, mib, depth);
    }
}

/* Room for fewer components than there are: the first are filled in. */
static void short_room(void)
{
    size_t whole[DEPTH_MAX];
    size_t depth = DEPTH_MAX;
    mallctlnametomib("stats.arenas.0.bins.0.curregs", whole, &depth);
    for (size_t room = 0; room <= depth; room++) {
        size_t mib[DEPTH_MAX + 1];
        size_t filled = room;
        memset(mib, 0xff, sizeof mib);
        const int error = mallctlnametomib("stats.arenas.0.bins.0.curregs",
                                           mib, &filled);
        char what[64];
        snprintf(what, sizeof what, "mib with room for %zu", room);
        say(what, "%s, depth %zu, same %s, rest untouched %s",
            error_name(error), filled,
            yes_no(memcmp(mib, whole, filled * sizeof mib[0]) == 0),
            yes_no(mib[filled] == SIZE_MAX));
    }
}

/* The same of names that go on where there is nothing. */
static void short_room_for_too_much(void)
{
    static const char *const longer[] = {
        "epoch.x", "epoch.", "arenas.", "arenas..", "arena..5", "stats.x.y",
        "thread.tcache.x", "arena.0.", "arena.0.5", "arena.0..purge",
        "arenas.bin.0.size.x", "stats.arenas.0.bins.0.mutex.num_ops.x",
        "stats.arenas.0.bins.0.mutex.num_ops.",
    };
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        for (size_t room = 0; room <= DEPTH_MAX; room++) {
            size_t mib[DEPTH_MAX];
            size_t filled = room;
            const int error = mallctlnametomib(longer[i], mib, &filled);
            char what[64];
            snprintf(what, sizeof what, "\"%s\" with room for %zu", longer[i],
                     room);
            say(what, "%s, depth %zu", error_name(error), filled);
        }
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        say_name(names[i]);
    patched_bins();
    partial_names();
    patched_arenas();
    short_room();
    short_room_for_too_much();
    return 0;
}
