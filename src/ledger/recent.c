/* SPDX-License-Identifier: MIT */
/*
 * recent - the sampled objects taken last, whether they live or not. See
 * recent.h.
 *
 * They lie in a ring, each at the place of its ticket; tickets count up, and
 * those from first to last are kept. A thread that vanished with the lock
 * leaves a trace held once too often, at worst.
 */
#include "ledger/recent.h"

#include <string.h>

#include "ledger/ledger.h"
#include "util/units.h"

struct recent_note {
    size_t size;
    size_t usable;
    bool released;
    struct deed taken;
    struct deed given;
};

struct recent_ring {
    size_t capacity;            /* a power of two */
    size_t mapped_bytes;
    struct recent_note note[];
};

enum { RECENT_CAPACITY_MIN = 64 };

static struct {
    struct lock lock;
    _Atomic int64_t max;        /* any thread reads it */

    /* under the lock */
    struct recent_ring *ring;   /* NULL: none yet */
    uint64_t first;
    uint64_t last;
} recent_state = { .lock = { .rank = LOCK_recent }, .first = 1 };

/* -- the ring -- */

static size_t recent_count(void)
{
    return (size_t)(recent_state.last + 1 - recent_state.first);
}

static struct recent_note *recent_at(struct recent_ring *ring,
    uint64_t ticket)
{
    return &ring->note[ticket & (ring->capacity - 1)];
}

static void recent_drop_note(const struct recent_note *note)
{
    deed_drop(&note->taken);
    if (note->released)
        deed_drop(&note->given);
}

/* Forget the oldest until so many are left. */
static void recent_cut_locked(size_t count)
{
    while (recent_count() > count) {
        const struct recent_note *note =
            recent_at(recent_state.ring, recent_state.first);
        recent_state.first++;
        COMPILER_BARRIER();
        recent_drop_note(note);
    }
}

/* Room for one more than there are; false: no memory. */
static bool recent_grow_locked(void)
{
    struct recent_ring *old = recent_state.ring;
    const size_t count = recent_count();
    if (old != NULL && count < old->capacity)
        return true;
    const size_t capacity = old == NULL ? RECENT_CAPACITY_MIN
        : 2 * old->capacity;
    const size_t bytes = round_up(sizeof *old
        + capacity * sizeof(struct recent_note), sys_page_bytes());
    struct recent_ring *ring = sys_map(bytes);
    if (ring == NULL)
        return false;
    ring->capacity = capacity;
    ring->mapped_bytes = bytes;
    for (uint64_t i = recent_state.first; i <= recent_state.last; i++)
        *recent_at(ring, i) = *recent_at(old, i);
    COMPILER_BARRIER();
    recent_state.ring = ring;
    if (old != NULL)
        (void)!sys_release(old, old->mapped_bytes);
    return true;
}

/* -- how many -- */

int64_t recent_max(void)
{
    return load_relaxed(&recent_state.max);
}

void recent_set_max(int64_t max)
{
    lock_take(&recent_state.lock);
    store_relaxed(&recent_state.max, max);
    if (max >= 0)
        recent_cut_locked((size_t)max);
    lock_give(&recent_state.lock);
}

/* -- notes -- */

uint64_t recent_note_take(size_t size, size_t usable,
    const struct deed *taken)
{
    uint64_t ticket = 0;
    lock_take(&recent_state.lock);
    const int64_t max = recent_max();
    if (max > 0)
        recent_cut_locked((size_t)max - 1);
    /* Without memory for more than before, the oldest goes. */
    if (max != 0 && !recent_grow_locked() && recent_state.ring != NULL)
        recent_cut_locked(recent_state.ring->capacity - 1);
    if (max != 0 && recent_state.ring != NULL) {
        ticket = recent_state.last + 1;
        *recent_at(recent_state.ring, ticket) = (struct recent_note){
            .size = size, .usable = usable, .taken = deed_copy(taken) };
        COMPILER_BARRIER();
        recent_state.last = ticket;
    }
    lock_give(&recent_state.lock);
    return ticket;
}

void recent_note_give(uint64_t ticket, const struct deed *given)
{
    lock_take(&recent_state.lock);
    if (ticket >= recent_state.first && ticket <= recent_state.last) {
        struct recent_note *note = recent_at(recent_state.ring, ticket);
        note->given = deed_copy(given);
        COMPILER_BARRIER();
        note->released = true;
    }
    lock_give(&recent_state.lock);
}

/* -- as text -- */

static void recent_put_number(struct out *out, const char *key,
    uint64_t number)
{
    out_text(out, key);
    out_decimal(out, number);
}

/* The four members that tell of a deed: alloc_thread_uid and so on. */
static void recent_put_deed(struct out *out, const char *what,
    const struct deed *deed)
{
    out_text(out, ",\"");
    out_text(out, what);
    recent_put_number(out, "_thread_uid\":", deed->thread);
    if (deed->name[0] != 0) {
        out_text(out, ",\"");
        out_text(out, what);
        out_text(out, "_thread_name\":");
        out_json(out, deed->name);
    }
    out_text(out, ",\"");
    out_text(out, what);
    recent_put_number(out, "_time\":", deed->ns);
    out_text(out, ",\"");
    out_text(out, what);
    out_text(out, "_trace\":");
    deed_put_stack(out, deed);
}

static void recent_put_note(struct out *out, const struct recent_note *note)
{
    recent_put_number(out, "{\"size\":", note->size);
    recent_put_number(out, ",\"usize\":", note->usable);
    out_text(out, ",\"released\":");
    out_text(out, note->released ? "true" : "false");
    recent_put_deed(out, "alloc", &note->taken);
    if (note->released)
        recent_put_deed(out, "dalloc", &note->given);
    out_text(out, "}");
}

/* The notes at one time, in memory of their own, which begins with what is
 * written through. */
struct recent_copy {
    struct out out;
    int64_t max;
    size_t mapped_bytes;
    size_t count;
    struct recent_note note[];
};

/* NULL: no memory. */
static struct recent_copy *recent_copy(void)
{
    lock_take(&recent_state.lock);
    const size_t count = recent_count();
    const size_t bytes = round_up(sizeof(struct recent_copy)
        + count * sizeof(struct recent_note), sys_page_bytes());
    struct recent_copy *copy = sys_map(bytes);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        struct recent_note *note = &copy->note[i];
        *note = *recent_at(recent_state.ring, recent_state.first + i);
        note->taken = deed_copy(&note->taken);
        if (note->released)
            note->given = deed_copy(&note->given);
    }
    const int64_t max = recent_max();
    lock_give(&recent_state.lock);
    if (copy != NULL) {
        copy->max = max;
        copy->count = count;
        copy->mapped_bytes = bytes;
    }
    return copy;
}

bool recent_write(void (*write)(void *to, const char *text), void *to)
{
    struct recent_copy *copy = recent_copy();
    if (copy == NULL)
        return false;
    struct out *out = &copy->out;
    out_open_to(out, write, to);
    recent_put_number(out, "{\"sample_interval\":",
        (uint64_t)1 << ledger_rate_log2());
    out_text(out, ",\"recent_alloc_max\":");
    if (copy->max < 0)
        out_text(out, "-1");
    else
        out_decimal(out, (uint64_t)copy->max);
    out_text(out, ",\"recent_alloc\":[");
    for (size_t i = 0; i < copy->count; i++) {
        out_text(out, i > 0 ? "," : "");
        recent_put_note(out, &copy->note[i]);
        recent_drop_note(&copy->note[i]);
    }
    out_text(out, "]}");
    const bool done = out_close(out);
    (void)!sys_release(copy, copy->mapped_bytes);
    return done;
}

/* -- counts -- */

struct lock_counts recent_lock_counts(void)
{
    return lock_read_counts(&recent_state.lock);
}

void recent_reset_lock_counts(void)
{
    lock_take(&recent_state.lock);
    lock_reset_counts(&recent_state.lock);
    lock_give(&recent_state.lock);
}
