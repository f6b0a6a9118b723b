/* SPDX-License-Identifier: MIT */
/*
 * second - the calls of a thread of the second tier. See second.h.
 */
#include "heap/second.h"

#include <string.h>

#include "heap/hand.h"
#include "heap/watch.h"

/* Freed blocks of a class that may stay in hand, beside what hand.h says: at
 * least, and as far as the bytes go. */
enum {
    SECOND_FIRST = 4,
    SECOND_BYTES_MAX = 16 * KiB,
};

enum { SECOND_JUNK_TAKEN = 0xa5, SECOND_JUNK_GIVEN = 0x5a };

/* Set at start. */
static struct second_fill second_fill;

/* -- in hand -- */

uint32_t second_blocks_max(const struct bin *bin, unsigned cls)
{
    const uint32_t fit = SECOND_BYTES_MAX / class_bytes[cls];
    return (uint32_t)min_size(hand_blocks_max(bin, cls),
        max_size(fit, SECOND_FIRST));
}

/* The blocks in hand have their marks. */
static void *second_take_hardened(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    thread_enter(heap);
    struct block *block = bin->shelf;
    if (block == NULL || !check_unmark(block, cls)) {
        block = bin_refill(heap, cls);
        check_mark_list(block);
        if (block != NULL)
            (void)!check_unmark(block, cls);
    }
    bin->shelf = block != NULL ? block->next : NULL;
    if (block != NULL)
        slab_note_take(slab_of(heap_find(block).extent));
    thread_leave();
    return block;
}

void *second_take(struct heap *heap, unsigned cls)
{
    if (thread.reasons & THREAD_HARDENED)
        return second_take_hardened(heap, cls);
    struct bin *bin = &heap->bin[cls];
    bool refilled;
    thread_enter(heap);
    struct block *block = bin_pop(heap, cls, &refilled);
    thread_leave();
    if (refilled)
        bin->capacity = second_blocks_max(bin, cls);
    return block;
}

/* As hand_mind(): where nothing was taken between two events, the program is
 * letting go. */
void second_mind(struct heap *heap, unsigned cls)
{
    struct bin *bin = &heap->bin[cls];
    struct block *list = bin->shelf;
    if (list == NULL || (thread.reasons & THREAD_HARDENED))
        return;
    if (list != bin->seen) {
        bin->seen = list;
        return;
    }
    bin->seen = NULL;
    bin->shelf = NULL;
    store_relaxed(&bin->waiting, 0);
    /* No room before the next refill. */
    bin->capacity = 0;
    heap_give_list(heap, list);
}

/* -- beside -- */

void second_set_fill(struct second_fill fill)
{
    second_fill = fill;
    thread_set_default(THREAD_FILLED,
        fill.zero || fill.junk_taken || fill.junk_given);
}

bool second_wants_zero(void)
{
    return second_fill.zero;
}

static void second_fill_taken(void *pointer, size_t bytes, bool zero)
{
    if (zero)
        return;
    if (second_fill.zero)
        memset(pointer, 0, bytes);
    else if (second_fill.junk_taken)
        memset(pointer, SECOND_JUNK_TAKEN, bytes);
}

void second_note_take(void *pointer, size_t bytes, bool zero)
{
    if (thread.reasons & THREAD_FILLED)
        second_fill_taken(pointer, bytes, zero);
    if (thread.reasons & THREAD_COUNTED)
        second_count_take(bytes);
    if (thread.reasons & THREAD_WATCHED)
        watch_take(pointer, bytes);
}

void second_note_give(void *pointer, size_t bytes)
{
    if (thread.reasons & THREAD_WATCHED)
        watch_give(pointer, bytes);
    if ((thread.reasons & THREAD_FILLED) && second_fill.junk_given)
        memset(pointer, SECOND_JUNK_GIVEN, bytes);
}

void second_note_resize(void *pointer, size_t old_bytes, size_t bytes)
{
    if ((thread.reasons & THREAD_FILLED) && bytes > old_bytes)
        second_fill_taken((char *)pointer + old_bytes, bytes - old_bytes,
            false);
    if (thread.reasons & THREAD_COUNTED) {
        second_count_take(bytes);
        second_count_give(old_bytes);
    }
    if (thread.reasons & THREAD_WATCHED)
        watch_resize(pointer, old_bytes, bytes);
}
