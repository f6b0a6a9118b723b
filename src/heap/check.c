/* SPDX-License-Identifier: MIT */
/*
 * check - is what a program gives back a block that is out? See check.h.
 */
#include "heap/check.h"

#include "heap/arenas.h"
#include "heap/heap.h"
#include "heap/remote.h"
#include "heap/thread.h"

/* Times that a walk is begun anew when blocks leave the lists meanwhile. */
enum { CHECK_TRIES = 8 };

/* -- blocks and marks -- */

bool check_may_be_block(const struct slab *slab, const void *pointer)
{
    return check_remote_scaled(slab, pointer) < check_remote_limit(slab);
}

/* -- searching -- */

/* Is the block on a list, which may be changing under us? */
static bool check_list_holds(const struct slab *slab,
    const struct block *at, const void *pointer)
{
    for (uint32_t left = class_blocks[slab->remote_cls];
         left > 0 && at != NULL && check_may_be_block(slab, at); left--) {
        if (at == pointer)
            return true;
        at = at->next;
    }
    return false;
}

static bool check_lists_hold(const struct slab *slab, const void *pointer)
{
    if (check_list_holds(slab, slab->freed, pointer)
        || check_list_holds(slab, remote_list(slab), pointer))
        return true;
    for (uint32_t i = 0; i < slab->segments && i < SLAB_SEGMENTS_MAX; i++) {
        if (check_list_holds(slab, slab_segment(slab, i), pointer))
            return true;
    }
    return false;
}

/* Is it a free block of a page or more, which is on no list? */
static bool check_is_cold(const struct slab *slab, const void *pointer)
{
    const uint64_t i = check_remote_scaled(slab, pointer)
        / class_step[slab->remote_cls];
    return i < SLAB_COLD_BLOCKS_MAX
        && (load_relaxed(&slab->cold) >> i & 1) != 0;
}

/* The longest list in another's hand that is walked to its end. */
enum { CHECK_HAND_BLOCKS = 1024 };

/* What a heap's owner has in hand of a class. What is kept takes room, and
 * what else brings blocks or room is counted by the bin. */
struct check_hand {
    const struct block *first;
    const struct block *rest;   /* withheld: sample.h */
    int room;
};

static struct check_hand check_hand(const struct heap *heap, unsigned cls)
{
    const struct bin *bin = &heap->bin[cls];
    struct check_hand hand = { NULL, NULL, 0 };
    const struct thread *owner = load_relaxed(&heap->thread);
    struct thread copy;
    if (load_relaxed(&heap->reasons) != 0 || owner == NULL) {
        hand.first = bin->shelf;
    } else if (bin->capacity > 0 && sys_peek(owner, &copy, sizeof copy)) {
        hand.first = copy.shelf[cls];
        hand.room = copy.room[cls];
    }
    /* pairs with sample_begin() */
    const struct sample *sampler = load_acquire(&heap->sampler);
    if (sampler != NULL)
        hand.rest = load_relaxed(&sampler->bin[cls].rest);
    COMPILER_BARRIER();
    return hand;
}

/* Blocks come and go under us if it is another's: each may be gone, and its
 * slab with it, but for the slab that the pointer is of. */
static bool check_hand_list_holds(const struct slab *slab, bool near,
    const struct block *at, const void *pointer)
{
    for (int left = CHECK_HAND_BLOCKS; left > 0 && at != NULL; left--) {
        struct block copy;
        if (at == pointer)
            return true;
        if (near || check_may_be_block(slab, at))
            at = at->next;
        else if (sys_peek(at, &copy, sizeof copy))
            at = copy.next;
        else
            return false;
    }
    return false;
}

/* Has its owner had the block in hand all the time? */
static bool check_hand_holds(const struct heap *heap,
    const struct slab *slab, const void *pointer)
{
    const unsigned cls = slab->remote_cls;
    /* pairs with bin_note_change() */
    const uint32_t changes = load_acquire(&heap->bin[cls].changes);
    const struct check_hand before = check_hand(heap, cls);
    const bool near = heap == thread.own;
    if (!check_hand_list_holds(slab, near, before.first, pointer)
        && !check_hand_list_holds(slab, near, before.rest, pointer))
        return false;
    COMPILER_BARRIER();
    const struct check_hand after = check_hand(heap, cls);
    return after.first == before.first && after.room == before.room
        && load_relaxed(&heap->bin[cls].changes) == changes;
}

/* Has any thread of the arena the block in hand? */
static bool check_is_in_hand(const struct slab *slab, const void *pointer)
{
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&slab_heap(slab)->arena->heaps);
    for (; heap != NULL; heap = heap->next) {
        if (check_hand_holds(heap, slab, pointer))
            return true;
    }
    return false;
}

/*
 * Is a block on a list of its slab, or cold, or in hand? Any thread may ask of
 * any slab while the owner goes on: lists only grow between two takes, so what
 * is found with no take in between is there. What cannot be told counts as not
 * found.
 */
static COLD bool check_holds(const struct slab *slab, const void *pointer)
{
    for (int i = 0; i < CHECK_TRIES; i++) {
        /* pairs with slab_note_take() */
        const uint32_t takes = load_acquire(&slab->takes);
        if (!check_is_cold(slab, pointer)
            && !check_lists_hold(slab, pointer))
            return check_is_in_hand(slab, pointer);
        /* pairs with slab_note_take() */
        fence_acquire();
        if (takes == load_relaxed(&slab->takes))
            return true;
    }
    return false;
}

/* -- giving back -- */

bool check_is_free(const struct slab *slab, const void *pointer)
{
    if (!CHECK_MARKED(slab->remote_cls))
        return false;
    const struct block *block = pointer;
    const bool marked = UNLIKELY(block->mark
        == (check_remote_scaled(slab, pointer) ^ slab->remote_key));
    /* Cold blocks lost their marks. */
    const bool cold = UNLIKELY(load_relaxed(&slab->cold) != 0)
        && check_is_cold(slab, pointer);
    return UNLIKELY(marked || cold) && check_holds(slab, pointer);
}

void check_set_remote_mark(const struct slab *slab, struct block *block)
{
    if (CHECK_MARKED(slab->remote_cls))
        block->mark = check_remote_scaled(slab, block) ^ slab->remote_key;
}

bool check_give(const struct slab *slab, const char *call,
    const void *pointer)
{
    if (UNLIKELY(!check_is_block(slab, pointer))) {
        check_report(call, pointer);
        return false;
    }
    if (UNLIKELY(check_is_free(slab, pointer))) {
        check_report_as(MISUSE_double_free, call, pointer);
        return false;
    }
    return true;
}

bool check_give_remote(const struct slab *slab, const char *call,
    void *pointer)
{
    if (!check_may_be_block(slab, pointer)
        || (remote_is_unowned(slab) && !check_is_block(slab, pointer))) {
        check_report(call, pointer);
        return false;
    }
    if (check_is_free(slab, pointer)) {
        check_report_as(MISUSE_double_free, call, pointer);
        return false;
    }
    check_set_remote_mark(slab, pointer);
    return true;
}

/* -- taking over -- */

static COLD void check_report_list(struct check_list *list, uint32_t sound)
{
    const void *pointer = list->last != NULL ? list->last : list->first;
    check_report_as(MISUSE_corrupted, "malloc", pointer);
    list->count = sound;
    list->rest = NULL;
    if (list->last != NULL)
        list->last->next = NULL;
}

/*
 * Walk so many blocks of a list; the blocks met, as bits, if that is asked for.
 * false: it is broken, which has been reported. A mark that is not what it
 * should be was overwritten after the free, which is only for hardening to
 * complain of. This runs for every block that is ever handed out again, so what
 * is the same for all of a list is looked up once.
 */
static ALWAYS_INLINE bool check_each(const struct slab *slab,
    struct check_list *list, uint64_t *met)
{
    const char *start = slab->start;
    const uint64_t factor = slab->factor;
    const uint64_t key = slab->key;
    const uint64_t step = class_step[slab->cls];
    const uint64_t limit = load_relaxed(&slab->fresh) * step;
    const bool hardened = CHECK_MARKED(slab->cls)
        && (load_relaxed(&slab_heap(slab)->reasons) & THREAD_HARDENED);
    struct block *at = list->first;
    list->last = NULL;
    list->rest = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        PREFETCH_WRITE(at);
        const uint64_t scaled = (uint64_t)((char *)at - start) * factor;
        if (UNLIKELY(scaled >= limit)
            || (hardened && UNLIKELY(at->mark != (scaled ^ key)))) {
            check_report_list(list, i);
            return false;
        }
        if (met != NULL)
            *met |= (uint64_t)1 << scaled / step % 64;
        list->last = at;
        at = at->next;
    }
    list->rest = at;
    return true;
}

uint64_t check_walk(const struct slab *slab, struct check_list *list)
{
    uint64_t met = 0;
    (void)check_each(slab, list, &met);
    return met;
}

/* How many blocks of a list come before one that came already; that is its
 * last then. Slow, where there is reason to ask. */
static COLD uint32_t check_unique(struct check_list *list)
{
    struct block *at = list->first;
    for (uint32_t i = 0; i < list->count; i++, at = at->next) {
        const struct block *met = list->first;
        for (uint32_t k = 0; k < i; k++, met = met->next) {
            if (met == at)
                return i;
        }
        list->last = at;
    }
    return list->count;
}

/* Does a block come twice in a list of blocks without marks? */
static bool check_repeats(const struct slab *slab,
    const struct check_list *list)
{
    uint64_t met[SLICE_BYTES / ASHLAR_QUANTUM / 64] = { 0 };
    const struct block *at = list->first;
    for (uint32_t k = 0; k < list->count; k++, at = at->next) {
        const uint64_t i = slab_scaled(slab, at) / class_step[slab->cls];
        if (met[i / 64] >> i % 64 & 1)
            return true;
        met[i / 64] |= (uint64_t)1 << i % 64;
    }
    return false;
}

/* May a block come twice in a list? Marks are taken off to see, and set anew;
 * one that the program wrote over says yes. */
static bool check_may_repeat(const struct slab *slab,
    const struct check_list *list)
{
    if (!CHECK_MARKED(slab->cls))
        return check_repeats(slab, list);
    struct block *at = list->first;
    uint32_t i;
    for (i = 0; i < list->count && at->mark != 0; i++, at = at->next)
        at->mark = 0;
    const bool repeats = i < list->count;
    for (at = list->first; i > 0; i--, at = at->next)
        at->mark = check_mark(slab, at);
    return repeats;
}

/*
 * Where a block was freed twice at the same time the list is a circle: it does
 * not end where it should.
 */
static bool check_is_circle(const struct slab *slab, struct check_list *list)
{
    if (!ASHLAR_CHECKS
        || (list->whole ? LIKELY(list->rest == NULL)
            : !check_may_repeat(slab, list)))
        return false;
    const uint32_t unique = check_unique(list);
    if (unique == list->count && !list->whole)
        return false;
    check_report_list(list, unique);
    return true;
}

void check_cut(const struct slab *slab, struct check_list *list)
{
    if (!check_each(slab, list, NULL) || check_is_circle(slab, list))
        return;
    /* The rest must be a list. */
    if (!list->whole && !check_is_block(slab, list->rest))
        check_report_list(list, list->count);
    else if (list->last != NULL)
        list->last->next = NULL;
}

/* -- hardening -- */

void check_mark_list(struct block *list)
{
    if (list == NULL)
        return;
    const struct slab *slab = slab_of(heap_find(list).extent);
    if (!CHECK_MARKED(slab->cls))
        return;
    for (struct block *at = list; at != NULL; at = at->next)
        at->mark = check_mark(slab, at);
}

bool check_unmark(struct block *block, unsigned cls)
{
    const struct heap_place place = heap_find(block);
    struct slab *slab = slab_of(place.extent);
    if (place.owner == MAP_NOBODY || heap_is_large(place)
        || slab->remote_cls != cls || !check_is_block(slab, block)
        || (CHECK_MARKED(cls) && block->mark != check_mark(slab, block))) {
        check_report_as(MISUSE_corrupted, "malloc", block);
        return false;
    }
    check_hand_out(block, cls);
    return true;
}

/* -- reports -- */

/* How far back a large object is looked for that a pointer may be inside. */
enum { CHECK_BACK_SLICES = 1 << 16 };

/* The large object that an address lies in, but does not start; NULL: none.
 * The map knows only the first slice of each. */
static struct extent *check_enclosing(const void *pointer)
{
    const uintptr_t low = CHECK_BACK_SLICES * SLICE_BYTES;
    const uintptr_t address = (uintptr_t)pointer;
    for (uintptr_t back = 0; back < low && back < address;
         back += SLICE_BYTES) {
        const struct heap_place place = heap_find((void *)(address - back));
        if (heap_is_large(place))
            return address < (uintptr_t)place.extent->start
                    + place.extent->bytes
                && large_usable_bytes(place.extent, place.extent->start) > 0
                ? place.extent : NULL;
        if (place.owner != MAP_NOBODY)
            return NULL;
    }
    return NULL;
}

static enum misuse check_what_block(const struct slab *slab,
    const void *pointer)
{
    if ((uintptr_t)pointer % ASHLAR_QUANTUM != 0)
        return MISUSE_misaligned;
    if (!check_may_be_block(slab, pointer))
        return MISUSE_interior;
    return check_is_block(slab, pointer) ? MISUSE_double_free
        : MISUSE_nothing;
}

static enum misuse check_what_large(const struct extent *extent,
    const void *pointer)
{
    if (pointer == extent->start)
        return MISUSE_double_free;
    return large_usable_bytes(extent, extent->start) == 0 ? MISUSE_nothing
        : MISUSE_interior;
}

/* Of memory that the map knows nothing of any more. */
static enum misuse check_what_gone(const void *pointer)
{
    if ((uintptr_t)pointer >> 48 != 0)
        return MISUSE_foreign;
    const struct map_entry entry = map_find(pointer);
    if (load_relaxed(map_owner(entry)) == OWNER_GONE)
        return MISUSE_nothing;
    return arenas_reach(pointer) ? MISUSE_nothing
        : MISUSE_foreign;
}

static void check_describe_block(struct misuse_report *report,
    struct heap_place place)
{
    const struct slab *slab = slab_of(place.extent);
    report->kind = "block";
    report->bytes = class_bytes[slab->remote_cls];
    report->where = "in a slab of another thread";
    if (place.owner == OWNER_SHARED)
        report->where = "in a slab of no thread";
    else if (slab_heap(slab) == thread.own)
        report->where = "in a slab of this thread";
}

static void check_describe_large(struct misuse_report *report,
    const struct extent *extent)
{
    report->kind = "large object";
    report->bytes = extent->bytes;
    report->where =
        extent->region != NULL ? "in a run of slices" : "in a mapping";
}

static void check_describe_sampled(struct misuse_report *report,
    const struct extent *extent)
{
    report->kind = "block";
    report->bytes = rack_bytes(extent);
    report->where = "among the sampled ones";
}

void check_report_as(enum misuse what, const char *call,
    const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    struct misuse_report report = {
        .what = what, .call = call, .pointer = pointer,
    };
    struct extent *large = heap_is_large(place) ? place.extent
        : place.owner == MAP_NOBODY ? check_enclosing(pointer) : NULL;
    if (large != NULL)
        check_describe_large(&report, large);
    else if (heap_is_sampled(place))
        check_describe_sampled(&report, place.extent);
    else if (place.owner != MAP_NOBODY)
        check_describe_block(&report, place);
    misuse(report);
}

void check_report(const char *call, const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    enum misuse what;
    if (heap_is_large(place))
        what = check_what_large(place.extent, pointer);
    else if (heap_is_sampled(place))
        what = rack_is_place(place.extent, pointer) ? MISUSE_double_free
            : MISUSE_interior;
    else if (place.owner != MAP_NOBODY)
        what = check_what_block(slab_of(place.extent), pointer);
    else if (check_enclosing(pointer) != NULL)
        what = MISUSE_interior;
    else
        what = check_what_gone(pointer);
    check_report_as(what, call, pointer);
}
