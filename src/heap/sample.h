/* SPDX-License-Identifier: MIT */
/*
 * sample - which objects a heap profile knows, and where they lie.
 *
 * Owns     the draws that choose them, the hand of a thread that waits for
 *          one, and the way of a sampled object from its birth to its free.
 * Used by  hand.c, alloc.c, request.c, large.c (slow paths), thread.c and
 *          reclaim.c (life and news), ctl/ and api/start.c (prof.*).
 * Never    costs the fast path an instruction, on or off; changes where other
 *          objects lie.
 *
 * An object of n bytes is sampled with probability 1 - exp(-n / rate), as if
 * each byte were with 1 / rate. Each heap draws for each class how many takes
 * are to come until the next sample, and one number of bytes for everything
 * that does not come out of a hand: the sum of independent Poisson processes of
 * one rate is such a process.
 *
 * The take that is due must find an empty shelf. So of the blocks in a hand and
 * its room only as much is left to the thread as cannot reach that take; the
 * rest waits in the sample_bin, and comes back when the thread asks for more:
 * sample_join() makes the hand what it would be without sampling, and
 * sample_part() takes away again what has to wait. Between the two everything
 * is as it always is.
 *
 * What is sampled lies in a rack (rack.h), where every free comes to the slow
 * path; the block it would have been stays taken meanwhile. A large object
 * stays where it is: its frees come to the slow path anyway.
 *
 * Holds    P1  while a heap is sampled, shelf + room that is left to the thread
 *              <= shown <= due - 1, of each class
 *          P2  rest != NULL or room > 0 only while the heap is sampled
 *
 * Tests    test/unit/heap/sample_test.c
 */
#ifndef HEAP_SAMPLE_H
#define HEAP_SAMPLE_H

#include "heap/class.h"
#include "heap/draw.h"
#include "ledger/ledger.h"

struct block;
struct heap;

/* One class of a sampled heap. */
struct sample_bin {
    struct block *_Atomic rest; /* of the hand, behind what is on the shelf;
                                 * other threads may look */
    uint64_t due;               /* takes since the last sample_part(), the last
                                 * of which is sampled */
    uint32_t rest_count;
    uint32_t shown;             /* blocks and room that the thread was left, in
                                 * all */
    int32_t room;               /* withheld */
};

struct sample {
    struct draw draw;
    double bytes_due;           /* of what comes out of no hand */
    uint32_t epoch;             /* of the rate that was drawn by */
    bool busy;                  /* one is being recorded, which may allocate */
    struct sample_bin bin[CLASS_COUNT];
};

/* -- for hand.c and alloc.c; entered, and the heap is sampled -- */

/* The hand of a class as it would be, with all of its room; how many blocks
 * are in it. */
uint32_t sample_join(struct heap *heap, unsigned cls);

/* The hand has so many blocks: what may not be left to the thread waits. */
void sample_part(struct heap *heap, unsigned cls, uint32_t count);

/* May the thread be left so much room more, without a look at what it has? Then
 * it is. */
static inline bool sample_has_leeway(const struct sample_bin *bin,
    uint32_t room)
{
    return load_relaxed(&bin->rest) == NULL && bin->room == 0
        && bin->shown + (uint64_t)room < bin->due
        && bin->shown < UINT32_MAX / 2;
}

/* One more take, after sample_join(); is it the one that is due? */
MUST_USE bool sample_is_due(struct heap *heap, unsigned cls);

/* -- for who takes and gives; holding nothing -- */

/* An object that was just taken, by the caller of the function with this frame,
 * becomes a sampled one; where it is from now on. The contents are lost. */
struct sample_take {
    void *pointer;
    size_t size;                /* bytes asked for */
    const void *frame;
};
void *sample_take(struct heap *heap, struct sample_take take);

/* The same of something that comes out of no hand, if it is due; NULL stays
 * NULL. Memory in use may be more than ever. */
void *sample_count(struct sample_take take);

/* The block that a sampled object would be; any other pointer as it is. */
const void *sample_reserved(const void *pointer);

/* Memory in use may have grown: is a profile due for it? */
COLD void sample_note_height_slow(void);
static inline void sample_note_height(void)
{
    if (dump_gdump())
        sample_note_height_slow();
}

/* The owner word says OWNER_SAMPLED: give it back; misuse is reported. */
void sample_give(const char *call, void *pointer);

/* 0: it is none that is out. */
size_t sample_usable_bytes(const void *pointer);

struct extent;

/* A large object that was sampled is about to be given back or resized. */
void sample_forget_large(struct extent *extent);

/* All objects of an arena are gone. */
void sample_forget_arena(unsigned arena);

/* -- for thread.c -- */

/* The calling thread has this heap from now on, or there was news: is the heap
 * to be sampled? NULL: it has none. */
void sample_mind(struct heap *heap);

/* It leaves the heap; its hand is empty. */
void sample_leave(struct heap *heap);

/* Of the calling thread's heap. */
void sample_audit(const struct heap *heap);

/* Of a heap whose thread vanished: what waited, off every list; when all of it
 * is taken the heap is no longer sampled. */
struct block *sample_take_rest(struct heap *heap, unsigned cls);
void sample_abandon(struct heap *heap);

/* -- for programs -- */

/* Are objects sampled, in this process and by the calling thread? Both have to
 * be on. Switching on what was off at start looks for an unwinder first, so
 * not from inside an allocation. */
bool sample_is_active(void);
void sample_set_active(bool on);
bool sample_thread_is_active(void);
void sample_set_thread_active(bool on);

/* Of threads that are born from now on. */
bool sample_begins_active(void);
void sample_set_begins_active(bool on);

/* The bytes between two samples on average, as bits, at most 63; all that is
 * known of earlier samples is forgotten. */
void sample_set_rate(unsigned rate_log2);

#endif
