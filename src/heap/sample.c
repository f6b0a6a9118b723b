/* SPDX-License-Identifier: MIT */
/*
 * sample - which objects a heap profile knows, and where they lie. See
 * sample.h.
 */
#include "heap/sample.h"

#include "heap/alloc.h"
#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/hand.h"
#include "heap/rack.h"
#include "heap/stats.h"
#include "ledger/ledger.h"

enum { SAMPLE_RATE_LOG2_MAX = 63 };

/* A thread that never said whether it is sampled is as it was at its birth. */
enum sample_will { SAMPLE_UNASKED, SAMPLE_YES, SAMPLE_NO };

static _Atomic bool sample_on;
static _Atomic bool sample_begins = true;
static _Atomic uint32_t sample_epoch;

/* -- draws -- */

static double sample_draw_bytes(struct sample *sample)
{
    const unsigned log2 = ledger_rate_log2();
    if (log2 == 0)
        return 0;
    return draw_exponential(&sample->draw) * (double)((uint64_t)1 << log2);
}

/* The first of so many takes to come is due, 1 at least: a block of n bytes is
 * sampled with probability 1 - exp(-n / rate). */
static uint64_t sample_draw_takes(struct sample *sample, unsigned cls)
{
    const double takes = sample_draw_bytes(sample) / class_bytes[cls];
    const double most = (double)((uint64_t)1 << 52);
    return (uint64_t)(takes < most ? takes : most) + 1;
}

bool sample_is_due(struct heap *heap, unsigned cls)
{
    struct sample_bin *bin = &heap->sample->bin[cls];
    if (--bin->due > 0)
        return false;
    bin->due = sample_draw_takes(heap->sample, cls);
    return true;
}

/* -- the hand -- */

/* What is on the shelf, at most as much as was left there, and its end. */
static uint32_t sample_walk(unsigned cls, uint32_t most,
    struct block ***end)
{
    uint32_t count = 0;
    *end = &thread.shelf[cls];
    while (**end != NULL && count < most) {
        *end = &(**end)->next;
        count++;
    }
    return count;
}

uint32_t sample_join(struct heap *heap, unsigned cls)
{
    struct sample_bin *bin = &heap->sample->bin[cls];
    const int room = thread.room[cls] > 0 ? thread.room[cls] : 0;
    struct block **end;
    const uint32_t left = sample_walk(cls, bin->shown, &end);
    const uint32_t count = left + bin->rest_count;
    struct block *rest = load_relaxed(&bin->rest);
    bin_note_change(&heap->bin[cls]);
    ASSERT(bin->due > bin->shown - (uint32_t)room - left);  /* P1 */
    bin->due -= bin->shown - (uint32_t)room - left;
    bin->shown = 0;
    store_relaxed(&bin->rest, NULL);
    bin->rest_count = 0;
    if (bin->room > 0)
        thread.room[cls] = (int16_t)(room + bin->room);
    bin->room = 0;
    /* A child of fork finds a block in one place, or in none. */
    COMPILER_BARRIER();
    if (rest != NULL)
        *end = rest;
    return count;
}

/* Behind so many blocks the rest waits. */
static void sample_cut(struct sample_bin *bin, unsigned cls, uint32_t show,
    uint32_t count)
{
    struct block **end;
    (void)sample_walk(cls, show, &end);
    struct block *rest = *end;
    *end = NULL;
    COMPILER_BARRIER();
    store_relaxed(&bin->rest, rest);
    bin->rest_count = count - show;
}

/* Half of what may be left goes to the blocks, where there are enough: so the
 * thread comes by a number of times that grows as the logarithm of due. */
void sample_part(struct heap *heap, unsigned cls, uint32_t count)
{
    struct sample_bin *bin = &heap->sample->bin[cls];
    const uint64_t most = bin->due - 1;
    const uint32_t room = thread.room[cls] > 0 ? (uint32_t)thread.room[cls] : 0;
    bin->shown = count + room;
    if (LIKELY(count + room <= most))
        return;
    const uint32_t show = (uint32_t)min_size(count, (most + 1) / 2);
    const uint32_t show_room = (uint32_t)min_size(room, most - show);
    bin->shown = show + show_room;
    bin->room = (int32_t)(room - show_room);
    if (bin->room > 0)
        thread.room[cls] = (int16_t)show_room;
    if (show < count)
        sample_cut(bin, cls, show, count);
    bin_note_change(&heap->bin[cls]);
}

struct block *sample_take_rest(struct heap *heap, unsigned cls)
{
    struct sample *sample = load_relaxed(&heap->sampler);
    if (sample == NULL)
        return NULL;
    struct sample_bin *bin = &sample->bin[cls];
    struct block *rest = load_relaxed(&bin->rest);
    store_relaxed(&bin->rest, NULL);
    bin->rest_count = 0;
    bin->room = 0;
    bin->shown = 0;
    return rest;
}

/* -- a heap begins, and ends, to be sampled -- */

static uint32_t sample_length(const struct block *list)
{
    uint32_t count = 0;
    for (; list != NULL; list = list->next)
        count++;
    return count;
}

static void sample_draw_all(struct heap *heap)
{
    struct sample *sample = heap->sample;
    sample->epoch = load_relaxed(&sample_epoch);
    sample->bytes_due = sample_draw_bytes(sample);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        sample->bin[cls].due = sample_draw_takes(sample, cls);
        sample_part(heap, cls, sample_length(thread.shelf[cls]));
    }
}

/* false: no memory, and it is not sampled. */
static bool sample_begin(struct heap *heap)
{
    struct sample *sample = load_relaxed(&heap->sampler);
    if (sample == NULL) {
        sample = meta_take(sizeof *sample);
        if (sample == NULL)
            return false;
        draw_begin(&sample->draw, sys_secret() ^ (uintptr_t)heap);
        /* pairs with check_hand() */
        store_release(&heap->sampler, sample);
    }
    sample->busy = false;
    heap->sample = sample;
    /* Runs in hand are taken in the slow path. */
    kept_open_hand(&heap->kept, false);
    return true;
}

static void sample_join_all(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        (void)sample_join(heap, cls);
}

void sample_abandon(struct heap *heap)
{
    heap->sample = NULL;
    kept_open_hand(&heap->kept, true);
}

void sample_leave(struct heap *heap)
{
    if (heap->sample == NULL)
        return;
    sample_join_all(heap);
    sample_abandon(heap);
}

static bool sample_wants(void)
{
    return load_relaxed(&sample_on) && thread.sampled != SAMPLE_NO;
}

static void sample_settle(struct heap *heap)
{
    if (thread.sampled == SAMPLE_UNASKED)
        thread.sampled =
            load_relaxed(&sample_begins) ? SAMPLE_YES : SAMPLE_NO;
    const bool wanted = sample_wants();
    if (!wanted || (heap->sample != NULL
            && heap->sample->epoch == load_relaxed(&sample_epoch))) {
        if (!wanted)
            sample_leave(heap);
        return;
    }
    if (heap->sample != NULL)
        sample_join_all(heap);
    else if (!sample_begin(heap))
        return;
    sample_draw_all(heap);
}

void sample_audit(const struct heap *heap)
{
    const struct sample *sample = load_relaxed(&heap->sampler);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct sample_bin *bin = &sample->bin[cls];
        const int room = thread.room[cls] > 0 ? thread.room[cls] : 0;
        const struct block *rest = load_relaxed(&bin->rest);
        CHECK(sample_length(rest) == bin->rest_count);
        if (heap->sample == NULL) {
            CHECK(rest == NULL && bin->room == 0);     /* P2 */
            continue;
        }
        CHECK(bin->shown < bin->due);                       /* P1 */
        CHECK(sample_length(thread.shelf[cls]) + (uint32_t)room
            <= bin->shown);                                 /* P1 */
    }
}

void sample_mind(struct heap *heap)
{
    if (heap == NULL)
        return;
    thread_enter(heap);
    sample_settle(heap);
    thread_leave();
}

/* -- a sampled object -- */

/* A block gets a place in a rack; what is large stays. NULL: no memory. */
static void *sample_place(struct heap_place place, void *pointer)
{
    if (heap_is_large(place))
        return pointer;
    const struct slab *slab = slab_of(place.extent);
    return rack_take(slab_heap(slab)->arena, slab->remote_cls);
}

static void sample_unplace(void *place, const void *pointer)
{
    if (place != pointer)
        (void)!rack_give(place);
}

static void *sample_record(struct sample_take take)
{
    const struct heap_place place = heap_find(take.pointer);
    const bool large = heap_is_large(place);
    void *moved = sample_place(place, take.pointer);
    if (moved == NULL)
        return take.pointer;
    const struct ledger_object object = {
        .pointer = moved,
        .reserved = large ? NULL : take.pointer,
        .size = take.size,
        .usable = heap_usable_bytes(take.pointer),
        .arena = arena_of_pool(place.extent->pool)->index,
    };
    /* Hooks of the program may free it, as any other. */
    if (large)
        place.extent->sampled = true;
    if (LIKELY(ledger_take(&object, take.frame)))
        return moved;
    if (large)
        place.extent->sampled = false;
    sample_unplace(moved, take.pointer);
    return take.pointer;
}

void *sample_take(struct heap *heap, struct sample_take take)
{
    struct sample *sample = load_relaxed(&heap->sampler);
    if (sample->busy)
        return take.pointer;
    sample->busy = true;
    COMPILER_BARRIER();
    void *pointer = sample_record(take);
    COMPILER_BARRIER();
    sample->busy = false;
    return pointer;
}

void *sample_count(struct sample_take take)
{
    struct heap *heap = thread.own;
    sample_note_height();
    if (LIKELY(heap == NULL || heap->sample == NULL) || take.pointer == NULL)
        return take.pointer;
    struct sample *sample = heap->sample;
    sample->bytes_due -= (double)heap_usable_bytes(take.pointer);
    if (sample->bytes_due > 0)
        return take.pointer;
    sample->bytes_due = sample_draw_bytes(sample);
    return sample_take(heap, take);
}

void sample_give(const char *call, void *pointer)
{
    struct ledger_object object;
    if (!ledger_give(pointer, &object, __builtin_frame_address(0))) {
        check_report(call, pointer);
        return;
    }
    if (rack_give(pointer))
        alloc_give_reserved(object.reserved);
}

const void *sample_reserved(const void *pointer)
{
    struct ledger_object object;
    return heap_is_sampled(heap_find(pointer))
        && ledger_find(pointer, &object) ? object.reserved : pointer;
}

void sample_note_height_slow(void)
{
    struct stats_live live;
    /* As jemalloc: what is not sampled is not worth a profile. */
    if (!sample_is_active())
        return;
    stats_read_live(&live);
    dump_note_active(live.active);
}

size_t sample_usable_bytes(const void *pointer)
{
    struct ledger_object object;
    return ledger_find(pointer, &object) ? object.usable : 0;
}

void sample_forget_large(struct extent *extent)
{
    struct ledger_object object;
    extent->sampled = false;
    (void)!ledger_give(extent->start, &object, __builtin_frame_address(0));
}

static void sample_forget(const struct ledger_object *object)
{
    const struct heap_place place = heap_find(object->pointer);
    if (heap_is_large(place))
        place.extent->sampled = false;
}

void sample_forget_arena(unsigned arena)
{
    ledger_forget_arena(arena, sample_forget);
}

/* -- for programs -- */

/* The calling thread at once, the others at their next refill. */
static void sample_tell(void)
{
    sample_mind(thread.own);
    thread_tell();
}

bool sample_is_active(void)
{
    return load_relaxed(&sample_on);
}

void sample_set_active(bool on)
{
    if (on)
        stack_arm();
    store_relaxed(&sample_on, on);
    sample_tell();
}

bool sample_thread_is_active(void)
{
    return thread.sampled == SAMPLE_UNASKED ? load_relaxed(&sample_begins)
        : thread.sampled == SAMPLE_YES;
}

void sample_set_thread_active(bool on)
{
    thread.sampled = on ? SAMPLE_YES : SAMPLE_NO;
    sample_mind(thread.own);
}

bool sample_begins_active(void)
{
    return load_relaxed(&sample_begins);
}

void sample_set_begins_active(bool on)
{
    store_relaxed(&sample_begins, on);
}

void sample_set_rate(unsigned rate_log2)
{
    ledger_reset((unsigned)min_size(rate_log2, SAMPLE_RATE_LOG2_MAX));
    (void)add_relaxed(&sample_epoch, 1);
    sample_tell();
}
