/* SPDX-License-Identifier: MIT */
/*
 * lock - a mutual exclusion that survives fork. See lock.h.
 */
#include "sys/lock.h"

#include <string.h>

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

/* -- counts -- */

/* The order of struct lock_counts. */
enum {
    COUNT_OPS, COUNT_WAIT, COUNT_SPIN_ACQ, COUNT_OWNER_SWITCH, COUNT_TIME,
    COUNT_TIME_MAX, COUNT_THREADS_MAX
};
_Static_assert(COUNT_THREADS_MAX + 1 == LOCK_COUNTS, "a word for each");
_Static_assert(sizeof(struct lock_counts) == LOCK_COUNTS * sizeof(uint64_t),
    "nothing but words");

static void lock_count(struct lock *lock, int which, uint64_t by)
{
    bump_relaxed(&lock->counts[which], by);
}

static void lock_count_max(struct lock *lock, int which, uint64_t value)
{
    if (value > load_relaxed(&lock->counts[which]))
        store_relaxed(&lock->counts[which], value);
}

static void lock_count_taken(struct lock *lock)
{
    lock_count(lock, COUNT_OPS, 1);
    const void *self = __builtin_thread_pointer();
    if (load_relaxed(&lock->last) != self) {
        store_relaxed(&lock->last, self);
        lock_count(lock, COUNT_OWNER_SWITCH, 1);
    }
}

static void lock_count_wait(struct lock *lock, uint64_t since_ns,
    uint32_t asleep)
{
    const uint64_t ns = sys_now_ns() - since_ns;
    lock_count(lock, COUNT_WAIT, 1);
    lock_count(lock, COUNT_TIME, ns);
    lock_count_max(lock, COUNT_TIME_MAX, ns);
    lock_count_max(lock, COUNT_THREADS_MAX, asleep);
}

struct lock_counts lock_read_counts(const struct lock *lock)
{
    struct lock_counts counts;
    uint64_t words[LOCK_COUNTS];
    for (int i = 0; i < LOCK_COUNTS; i++)
        words[i] = load_relaxed(&lock->counts[i]);
    memcpy(&counts, words, sizeof counts);
    return counts;
}

void lock_reset_counts(struct lock *lock)
{
    for (int i = 0; i < LOCK_COUNTS; i++)
        store_relaxed(&lock->counts[i], 0);
}

/* -- the lock -- */

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
    lock_count_taken(lock);
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
        if (lock_try(lock)) {
            lock_count(lock, COUNT_SPIN_ACQ, 1);
            return;
        }
    }
    const uint64_t since_ns = sys_now_ns();
    /* One that vanishes in fork stays counted: a maximum that is too large. */
    const uint32_t asleep = add_relaxed(&lock->asleep, 1) + 1;
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
    add_relaxed(&lock->asleep, -1);
    lock_note_taken(lock, word);
    lock_count_wait(lock, since_ns, asleep);
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
