/* SPDX-License-Identifier: MIT */
/*
 * dump - when a heap profile is written, and under which name. See dump.h.
 */
#include "ledger/dump.h"

#include <errno.h>
#include <string.h>

#include "ledger/heapfile.h"
#include "ledger/person.h"
#include "ledger/pprof.h"
#include "table/option.h"
#include "util/units.h"

/*
 * The lock is held while a profile is written: there is one buffer, and two
 * profiles of one name would be mixed. Nobody waits for it in an allocation.
 * A thread that vanished with it leaves nothing that the next one minds.
 */
static struct {
    struct lock lock;

    /* under the lock */
    const char *prefix;         /* NULL: as the option says */
    uint64_t names;             /* given so far, of all kinds */
    uint64_t names_of[DUMP_KINDS];

    /* any thread, atomically */
    _Atomic uint32_t due;       /* bit k: a profile of kind k */
    _Atomic uint64_t bytes;     /* allocated, as far as samples tell */
    _Atomic size_t height;      /* most bytes in use since gdump is on */
    void (*_Atomic say)(const char *line);
    dump_listener *_Atomic hook;
} dump_state = { .lock = { .rank = LOCK_dump } };

/* Under the lock too; apart from the above, for these are zero at first. */
static struct out dump_out;
static char dump_prefix[2][DUMP_PREFIX_BYTES_MAX + 1];

_Atomic bool dump_gdump_on;

/* Who writes profiles where there is no memory for the person of a thread. */
static struct person dump_nobody;

static struct person *dump_self(void)
{
    struct person *self = person_of_thread();
    return self != NULL ? self : &dump_nobody;
}

/* -- what went wrong -- */

void dump_set_say(void (*say)(const char *line))
{
    store_relaxed(&dump_state.say, say);
}

static void dump_say(const char *line)
{
    void (*say)(const char *line) = load_relaxed(&dump_state.say);
    if (say != NULL)
        say(line);
    else
        sys_write_error(line, strlen(line));
}

void dump_say_failed(const char *what, const char *path, int error)
{
    struct text text;
    text_clear(&text);
    text_string(&text, "<ashlar>: ");
    text_string(&text, what);
    text_string(&text, ": ");
    text_span(&text, path, min_size(strlen(path), DUMP_PREFIX_BYTES_MAX));
    text_string(&text, ": ");
    const char *why = file_error_text(error);
    if (why != NULL) {
        text_string(&text, why);
    } else {
        text_string(&text, "error ");
        text_number(&text, (uint64_t)error, 0);
    }
    text_string(&text, "\n");
    dump_say(text.bytes);
}

/* -- the lock -- */

/* A signal may come at any instruction, and its handler ask for a profile: so
 * the thread says that it is at it before it is. */
static bool dump_take(bool waits)
{
    struct person *self = dump_self();
    self->is_writing = true;
    COMPILER_BARRIER();
    if (waits)
        lock_take(&dump_state.lock);
    else if (!lock_try(&dump_state.lock))
        self->is_writing = false;
    return self->is_writing;
}

static void dump_give(void)
{
    lock_give(&dump_state.lock);
    COMPILER_BARRIER();
    dump_self()->is_writing = false;
}

/* -- names -- */

void dump_set_prefix(const char *prefix)
{
    (void)dump_take(true);
    /* Written where the prefix is not, and then put in force at once. */
    char *copy = dump_prefix[dump_state.prefix == dump_prefix[0]];
    const size_t length = min_size(strlen(prefix), DUMP_PREFIX_BYTES_MAX);
    memcpy(copy, prefix, length);
    copy[length] = 0;
    COMPILER_BARRIER();
    dump_state.prefix = copy;
    dump_give();
}

static bool dump_begin_locked(struct text *name)
{
    text_clear(name);
    text_string(name, dump_state.prefix != NULL ? dump_state.prefix
        : option_now.prof_prefix);
    if (name->length == 0)
        return false;
    if (option_now.prof_pid_namespace) {
        text_string(name, ".");
        text_number(name, sys_process_namespace(), 0);
    }
    text_string(name, ".");
    text_number(name, sys_process(), 0);
    return true;
}

bool dump_begin_name(struct text *name)
{
    (void)dump_take(true);
    const bool is_there = dump_begin_locked(name);
    dump_give();
    return is_there;
}

static bool dump_name_locked(enum dump_kind kind, struct text *name)
{
    if (!dump_begin_locked(name))
        return false;
    text_string(name, ".");
    text_number(name, dump_state.names++, 0);
    text_string(name, ".");
    text_span(name, &"fimu"[kind], 1);
    if (kind != DUMP_FINAL)
        text_number(name, dump_state.names_of[kind]++, 0);
    text_string(name, option_now.prof_format == PROF_FORMAT_PPROF
        ? ".pb.gz" : ".heap");
    return true;
}

static bool dump_is_for_pprof(const char *path)
{
    static const char end[] = ".pb.gz";
    const size_t length = strlen(path);
    return length >= sizeof end - 1
        && strcmp(path + length - (sizeof end - 1), end) == 0;
}

/* -- leaks -- */

/* What lives, as estimated from the samples. */
struct dump_leaks {
    double objects;
    double bytes;
    size_t stacks;
};

static void dump_count_leaks(const struct snapshot *snapshot,
    struct dump_leaks *leaks)
{
    const struct trace *last = NULL;
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_row *row = &snapshot->row[i];
        const double objects = (double)row->objects
            * snapshot_weight((double)row->usable, snapshot->rate_log2);
        leaks->objects += objects;
        leaks->bytes += objects * (double)row->usable;
        if (row->objects > 0 && row->trace != last) {
            leaks->stacks++;
            last = row->trace;
        }
    }
}

/* "~12 objects": a number of things, one or several. */
static void dump_put_number(struct text *text, double number,
    const char *thing)
{
    const uint64_t whole = (uint64_t)(number + 0.5);
    text_number(text, whole, 0);
    text_string(text, " ");
    text_string(text, thing);
    if (whole != 1)
        text_string(text, "s");
}

static void dump_say_leaks(const struct dump_leaks *leaks)
{
    struct text text;
    text_clear(&text);
    text_string(&text, "<jemalloc>: Leak approximation summary: ~");
    dump_put_number(&text, leaks->bytes, "byte");
    text_string(&text, ", ~");
    dump_put_number(&text, leaks->objects, "object");
    text_string(&text, ", >= ");
    dump_put_number(&text, (double)leaks->stacks, "context");
    text_string(&text, "\n");
    dump_say(text.bytes);
    dump_say("<jemalloc>: Run jeprof on dump output for leak detail\n");
}

/* -- writing -- */

/* A profile to be written, and what became of it. */
struct dump_job {
    const char *path;
    struct dump_leaks *leaks;   /* to be counted on the way; may be NULL */
    int error;                  /* the system's; 0: it is written */
};

static void dump_fill_locked(struct dump_job *job,
    const struct snapshot *snapshot)
{
    bool has_memory = true;
    if (out_open(&dump_out, job->path)) {
        if (dump_is_for_pprof(job->path))
            has_memory = pprof_write(&dump_out, snapshot);
        else
            heapfile_write(&dump_out, snapshot);
        (void)!out_close(&dump_out);
    }
    job->error = has_memory ? dump_out.error : ENOMEM;
}

static void dump_run_locked(struct dump_job *job)
{
    struct snapshot snapshot;
    job->error = ENOMEM;
    if (snapshot_take(&snapshot)) {
        if (job->leaks != NULL)
            dump_count_leaks(&snapshot, job->leaks);
        dump_fill_locked(job, &snapshot);
        snapshot_drop(&snapshot);
    }
}

/* With the lock given back: tell whom it concerns. */
static void dump_tell(const struct dump_job *job)
{
    dump_listener *hook = load_relaxed(&dump_state.hook);
    if (job->error != 0)
        dump_say_failed("heap profile", job->path, job->error);
    struct person *self = dump_self();
    if (hook == NULL || self->is_telling)
        return;
    self->is_telling = true;
    hook(job->path);
    self->is_telling = false;
}

/* Write what has become due while somebody else was writing. Whoever gives the
 * lock looks here afterwards, and whoever leaves something here tries the lock
 * afterwards: one of them sees the other. */
static NOINLINE void dump_serve(void)
{
    struct text name;
    struct dump_job job = { .path = name.bytes };
    while (!dump_self()->is_telling) {
        fence_total();
        if (load_relaxed(&dump_state.due) == 0 || !dump_take(false))
            return;
        const enum dump_kind kind = load_relaxed(&dump_state.due)
            & 1u << DUMP_INTERVAL ? DUMP_INTERVAL : DUMP_HEIGHT;
        const uint32_t one = 1u << kind;
        const bool is_due = (and_relaxed(&dump_state.due, ~one) & one) != 0
            && dump_name_locked(kind, &name);
        if (is_due)
            dump_run_locked(&job);
        dump_give();
        if (is_due)
            dump_tell(&job);
        if (is_due && job.error != 0 && option_now.abort)
            sys_stop();
    }
}

void dump_automatic(enum dump_kind kind)
{
    /* A hook that allocates would be called for ever. */
    const struct person *self = dump_self();
    if (self->is_writing || self->is_telling)
        return;
    (void)or_relaxed(&dump_state.due, 1u << kind);
    dump_serve();
}

/* A profile that is waited for; path NULL: with an automatic name. */
static bool dump_now(const char *path, enum dump_kind kind,
    struct dump_leaks *leaks)
{
    struct text name;
    struct dump_job job = { path, leaks, EDEADLK };
    /* A signal came while this thread was at it. */
    if (dump_self()->is_writing) {
        dump_say_failed("heap profile", path != NULL ? path : "", EDEADLK);
        return false;
    }
    (void)dump_take(true);
    const bool is_named = path != NULL || dump_name_locked(kind, &name);
    if (path == NULL)
        job.path = name.bytes;
    if (is_named)
        dump_run_locked(&job);
    dump_give();
    if (is_named)
        dump_tell(&job);
    else
        dump_say("<ashlar>: heap profile: it has no name, for prof_prefix is "
            "empty\n");
    dump_serve();
    return is_named && job.error == 0;
}

bool dump_write(const char *path)
{
    return dump_now(path, DUMP_MANUAL, NULL);
}

/* -- when -- */

dump_listener *dump_hook(void)
{
    return load_relaxed(&dump_state.hook);
}

void dump_set_hook(dump_listener *hook)
{
    store_relaxed(&dump_state.hook, hook);
}

void dump_note_bytes(uint64_t bytes)
{
    const int64_t lg = option_now.lg_prof_interval;
    const uint64_t before = add_relaxed(&dump_state.bytes, bytes);
    if (lg >= 0 && before >> lg != (before + bytes) >> lg)
        dump_automatic(DUMP_INTERVAL);
}

void dump_set_gdump(bool on)
{
    if (on && !load_relaxed(&dump_gdump_on))
        store_relaxed(&dump_state.height, 0);
    store_relaxed(&dump_gdump_on, on);
}

void dump_note_active(size_t bytes)
{
    size_t height = load_relaxed(&dump_state.height);
    do {
        if (bytes <= height)
            return;
    } while (!cas_relaxed(&dump_state.height, &height, bytes));
    dump_automatic(DUMP_HEIGHT);
}

bool dump_at_end(void)
{
    struct text name;
    struct dump_leaks leaks = { 0, 0, 0 };
    /* It may have been switched on after the start. */
    const bool is_used = option_now.prof || load_relaxed(&dump_state.bytes) > 0;
    if (!option_now.prof_final || !is_used || !dump_begin_name(&name))
        return false;
    (void)!dump_now(NULL, DUMP_FINAL, &leaks);
    if (!option_now.prof_leak || leaks.stacks == 0)
        return false;
    dump_say_leaks(&leaks);
    if (option_now.prof_leak_error)
        dump_say("<jemalloc>: Exiting with error code because memory leaks "
            "were detected\n");
    return option_now.prof_leak_error;
}

/* -- counts -- */

struct lock_counts dump_lock_counts(void)
{
    return lock_read_counts(&dump_state.lock);
}

void dump_reset_lock_counts(void)
{
    lock_take(&dump_state.lock);
    lock_reset_counts(&dump_state.lock);
    lock_give(&dump_state.lock);
}
