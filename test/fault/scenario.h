/* SPDX-License-Identifier: MIT */
/*
 * scenario - the programs that fault_test.c runs while system calls fail.
 *
 * Owns     the table `scenarios`. A scenario only makes requests and may leave
 *          blocks live; bench.h judges every answer.
 * Used by  fault_test.c.
 */
#ifndef FAULT_SCENARIO_H
#define FAULT_SCENARIO_H

#include "bench.h"

#include "ctl/background.h"
#include "heap/arenas.h"
#include "heap/request.h"

/* -- the first request of a process -- */

static void first_malloc_small(void)
{
    (void)bench_malloc(24);
}

static void first_malloc_medium(void)
{
    (void)bench_malloc(20000);
}

static void first_malloc_run(void)
{
    (void)bench_malloc(300 * KiB);
}

static void first_malloc_mapping(void)
{
    (void)bench_malloc(8 * MiB);
}

static void first_aligned_2_mib(void)
{
    (void)bench_aligned(2 * MiB, 100);
}

static void first_aligned_4_mib(void)
{
    (void)bench_aligned(4 * MiB, 3 * MiB);
}

static void first_aligned_1_gib(void)
{
    (void)bench_aligned(1 * GiB, 64 * KiB);
}

static void first_calloc_small(void)
{
    (void)bench_calloc(100);
}

static void first_calloc_large(void)
{
    (void)bench_calloc(2 * MiB);
    (void)bench_calloc(16 * MiB);
}

/* -- more of the same -- */

static void one_of_every_class(void)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        (void)bench_malloc(class_bytes[cls]);
}

static void many_blocks_of_one_class(void)
{
    for (int i = 0; i < 3000; i++)
        (void)bench_malloc(1000);
}

static void many_sizes_then_free_all(void)
{
    for (size_t size = 1; size < 12 * MiB; size += size / 3 + 1)
        (void)bench_malloc(size);
    bench_free_all();
}

static void runs_that_come_and_go(void)
{
    for (int round = 0; round < 6; round++) {
        for (size_t i = 1; i <= 12; i++)
            (void)bench_malloc(i * 100 * KiB);
        bench_free_some();
    }
}

static void mappings_that_come_and_go(void)
{
    for (int round = 0; round < 4; round++) {
        (void)bench_malloc(5 * MiB);
        (void)bench_malloc(9 * MiB);
        bench_free_all();
    }
}

static void calloc_of_what_was_used(void)
{
    for (size_t size = 64; size <= 8 * MiB; size *= 8) {
        if (bench_malloc(size)) {
            struct bench_block *block = &bench.block[bench.count - 1];
            memset(block->pointer, 0xa5, block->size);
            bench_fill(block);
            bench_free(bench.count - 1);
        }
        (void)bench_calloc(size);
    }
}

/* Larger than the first region: another one is needed. */
static void a_region_is_used_up(void)
{
    for (int i = 0; i < 22; i++)
        (void)bench_malloc(4 * MiB - 64 * KiB);
}

/* -- realloc -- */

static void resize(const size_t *sizes, size_t count)
{
    if (!bench_malloc(sizes[0]))
        return;
    for (size_t i = 1; i < count; i++)
        (void)bench_realloc(0, sizes[i]);
}

#define RESIZE(...)                                               \
    do {                                                          \
        const size_t sizes[] = { __VA_ARGS__ };                   \
        resize(sizes, sizeof sizes / sizeof sizes[0]);            \
    } while (0)

static void realloc_of_a_block(void)
{
    RESIZE(10, 100, 1000, 10000, 60000, 9000, 600, 7);
}

static void realloc_of_a_run(void)
{
    RESIZE(80 * KiB, 200 * KiB, 800 * KiB, 1 * MiB, 500 * KiB, 70 * KiB,
        300 * KiB, 50 * KiB);
}

static void realloc_of_a_run_that_cannot_grow(void)
{
    if (bench_malloc(100 * KiB)) {
        (void)bench_malloc(100 * KiB);
        (void)bench_realloc(0, 900 * KiB);
    }
}

static void realloc_promotes_a_run(void)
{
    RESIZE(900 * KiB, 3 * MiB, 20 * MiB);
}

static void realloc_of_a_mapping(void)
{
    RESIZE(6 * MiB, 7 * MiB, 30 * MiB, 12 * MiB, 2 * MiB, 400 * KiB);
}

static void realloc_moves_a_mapping(void)
{
    if (bench_malloc(6 * MiB)) {
        (void)bench_malloc(6 * MiB);
        (void)bench_malloc(6 * MiB);
        for (size_t i = 0; i < bench.count; i++)
            (void)bench_realloc(i, 48 * MiB);
    }
}

/* -- threads -- */

static void *use_a_little(void *argument)
{
    const size_t first = bench.count;
    (void)bench_malloc(40);
    (void)bench_malloc(4000);
    (void)bench_malloc(150 * KiB);
    (void)bench_malloc(5 * MiB);
    while (bench.count > first)
        bench_free(bench.count - 1);
    return argument;
}

static void a_thread_is_born_and_dies(void)
{
    bench_thread(use_a_little);
    (void)bench_malloc(40);
    bench_thread(use_a_little);
}

static void *leave_blocks(void *argument)
{
    for (int i = 0; i < 600; i++)
        (void)bench_malloc((size_t)i * 5 + 1);
    (void)bench_malloc(120 * KiB);
    (void)bench_malloc(7 * MiB);
    return argument;
}

static void *free_everything(void *argument)
{
    bench_free_all();
    return argument;
}

static void a_dead_threads_blocks_are_freed(void)
{
    bench_thread(leave_blocks);
    bench_free_all();
    /* The next thread's heap finds what was freed into it. */
    bench_thread(use_a_little);
}

static void a_living_threads_blocks_are_freed(void)
{
    (void)leave_blocks(NULL);
    bench_thread(free_everything);
    (void)leave_blocks(NULL);
}

/* -- giving memory back -- */

static void trim_after_use(void)
{
    many_blocks_of_one_class();
    (void)bench_malloc(600 * KiB);
    (void)bench_malloc(5 * MiB);
    bench_free_some();
    (void)ash_malloc_trim(0);
    bench_free_all();
    (void)ash_malloc_trim(0);
}

/* Above the limit memory goes back at once, with calls that may fail. */
static void free_of_more_than_the_limit(void)
{
    for (int i = 0; i < 12; i++)
        (void)bench_malloc(3 * MiB);
    bench_free_all();
    for (int i = 0; i < 4; i++)
        (void)bench_malloc(8 * MiB);
    bench_free_all();
}

static void memory_goes_back_at_once(void)
{
    pool_set_dirty_decay_ms(&arena_main.pool, 0);
    for (size_t size = 100; size < 10 * MiB; size *= 3) {
        (void)bench_malloc(size);
        (void)bench_malloc(size);
        if (bench.count > 0)
            bench_free(bench.count - 1);
    }
    bench_free_all();
}

/* -- what is asked for beside memory -- */

static void an_arena_is_made_and_ended(void)
{
    static const size_t sizes[] = { 24, 20000, 300 * KiB, 40 * MiB };
    unsigned index;
    if (!arenas_create(&index))
        return;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct request request = {
            .size = sizes[i], .arena = (int)index, .cache = REQUEST_AUTO,
        };
        char *object = request_take(&request);
        if (object != NULL)
            object[sizes[i] - 1] = 1;
    }
    EXPECT(arenas_destroy(index));
}

static void a_background_thread_runs(void)
{
    if (!background_set(true))
        EXPECT(!background_is_on());
    (void)bench_malloc(300 * KiB);
    EXPECT(background_set(false));
}

struct scenario {
    const char *name;
    void (*call)(void);
    /* A thread whose end nobody reports keeps its heap, by contract. */
    bool leaves_a_heap;
};

#define SCENARIO(name) { #name, name, false }
#define SCENARIO_OF_THREADS(name) { #name, name, true }
static const struct scenario scenarios[] = {
    SCENARIO(first_malloc_small),
    SCENARIO(first_malloc_medium),
    SCENARIO(first_malloc_run),
    SCENARIO(first_malloc_mapping),
    SCENARIO(first_aligned_2_mib),
    SCENARIO(first_aligned_4_mib),
    SCENARIO(first_aligned_1_gib),
    SCENARIO(first_calloc_small),
    SCENARIO(first_calloc_large),
    SCENARIO(one_of_every_class),
    SCENARIO(many_blocks_of_one_class),
    SCENARIO(many_sizes_then_free_all),
    SCENARIO(runs_that_come_and_go),
    SCENARIO(mappings_that_come_and_go),
    SCENARIO(calloc_of_what_was_used),
    SCENARIO(a_region_is_used_up),
    SCENARIO(realloc_of_a_block),
    SCENARIO(realloc_of_a_run),
    SCENARIO(realloc_of_a_run_that_cannot_grow),
    SCENARIO(realloc_promotes_a_run),
    SCENARIO(realloc_of_a_mapping),
    SCENARIO(realloc_moves_a_mapping),
    SCENARIO_OF_THREADS(a_thread_is_born_and_dies),
    SCENARIO_OF_THREADS(a_dead_threads_blocks_are_freed),
    SCENARIO_OF_THREADS(a_living_threads_blocks_are_freed),
    SCENARIO(an_arena_is_made_and_ended),
    SCENARIO_OF_THREADS(a_background_thread_runs),
    SCENARIO(trim_after_use),
    SCENARIO(free_of_more_than_the_limit),
    SCENARIO(memory_goes_back_at_once),
    { NULL, NULL, false }
};

#endif
