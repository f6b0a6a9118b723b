/* SPDX-License-Identifier: MIT */
/*
 * life - a thread that ends without telling. See life.h.
 */
#include "sys/life.h"

#include <errno.h>

#include "sys/sys.h"

/* What the word says of a thread that began in this generation. */
static uint32_t life_word(void)
{
    return fork_generation() << 1 | 1;
}

/* A mutex that nobody holds, whatever the memory said before. */
static bool life_make(struct sys_life *life)
{
    pthread_mutexattr_t kind;
    if (pthread_mutexattr_init(&kind) != 0)
        return false;
    const bool made =
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0
        && pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK) == 0
        && pthread_mutex_init(&life->mutex, &kind) == 0;
    (void)pthread_mutexattr_destroy(&kind);
    return made;
}

/*
 * The mutex is a link of the list that a thread has of those it holds. In a
 * child of fork libc has emptied the survivor's list, so what was linked may
 * be made anew. After a bare clone it has not, and the kernel does not know
 * of any list: then there is nothing to be had, and nothing is touched.
 */
static bool life_renew(struct sys_life *life)
{
    if (life->made != 0 && !sys_thread_is_watched())
        return false;
    life->made = 0;
    COMPILER_BARRIER();
    if (!life_make(life))
        return false;
    COMPILER_BARRIER();
    life->made = life_word();
    return true;
}

bool life_begin(struct sys_life *life)
{
    fork_check();
    const uint32_t word = life_word();
    ASSERT(load_relaxed(&life->word) != word);              /* V1 */
    if (life->made != word && !life_renew(life))
        return false;
    /* One that asks life_lost() may hold it for a moment. */
    const int error = pthread_mutex_lock(&life->mutex);
    if (error == EOWNERDEAD)
        (void)pthread_mutex_consistent(&life->mutex);
    else if (error != 0)
        return false;
    /* pairs with life_lost() */
    store_release(&life->word, word);
    return true;
}

void life_end(struct sys_life *life)
{
    if (load_relaxed(&life->word) != life_word())
        return;
    store_relaxed(&life->word, 0);
    (void)pthread_mutex_unlock(&life->mutex);
}

bool life_lost(struct sys_life *life)
{
    const uint32_t word = life_word();
    /* pairs with life_begin() */
    if (load_acquire(&life->word) != word)
        return false;
    const int error = pthread_mutex_trylock(&life->mutex);
    if (error != EOWNERDEAD && error != 0)
        return false;
    /* Not lost: it ended in order between the two looks. */
    const bool lost = error == EOWNERDEAD
        && load_relaxed(&life->word) == word;
    if (error == EOWNERDEAD)
        (void)pthread_mutex_consistent(&life->mutex);
    if (lost)
        store_relaxed(&life->word, 0);                      /* V2 */
    (void)pthread_mutex_unlock(&life->mutex);
    return lost;
}
