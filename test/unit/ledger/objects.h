/* SPDX-License-Identifier: MIT */
/*
 * objects - made-up objects with made-up stacks, for tests of the whole ledger.
 */
#ifndef LEDGER_OBJECTS_H
#define LEDGER_OBJECTS_H

#include "unit/sys/unit.h"

#include <pthread.h>

#include "ledger/ledger.h"
#include "ledger/snapshot.h"
#include "table/option.h"

enum { STACKS = 30, SIZES = 8, ARENAS = 3 };

/* Which stack the thread has: its first address, and how many more. */
static THREAD_LOCAL size_t stack_now;

static inline void find_stack(void **pc, unsigned *count, unsigned pc_max)
{
    const unsigned wanted = 1 + (unsigned)stack_now % 40;
    *count = wanted < pc_max ? wanted : pc_max;
    for (unsigned i = 0; i < *count; i++)
        pc[i] = (void *)(stack_now + 1 + i);
}

static inline struct ledger_object object_of(size_t i, size_t size,
    unsigned arena)
{
    return (struct ledger_object){
        .pointer = (void *)((i + 1) * 64), .reserved = (void *)(i + 1),
        .size = 100 * (size + 1) - i % 7, .usable = 100 * (size + 1),
        .arena = arena };
}

static inline bool take(size_t i, size_t stack, size_t size, unsigned arena)
{
    const struct ledger_object object = object_of(i, size, arena);
    stack_now = stack;
    return ledger_take(&object, __builtin_frame_address(0));
}

static inline bool give(size_t i)
{
    const struct ledger_object wanted = object_of(i, 0, 0);
    struct ledger_object found;
    if (!ledger_give(wanted.pointer, &found, __builtin_frame_address(0)))
        return false;
    EXPECT(found.pointer == wanted.pointer);
    EXPECT(found.reserved == wanted.reserved);
    EXPECT(found.size == found.usable - i % 7);
    return true;
}

static inline int begin(void **state)
{
    (void)state;
    stack_set_hook(find_stack);
    option_now.prof_accum = false;
    option_now.prof_stats = false;
    ledger_set_take_hook(NULL);
    ledger_set_give_hook(NULL);
    fork_mind_slow();
    return 0;
}

/* Nothing is left of anything. */
static inline void expect_nothing(void)
{
    EXPECT(record_count() == 0);
    EXPECT_EQUAL(site_count(), 0);
    ledger_audit();
}

#endif
