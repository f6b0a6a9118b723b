/* SPDX-License-Identifier: MIT */
/*
 * bench - the live blocks of a fault scenario, and what must be true of them.
 *
 * Owns     a table of blocks, each filled from its seed; the checks after
 *          each call: NULL only with ENOMEM, errno kept by free, contents
 *          kept by a realloc that was refused.
 * Used by  scenario.h, fault_test.c.
 */
#ifndef FAULT_BENCH_H
#define FAULT_BENCH_H

#include "../expect.h"

#include <pthread.h>
#include <sys/wait.h>

#include "api/api.h"
#include "heap/heap.h"
#include "heap/thread.h"

enum { BENCH_BLOCKS_MAX = 20000 };

/* An errno that nobody sets. */
enum { BENCH_ERRNO = 4242 };

struct bench_block {
    unsigned char *pointer;
    size_t size;
    unsigned seed;
};

static struct {
    size_t count;
    unsigned next_seed;
    struct bench_block block[BENCH_BLOCKS_MAX];
} bench;

static void bench_begin(void)
{
    EXPECT_EQUAL(arena_main.pool.taken_bytes, 0);
    EXPECT_EQUAL(arena_main.pool.dirty_bytes, 0);
    EXPECT(thread.heap == NULL);
}

/* -- contents: the ends, and a byte in every half page between; in large
 * blocks only in every eighth page, for page faults are what takes time -- */

enum { BENCH_STEP = 2048, BENCH_STEP_LARGE = 32768 };

static size_t bench_step(size_t size)
{
    return size > 1 * MiB ? BENCH_STEP_LARGE : BENCH_STEP;
}

static bool bench_is_zero(const unsigned char *bytes, size_t count)
{
    const size_t whole = count > 1 * MiB ? BENCH_STEP_LARGE : count;
    for (size_t at = 0; at < count; at += bench_step(count)) {
        if (bytes[at] != 0)
            return false;
    }
    return bytes[count - 1] == 0 && bytes[0] == 0
        && memcmp(bytes, bytes + 1, whole - 1) == 0;
}

static unsigned char bench_byte(unsigned seed, size_t at)
{
    return (unsigned char)(seed * 31 + at / 16 * 7 + at + 1);
}

static void bench_fill(const struct bench_block *block)
{
    for (size_t i = 0; i < block->size; i += bench_step(block->size))
        block->pointer[i] = bench_byte(block->seed, i);
    if (block->size > 0)
        block->pointer[block->size - 1] =
            bench_byte(block->seed, block->size - 1);
}

static void bench_check_block(const struct bench_block *block, size_t size)
{
    for (size_t i = 0; i < size; i += bench_step(block->size)) {
        if (i + 1 != block->size)
            EXPECT_EQUAL(block->pointer[i], bench_byte(block->seed, i));
    }
    if (size == block->size && size > 0)
        EXPECT_EQUAL(block->pointer[size - 1],
            bench_byte(block->seed, size - 1));
    EXPECT(ash_malloc_usable_size(block->pointer) >= size);
}

static void bench_check(void)
{
    for (size_t i = 0; i < bench.count; i++)
        bench_check_block(&bench.block[i], bench.block[i].size);
}

/* -- calls -- */

static void bench_before(void)
{
    errno = BENCH_ERRNO;
}

/* What a request answered becomes a live block; false: there was none. */
static bool bench_keep(void *pointer, size_t size, size_t align)
{
    if (pointer == NULL) {
        EXPECT_EQUAL((unsigned)errno, ENOMEM);
        return false;
    }
    EXPECT_EQUAL((unsigned)errno, BENCH_ERRNO);
    EXPECT_EQUAL((uintptr_t)pointer % align, 0);
    EXPECT(bench.count < BENCH_BLOCKS_MAX);
    struct bench_block *block = &bench.block[bench.count++];
    *block = (struct bench_block){ pointer, size, bench.next_seed++ };
    bench_fill(block);
    return true;
}

static bool bench_malloc(size_t size)
{
    bench_before();
    void *pointer = ash_malloc(size);
    return bench_keep(pointer, size, subject_natural_alignment(pointer, size));
}

static bool bench_calloc(size_t size)
{
    bench_before();
    void *pointer = ash_calloc(1, size);
    const int error = errno;
    if (pointer != NULL)
        EXPECT(bench_is_zero(pointer, size));
    errno = error;
    return bench_keep(pointer, size, 8);
}

static bool bench_aligned(size_t align, size_t size)
{
    bench_before();
    void *pointer = ash_aligned_alloc(align, size);
    return bench_keep(pointer, size, align);
}

static void bench_free_pointer(void *pointer)
{
    bench_before();
    ash_free(pointer);
    EXPECT_EQUAL((unsigned)errno, BENCH_ERRNO);
}

static void bench_free(size_t i)
{
    bench_check_block(&bench.block[i], bench.block[i].size);
    bench_free_pointer(bench.block[i].pointer);
    bench.block[i] = bench.block[--bench.count];
}

static void bench_free_all(void)
{
    while (bench.count > 0)
        bench_free(bench.count - 1);
}

/* Every second one. */
static void bench_free_some(void)
{
    for (size_t i = 0; i < bench.count; i++)
        bench_free(i);
}

/* Resize block i; refused, it stays as it was. */
static bool bench_realloc(size_t i, size_t size)
{
    struct bench_block *block = &bench.block[i];
    const size_t old_size = block->size;
    bench_before();
    unsigned char *pointer = ash_realloc(block->pointer, size);
    if (pointer == NULL) {
        EXPECT_EQUAL((unsigned)errno, ENOMEM);
        bench_check_block(block, old_size);
        return false;
    }
    EXPECT_EQUAL((unsigned)errno, BENCH_ERRNO);
    block->pointer = pointer;
    if (size < old_size) {
        /* The last byte of the old block is gone, and was not checked. */
        for (size_t at = 0; at < size; at += bench_step(old_size))
            EXPECT_EQUAL(pointer[at], bench_byte(block->seed, at));
    } else {
        bench_check_block(block, old_size);
        pointer[old_size - 1] = bench_byte(block->seed, old_size - 1);
    }
    block->size = size;
    bench_fill(block);
    return true;
}

/* In a thread of its own, to its end. */
static void bench_thread(void *(*call)(void *))
{
    pthread_t other;
    EXPECT_EQUAL((unsigned)pthread_create(&other, NULL, call, NULL), 0);
    EXPECT_EQUAL((unsigned)pthread_join(other, NULL), 0);
}

#endif
