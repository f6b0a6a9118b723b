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

/* What a capacity may be. */
static uint32_t hand_bounded(unsigned cls, uint32_t capacity)
{
    const uint32_t fit = HAND_BYTES_MAX / class_bytes[cls];
    const uint32_t most = fit < HAND_MAX ? fit : HAND_MAX;
    const uint32_t bounded = capacity < most ? capacity : most;
    return bounded > HAND_FIRST ? bounded : HAND_FIRST;
}

void hand_make_room(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    const bool used_up = thread.room[cls] <= 0;
    bin->capacity =
        hand_bounded(cls, used_up ? 2 * bin->capacity : bin->capacity);
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
        bin->capacity = hand_bounded(cls, 2 * bin->capacity);
    return room;
}

void hand_mind(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    struct block *list = thread.shelf[cls];
    if (thread.room[cls] >= 0 || list == NULL)
        return;
    if (list != bin->seen) {
        bin->seen = list;
        return;
    }
    bin->seen = NULL;
    bin->capacity = 0;
    thread.shelf[cls] = NULL;
    heap_give_list(heap, list);
}

void hand_empty(struct heap *heap)
{
    for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
        struct block *list = thread.shelf[cls];
        thread.shelf[cls] = NULL;
        thread.room[cls] = 0;
        heap_give_list(heap, list);
    }
}
