/* SPDX-License-Identifier: MIT */
/*
 * alloc - the full path: take, give, resize. See alloc.h.
 */
#include "heap/alloc.h"

#include <string.h>

#include "heap/arenas.h"
#include "heap/check.h"
#include "heap/fast.h"
#include "heap/owner.h"
#include "heap/proxy.h"
#include "heap/reclaim.h"
#include "heap/remote.h"
#include "heap/second.h"

/* -- take -- */

void *alloc_block(unsigned cls, size_t size)
{
    void *pointer = hand_take(cls);
    return LIKELY(pointer != NULL) ? pointer : alloc_block_slow(cls, size);
}

static void *alloc_take(size_t size)
{
    void *pointer =
        size <= CLASS_BYTES_MAX ? hand_take(class_of(size)) : NULL;
    return LIKELY(pointer != NULL) ? pointer : alloc_slow(size);
}

/*
 * Where there are very many threads, each gets its first blocks of a class from
 * the slab that all share: a page of each class that it ever uses is most of
 * what an idle thread holds.
 */
enum { ALLOC_FIRSTS = 2, ALLOC_MANY_HEAPS = 16 };

static bool alloc_should_share(const struct heap *heap, unsigned cls)
{
    const struct bin *bin = &heap->bin[cls];
    const struct arena *arena = heap->arena;
    return bin->firsts < ALLOC_FIRSTS && bin->current == NULL
        && load_relaxed(&arena->heap_count) - load_relaxed(&arena->orphans)
            > ALLOC_MANY_HEAPS;
}

/* What came out of no hand may be the next sample too. */
static inline void *alloc_note(void *pointer, size_t size)
{
    return sample_count(
        (struct sample_take){ pointer, size, __builtin_frame_address(0) });
}

/* A refill is over, and nothing is held. */
static inline void alloc_end_refill(void)
{
    thread_listen();
    sample_note_height();
    arenas_follow();
}

/* The same as below where samples are waited for. */
static NOINLINE void *alloc_refill_sampled(struct heap *heap, unsigned cls,
    size_t size)
{
    thread_enter(heap);
    uint32_t count = sample_join(heap, cls);
    struct block *block = thread.shelf[cls];
    if (block == NULL) {
        const uint64_t handed = load_relaxed(&heap->bin[cls].handed);
        hand_make_room(heap, cls);
        block = bin_refill(heap, cls);
        count = (uint32_t)(load_relaxed(&heap->bin[cls].handed) - handed);
    }
    const bool chosen = block != NULL && sample_is_due(heap, cls);
    if (LIKELY(block != NULL))
        thread.shelf[cls] = block->next;
    sample_part(heap, cls, block != NULL ? count - 1 : 0);
    thread_leave();
    if (UNLIKELY(block == NULL))
        return NULL;
    check_hand_out(block, cls);
    void *pointer = LIKELY(!chosen) ? block : sample_take(heap,
        (struct sample_take){ block, size, __builtin_frame_address(0) });
    alloc_end_refill();
    return pointer;
}

static void *alloc_refill(struct heap *heap, unsigned cls, size_t size)
{
    ASSERT(thread.shelf[cls] == NULL);
    if (UNLIKELY(alloc_should_share(heap, cls))) {
        heap->bin[cls].firsts++;
        return alloc_note(arena_take_shared(heap->arena, cls), size);
    }
    if (UNLIKELY(heap->sample != NULL))
        return alloc_refill_sampled(heap, cls, size);
    thread_enter(heap);
    hand_make_room(heap, cls);
    struct block *block = bin_refill(heap, cls);
    thread_leave();
    if (UNLIKELY(block == NULL))
        return NULL;
    thread.shelf[cls] = block->next;
    check_hand_out(block, cls);
    alloc_end_refill();
    return block;
}

/* The first call of a thread, or one of the second tier, or one that has no
 * heap. */
static NOINLINE void *alloc_first(unsigned cls, size_t size)
{
    /* A birth may allocate by itself: whatever it left in hand is used. */
    struct heap *heap = thread_heap();
    thread_listen();
    if (LIKELY(thread.reasons == 0))
        return heap != NULL ? alloc_block(cls, size)
            : arena_take_shared(&arena_main, cls);
    void *pointer = heap != NULL ? second_take(heap, cls)
        : arena_take_shared(&arena_main, cls);
    if (LIKELY(pointer != NULL)) {
        pointer = alloc_note(pointer, size);
        second_note_take(pointer, class_bytes[cls], false);
    }
    arenas_follow();
    return pointer;
}

/* The quick way of a thread that is of the second tier for counting alone. */
static NOINLINE void *alloc_counted(unsigned cls, size_t size)
{
    struct heap *heap = thread.own;
    void *pointer = thread.reasons == THREAD_COUNTED && heap != NULL
        && heap->sample == NULL ? second_pop(heap, cls) : NULL;
    if (UNLIKELY(pointer == NULL))
        return alloc_first(cls, size);
    second_count_take(class_bytes[cls]);
    return pointer;
}

void *alloc_block_slow(unsigned cls, size_t size)
{
    struct heap *heap = thread.heap;
    return LIKELY(heap != NULL) ? alloc_refill(heap, cls, size)
        : alloc_counted(cls, size);
}

static void *alloc_large(size_t size, size_t align, bool zero)
{
    struct heap *heap = thread_heap();
    thread_listen();
    const bool second = UNLIKELY(thread.reasons != 0);
    zero = zero || (second && second_wants_zero());
    void *pointer =
        large_take(heap, (struct large_request){ size, align, zero });
    pointer = alloc_note(pointer, size);
    if (second && pointer != NULL)
        second_note_take(pointer, heap_usable_bytes(pointer), zero);
    return pointer;
}

void *alloc_slow(size_t size)
{
    if (UNLIKELY(size > PTRDIFF_MAX))
        return NULL;
    if (size > CLASS_BYTES_MAX)
        return alloc_large(size, 1, false);
    return alloc_block_slow(class_of(size), size);
}

/* A second thread is being made, by this one, or was: pthread_create calls
 * calloc. What is too much for one heap from now on becomes nobody's. */
static COLD void alloc_note_second(struct heap *heap)
{
    heap->alone = false;
    /* Now it costs nothing: the process still has one thread. */
    if (sys_barrier_prepare())
        return;
    thread_enter(heap);
    owner_shed_all(heap);
    thread_leave();
}

static NOINLINE void *alloc_zero_slow(size_t size)
{
    if (size > PTRDIFF_MAX)
        return NULL;
    struct heap *heap = thread.own;
    reclaim_check(&arena_main);
    if (heap != NULL && UNLIKELY(heap->alone) && !sys_single_threaded())
        alloc_note_second(heap);
    if (size > CLASS_BYTES_MAX)
        return alloc_large(size, 1, true);
    void *pointer = alloc_take(size);
    if (LIKELY(pointer != NULL))
        memset(pointer, 0, class_bytes[class_of(size)]);
    return pointer;
}

/* Too small for what alloc_note_second() waits for. */
#define ALLOC_ZERO_FAST_BYTES ((size_t)256)

void *alloc_zero(size_t size)
{
    void *pointer = size <= ALLOC_ZERO_FAST_BYTES ? fast_take(size) : NULL;
    return LIKELY(pointer != NULL)
        ? memset(pointer, 0, class_bytes[class_of(size)])
        : alloc_zero_slow(size);
}

void *alloc_aligned(size_t align, size_t size)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return NULL;
    if (size <= CLASS_BYTES_MAX && align <= CLASS_BYTES_MAX)
        return alloc_block(class_of_aligned(size, align), size);
    return alloc_large(size, align, false);
}

void *alloc_take_fullest(unsigned cls, size_t size)
{
    struct heap *heap = thread.heap;
    struct block *block = NULL;
    if (heap != NULL) {
        thread_enter(heap);
        block = bin_take_fullest(heap, cls);
        /* A demand like a refill: what is freed next may stay in hand. */
        if (heap->bin[cls].capacity == 0 && heap->sample == NULL)
            hand_make_room(heap, cls);
        thread_leave();
    }
    if (block == NULL)
        return NULL;
    check_hand_out(block, cls);
    return alloc_note(block, size);
}

/* -- give -- */

/* To a slab of the thread's own heap, which it may be no longer. */
static NOINLINE void alloc_give_own(struct heap *mine, void *pointer)
{
    thread_enter(mine);
    /* heap_find(), without what cannot be here. */
    const struct map_entry entry = map_find(pointer);
    const bool own = load_relaxed(map_owner(entry)) == (uintptr_t)mine
        && (uintptr_t)pointer >> 48 == 0;
    if (own) {
        struct slab *slab = slab_of(load_relaxed(map_extent(entry)));
        if (check_give(slab, "free", pointer))
            thread_put(slab, pointer);
    }
    thread_leave();
    if (!own)
        alloc_give_slow(pointer);
}

/* A block of another's slab stays with the thread that freed it, if it needs
 * one soon; not what shares a cache line with others' blocks, nor what is of
 * another arena. */
_Static_assert(CACHE_LINE_BYTES == 64, "CLASS_OF_64");
static ALWAYS_INLINE bool alloc_may_keep(const struct slab *slab)
{
    return slab->remote_cls >= CLASS_OF_64
        && slab_heap(slab)->arena == thread.heap->arena;
}

static ALWAYS_INLINE bool alloc_keep_other(const struct slab *slab,
    struct block *block)
{
    const unsigned cls = slab->remote_cls;
    return thread.room[cls] > 0 && alloc_may_keep(slab)
        && hand_keep(cls, block);
}

/* The same where a sample is waited for, and room in hand withheld. */
static bool alloc_keep_sampled(const struct slab *slab, struct block *block)
{
    struct heap *heap = thread.heap;
    const unsigned cls = slab->remote_cls;
    if (LIKELY(heap == NULL || heap->sample == NULL)
        || heap->sample->bin[cls].room == 0 || !alloc_may_keep(slab))
        return false;
    thread_enter(heap);
    const bool kept = hand_keep_sampled(heap, cls, block);
    thread_leave();
    return kept;
}

/* To a slab of another's, checked. */
static NOINLINE void alloc_give_other(struct slab *slab, void *pointer)
{
    struct heap *mine = thread.own;
    if (alloc_keep_sampled(slab, pointer))
        return;
    /* Once the block is given the slab may be gone. */
    struct heap *owner = slab_heap(slab);
    reclaim_check(owner->arena);
    /* No heap may own a slab of another arena. */
    if (mine != NULL && mine->arena != owner->arena)
        mine = NULL;
    const uint32_t bytes = class_bytes[slab->remote_cls];
    if (mine != NULL)
        thread_enter(mine);
    const bool waits = remote_push(slab, pointer, mine);
    thread_leave();
    if (waits)
        proxy_note(owner, pointer, bytes);
}

/* Now and then there is room in hand after all. */
static NOINLINE void alloc_give_hand(struct slab *slab, struct block *block,
    struct map_entry entry)
{
    struct heap *heap = thread.own;
    const unsigned cls = slab->cls;
    thread_enter(heap);
    const bool kept = UNLIKELY(heap->sample != NULL)
        ? hand_keep_sampled(heap, cls, block)
        : hand_find_room(heap, cls) && hand_keep(cls, block);
    thread_leave();
    /* A thread whose hands suffice has no other slow path. */
    arena_tick(heap->arena);
    if (!kept)
        alloc_give_slab(slab, block, entry);
}

void alloc_give_slab(struct slab *slab, struct block *block,
    struct map_entry entry)
{
    if (UNLIKELY(hand_should_look(slab->cls))) {
        alloc_give_hand(slab, block, entry);
        return;
    }
    thread.busy = true;
    COMPILER_BARRIER();
    /* Until now another thread may have let go of the slab (proxy.h). */
    if (UNLIKELY(load_relaxed(map_owner(entry)) != thread.self))
        alloc_give_slow(block);
    else if (UNLIKELY(slab_push(slab, block)))
        thread_event(slab);
    else
        thread_leave();
}

/* To a slab of nobody's, or of another's where there is reason to ask. */
static NOINLINE void alloc_give_asking(struct slab *slab, void *pointer)
{
    reclaim_check(slab_heap(slab)->arena);
    if (check_give_remote(slab, "free", pointer)
        && !alloc_keep_other(slab, pointer))
        alloc_give_other(slab, pointer);
}

/* Every call here is the last thing done: what is kept, which is most of what
 * threads free for each other, needs no stack. */
static ALWAYS_INLINE void alloc_give_place(struct heap_place place,
    void *pointer)
{
    struct heap *mine = thread.own;
    struct slab *slab = slab_of(place.extent);
    thread_leave();
    if (UNLIKELY(place.owner == MAP_NOBODY)) {
        if (pointer != NULL)
            check_report("free", pointer);
    } else if (heap_is_large(place)) {
        large_give(mine, place.extent, pointer);
    } else if (UNLIKELY(heap_is_sampled(place))) {
        sample_give("free", pointer);
    } else if (place.owner == (uintptr_t)mine) {
        alloc_give_own(mine, pointer);
    } else if (place.owner == OWNER_SHARED
        || UNLIKELY(!check_glance_remote(slab, pointer))) {
        alloc_give_asking(slab, pointer);
    } else if (!alloc_keep_other(slab, pointer)) {
        alloc_give_other(slab, pointer);
    }
}

/* The usable bytes of an object that is out; 0: it is none. */
static size_t alloc_bytes_out(struct heap_place place, const void *pointer)
{
    if (place.owner == MAP_NOBODY)
        return 0;
    if (heap_is_large(place))
        return large_usable_bytes(place.extent, pointer);
    if (heap_is_sampled(place))
        return sample_usable_bytes(pointer);
    const struct slab *slab = slab_of(place.extent);
    return check_may_be_block(slab, pointer) && !check_is_free(slab, pointer)
        ? class_bytes[slab->remote_cls] : 0;
}

/* For a thread of the second tier. What is misuse is found out, and reported,
 * where the first tier does it. */
static NOINLINE void alloc_give_second(struct heap_place place, void *pointer)
{
    const size_t bytes = alloc_bytes_out(place, pointer);
    if (bytes != 0)
        second_note_give(pointer, bytes);
    if (bytes == 0 || heap_is_large(place)
        || place.owner != (uintptr_t)thread.own
        || !second_keep(slab_of(place.extent), pointer))
        alloc_give_place(place, pointer);
    if (bytes != 0 && (thread.reasons & THREAD_COUNTED))
        second_count_give(bytes);
}

/* The quick way, as alloc_counted(). */
static NOINLINE void alloc_give_counted(void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    const struct slab *slab = slab_of(place.extent);
    if (LIKELY(place.owner == (uintptr_t)thread.own
            && place.owner != MAP_NOBODY && thread.reasons == THREAD_COUNTED)
        && LIKELY(second_keep_fast(slab, pointer)))
        second_count_give(slab_block_bytes(slab));
    else
        alloc_give_second(place, pointer);
}

void alloc_give_slow(void *pointer)
{
    PREFETCH_WRITE(pointer);
    if (UNLIKELY(thread.reasons != 0))
        alloc_give_counted(pointer);
    else
        alloc_give_place(heap_find(pointer), pointer);
}

/* Can the block have been asked for with this size? realloc lets one stay that
 * wastes a quarter, and a large object of any length. */
static bool alloc_fits(const void *pointer, size_t size)
{
    const struct heap_place place = heap_find(pointer);
    const size_t bytes = heap_usable_bytes(pointer);
    if (bytes == 0 || size > bytes)
        return bytes == 0;
    return heap_is_large(place)
        || fast_fits(bytes, class_bytes[class_of(size)]);
}

void alloc_give_reserved(void *pointer)
{
    if (thread.reasons == 0)
        alloc_give(pointer);
    else
        alloc_give_place(heap_find(pointer), pointer);
}

void alloc_give_sized(void *pointer, size_t size)
{
    if ((thread.reasons & THREAD_HARDENED)
        && !alloc_fits(pointer, size))
        check_report_as(MISUSE_size, "free", pointer);
    alloc_give_slow(pointer);
}

void alloc_give(void *pointer)
{
    if (!fast_give(pointer))
        alloc_give_slow(pointer);
}

void alloc_give_home(void *pointer)
{
    struct heap *mine = thread.heap;
    if (mine != NULL && heap_find(pointer).owner == (uintptr_t)mine)
        alloc_give_own(mine, pointer);
    else
        alloc_give(pointer);
}

/* -- resize -- */

/* A new place, the contents copied, the old place given back. What shrinks
 * stays where it is if there is no memory to move it to. */
static void *alloc_move(void *pointer, size_t old_bytes, size_t size)
{
    void *moved = alloc_take(size);
    if (moved == NULL) {
        /* The second tier could not tell its size from a wrong one. */
        const bool stays = size <= old_bytes
            && !(thread.reasons & THREAD_HARDENED);
        return stays ? pointer : NULL;
    }
    memcpy(moved, pointer, min_size(old_bytes, size));
    alloc_give(pointer);
    return moved;
}

/* What was resized without a new place counts too. */
static void *alloc_note_resize(void *resized, size_t old_bytes)
{
    if (UNLIKELY(thread.reasons != 0) && resized != NULL)
        second_note_resize(resized, old_bytes, heap_usable_bytes(resized));
    return resized;
}

static void *alloc_resize_large(struct extent *extent, size_t old_bytes,
    size_t size)
{
    void *pointer = extent->start;
    void *resized = large_resize(extent, size);
    if (resized == NULL && extent->region != NULL
        && size > LARGE_GROW_BYTES_MAX)
        resized = large_promote(thread_heap(), extent, size);
    if (resized != NULL) {
        if (heap_usable_bytes(resized) != old_bytes)
            resized = alloc_note(resized, size);
        return alloc_note_resize(resized, old_bytes);
    }
    /* A mapping that was refused for being one more may fit as a run, and what
     * hooks gave never grows. */
    return size <= LARGE_RUN_BYTES_MAX || pool_is_hooked(extent->pool)
        ? alloc_move(pointer, old_bytes, size) : NULL;
}

/* Of a block that is out. */
static void *alloc_resize_block(void *pointer, size_t old_bytes, size_t size)
{
    return fast_fits(old_bytes, size) ? alloc_note_resize(pointer, old_bytes)
        : alloc_move(pointer, old_bytes, size);
}

/* Of what may be a free block. */
static void *alloc_resize_slab(const struct slab *slab, void *pointer,
    size_t size)
{
    if (UNLIKELY(check_is_free(slab, pointer))) {
        check_report_as(MISUSE_double_free, "realloc", pointer);
        return NULL;
    }
    return alloc_resize_block(pointer, class_bytes[slab->remote_cls], size);
}

void *alloc_resize(void *pointer, size_t size)
{
    if (size > PTRDIFF_MAX)
        return NULL;
    const struct heap_place place = heap_find(pointer);
    const bool large = heap_is_large(place);
    const bool sampled = heap_is_sampled(place);
    if (LIKELY(place.owner != MAP_NOBODY && !large && !sampled
            && check_may_be_block(slab_of(place.extent), pointer)))
        return alloc_resize_slab(slab_of(place.extent), pointer, size);

    const size_t old_bytes =
        large || sampled ? heap_usable_bytes(pointer) : 0;
    if (UNLIKELY(old_bytes == 0)) {
        check_report("realloc", pointer);
        return NULL;
    }
    return large ? alloc_resize_large(place.extent, old_bytes, size)
        : alloc_resize_block(pointer, old_bytes, size);
}
