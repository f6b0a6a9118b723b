/* SPDX-License-Identifier: MIT */
/*
 * hand - the blocks that a thread has in hand. See hand.h.
 */
#include "heap/hand.h"

/* Capacity for freed blocks of a class: at first, and at most, in blocks and
 * bytes. */
enum {
    HAND_FIRST = 4,
    HAND_MAX = 256,
    HAND_BYTES_MAX = 128 * KiB,
};

static _Atomic size_t hand_default_bytes_max = CLASS_BYTES_MAX;

uint32_t hand_blocks_max(const struct bin *bin, unsigned cls)
{
    const uint32_t fit = HAND_BYTES_MAX / class_bytes[cls];
    const uint32_t most = fit < HAND_MAX ? fit : HAND_MAX;
    const uint32_t usual = most > HAND_FIRST ? most : HAND_FIRST;
    return bin->limit != 0 && bin->limit <= usual ? bin->limit - 1u : usual;
}

/* What a capacity may be. */
static uint32_t hand_bounded(const struct bin *bin, unsigned cls,
    uint32_t capacity)
{
    const uint32_t most = hand_blocks_max(bin, cls);
    const uint32_t wanted = capacity > HAND_FIRST ? capacity : HAND_FIRST;
    return wanted < most ? wanted : most;
}

void hand_make_room(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    const bool used_up = thread.room[cls] <= 0;
    bin->capacity =
        hand_bounded(bin, cls, used_up ? 2 * bin->capacity : bin->capacity);
    thread.room[cls] = (int16_t)bin->capacity;
}

/* A list's length, as far as the capacity goes. */
static uint32_t hand_count(const struct block *list, uint32_t capacity)
{
    uint32_t count = 0;
    for (; list != NULL && count < capacity; list = list->next)
        count++;
    return count;
}

bool hand_find_room(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    const uint32_t half = bin->capacity / 2;
    const uint32_t count = hand_count(thread.shelf[cls], half);
    const bool room = count < half;
    bin_note_change(bin);
    /* Looked at: it is not time again. */
    thread.room[cls] = room ? (int16_t)(bin->capacity - count) : -2;
    /* Once more, for who came in between. */
    bin_note_change(bin);
    /* What comes and goes in hand need not be looked at so often. */
    if (room)
        bin->capacity = hand_bounded(bin, cls, 2 * bin->capacity);
    return room;
}

bool hand_keep_sampled(struct heap *heap, unsigned cls,
    struct block *block)
{
    struct sample_bin *bin = &heap->sample->bin[cls];
    /* Most looks are far from the next sample. */
    if (LIKELY(sample_has_leeway(bin, HAND_MAX))) {
        if (!hand_find_room(heap, cls))
            return false;
        bin->shown += (uint16_t)thread.room[cls];
        return hand_keep(cls, block);
    }
    uint32_t count = sample_join(heap, cls);
    const bool kept = (thread.room[cls] > 0 || hand_find_room(heap, cls))
        && hand_keep(cls, block);
    count += kept;
    sample_part(heap, cls, count);
    return kept;
}

/* What is in hand of a class goes back. */
static void hand_give(struct heap *heap, unsigned cls)
{
    if (UNLIKELY(heap->sample != NULL))
        (void)sample_join(heap, cls);
    struct block *list = thread.shelf[cls];
    thread.shelf[cls] = NULL;
    heap_give_list(heap, list);
}

/* Its first block; NULL: none is in hand. */
static const struct block *hand_first(const struct heap *heap, unsigned cls)
{
    const struct block *first = thread.shelf[cls];
    return first == NULL && UNLIKELY(heap->sample != NULL)
        ? load_relaxed(&heap->sample->bin[cls].rest) : first;
}

static bool hand_has_room(const struct heap *heap, unsigned cls)
{
    return thread.room[cls] >= 0
        || (UNLIKELY(heap->sample != NULL)
            && heap->sample->bin[cls].room > 0);
}

void hand_mind(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    const struct block *list = hand_first(heap, cls);
    if (hand_has_room(heap, cls) || list == NULL)
        return;
    if (list != bin->seen) {
        bin->seen = list;
        return;
    }
    bin->seen = NULL;
    bin->capacity = 0;
    hand_give(heap, cls);
}

void hand_empty(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        /* gcc 12 would walk both arrays from a base of NULL, take that for
         * undefined, and leave out calls of this function. */
        OPAQUE(cls);
        hand_give(heap, cls);
        thread.room[cls] = 0;
    }
}

/* -- limits -- */

void hand_set_blocks_max(struct heap *heap, unsigned cls, size_t blocks)
{
    struct bin *bin = &heap->bin[cls];
    heap->limited = true;
    bin->limit = (uint16_t)(min_size(blocks, HAND_MAX) + 1);
    bin->capacity = 0;
}

void hand_set_bytes_max(struct heap *heap, size_t bytes)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct bin *bin = &heap->bin[cls];
        /* What had been too large has the usual room again. */
        if (class_bytes[cls] > bytes)
            hand_set_blocks_max(heap, cls, 0);
        else if (bin->limit == 1)
            bin->limit = 0;
    }
}

void hand_set_default_bytes_max(size_t bytes)
{
    store_relaxed(&hand_default_bytes_max, bytes);
}

size_t hand_bytes_max(const struct heap *heap)
{
    unsigned cls = CLASS_COUNT;
    while (cls > 0 && hand_blocks_max(&heap->bin[cls - 1], cls - 1) == 0)
        cls--;
    return cls > 0 ? class_bytes[cls - 1] : 0;
}

void hand_copy_limits(struct heap *heap, const struct heap *from)
{
    const bool limited = heap->limited || from->limited;
    for (unsigned cls = 0; limited && cls < CLASS_COUNT; cls++)
        heap->bin[cls].limit = from->bin[cls].limit;
    heap->limited = from->limited;
}

void hand_begin(struct heap *heap)
{
    const size_t bytes = load_relaxed(&hand_default_bytes_max);
    for (unsigned cls = 0; heap->limited && cls < CLASS_COUNT; cls++)
        heap->bin[cls].limit = 0;
    heap->limited = false;
    if (bytes < CLASS_BYTES_MAX)
        hand_set_bytes_max(heap, bytes);
}
