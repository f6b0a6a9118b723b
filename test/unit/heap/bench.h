/* SPDX-License-Identifier: MIT */
/*
 * bench - what the tests of the heap layer share.
 *
 * Owns     running a function in a forked child, whose signal, exit status and
 *          stderr the test then judges; threads that run one function; system
 *          calls that fail; a small generator of numbers.
 * Used by  test/unit/heap/NOUN_test.c, each of which includes it first.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/api.h"
#include "heap/heap.h"
#include "heap/thread.h"

#ifndef UNUSED
#define UNUSED __attribute__((unused))
#endif

/* -- a child that may die -- */

enum { CHILD_TEXT_BYTES = 32 * KiB, CHILD_SECONDS_MAX = 20 };

struct child {
    int signal;                 /* what ended it, or 0 */
    int status;                 /* what it returned, if no signal did */
    char text[CHILD_TEXT_BYTES];    /* what it wrote to stderr */
};

/* A word that the child can leave for the test. */
static volatile uint64_t *child_note;

static UNUSED void child_read(int from, char *text)
{
    size_t used = 0;
    ssize_t got;
    while ((got = read(from, text + used, CHILD_TEXT_BYTES - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    /* The rest is read too, or the child would wait. */
    char more[CHILD_TEXT_BYTES];
    while (read(from, more, sizeof more) > 0)
        continue;
}

/* Run call(argument) in a child. */
static UNUSED struct child child_run(int (*call)(void *), void *argument)
{
    if (child_note == NULL)
        child_note = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* cmocka catches some signals; the child dies of them. */
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        alarm(CHILD_SECONDS_MAX);
        dup2(ends[1], STDERR_FILENO);
        _exit(call(argument));
    }
    close(ends[1]);
    struct child child = { 0 };
    child_read(ends[0], child.text);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        child.signal = WTERMSIG(status);
    else
        child.status = WEXITSTATUS(status);
    return child;
}

/* The last that the child said; cmocka prints no more at once. */
static UNUSED const char *child_last_words(const struct child *child)
{
    enum { PRINTED_BYTES = 600 };
    const size_t length = strlen(child->text);
    return child->text
        + (length > PRINTED_BYTES ? length - PRINTED_BYTES : 0);
}

/* The child ends well. */
static UNUSED void child_passes(int (*call)(void *), void *argument)
{
    const struct child child = child_run(call, argument);
    if (child.signal != 0 || child.status != 0)
        fail_msg("child: signal %d, status %d: %s", child.signal,
            child.status, child_last_words(&child));
}

/* The child is ended by a CHECK in a file whose name is in its message. */
static UNUSED void child_panics(int (*call)(void *), void *argument,
    const char *where)
{
    const struct child child = child_run(call, argument);
    if (child.signal != SIGABRT || strstr(child.text, where) == NULL)
        fail_msg("child: signal %d, status %d, wanted a panic in %s: %s",
            child.signal, child.status, where, child_last_words(&child));
}

/* In a child, or a thread: what must hold, or the process ends. */
#define CHILD_EXPECT(condition)                                           \
    do {                                                                  \
        if (!(condition)) {                                               \
            dprintf(STDERR_FILENO, "%s:%d: expected %s\n", __FILE__,      \
                __LINE__, #condition);                                    \
            _exit(1);                                                     \
        }                                                                 \
    } while (0)

/* -- threads, of a test or of its child -- */

static UNUSED void threads_begin(pthread_t *threads, size_t count,
    void *(*call)(void *), void *argument)
{
    for (size_t i = 0; i < count; i++)
        CHILD_EXPECT(pthread_create(&threads[i], NULL, call, argument) == 0);
}

static UNUSED void threads_end(const pthread_t *threads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHILD_EXPECT(pthread_join(threads[i], NULL) == 0);
}

/* Run call(argument) in a thread of its own, to its end. */
static UNUSED void thread_run(void *(*call)(void *), void *argument)
{
    pthread_t other;
    threads_begin(&other, 1, call, argument);
    threads_end(&other, 1);
}

/* For a thread that only has to have been there. */
static UNUSED void *end_at_once(void *argument)
{
    return argument;
}

/* -- system calls that fail -- */

/* From now on, those of these kinds; they are counted. */
static UNUSED void fail_calls(uint32_t kinds)
{
    sys_fault = (struct sys_fault){
        .from = 1, .to = UINT64_MAX, .kinds = kinds,
    };
}

static UNUSED void fail_no_calls(void)
{
    sys_fault = (struct sys_fault){ 0 };
}

/* -- numbers -- */

struct dice {
    uint64_t state;
};

static UNUSED size_t dice_below(struct dice *dice, size_t limit)
{
    dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((dice->state >> 33) % limit);
}

/* -- the heap under test -- */

static UNUSED struct slab *slab_with(const void *pointer)
{
    return slab_of(heap_find(pointer).extent);
}

static UNUSED bool is_orphan(const struct heap *heap)
{
    return load_relaxed(&heap->pending) == HEAP_ORPHAN;
}

/* Bytes of runs in a heap's chains: the owner's view. */
static UNUSED size_t chain_bytes(const struct kept *kept)
{
    return kept->chain_bytes - load_relaxed(&kept->stolen_bytes);
}

static UNUSED size_t list_length(const struct block *list)
{
    size_t length = 0;
    for (; list != NULL; list = list->next)
        length++;
    return length;
}

static UNUSED void *free_it(void *pointer)
{
    API(free)(pointer);
    return NULL;
}

/* From a thread that does not own what the pointer points to. */
static UNUSED void free_elsewhere(void *pointer)
{
    thread_run(free_it, pointer);
}

/* Hand out the rest of the slab's fresh blocks: into blocks[], in order. */
static UNUSED size_t carve_all(struct slab *slab, void **blocks)
{
    size_t total = 0;
    uint32_t count;
    for (;;) {
        struct block *list = slab_carve(slab, UINT32_MAX, &count);
        if (list == NULL)
            break;
        for (; list != NULL; list = list->next)
            blocks[total++] = list;
        slab_audit(slab);
    }
    assert_int_equal(count, 0);
    return total;
}

/* What the thread frees from now on goes to its slab, until a refill. */
static UNUSED void end_room(unsigned cls)
{
    thread.own->bin[cls].capacity = 0;
    thread.room[cls] = -1;
}

/* The calling thread has nothing in hand, and will keep nothing. */
static UNUSED bool hands_are_empty(void)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        if (thread.shelf[cls] != NULL || thread.room[cls] > 0)
            return false;
    }
    return true;
}

/* No thread has anything of the heap's in hand, nor is it waiting there. */
static UNUSED bool is_in_no_hand(const struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        if (heap->bin[cls].shelf != NULL || heap->hands[cls] != NULL)
            return false;
    }
    return load_relaxed(&heap->thread) == NULL;
}

/* When the program has freed all that it had. */
static UNUSED bool nothing_is_left(void)
{
    API(audit_all)();
    (void)API(malloc_trim)(0);
    API(audit_all)();
    return arena_main.pool.taken_bytes == 0;
}

static UNUSED uintptr_t owner_of(const void *pointer)
{
    return load_relaxed(map_owner(map_find(pointer)));
}

/* Bytes of the range that have memory. */
static UNUSED size_t resident_bytes(void *start, size_t bytes)
{
    const size_t page = sys_page_bytes();
    const size_t pages = bytes / page;
    unsigned char *seen = malloc(pages);
    assert_non_null(seen);
    assert_int_equal(mincore(start, bytes, seen), 0);
    size_t resident = 0;
    for (size_t i = 0; i < pages; i++)
        resident += seen[i] & 1;
    free(seen);
    return resident * page;
}

#endif
