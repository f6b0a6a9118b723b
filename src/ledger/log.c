/* SPDX-License-Identifier: MIT */
/*
 * log - every sampled object that was given back, in a JSON file. See log.h.
 */
#include "ledger/log.h"

#include <errno.h>
#include <string.h>

#include "ledger/dump.h"
#include "ledger/ledger.h"
#include "sys/lock.h"
#include "table/option.h"
#include "util/sort.h"
#include "util/units.h"

#include <jemalloc/jemalloc.h>

/* Who, where and when, and the places of who and where in the file's lists. */
struct log_deed {
    struct deed deed;
    uint32_t thread_index;
    uint32_t stack_index;
};

struct log_note {
    size_t usable;
    struct log_deed taken;
    struct log_deed given;
};

/* Notes lie in pages, in their order. */
#define LOG_PAGE_BYTES (256 * KiB)
struct log_page {
    struct log_page *next;
    size_t count;
    struct log_note note[];
};
#define LOG_PAGE_NOTES \
    ((LOG_PAGE_BYTES - sizeof(struct log_page)) / sizeof(struct log_note))

/* What was noted. */
struct log_notes {
    struct log_page *first;
    struct log_page *last;
    size_t count;
    size_t missing;             /* for which there was no memory */
    uint64_t start_ns;
};

/* A thread that vanished with the lock leaves a note more or less. */
static struct {
    struct lock lock;

    /* under the lock */
    struct log_notes notes;
    uint64_t names;
    unsigned process;           /* which started it */
} log_state = { .lock = { .rank = LOCK_log } };

_Atomic bool log_on;

/* Under the lock; "": automatic. */
static char log_path[TEXT_BYTES];

/* -- notes -- */

bool log_start(const char *path)
{
    struct text name;
    if (path == NULL && !dump_begin_name(&name))
        return false;
    if (path != NULL && strlen(path) >= sizeof log_path)
        return false;
    const uint64_t start_ns = deed_now_ns();
    lock_take(&log_state.lock);
    const bool starts = !load_relaxed(&log_on);
    if (starts) {
        strcpy(log_path, path != NULL ? path : "");
        log_state.notes = (struct log_notes){ .start_ns = start_ns };
        log_state.process = sys_process();
        store_relaxed(&log_on, true);
    }
    lock_give(&log_state.lock);
    return starts;
}

/* A page with room for a note; NULL: no memory. */
static struct log_page *log_page_locked(void)
{
    struct log_notes *notes = &log_state.notes;
    if (notes->last != NULL && notes->last->count < LOG_PAGE_NOTES)
        return notes->last;
    struct log_page *page = sys_map(LOG_PAGE_BYTES);
    if (page == NULL)
        return NULL;
    if (notes->first == NULL)
        notes->first = page;
    else
        notes->last->next = page;
    COMPILER_BARRIER();
    notes->last = page;
    return page;
}

void log_note_give(size_t usable, const struct deed *taken,
    const struct deed *given)
{
    lock_take(&log_state.lock);
    struct log_page *page = log_is_on() ? log_page_locked() : NULL;
    if (page != NULL) {
        struct log_note *note = &page->note[page->count];
        note->usable = usable;
        note->taken.deed = deed_copy(taken);
        note->given.deed = deed_copy(given);
        COMPILER_BARRIER();
        page->count++;
        log_state.notes.count++;
    } else if (log_is_on()) {
        log_state.notes.missing++;
    }
    lock_give(&log_state.lock);
}

/* -- lists -- */

/* The deeds of all notes, for sorting, in memory of their own. */
struct log_list {
    struct log_deed **deed;
    size_t count;
    size_t mapped_bytes;
};

static bool log_list_open(struct log_list *list,
    const struct log_notes *notes)
{
    list->count = 0;
    list->mapped_bytes = round_up((2 * notes->count + 1)
        * sizeof *list->deed, sys_page_bytes());
    list->deed = sys_map(list->mapped_bytes);
    if (list->deed == NULL)
        return false;
    for (struct log_page *page = notes->first; page; page = page->next) {
        for (size_t i = 0; i < page->count; i++) {
            list->deed[list->count++] = &page->note[i].taken;
            list->deed[list->count++] = &page->note[i].given;
        }
    }
    return true;
}

static bool log_is_before_by_thread(const void *left, const void *right)
{
    const struct deed *a = &((const struct log_deed *)left)->deed;
    const struct deed *b = &((const struct log_deed *)right)->deed;
    return a->thread < b->thread
        || (a->thread == b->thread && strcmp(a->name, b->name) < 0);
}

static bool log_is_before_by_stack(const void *left, const void *right)
{
    const struct deed *a = &((const struct log_deed *)left)->deed;
    const struct deed *b = &((const struct log_deed *)right)->deed;
    return (uintptr_t)a->trace < (uintptr_t)b->trace;
}

static void log_put_threads(struct out *out, const struct log_list *list)
{
    uint32_t count = 0;
    sort_pointers((void **)list->deed, list->count, log_is_before_by_thread);
    for (size_t i = 0; i < list->count; i++) {
        struct log_deed *deed = list->deed[i];
        if (i == 0 || log_is_before_by_thread(list->deed[i - 1], deed)) {
            count++;
            out_text(out, i > 0 ? ",{\"thr_uid\":" : "{\"thr_uid\":");
            out_decimal(out, deed->deed.thread);
            out_text(out, ",\"thr_name\":");
            out_json(out, deed->deed.name);
            out_text(out, "}");
        }
        deed->thread_index = count - 1;
    }
}

static void log_put_stacks(struct out *out, const struct log_list *list)
{
    uint32_t count = 0;
    sort_pointers((void **)list->deed, list->count, log_is_before_by_stack);
    for (size_t i = 0; i < list->count; i++) {
        struct log_deed *deed = list->deed[i];
        if (i == 0 || log_is_before_by_stack(list->deed[i - 1], deed)) {
            count++;
            out_text(out, i > 0 ? "," : "");
            deed_put_stack(out, &deed->deed);
        }
        deed->stack_index = count - 1;
    }
}

/* -- the file -- */

/* One number of an object, after others or as the first. */
static void log_put(struct out *out, const char *key, uint64_t number)
{
    out_text(out, key);
    out_decimal(out, number);
}

static void log_put_info(struct out *out, const struct log_notes *notes)
{
    log_put(out, "{\"info\":{\"duration\":",
        deed_now_ns() - notes->start_ns);
    out_text(out, ",\"version\":");
    out_json(out, JEMALLOC_VERSION);
    log_put(out, ",\"lg_sample_rate\":", ledger_rate_log2());
    out_text(out, ",\"prof_time_resolution\":");
    out_json(out, option_now.prof_time_resolution == CLOCK_HIGH
        ? "high" : "default");
    log_put(out, ",\"pid\":", sys_process());
    out_text(out, "},");
}

static void log_put_note(struct out *out, const struct log_note *note)
{
    const struct log_deed *taken = &note->taken;
    const struct log_deed *given = &note->given;
    log_put(out, "{\"alloc_thread\":", taken->thread_index);
    log_put(out, ",\"free_thread\":", given->thread_index);
    log_put(out, ",\"alloc_trace\":", taken->stack_index);
    log_put(out, ",\"free_trace\":", given->stack_index);
    log_put(out, ",\"alloc_timestamp\":", taken->deed.ns);
    log_put(out, ",\"free_timestamp\":", given->deed.ns);
    log_put(out, ",\"usize\":", note->usable);
    out_text(out, "}");
}

static void log_put_notes(struct out *out, const struct log_notes *notes)
{
    const char *comma = "";
    for (struct log_page *page = notes->first; page; page = page->next) {
        for (size_t i = 0; i < page->count; i++) {
            out_text(out, comma);
            log_put_note(out, &page->note[i]);
            comma = ",";
        }
    }
}

/* 0, or the error. */
static int log_write(const char *path, const struct log_notes *notes,
    const struct log_list *list)
{
    const size_t bytes = round_up(sizeof(struct out), sys_page_bytes());
    struct out *out = sys_map(bytes);
    if (out == NULL)
        return ENOMEM;
    if (out_open(out, path)) {
        log_put_info(out, notes);
        out_text(out, "\"threads\":[");
        log_put_threads(out, list);
        out_text(out, "],\"stack_traces\":[");
        log_put_stacks(out, list);
        out_text(out, "],\"allocations\":[");
        log_put_notes(out, notes);
        out_text(out, "]}");
        (void)!out_close(out);
    }
    const int error = out->error;
    (void)!sys_release(out, bytes);
    return error;
}

static void log_drop(const struct log_notes *notes)
{
    struct log_page *next;
    for (struct log_page *page = notes->first; page; page = next) {
        next = page->next;
        for (size_t i = 0; i < page->count; i++) {
            deed_drop(&page->note[i].taken.deed);
            deed_drop(&page->note[i].given.deed);
        }
        (void)!sys_release(page, LOG_PAGE_BYTES);
    }
}

/* The name of the file: what was asked for, or an automatic one, whose number
 * is given with the lock held. false: automatic names begin with "". */
static bool log_name(struct text *name, uint64_t number)
{
    if (name->length > 0)
        return true;
    if (!dump_begin_name(name))
        return false;
    text_string(name, ".");
    text_number(name, number, 0);
    text_string(name, ".json");
    return true;
}

/* 0, or the error. */
static int log_finish(const char *path, const struct log_notes *notes)
{
    struct log_list list;
    int error = ENOMEM;
    if (log_list_open(&list, notes)) {
        error = log_write(path, notes, &list);
        (void)!sys_release(list.deed, list.mapped_bytes);
    }
    /* Said, for what the file holds looks whole. */
    if (error == 0 && notes->missing > 0)
        error = ENOMEM;
    return error;
}

bool log_stop(void)
{
    struct text name;
    text_clear(&name);
    lock_take(&log_state.lock);
    const bool stops = log_is_on();
    const struct log_notes notes = log_state.notes;
    uint64_t number = 0;
    if (stops) {
        store_relaxed(&log_on, false);
        text_string(&name, log_path);
        number = log_state.names;
        log_state.names += name.length == 0;
    }
    lock_give(&log_state.lock);
    if (!stops)
        return false;
    const int error = log_name(&name, number)
        ? log_finish(name.bytes, &notes) : ENOENT;
    log_drop(&notes);
    if (error != 0)
        dump_say_failed("log of samples", name.bytes, error);
    return error == 0;
}

void log_at_end(void)
{
    lock_take(&log_state.lock);
    const bool is_own = log_path[0] == 0
        || log_state.process == sys_process();
    lock_give(&log_state.lock);
    if (is_own && log_is_on())
        (void)!log_stop();
}
