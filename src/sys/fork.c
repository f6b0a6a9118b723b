/* SPDX-License-Identifier: MIT */
/*
 * fork - the generation of the process. See fork.h.
 */
#include "sys/fork.h"

#include "sys/sys.h"

/* The word of a process that the kernel grants no page for it: it is never
 * wiped, so that only the handler tells. */
static _Atomic uint32_t fork_no_page = FORK_TOLD;

struct fork_state fork_state = { .word = &fork_no_page };

static _Atomic uint32_t *fork_word(void)
{
    /* pairs with fork_open_word() */
    return load_acquire(&fork_state.word);
}

static void fork_open_word(void)
{
    _Atomic uint32_t *old = fork_word();
    if (old != &fork_no_page)
        return;
    _Atomic uint32_t *word = sys_map_wiped(sys_page_bytes());
    if (word == NULL)
        return;
    store_relaxed(word, fork_generation() << 1 | FORK_TOLD);  /* F1 */
    /* pairs with fork_word() */
    while (!cas_release(&fork_state.word, &old, word)) {
        if (old == &fork_no_page)
            continue;
        (void)!sys_release((void *)word, sys_page_bytes());
        return;
    }
}

/*
 * The word before the flag: whoever goes on because the flag is set can rely
 * on it. The flag before the registration, which may allocate and come by
 * here again. A child that is made in between has no handler for its own
 * children; they have the word.
 */
void fork_mind_slow(void)
{
    fork_open_word();
    COMPILER_BARRIER();
    if (!exchange_relaxed(&fork_state.minded, true))
        sys_on_fork_child(fork_child);
}

/*
 * The word first, then the generation, whichever thread comes by to do it;
 * both steps fail where they are done already. So two threads of a child
 * cannot both count the fork, and neither has to wait for the other.
 */
static uint32_t fork_follow(_Atomic uint32_t *word)
{
    uint32_t said = load_relaxed(word);
    if (said == 0) {
        const uint32_t next = (fork_generation() + 1) << 1;
        if (cas_relaxed(word, &said, next))
            said = next;
    }
    uint32_t before = (said >> 1) - 1;
    (void)cas_relaxed(&fork_state.generation, &before, said >> 1); /* F2 */
    return said;
}

void fork_catch_up(void)
{
    (void)fork_follow(fork_word());
}

bool fork_notice(void)
{
    _Atomic uint32_t *word = fork_word();
    uint32_t said = fork_follow(word);
    return !(said & FORK_TOLD)
        && cas_relaxed(word, &said, said | FORK_TOLD);      /* F3 */
}

void fork_set_child_hook(void (*hook)(void))
{
    store_relaxed(&fork_state.hook, hook);
}

void fork_child(void)
{
    if (fork_word() == &fork_no_page)
        add_relaxed(&fork_state.generation, 1);
    else if (!fork_notice())
        return;
    void (*hook)(void) = load_relaxed(&fork_state.hook);
    if (hook != NULL)
        hook();
}
