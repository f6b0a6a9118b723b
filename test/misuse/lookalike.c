/* SPDX-License-Identifier: MIT */
/*
 * Valid calls that look like misuse: none may be reported.
 *
 * Goal: whatever a program keeps in its blocks, free takes them without a
 * word, and still finds them all.
 * Method: threads take blocks and dress them, white-box, as the allocator
 * dresses free ones: the mark that this block would have now, or one of its
 * neighbours, or this memory in the next slab that will lie there; with links
 * to other blocks, to itself, or to the list of its slab. Then they give them
 * back, resize them, or leave them to other threads; some are of the second
 * tier, some end and leave everything behind. Some blocks stay as they came,
 * and none comes with its mark, whatever lay in the memory. A report ends the
 * process; the first words of every block are compared when it is given back,
 * so one handed out twice is found as well.
 *
 * --ops N calls in all; without it, some seconds. Every sixth call or so makes
 * the allocator search what all threads have in hand, which is system calls.
 */
#include "../expect.h"

#include "heap/check.h"
#include "heap/heap.h"
#include "heap/thread.h"

#include <pthread.h>

enum { TABLES = 3, HELD = 3000, MAILBOXES = 512, LIFE_OPS = 200000 };

/* Whole blocks up to here are dressed for a slab yet to come. */
enum { DRESSED_BYTES_MAX = 8192 };

/* What heap_next_key() adds: the key of a heap's next slab can be told. */
#define KEY_STEP 0x9e3779b97f4a7c15u

struct held {
    struct block *block;        /* NULL: nothing */
    size_t size;
    bool aligned;               /* so its size alone says too little */
    struct block words;         /* what its first two were left as */
};

struct mailbox {
    _Atomic bool taken;
    struct held held;
};

struct worker {
    struct dice dice;
    struct held held[HELD];
    uint64_t left;              /* calls */
    bool prepares;              /* this life dresses memory for the next */
    uint64_t marked;            /* given back with exactly their mark */
};

static struct mailbox mail[MAILBOXES];

/* -- dressing -- */

/* The slab that a block lies in; NULL: none, it is large. */
static const struct slab *slab_around(const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    return heap_is_large(place) ? NULL : slab_of(place.extent);
}

/* As another thread may ask. */
static uint64_t mark_of(const struct slab *slab, const void *pointer)
{
    const uint64_t offset =
        (uint64_t)((const char *)pointer - slab_extent(slab)->start);
    return offset * class_factor[slab->remote_cls] ^ slab->remote_key;
}

/* Mostly another block of the slab, so that a search that strays from a list
 * goes on for long, and finds what it should not. */
static void *draw_link(struct worker *worker, const struct slab *slab,
    struct block *block)
{
    const size_t bytes = class_bytes[slab->remote_cls];
    switch (dice_below(&worker->dice, 64)) {
    case 0:
        return NULL;
    case 1:
        return block;
    case 2:
        return worker->held[dice_below(&worker->dice, HELD)].block;
    case 3:
        return slab_heap(slab) == thread.own ? slab->freed : block;
    default:
        return slab_extent(slab)->start
            + bytes * dice_below(&worker->dice,
                class_blocks[slab->remote_cls]);
    }
}

static uint64_t draw_mark(struct worker *worker, const struct slab *slab,
    struct block *block)
{
    const uint64_t mark = mark_of(slab, block);
    const size_t bytes = class_bytes[slab->remote_cls];
    switch (dice_below(&worker->dice, 8)) {
    case 0:
        return 0;
    case 1:
        return mark_of(slab, (char *)block + bytes);
    case 2:
        return mark - slab->remote_key;
    case 3:
        return dice_next(&worker->dice);
    default:
        return mark;
    }
}

/* The whole block, as if it were free blocks of a slab yet to come. */
static void dress_for_later(struct worker *worker, const struct slab *slab,
    struct held *held)
{
    const struct heap *heap = thread.own;
    if (heap == NULL || held->size > DRESSED_BYTES_MAX)
        return;
    const unsigned cls =
        1 + (unsigned)dice_below(&worker->dice, class_of(128));
    const uint64_t key =
        heap->key + KEY_STEP * (1 + dice_below(&worker->dice, 16));
    const size_t bytes = class_bytes[cls];
    char *start = slab_extent(slab)->start;
    const size_t begin = (size_t)((char *)held->block - start);
    const size_t end = begin + held->size;
    for (size_t at = (begin + bytes - 1) / bytes * bytes; at + 16 <= end;
         at += bytes) {
        struct block *later = (struct block *)(void *)(start + at);
        later->next = (struct block *)(void *)(start + at + bytes);
        later->mark = (uint64_t)at * class_factor[cls] ^ key;
    }
}

static void dress(struct worker *worker, struct held *held)
{
    const struct slab *slab = slab_around(held->block);
    const size_t kind = dice_below(&worker->dice, 32);
    if (slab != NULL && held->size >= sizeof *held->block) {
        if (worker->prepares)
            dress_for_later(worker, slab, held);
        if (kind >= 4) {
            held->block->next = draw_link(worker, slab, held->block);
            held->block->mark = draw_mark(worker, slab, held->block);
        }
    }
    memcpy(&held->words, held->block, min_size(held->size, 16));
}

static void expect_as_dressed(struct worker *worker, const struct held *held)
{
    EXPECT_THAT(memcmp(&held->words, held->block, min_size(held->size, 16))
                == 0, "a block of %zu bytes at %p is not as it was left",
                held->size, (const void *)held->block);
    const struct slab *slab = slab_around(held->block);
    if (slab != NULL && held->size >= sizeof *held->block
        && held->block->mark == mark_of(slab, held->block))
        worker->marked++;
}

/* -- calls -- */

static size_t draw_size(struct worker *worker)
{
    struct dice *dice = &worker->dice;
    const size_t kind = dice_below(dice, 4096);
    if (worker->prepares)
        return dice_between(dice, KIB, DRESSED_BYTES_MAX);
    if (kind == 0)
        return dice_between(dice, 64 * KIB, 300 * KIB);
    if (kind < 40)
        return dice_between(dice, 4 * KIB, 60 * KIB);
    if (kind < 200)
        return dice_between(dice, 256, 4 * KIB);
    if (kind < 300)
        return dice_below(dice, 16);
    if (kind < 1000)
        return 16 * dice_between(dice, 1, 8);
    /* Few classes, so that threads meet in the same slabs. */
    return kind < 3000 ? 48 : 1000;
}

static void expect_unmarked(const struct held *held)
{
    const struct slab *slab = slab_around(held->block);
    if (slab != NULL && held->size >= sizeof *held->block)
        EXPECT(held->block->mark != mark_of(slab, held->block));
}

static void take(struct worker *worker, struct held *held)
{
    const size_t kind = dice_below(&worker->dice, 16);
    held->size = draw_size(worker);
    held->aligned = kind == 1;
    switch (kind) {
    case 0:
        held->block = subject_calloc(1, held->size);
        break;
    case 1:
        held->block = subject_aligned_alloc(32, held->size);
        break;
    default:
        held->block = subject_malloc(held->size);
        break;
    }
    EXPECT(held->block != NULL);
    expect_unmarked(held);
    dress(worker, held);
}

static void give(struct worker *worker, struct held *held)
{
    expect_as_dressed(worker, held);
    switch (dice_below(&worker->dice, 8)) {
    case 0:
        if (held->aligned)
            subject_free_aligned_sized(held->block, 32, held->size);
        else
            subject_free_sized(held->block, held->size);
        break;
    case 1:
        EXPECT(subject_realloc(held->block, 0) == NULL);
        break;
    default:
        subject_free(held->block);
        break;
    }
    held->block = NULL;
}

static void resize(struct worker *worker, struct held *held)
{
    expect_as_dressed(worker, held);
    const struct block words = held->words;
    const size_t size = draw_size(worker) + 1;
    held->block = subject_realloc(held->block, size);
    EXPECT(held->block != NULL);
    EXPECT(memcmp(&words, held->block,
                  min_size(min_size(held->size, size), 16)) == 0);
    held->size = size;
    held->aligned = false;
    dress(worker, held);
}

/* What lies in a mailbox for what is held. */
static void swap(struct worker *worker, struct held *held)
{
    struct mailbox *box = &mail[dice_below(&worker->dice, MAILBOXES)];
    bool free = false;
    if (!atomic_compare_exchange_strong_explicit(&box->taken, &free, true,
            memory_order_acquire, memory_order_relaxed))
        return;
    const struct held other = box->held;
    box->held = *held;
    *held = other;
    atomic_store_explicit(&box->taken, false, memory_order_release);
}

static void one_call(struct worker *worker)
{
    struct held *held = &worker->held[dice_below(&worker->dice, HELD)];
    const size_t kind = dice_below(&worker->dice, 32);
    if (held->block == NULL)
        take(worker, held);
    else if (kind == 0)
        resize(worker, held);
    else if (kind < 8)
        swap(worker, held);
    else
        give(worker, held);
}

static void give_all(struct worker *worker)
{
    for (size_t i = 0; i < HELD; i++) {
        if (worker->held[i].block != NULL)
            give(worker, &worker->held[i]);
    }
}

/* -- threads: one after another for each worker -- */

static void *live(void *argument)
{
    struct worker *worker = argument;
    thread_set_default(THREAD_HARDENED, dice_below(&worker->dice, 4) == 0);
    worker->prepares = dice_below(&worker->dice, 6) == 0;
    uint64_t ops = dice_below(&worker->dice, LIFE_OPS);
    ops = ops < worker->left ? ops : worker->left;
    worker->left -= ops;
    for (; ops > 0; ops--)
        one_call(worker);
    if (worker->prepares || dice_below(&worker->dice, 4) == 0)
        give_all(worker);
    if (dice_below(&worker->dice, 16) == 0)
        subject_trim(0);
    return NULL;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    while (worker->left > 0) {
        pthread_t next;
        EXPECT_EQUAL(pthread_create(&next, NULL, live, worker), 0);
        EXPECT_EQUAL(pthread_join(next, NULL), 0);
    }
    return NULL;
}

static void run_workers(struct worker *workers, uint64_t ops)
{
    pthread_t crew[TABLES];
    for (size_t i = 0; i < TABLES; i++) {
        workers[i].left = ops / TABLES;
        EXPECT_EQUAL(pthread_create(&crew[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < TABLES; i++)
        EXPECT_EQUAL(pthread_join(crew[i], NULL), 0);
    subject_audit();
}

static void empty_mailboxes(struct worker *worker)
{
    for (size_t i = 0; i < MAILBOXES; i++) {
        if (mail[i].held.block != NULL)
            give(worker, &mail[i].held);
    }
}

int main(int argc, char **argv)
{
    test_begin("lookalike", argc, argv);
    struct worker *workers = test_map(TABLES * sizeof *workers);
    for (size_t i = 0; i < TABLES; i++)
        workers[i].dice.state = mixed(test.seed) + i;
    const uint64_t ops = test.ops != 0 ? test.ops
        : test_scaled(ASHLAR_DEBUG ? 500000 : 1000000, 10);
    uint64_t done = 0;
    for (unsigned round = 0; test_more(round, 1); round++, done += ops)
        run_workers(workers, ops);
    for (size_t i = 0; i < TABLES; i++)
        give_all(&workers[i]);
    empty_mailboxes(&workers[0]);
    subject_audit();
    uint64_t marked = 0;
    for (size_t i = 0; i < TABLES; i++)
        marked += workers[i].marked;
    /* Else nothing was tried. */
    EXPECT(marked > ops / 20);
    return test_passed("%llu calls, %llu with exactly the mark of a free "
                       "block",
                       (unsigned long long)done, (unsigned long long)marked);
}
