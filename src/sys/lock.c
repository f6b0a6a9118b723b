/* SPDX-License-Identifier: MIT */
/*
 * lock - a mutual exclusion that survives fork. See lock.h.
 */
#include "sys/lock.h"

enum { HELD = 1, WAITERS = 2, GENERATION = 4 };

/* Times the word is looked at before sleeping; critical sections are short. */
enum { SPINS = 100 };

/* Bit r: the thread holds a lock of rank r, taken in that generation. */
struct lock_held {
    uint32_t ranks;
    uint32_t generation;
};
#if ASHLAR_DEBUG
static THREAD_LOCAL struct lock_held lock_held;
#define LOCK_NOTE(expression) ((void)(expression))
#else
static struct lock_held lock_held;
#define LOCK_NOTE(expression) ((void)sizeof(expression))
#endif

/* The generation as a part of the word. */
static uint32_t lock_generation(void)
{
    return fork_generation() * GENERATION;
}

/* Is the word one that nobody alive holds? */
static bool lock_is_free(uint32_t word, uint32_t generation)
{
    return !(word & HELD) || (word & ~(uint32_t)3) != generation;
}

/* The lock was taken; its word was `before`. */
static void lock_note_taken(struct lock *lock, uint32_t before)
{
    /* Should this taker vanish before the next line, the next one finds its
     * word as it found this one. */
    if (UNLIKELY(before & HELD))
        lock->broken = true;                    /* L3 */
    LOCK_NOTE(lock_held.generation == fork_generation()
        || (lock_held = (struct lock_held){ 0, fork_generation() }, 0));
    ASSERT(lock_held.ranks >> lock->rank == 0); /* L2 */
    LOCK_NOTE(lock_held.ranks |= 1u << lock->rank);
}

/*
 * The generation is looked after before each taking: in a child that no
 * handler told, no lock is taken in the generation of the parent, so that
 * a word of the parent's is one that nobody alive holds.
 */
bool lock_try(struct lock *lock)
{
    fork_mind();
    fork_check();
    const uint32_t generation = lock_generation();
    uint32_t word = load_relaxed(&lock->word);
    if (!lock_is_free(word, generation))
        return false;
    /* pairs with lock_give() */
    if (!cas_acquire(&lock->word, &word, generation | HELD))
        return false;
    lock_note_taken(lock, word);
    return true;
}

static COLD void lock_take_slow(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        if (lock_try(lock))
            return;
    }
    /* From here on the word says that somebody may be asleep. */
    const uint32_t generation = lock_generation();
    const uint32_t wanted = generation | HELD | WAITERS;
    uint32_t word;
    for (;;) {
        word = load_relaxed(&lock->word);
        if (lock_is_free(word, generation)) {
            /* pairs with lock_give() */
            if (cas_acquire(&lock->word, &word, wanted))
                break;
        } else if ((word & WAITERS)
            || cas_relaxed(&lock->word, &word, word | WAITERS)) {
            sys_wait(&lock->word, word | WAITERS);
        }
    }
    lock_note_taken(lock, word);
}

void lock_take(struct lock *lock)
{
    if (UNLIKELY(!lock_try(lock)))
        lock_take_slow(lock);
}

void lock_give(struct lock *lock)
{
    LOCK_NOTE(lock_held.ranks &= ~(1u << lock->rank));
    /* pairs with lock_try() and lock_take_slow() */
    const uint32_t word = exchange_release(&lock->word, 0);
    if (UNLIKELY(word & WAITERS))
        sys_wake_one(&lock->word);
}

void lock_mend(struct lock *lock)
{
    COMPILER_BARRIER();
    lock->broken = false;
}
