/* SPDX-License-Identifier: MIT */
/*
 * ledger - the face of the ledger layer. See ledger.h.
 */
#include "ledger/ledger.h"

#include "ledger/snapshot.h"
#include "ledger/trace.h"
#include "table/option.h"
#include "util/bits.h"

/* As the classes: eight by the quantum, then four to a doubling. */
enum {
    SUM_LINEAR_LOG2 = ASHLAR_QUANTUM == 8 ? 6 : 7,
    SUM_LINEAR_COUNT = 8
};
enum { SUM_COUNT = SUM_LINEAR_COUNT + 4 * (64 - SUM_LINEAR_LOG2) };

struct ledger_sum {
    _Atomic uint64_t bytes;
    _Atomic uint64_t objects;
};

static struct {
    _Atomic unsigned rate_log2;
    ledger_taken *_Atomic take_hook;
    ledger_given *_Atomic give_hook;

    /* counted by any thread */
    struct ledger_sum live[SUM_COUNT];
    struct ledger_sum ever[SUM_COUNT];
} ledger_state = { .rate_log2 = OPTION_INIT_lg_prof_sample };

/* -- sums -- */

static unsigned ledger_class(size_t usable)
{
    const size_t last = usable - 1;
    if (last < (size_t)1 << SUM_LINEAR_LOG2)
        return (unsigned)(last / ASHLAR_QUANTUM);
    const unsigned log2 = bits_log2(last);
    return SUM_LINEAR_COUNT + 4 * (log2 - SUM_LINEAR_LOG2)
        + (unsigned)((last >> (log2 - 2)) & 3);
}

static void ledger_add(struct ledger_sum *sums,
    const struct ledger_object *object, uint64_t sign)
{
    struct ledger_sum *sum = &sums[ledger_class(object->usable)];
    add_relaxed(&sum->bytes, sign * object->size);
    add_relaxed(&sum->objects, sign);
}

static struct ledger_sums ledger_read(struct ledger_sum *sums, size_t usable)
{
    struct ledger_sum *sum = &sums[ledger_class(usable)];
    return (struct ledger_sums){ load_relaxed(&sum->bytes),
        load_relaxed(&sum->objects) };
}

struct ledger_sums ledger_live_sums(size_t usable)
{
    return ledger_read(ledger_state.live, usable);
}

struct ledger_sums ledger_ever_sums(size_t usable)
{
    return ledger_read(ledger_state.ever, usable);
}

/* -- deeds -- */

/* A deed of the calling thread, now; it holds its trace. */
static struct deed ledger_deed(struct person *person, struct trace *trace)
{
    struct deed deed = { .trace = trace, .ns = deed_now_ns() };
    if (person != NULL) {
        deed.thread = person->number;
        person_read_name(person, deed.name);
    }
    return deed;
}

/* The stack of the calling thread; NULL: none, or it is at one already. */
static struct trace *ledger_trace(struct person *person, const void *frame)
{
    if (person == NULL || person->busy || frame == NULL)
        return NULL;
    person->busy = true;
    const unsigned count = stack_take(frame, person->pc, person->pc_max);
    struct trace *trace = trace_hold(person->pc, count);
    person->busy = false;
    return trace;
}

/* Tell the log and the recent ones that an object was given back, while its
 * site is still there. */
static COLD void ledger_tell_give(const struct record_data *data,
    const void *frame)
{
    struct person *person = person_of_thread();
    const struct deed given = ledger_deed(person,
        ledger_trace(person, frame));
    recent_note_give(data->recent, &given);
    struct site_key key;
    if (log_is_on() && site_hold(data->site, &key)) {
        struct deed taken = { .trace = key.trace,
            .thread = key.person->number, .ns = data->ns };
        person_read_name(key.person, taken.name);
        log_note_give(data->object.usable, &taken, &given);
        trace_drop(key.trace);
        person_drop(key.person);
    }
    if (given.trace != NULL)
        trace_drop(given.trace);
}

/* -- give -- */

static void ledger_forget(const struct record_data *data, const void *frame)
{
    if (log_is_on() || UNLIKELY(data->recent != 0))
        ledger_tell_give(data, frame);
    site_give(data->site);
    if (option_now.prof_stats)
        ledger_add(ledger_state.live, &data->object, UINT64_MAX);
    ledger_given *hook = ledger_give_hook();
    if (UNLIKELY(hook != NULL))
        hook(data->object.pointer, data->object.usable);
}

bool ledger_give(const void *pointer, struct ledger_object *object,
    const void *frame)
{
    struct record_data data;
    if (!record_take(pointer, &data))
        return false;
    ledger_forget(&data, frame);
    *object = data.object;
    return true;
}

bool ledger_find(const void *pointer, struct ledger_object *object)
{
    struct record_data data;
    if (!record_find(pointer, &data))
        return false;
    *object = data.object;
    return true;
}

void ledger_forget_arena(unsigned arena,
    void (*call)(const struct ledger_object *))
{
    struct book_walk walk = { 0 };
    struct record_data data;
    while (record_take_next(arena, &walk, &data)) {
        ledger_forget(&data, NULL);
        call(&data.object);
    }
}

/* -- take -- */

/* Count the object and put it down; false: no memory. */
static bool ledger_put(const struct ledger_object *object,
    struct person *person, struct trace *trace)
{
    const struct site_key key = { .trace = trace, .person = person,
        .usable = object->usable, .arena = object->arena };
    struct record_data data = { .object = *object };
    if (log_is_on() || recent_is_on())
        data.ns = deed_now_ns();
    if (!site_take(&key, &data.site)) {
        trace_drop(trace);
        return false;
    }
    if (record_put(&data))
        return true;
    site_undo(data.site);
    return false;
}

/* The object is known: tell everybody who wants to hear of it. */
static void ledger_tell_take(const struct ledger_object *object,
    struct person *person, unsigned stack_count)
{
    ledger_taken *hook = ledger_take_hook();
    if (UNLIKELY(hook != NULL))
        hook(object->pointer, object->size, person->pc, stack_count,
            object->usable);
    if (UNLIKELY(option_now.lg_prof_interval >= 0)) {
        const double weight = snapshot_weight((double)object->usable,
            ledger_rate_log2());
        dump_note_bytes((uint64_t)(weight * (double)object->usable));
    }
}

/* Note it among the recent ones; the trace is held by the caller. */
static COLD void ledger_note_recent(const struct ledger_object *object,
    struct person *person, struct trace *trace)
{
    const struct deed taken = ledger_deed(person, trace);
    record_set_recent(object->pointer,
        recent_note_take(object->size, object->usable, &taken));
}

static void ledger_name_person(void)
{
    char name[PERSON_NAME_BYTES];
    if (sys_thread_name(name))
        (void)!person_set_name(name);
}

/* The work of ledger_take(), done by nobody else for this person. */
static bool ledger_take_as(struct person *person,
    const struct ledger_object *object, const void *frame)
{
    const unsigned count = stack_take(frame, person->pc, person->pc_max);
    struct trace *trace = trace_hold(person->pc, count);
    if (trace == NULL)
        return false;
    const bool recent = recent_is_on();
    if (recent)
        trace_keep(trace);
    const bool put = ledger_put(object, person, trace);
    if (put && option_now.prof_sys_thread_name)
        ledger_name_person();
    if (put && recent)
        ledger_note_recent(object, person, trace);
    if (recent)
        trace_drop(trace);
    if (!put)
        return false;
    if (option_now.prof_stats) {
        ledger_add(ledger_state.live, object, 1);
        ledger_add(ledger_state.ever, object, 1);
    }
    ledger_tell_take(object, person, count);
    return true;
}

bool ledger_take(const struct ledger_object *object, const void *frame)
{
    struct person *person = person_of_thread();
    if (person == NULL || person->busy)
        return false;
    person->busy = true;
    const bool taken = ledger_take_as(person, object, frame);
    person->busy = false;
    return taken;
}

/* -- settings -- */

unsigned ledger_rate_log2(void)
{
    return load_relaxed(&ledger_state.rate_log2);
}

void ledger_reset(unsigned rate_log2)
{
    store_relaxed(&ledger_state.rate_log2, rate_log2);
    site_forget_all();
}

ledger_taken *ledger_take_hook(void)
{
    return load_relaxed(&ledger_state.take_hook);
}

void ledger_set_take_hook(ledger_taken *hook)
{
    store_relaxed(&ledger_state.take_hook, hook);
}

ledger_given *ledger_give_hook(void)
{
    return load_relaxed(&ledger_state.give_hook);
}

void ledger_set_give_hook(ledger_given *hook)
{
    store_relaxed(&ledger_state.give_hook, hook);
}

void ledger_audit(void)
{
    person_audit();
    site_audit();
    record_audit();
}
