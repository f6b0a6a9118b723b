/* SPDX-License-Identifier: MIT */
/*
 * lock - a mutual exclusion that survives fork. See lock.h.
 */
#include "sys/lock.h"

enum { HELD = 1, WAITERS = 2, GENERATION = 4 };

/* Times the word is looked at before sleeping; critical sections are short. */
enum { SPINS = 100 };

static _Atomic uint32_t lock_generation;

/* The fork handler is there. Not before a second thread is: a child of the
 * only thread finds no lock held, and most processes never pay for it. */
static _Atomic bool lock_minds_fork;

#if ASHLAR_DEBUG
/* Bit r: the thread holds a lock of rank r. */
static THREAD_LOCAL uint32_t lock_held;
#define LOCK_NOTE(expression) ((void)(expression))
#else
static uint32_t lock_held;
#define LOCK_NOTE(expression) ((void)sizeof(expression))
#endif

/* Is the word one that nobody alive holds? */
static bool lock_is_free(uint32_t word, uint32_t generation)
{
    return !(word & HELD) || (word & ~(uint32_t)3) != generation;
}

static void lock_note_taken(const struct lock *lock)
{
    ASSERT(lock_held >> lock->rank == 0);       /* L2 */
    LOCK_NOTE(lock_held |= 1u << lock->rank);
}

static COLD void lock_mind_fork(void)
{
    /* The flag first: the registration may allocate, and take locks. */
    if (!exchange_relaxed(&lock_minds_fork, true))
        sys_on_fork_child(lock_forget_all);
}

bool lock_try(struct lock *lock)
{
    if (UNLIKELY(!load_relaxed(&lock_minds_fork))
        && !sys_single_threaded())
        lock_mind_fork();
    const uint32_t generation = load_relaxed(&lock_generation);
    uint32_t word = load_relaxed(&lock->word);
    if (!lock_is_free(word, generation))
        return false;
    /* pairs with lock_give() */
    if (!cas_acquire(&lock->word, &word, generation | HELD))
        return false;
    lock_note_taken(lock);
    return true;
}

static COLD void lock_take_slow(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        if (lock_try(lock))
            return;
    }
    /* From here on the word says that somebody may be asleep. */
    for (;;) {
        const uint32_t generation = load_relaxed(&lock_generation);
        uint32_t word = load_relaxed(&lock->word);
        const uint32_t wanted = generation | HELD | WAITERS;
        if (lock_is_free(word, generation)) {
            /* pairs with lock_give() */
            if (cas_acquire(&lock->word, &word, wanted))
                break;
        } else if ((word & WAITERS)
            || cas_relaxed(&lock->word, &word, word | WAITERS)) {
            sys_wait(&lock->word, word | WAITERS);
        }
    }
    lock_note_taken(lock);
}

void lock_take(struct lock *lock)
{
    if (UNLIKELY(!lock_try(lock)))
        lock_take_slow(lock);
}

void lock_give(struct lock *lock)
{
    LOCK_NOTE(lock_held &= ~(1u << lock->rank));
    /* pairs with lock_try() and lock_take_slow() */
    const uint32_t word = exchange_release(&lock->word, 0);
    if (UNLIKELY(word & WAITERS))
        sys_wake_one(&lock->word);
}

void lock_forget_all(void)
{
    add_relaxed(&lock_generation, GENERATION);
    LOCK_NOTE(lock_held = 0);
}
