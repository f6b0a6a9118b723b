/* SPDX-License-Identifier: MIT */
/*
 * score - a trace as threads play it: a part for each, made of steps.
 *
 * The trace has one order; parts are played at once. What has to come in order
 * stands in the parts as steps of its own: before a thread changes or frees
 * what another one had last, it waits until that one has come so far. It also
 * waits where it would run ahead of the others further than the trace allows:
 * WINDOW_CALLS, else a producer would be done before its consumer begins, and
 * all of the queue be in memory at once. All waits lead back in the order of
 * the trace, so there is always somebody who need not wait.
 *
 * Objects have slots, given out again after their death to the thread that
 * freed them: it need not wait for anybody to use them.
 *
 * All memory is mapped and written here, before anything is played: `bytes` is
 * what the score adds to the process.
 */
#ifndef TRACE_SCORE_H
#define TRACE_SCORE_H

#include "reader.h"

enum { WINDOW_CALLS = 16384 };

#define SCORE_NONE UINT32_MAX

/* The first five are those of the trace. */
enum step_kind {
    STEP_MALLOC = TRACE_MALLOC,
    STEP_CALLOC = TRACE_CALLOC,
    STEP_ALIGNED = TRACE_ALIGNED,
    STEP_REALLOC = TRACE_REALLOC,
    STEP_FREE = TRACE_FREE,
    STEP_WAIT,      /* until thread `slot` has made `size` steps */
    STEP_SPAWN,     /* starts thread `slot` */
};

struct step {
    uint8_t kind;
    uint8_t shift;
    uint32_t slot;
    uint64_t size;
};

struct row {        /* an array that grows */
    void *items;
    size_t room_bytes;
};

struct part {
    struct row row;
    uint64_t count;
    uint32_t free_slot;     /* the freed slots, linked; SCORE_NONE: none */
    uint8_t ends;
    uint64_t window;        /* while it is written: the last it began */
    uint64_t before[2];     /* its count where the last windows began */
    uint32_t *known;        /* per thread: steps it has waited for */
};

/* While the score is written: who had the slot last, and the next free one. */
struct holder {
    uint32_t thread;
    uint32_t next;
    uint64_t count;
};

struct score {
    struct part parts[READER_THREADS_MAX];
    uint32_t threads;
    uint32_t slots;
    uint64_t calls;
    size_t bytes;
    struct row objects;     /* uint32_t per birth: its slot, or SCORE_NONE */
    struct row holders;
};

/* -- arrays -- */

static inline void *score_map(size_t bytes, int flags)
{
    void *const map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (map == MAP_FAILED) {
        fprintf(stderr, "replay: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return map;
}

/* The item at an index, which may be the first beyond the end. */
static inline void *row_at(struct row *row, uint64_t index, size_t item_bytes)
{
    const size_t end = (index + 1) * item_bytes;
    if (end > row->room_bytes) {
        const size_t room = row->room_bytes ? row->room_bytes * 2 : 4096;
        void *const items = row->items
            ? mremap(row->items, row->room_bytes, room, MREMAP_MAYMOVE)
            : score_map(room, 0);
        if (items == MAP_FAILED) {
            fprintf(stderr, "replay: no memory for %zu bytes\n", room);
            exit(1);
        }
        row->items = items;
        row->room_bytes = room;
    }
    return (char *)row->items + index * item_bytes;
}

static inline void row_drop(struct row *row, size_t from_byte)
{
    const size_t kept = (from_byte + 4095) / 4096 * 4096;
    if (kept < row->room_bytes)
        munmap((char *)row->items + kept, row->room_bytes - kept);
    row->room_bytes = kept;
}

static inline struct step *part_steps(const struct part *part)
{
    return part->row.items;
}

static inline struct holder *score_holder(struct score *score, uint32_t slot)
{
    return row_at(&score->holders, slot, sizeof(struct holder));
}

static inline uint32_t *score_object(struct score *score, uint64_t object)
{
    return row_at(&score->objects, object, sizeof(uint32_t));
}

/* -- writing parts -- */

static inline void part_add(struct part *part, struct step step)
{
    struct step *const at = row_at(&part->row, part->count, sizeof step);
    *at = step;
    part->count++;
}

static inline void score_wait(struct score *score, uint32_t thread,
    uint32_t other, uint64_t count)
{
    struct part *const part = &score->parts[thread];
    if (thread == other || part->known[other] >= count)
        return;
    part->known[other] = (uint32_t)count;
    part_add(part, (struct step){STEP_WAIT, 0, other, count});
}

/* Who spawned a thread is not in the trace; who called before it will do. */
static inline void score_begin_thread(struct score *score, uint32_t spawner)
{
    const uint32_t thread = score->threads++;
    struct part *const part = &score->parts[thread];
    part->known = score_map(READER_THREADS_MAX * sizeof *part->known,
        MAP_NORESERVE);
    part->free_slot = SCORE_NONE;
    if (thread == 0)
        return;
    struct part *const parent = &score->parts[spawner];
    part_add(parent, (struct step){STEP_SPAWN, 0, thread, 0});
    memcpy(part->known, parent->known, thread * sizeof *part->known);
    part->known[spawner] = (uint32_t)parent->count - 1;
}

/* Everybody has to be through with the window before the last one. */
static inline void score_begin_window(struct score *score, uint32_t thread)
{
    const uint64_t window = score->calls / WINDOW_CALLS;
    if (score->calls % WINDOW_CALLS == 0)
        for (uint32_t i = 0; i < score->threads; i++) {
            struct part *const part = &score->parts[i];
            part->before[0] = part->before[1];
            part->before[1] = part->count;
        }
    if (score->parts[thread].window == window)
        return;
    score->parts[thread].window = window;
    for (uint32_t i = 0; i < score->threads; i++)
        score_wait(score, thread, i, score->parts[i].before[0]);
}

static inline uint32_t score_new_slot(struct score *score, uint32_t thread)
{
    struct part *const part = &score->parts[thread];
    const uint32_t slot = part->free_slot;
    if (slot == SCORE_NONE)
        return score->slots++;
    part->free_slot = score_holder(score, slot)->next;
    return slot;
}

static inline uint32_t score_slot(struct score *score,
    const struct reader *reader, const struct event *event)
{
    if (event->kind < TRACE_REALLOC)
        return *score_object(score, event->object) =
            score_new_slot(score, reader->thread);
    const uint32_t slot = *score_object(score, event->object);
    if (slot == SCORE_NONE)
        reader_refuse(reader, "damaged: object %llu is dead",
            (unsigned long long)event->object);
    const struct holder *const holder = score_holder(score, slot);
    score_wait(score, reader->thread, holder->thread, holder->count);
    return slot;
}

static inline void score_call(struct score *score,
    const struct reader *reader, const struct event *event)
{
    const uint32_t thread = reader->thread;
    struct part *const part = &score->parts[thread];
    score_begin_window(score, thread);
    score->calls++;
    const uint32_t slot = score_slot(score, reader, event);
    part_add(part, (struct step){(uint8_t)event->kind,
        event->kind == TRACE_ALIGNED ? (uint8_t)event->shift : 0, slot,
        event->kind == TRACE_FREE ? 0 : event->size});
    struct holder *const holder = score_holder(score, slot);
    holder->thread = thread;
    holder->count = part->count;
    if (event->kind == TRACE_FREE) {
        holder->next = part->free_slot;
        part->free_slot = slot;
        *score_object(score, event->object) = SCORE_NONE;
    }
}

/* -- the whole -- */

static inline void score_trim(struct score *score)
{
    row_drop(&score->objects, 0);
    row_drop(&score->holders, 0);
    for (uint32_t i = 0; i < score->threads; i++) {
        struct part *const part = &score->parts[i];
        munmap(part->known, READER_THREADS_MAX * sizeof *part->known);
        row_drop(&part->row, part->count * sizeof(struct step));
        score->bytes += part->row.room_bytes;
    }
}

static inline void score_read(struct score *score, const char *path)
{
    struct reader reader = reader_open(path);
    struct event event = {0};
    uint32_t spawner = 0;
    while (reader_next(&reader, &event)) {
        if (reader.threads > score->threads)
            score_begin_thread(score, spawner);
        spawner = reader.thread;
        if (event.kind == TRACE_END)
            score->parts[reader.thread].ends = 1;
        else if (event.kind != TRACE_THREAD)
            score_call(score, &reader, &event);
    }
    reader_close(&reader);
    score_trim(score);
}

#endif
