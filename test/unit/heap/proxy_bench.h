/* SPDX-License-Identifier: MIT */
/*
 * proxy_bench - owners that sleep, for the tests of proxy.h.
 *
 * Owns     a thread that does one piece of work when told to and sleeps between
 *          two; its blocks, and ways to free them.
 * Used by  test/unit/heap/{proxy,wake}_test.c.
 */
#ifndef PROXY_BENCH_H
#define PROXY_BENCH_H

#include "bench.h"

#include <sched.h>

#include "heap/check.h"
#include "heap/proxy.h"
#include "heap/remote.h"

/* -- an owner -- */

enum { BLOCKS_MAX = 40000 };

struct owner {
    pthread_t thread;
    struct heap *heap;
    void (*work)(struct owner *owner);
    pthread_barrier_t begin;
    pthread_barrier_t end;
    size_t size;
    size_t count;
    struct block *block[BLOCKS_MAX];
};

static UNUSED void *serve(void *argument)
{
    struct owner *owner = argument;
    API(free)(API(malloc)(1));
    owner->heap = thread.own;
    for (;;) {
        pthread_barrier_wait(&owner->end);
        pthread_barrier_wait(&owner->begin);
        if (owner->work == NULL)
            return NULL;
        owner->work(owner);
    }
}

static UNUSED void begin_owner(struct owner *owner)
{
    pthread_barrier_init(&owner->begin, NULL, 2);
    pthread_barrier_init(&owner->end, NULL, 2);
    CHILD_EXPECT(pthread_create(&owner->thread, NULL, serve, owner) == 0);
    pthread_barrier_wait(&owner->end);
}

/* The owner works, and sleeps again. */
static UNUSED void have_done(struct owner *owner, void (*work)(struct owner *))
{
    owner->work = work;
    pthread_barrier_wait(&owner->begin);
    pthread_barrier_wait(&owner->end);
}

static UNUSED void end_owner(struct owner *owner)
{
    owner->work = NULL;
    pthread_barrier_wait(&owner->begin);
    CHILD_EXPECT(pthread_join(owner->thread, NULL) == 0);
}

static UNUSED void take_blocks(struct owner *owner)
{
    for (size_t i = 0; i < owner->count; i++) {
        owner->block[i] = API(malloc)(owner->size);
        CHILD_EXPECT(owner->block[i] != NULL);
        memset(owner->block[i], (int)(i % 251), owner->size);
    }
}

static UNUSED void check_blocks(const struct owner *owner, size_t from,
    size_t step)
{
    for (size_t i = from; i < owner->count; i += step) {
        const unsigned char *at = (const unsigned char *)owner->block[i];
        CHILD_EXPECT(at[0] == i % 251
            && memcmp(at, at + 1, owner->size - 1) == 0);
    }
}

static UNUSED void free_blocks(const struct owner *owner, size_t from,
    size_t step)
{
    for (size_t i = from; i < owner->count; i += step)
        API(free)(owner->block[i]);
}

/* As free() does it, but nobody looks. */
static UNUSED void push_block(struct block *block)
{
    CHILD_EXPECT(check_give_remote(slab_with(block), "free", block));
    remote_push(slab_with(block), block, NULL);
}

static UNUSED void push_blocks(const struct owner *owner, size_t from,
    size_t step)
{
    for (size_t i = from; i < owner->count; i += step)
        push_block(owner->block[i]);
}

/* More was freed than may wait for any owner. */
#define MUCH (1 * GiB)

static UNUSED void look(struct heap *heap)
{
    proxy_look(heap, MUCH);
}

static UNUSED size_t pending_slabs(const struct heap *heap)
{
    size_t count = 0;
    const uintptr_t first = load_relaxed(&heap->pending);
    CHILD_EXPECT(first != HEAP_ORPHAN);
    for (const struct slab *at = (const struct slab *)first; at != NULL;
         at = at->pending_next) {
        CHILD_EXPECT(load_relaxed(&at->remote) & REMOTE_PENDING);
        CHILD_EXPECT(owner_of(slab_extent(at)->start) == (uintptr_t)heap);
        count++;
    }
    return count;
}

static struct owner owner;

/* The one owner of most tests, with so many blocks. */
static UNUSED void begin(size_t size, size_t count)
{
    owner.size = size;
    owner.count = count;
    begin_owner(&owner);
    have_done(&owner, take_blocks);
}

/* What may wait for one owner, and what one freer has not yet told of. */
#define WAITING_BYTES_MAX (1 * MiB + 2 * PROXY_LOOK_BYTES)

static UNUSED bool has_barrier(void)
{
    return sys_barrier_prepare();
}

#endif
