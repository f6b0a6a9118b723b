/* SPDX-License-Identifier: MIT */
/*
 * Threads: what their number costs.
 *
 * Goal: idle threads cost little, the memory of dead threads is the first that
 * is used again, and any number of short lives leaves nothing behind.  Method:
 * resident memory, while sixty-four threads hold a block of each of sixty-four
 * sizes and do nothing; while each of some generations of one thread holds
 * its 64 MiB, of which it, or its successor, frees all or half; and over a
 * hundred thousand threads in a row, two of them alive at any moment, each
 * of which frees what the one before it left.
 *
 * --ops N: so many short lives.
 */
#include "stress.h"

/* -- idle threads -- */

enum { IDLE = 64 };

static pthread_barrier_t barrier;

static void meet(void)
{
    const int result = pthread_barrier_wait(&barrier);
    EXPECT(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void *idles(void *argument)
{
    struct marked *blocks[IDLE];
    const uint64_t seed = (uint64_t)(uintptr_t)argument;
    for (size_t i = 0; i < IDLE; i++)
        blocks[i] = marked_take((i + 1) * 16, seed + i);
    meet(); /* all have them */
    meet(); /* main has looked */
    for (size_t i = 0; i < IDLE; i++)
        marked_free(blocks[i]);
    return NULL;
}

/* First of all, for it judges the whole process. */
static size_t idle_threads_cost_little(void)
{
    struct crew crew = {.count = 0};
    EXPECT_EQUAL(pthread_barrier_init(&barrier, NULL, IDLE + 1), 0);
    for (size_t i = 0; i < IDLE; i++)
        crew_add(&crew, idles, (void *)(uintptr_t)(test.seed + i * IDLE));
    meet();
    const size_t resident = resident_bytes();
    if (!SUBJECT_SANITIZED && subject_is_ashlar())
        EXPECT_AT_MOST(resident, 12 * MIB);
    meet();
    crew_join(&crew);
    EXPECT_EQUAL(pthread_barrier_destroy(&barrier), 0);
    subject_audit();
    return resident;
}

/* -- generations -- */

enum { GENERATIONS = 4 };

static const size_t sizes[GENERATIONS] = {512, 48, 20000, 4096};

static struct marked **book;
static size_t book_places;

struct generation {
    size_t size, blocks;
    uint64_t seed;
    size_t resident; /* at its peak */
    enum { FREES_ALL, FREES_HALF, LEAVES_ALL } end;
};

static void free_place(size_t i)
{
    if (book[i] != NULL)
        marked_free(book[i]);
    book[i] = NULL;
}

static void *generation_lives(void *argument)
{
    struct generation *self = (struct generation *)argument;
    struct dice dice = {self->seed};
    if (self->end == LEAVES_ALL) /* as the one before did */
        for (size_t i = 0; i < book_places; i++)
            free_place(i);
    for (size_t i = 0; i < self->blocks; i++)
        if (book[i] == NULL)
            book[i] = marked_take(self->size, dice_next(&dice));
    self->resident = resident_bytes();
    for (size_t i = 0; i < self->blocks; i++)
        if (self->end == FREES_ALL
            || (self->end == FREES_HALF && dice_below(&dice, 2) == 0))
            free_place(i);
    return NULL;
}

/* All of the same size; 0: each of another. */
static size_t generations(int end, size_t size)
{
    size_t first = 0;
    for (size_t i = 0; i < GENERATIONS; i++) {
        struct crew crew = {.count = 0};
        struct generation one = {
            .size = size != 0 ? size : sizes[i],
            .seed = mixed(test.seed + i),
            .end = end,
        };
        one.blocks = test_scaled(64, 16) * MIB / one.size;
        crew_add(&crew, generation_lives, &one);
        crew_join(&crew);
        subject_audit();
        first = i == 0 ? one.resident : first;
        if (!SUBJECT_SANITIZED && subject_is_ashlar())
            /* An eighth and 4 MiB may be dirty in runs of another length. */
            EXPECT_THAT(one.resident <= first + 16 * MIB,
                        "generation %zu of %zu bytes, end %d: %zu KiB, the "
                        "first %zu", i, one.size, end, one.resident / KIB,
                        first / KIB);
    }
    for (size_t i = 0; i < book_places; i++)
        free_place(i);
    subject_audit();
    return first;
}

static size_t what_the_dead_left_is_used_first(void)
{
    book_places = test_scaled(64, 16) * MIB / 48;
    book = (struct marked **)test_map(book_places * sizeof *book);
    memset(book, 1, book_places * sizeof *book); /* resident */
    memset(book, 0, book_places * sizeof *book);
    const size_t first = generations(FREES_ALL, 0);
    generations(LEAVES_ALL, 0);
    for (size_t i = 0; i < GENERATIONS; i++)
        generations(FREES_HALF, sizes[i]);
    munmap(book, book_places * sizeof *book);
    return first;
}

/* -- short lives -- */

enum { HEIRLOOMS = 4, OWN = 6 };

static _Atomic(struct marked *) heirlooms[HEIRLOOMS];

static struct marked *swap(size_t which, struct marked *block)
{
    return atomic_exchange_explicit(&heirlooms[which], block,
                                    memory_order_acq_rel);
}

/* Takes some blocks, frees what its predecessor left, who may still be alive,
 * leaves most of its own in their place and frees the others. */
static void *short_life(void *argument)
{
    struct dice dice = {mixed(test.seed + (uint64_t)(uintptr_t)argument)};
    struct marked *own[OWN];
    for (size_t i = 0; i < OWN; i++) {
        const size_t below = dice_below(&dice, 8) == 0 ? 10000 : 500;
        own[i] = marked_take(dice_below(&dice, below), dice_next(&dice));
    }
    for (size_t i = 0; i < OWN; i++) {
        struct marked *block = i < HEIRLOOMS ? swap(i, own[i]) : own[i];
        if (block != NULL)
            marked_free(block);
    }
    return NULL;
}

static size_t short_lives_leave_nothing(size_t lives)
{
    enum { ALIVE = 2 };
    struct crew crew = {.count = 0};
    const size_t settled = lives / 20;
    size_t before = 0;
    for (size_t i = 0; i < lives; i++) {
        if (crew.count == ALIVE)
            crew_join(&crew);
        crew_add(&crew, short_life, (void *)(uintptr_t)i);
        if (i == settled)
            before = resident_bytes();
    }
    crew_join(&crew);
    const size_t after = resident_bytes();
    if (!SUBJECT_SANITIZED && subject_is_ashlar())
        EXPECT_THAT(after <= before + 2 * MIB,
                    "%zu KiB after %zu lives, %zu after %zu", before / KIB,
                    settled, after / KIB, lives);
    for (size_t i = 0; i < HEIRLOOMS; i++)
        marked_free(swap(i, NULL));
    subject_audit();
    return after;
}

int main(int argc, char **argv)
{
    test_begin("threads", argc, argv);
    const size_t lives = test.ops != 0 ? test.ops : test_scaled(100000, 50);
    const size_t idle = idle_threads_cost_little();
    const size_t first = what_the_dead_left_is_used_first();
    size_t after = 0;
    for (unsigned round = 0; test_more(round, 1); round++)
        after = short_lives_leave_nothing(lives);
    return test_passed("%zu KiB idle, %zu MiB a generation, %zu KiB after "
                       "%zu lives", idle / KIB, first / MIB, after / KIB,
                       lives);
}
