/* SPDX-License-Identifier: MIT */
/*
 * due - when dirty memory is old enough to go back, and who waits for that.
 *
 * Owns     the word that the background thread sleeps on.
 * Used by  ctl/background.c (sleeps), pool.c (says what became dirty).
 * Never    costs more than two loads where nobody sleeps, and wakes nobody
 *          who would find that it is not time yet.
 *
 * The sleeper says until when it will sleep. Memory that becomes dirty wakes
 * it only if that is due earlier, which with one decay time it never is, unless
 * nothing was dirty before.
 *
 * Holds    U1  who became dirty under lock pool after the sleeper looked at
 *              that pool finds `until` set: the sleeper sets it to
 *              UINT64_MAX before it looks
 *
 * Tests    test/unit/ctl/background_test.c
 */
#ifndef PAGE_DUE_H
#define PAGE_DUE_H

#include "page/pool.h"

struct due {
    _Atomic uint64_t until;     /* somebody sleeps until then; 0: nobody */
    _Atomic uint32_t wakes;
};
extern struct due due;

/* When the oldest dirty memory of a pool goes back, in sys_now_ms(); UINT64_MAX
 * if there is none, or it stays for ever. Takes the lock. */
uint64_t due_ms(struct pool *pool);

/* Bytes that heaps may keep, which count as dirty. Takes the lock. */
size_t due_leased_bytes(struct pool *pool);

/* The sleeper begins to look when it has to be up again; what to sleep on. */
uint32_t due_begin(void);

/* Sleep until then, or until something is due before; at once if it was since
 * due_begin(). */
void due_sleep(uint32_t begun, uint64_t until_ms);

/* Whoever sleeps looks again. */
COLD void due_wake(void);

/* Under lock pool: something of it has just become dirty. */
static inline void due_note(const struct pool *pool, uint64_t now_ms)
{
    const int64_t decay_ms = load_relaxed(&pool->dirty_decay_ms);
    if (decay_ms >= 0
        && UNLIKELY(now_ms + (uint64_t)decay_ms < load_relaxed(&due.until)))
        due_wake();
}

#endif
