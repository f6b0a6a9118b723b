/* SPDX-License-Identifier: MIT */
/*
 * names - every way to ask for, and to set, what a name of the control tree
 * stands for.
 *
 * Goal: each name answers each well-formed and each malformed call as jemalloc
 * does.  Method: standard input has a line for each name, "NAME ASKED TYPE
 * ACCESS JUDGE": what is said of NAME is the answer to ASKED, which is another
 * name where a library has no NAME.  Each name is tried in a child of its own,
 * so that nothing lasts; when a call ends the child, that is said and the next
 * child goes on with the next call.  In a name, <i> is a place for the index of
 * an arena, <j> for another index.
 */
#include "contract.h"

enum { DEPTH_MAX = 9, FILL = 0xa5, ROOM = 64 };

/* How a value is told. */
enum judge { JUDGE_VALUE, JUDGE_SIGN, JUDGE_ANY };

struct leaf {
    char pattern[96];     /* with <i> and <j>, as it is told */
    char asked[96];       /* the same, as it is asked for */
    char type[24];
    char access[4];
    enum judge judge;
    size_t bytes;         /* of the type; 0: void */
    char name[128];       /* asked, with numbers for <i> and <j> */
};

static unsigned manual;       /* an arena of this process */

/* -- types and values -- */

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    {"void", 0},          {"bool", sizeof(bool)},
    {"unsigned", sizeof(unsigned)}, {"uint32_t", sizeof(uint32_t)},
    {"size_t", sizeof(size_t)},     {"ssize_t", sizeof(ssize_t)},
    {"uint64_t", sizeof(uint64_t)}, {"int64_t", sizeof(int64_t)},
    {"string", sizeof(char *)},     {"pointer", sizeof(void *)},
    {"pair", 2 * sizeof(uint64_t)},
};

static size_t bytes_of(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, type) == 0)
            return types[i].bytes;
    }
    fprintf(stderr, "names: there is no type %s\n", type);
    exit(2);
}

static const char *sign_of(long long value)
{
    return value == 0 ? "zero" : value > 0 ? "positive" : "negative";
}

static void tell_number(char *text, size_t room, const struct leaf *leaf,
                        long long value)
{
    if (leaf->judge == JUDGE_VALUE)
        snprintf(text, room, "%lld", value);
    else if (leaf->judge == JUDGE_SIGN)
        snprintf(text, room, "%s", sign_of(value));
    else
        snprintf(text, room, "a number");
}

static void tell_value(char *text, size_t room, const struct leaf *leaf,
                       const void *value)
{
    long long number = 0;
    const char *string;
    memcpy(&string, value, sizeof string);
    if (strcmp(leaf->type, "string") == 0) {
        if (leaf->judge == JUDGE_VALUE)
            snprintf(text, room, "\"%s\"", string == NULL ? "(null)" : string);
        else
            snprintf(text, room, "a string");
    } else if (strcmp(leaf->type, "pointer") == 0) {
        snprintf(text, room, string == NULL ? "NULL" : "an address");
    } else {
        if (strcmp(leaf->type, "bool") == 0)
            number = *(const unsigned char *)value;
        else if (leaf->bytes == 4)
            number = *(const uint32_t *)value;
        else
            memcpy(&number, value, sizeof number);
        tell_number(text, room, leaf, number);
    }
}

/* -- one call -- */

struct call {
    unsigned char old[ROOM];
    size_t old_bytes;
    unsigned char new[ROOM];
};

static void call_prepare(struct call *call, size_t old_bytes)
{
    memset(call->old, FILL, sizeof call->old);
    memset(call->new, 0, sizeof call->new);
    call->old_bytes = old_bytes;
}

/* Where the last changed byte of the answer lies. */
static const char *extent_of(const struct call *call, size_t bytes)
{
    size_t last = ROOM;
    while (last > 0 && call->old[last - 1] == FILL)
        last--;
    return last == 0 ? "nothing" : last <= bytes ? "inside" : "beyond";
}

static void say_call(const struct leaf *leaf, const char *how, int error,
                     const struct call *call)
{
    char what[256];
    snprintf(what, sizeof what, "%s %s", leaf->pattern, how);
    if (error == 0 && call->old_bytes == leaf->bytes && leaf->bytes != 0
        && call->old[0] != FILL) {
        char value[512];
        tell_value(value, sizeof value, leaf, call->old);
        say(what, "ok, %zu bytes, %s", call->old_bytes, value);
        return;
    }
    say(what, "%s, %zu bytes, wrote %s", error_name(error), call->old_bytes,
        extent_of(call, call->old_bytes));
}

static void say_error(const struct leaf *leaf, const char *how, int error)
{
    char what[256];
    snprintf(what, sizeof what, "%s %s", leaf->pattern, how);
    say(what, "%s", error_name(error));
}

/* -- the ways to call -- */

/* A way that is about sizes: the type's, and so many bytes more than it. */
struct way {
    const char *how;
    void (*try)(const struct leaf *, const struct way *);
    int old_more;
    int new_more;
};

/* Void leaves are asked for as if they held a word of eight bytes. */
static size_t bytes_with(const struct leaf *leaf, int more)
{
    const size_t bytes = leaf->bytes == 0 ? 8 : leaf->bytes;
    return (size_t)((long)bytes + more);
}

static void way_read(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, bytes_with(leaf, way->old_more));
    const int error = mallctl(leaf->name, call.old, &call.old_bytes, NULL, 0);
    say_call(leaf, way->how, error, &call);
}

static void way_read_0(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, 0);
    const int error = mallctl(leaf->name, call.old, &call.old_bytes, NULL, 0);
    say_call(leaf, way->how, error, &call);
}

static void way_no_length(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, 0);
    const int error = mallctl(leaf->name, call.old, NULL, NULL, 0);
    say_call(leaf, way->how, error, &call);
}

static void way_no_place(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, leaf->bytes);
    const int error = mallctl(leaf->name, NULL, &call.old_bytes, NULL, 0);
    say_call(leaf, way->how, error, &call);
}

static void way_nothing(const struct leaf *leaf, const struct way *way)
{
    say_error(leaf, way->how, mallctl(leaf->name, NULL, NULL, NULL, 0));
}

/* What may be written to a leaf: what it holds; where that cannot be read,
 * zeros, which are also a NULL pointer. */
static void fill_new(const struct leaf *leaf, struct call *call)
{
    size_t bytes = leaf->bytes;
    if (leaf->access[0] == 'r')
        mallctl(leaf->name, call->new, &bytes, NULL, 0);
    if (strcmp(leaf->pattern, "tcache.flush") == 0
        || strcmp(leaf->pattern, "tcache.destroy") == 0) {
        bytes = sizeof(unsigned);
        mallctl("tcache.create", call->new, &bytes, NULL, 0);
    }
}

static void way_write(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, 0);
    fill_new(leaf, &call);
    say_error(leaf, way->how,
              mallctl(leaf->name, NULL, NULL, call.new,
                      bytes_with(leaf, way->new_more)));
}

static void way_write_0(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, 0);
    fill_new(leaf, &call);
    say_error(leaf, way->how, mallctl(leaf->name, NULL, NULL, call.new, 0));
}

static void way_write_nothing(const struct leaf *leaf, const struct way *way)
{
    say_error(leaf, way->how,
              mallctl(leaf->name, NULL, NULL, NULL, bytes_with(leaf, 0)));
}

static void way_both(const struct leaf *leaf, const struct way *way)
{
    struct call call;
    call_prepare(&call, bytes_with(leaf, way->old_more));
    fill_new(leaf, &call);
    const int error = mallctl(leaf->name, call.old, &call.old_bytes, call.new,
                              bytes_with(leaf, way->new_more));
    say_call(leaf, way->how, error, &call);
}

/* With room for so many components: what fits is filled in. */
static void way_mib(const struct leaf *leaf, const struct way *way)
{
    size_t mib[DEPTH_MAX];
    size_t depth = (size_t)way->old_more;
    const int error = mallctlnametomib(leaf->name, mib, &depth);
    char what[256];
    snprintf(what, sizeof what, "%s %s", leaf->pattern, way->how);
    say(what, "%s, depth %zu", error_name(error), depth);
}

/* By the number, with as many components more as the way says. */
static void way_by_mib(const struct leaf *leaf, const struct way *way)
{
    size_t mib[DEPTH_MAX] = {0};
    size_t depth = DEPTH_MAX - 1;
    if (mallctlnametomib(leaf->name, mib, &depth) != 0)
        return;
    struct call call;
    call_prepare(&call, leaf->bytes);
    const bool reads = leaf->access[0] == 'r';
    const int error = mallctlbymib(mib, (size_t)((long)depth + way->old_more),
                                   reads ? call.old : NULL,
                                   reads ? &call.old_bytes : NULL, NULL, 0);
    say_call(leaf, way->how, error, &call);
}

static const struct way ways[] = {
    {"read", way_read, 0, 0},
    {"read short", way_read, -1, 0},
    {"read long", way_read, 1, 0},
    {"read 0 bytes", way_read_0, 0, 0},
    {"read without a length", way_no_length, 0, 0},
    {"read without a place", way_no_place, 0, 0},
    {"nothing", way_nothing, 0, 0},
    {"write", way_write, 0, 0},
    {"write short", way_write, 0, -1},
    {"write long", way_write, 0, 1},
    {"write 0 bytes", way_write_0, 0, 0},
    {"write without a place", way_write_nothing, 0, 0},
    {"read and write", way_both, 0, 0},
    {"read long and write", way_both, 1, 0},
    {"read and write long", way_both, 0, 1},
    {"mib, room for 1", way_mib, 1, 0},
    {"mib", way_mib, DEPTH_MAX, 0},
    {"by mib", way_by_mib, 0, 0},
    {"by mib less", way_by_mib, -1, 0},
    {"by mib more", way_by_mib, 1, 0},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* -- indices -- */

static const char *const arenas[] = {
    "0", "manual", "all", "narenas", "destroyed", "missing", "unknown",
};

/* The number that stands for an arena in a name. */
static unsigned long arena_index(const char *arena)
{
    const unsigned narenas = read_unsigned("arenas.narenas");
    if (strcmp(arena, "manual") == 0)
        return manual;
    if (strcmp(arena, "all") == 0)
        return ARENAS_ALL;
    if (strcmp(arena, "narenas") == 0)
        return narenas;
    if (strcmp(arena, "destroyed") == 0)
        return ARENAS_DESTROYED;
    if (strcmp(arena, "missing") == 0)
        return narenas + 1;
    if (strcmp(arena, "unknown") == 0)
        return 4294967296;
    return 0;
}

/* name, with text where it had a place; false: it has no such place. */
static bool put(char *name, size_t room, const char *place, const char *text)
{
    char *at = strstr(name, place);
    if (at == NULL)
        return false;
    char rest[128];
    snprintf(rest, sizeof rest, "%s", at + strlen(place));
    snprintf(at, room - (size_t)(at - name), "%s%s", text, rest);
    return true;
}

static void put_number(char *name, size_t room, const char *place,
                       unsigned long number)
{
    char text[24];
    snprintf(text, sizeof text, "%lu", number);
    put(name, room, place, text);
}

/* -- children -- */

/* Something of every kind has happened before a leaf is looked at. */
static void live_a_little(void)
{
    size_t bytes = sizeof manual;
    mallctl("arenas.create", &manual, &bytes, NULL, 0);
    for (size_t size = 1; size < 3 * MIB; size += size / 3 + 1) {
        void *kept = mallocx(size, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE);
        void *freed = mallocx(size, MALLOCX_ARENA(manual)
                                        | MALLOCX_TCACHE_NONE);
        if (kept == NULL || freed == NULL)
            _exit(3);
        dallocx(freed, MALLOCX_TCACHE_NONE);
    }
    refresh();
}

/* The ways from *next on; *next says which comes next, should this die. */
static void try_ways(const struct leaf *leaf, volatile size_t *next,
                     size_t count)
{
    while (*next < count) {
        const size_t now = *next;
        *next = now + 1;
        ways[now].try(leaf, &ways[now]);
    }
}

static void try_leaf(struct leaf *leaf, const char *arena, size_t count)
{
    static volatile size_t *next;
    if (next == NULL)
        next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *next = 0;
    snprintf(leaf->name, sizeof leaf->name, "%s", leaf->asked);
    put_number(leaf->name, sizeof leaf->name, "<i>", arena_index(arena));
    put_number(leaf->name, sizeof leaf->name, "<j>", 0);
    char pattern[sizeof leaf->pattern];
    memcpy(pattern, leaf->pattern, sizeof pattern);
    put(leaf->pattern, sizeof leaf->pattern, "<i>", arena);
    put(leaf->pattern, sizeof leaf->pattern, "<j>", "0");
    while (*next < count) {
        const pid_t child = fork();
        if (child == 0) {
            try_ways(leaf, next, count);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) {
            char what[128];
            snprintf(what, sizeof what, "%s %s", leaf->pattern,
                     ways[*next - 1].how);
            say(what, "died of %s", sigabbrev_np(WTERMSIG(status)));
        }
    }
    memcpy(leaf->pattern, pattern, sizeof pattern);
}

/* An index behind the last: only read. */
static void try_beyond(struct leaf *leaf)
{
    snprintf(leaf->name, sizeof leaf->name, "%s", leaf->asked);
    put(leaf->name, sizeof leaf->name, "<i>", "0");
    put(leaf->name, sizeof leaf->name, "<j>", "100000");
    struct call call;
    call_prepare(&call, leaf->bytes);
    const int error = mallctl(leaf->name, call.old, &call.old_bytes, NULL, 0);
    say_call(leaf, "beyond", error, &call);
}

static void try_all(struct leaf *leaf)
{
    const bool acts = strncmp(leaf->pattern, "arena.<i>.", 10) == 0;
    if (strstr(leaf->pattern, "<i>") == NULL) {
        try_leaf(leaf, "0", WAYS);
    } else {
        for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
            try_leaf(leaf, arenas[i], i == 0 || acts ? WAYS : 1);
    }
    if (strstr(leaf->pattern, "<j>") != NULL)
        try_beyond(leaf);
}

static enum judge judge_of(const char *word)
{
    return strcmp(word, "value") == 0  ? JUDGE_VALUE
           : strcmp(word, "sign") == 0 ? JUDGE_SIGN
                                       : JUDGE_ANY;
}

int main(void)
{
    char line[320];
    live_a_little();
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct leaf leaf;
        char judge[16];
        if (sscanf(line, "%95s %95s %23s %3s %15s", leaf.pattern,
                   leaf.asked, leaf.type, leaf.access, judge) != 5) {
            fprintf(stderr, "names: cannot read: %s", line);
            return 2;
        }
        leaf.judge = judge_of(judge);
        leaf.bytes = bytes_of(leaf.type);
        try_all(&leaf);
    }
    return 0;
}
