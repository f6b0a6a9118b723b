/* SPDX-License-Identifier: MIT */
/*
 * Late: memory used when a thread or the process is nearly gone.
 *
 * Goal: malloc and free work in atexit handlers, in destructors of C++
 * thread_local objects, in all four rounds of destructors of thread-specific
 * data, whatever ran before them, in a process whose main thread has ended
 * first, and in threads that still run while the process exits.  Method: each
 * of these, the last two in child processes whose exit status is the answer.
 * The library takes its own leave somewhere among the destructors: so keys are
 * made before and after its first use (by the test, if it is not preloaded),
 * and objects are registered before and after a thread's, and by one another.
 */
#include "stress.h"

#include <sys/wait.h>

enum { KEYS = 6, HANDLERS = 20, CHILD_SECONDS = 20 };

/* What a compiler calls for a thread_local object with a destructor. */
int __cxa_thread_atexit_impl(void (*function)(void *), void *object,
                             void *library);
extern void *__dso_handle;

static pthread_key_t keys[KEYS];
static atomic_size_t destroyed, objects_destroyed;


/* A little of everything, as a destructor in a library would do. */
static void use_memory(uint64_t seed)
{
    struct dice dice = {seed};
    for (size_t i = 0; i < 20; i++) {
        struct marked *block = marked_take(marked_size(&dice),
                                           dice_next(&dice));
        void *zero = subject_calloc(1, dice_below(&dice, 3000));
        EXPECT(zero != NULL);
        void *aligned = subject_aligned_alloc(256, dice_below(&dice, 3000));
        EXPECT(aligned != NULL);
        zero = subject_realloc(zero, 5000);
        EXPECT(zero != NULL);
        subject_free(aligned);
        marked_free(block);
        subject_free(zero);
    }
}

/* Comes back with a new block until the last round that POSIX grants; the
 * block's seed counts the rounds. */
static void destructor(void *value)
{
    struct marked *block = (struct marked *)value;
    const uint64_t round = block->seed;
    const size_t which = block->size % KEYS;
    atomic_fetch_add_explicit(&destroyed, 1, memory_order_relaxed);
    marked_free(block);
    use_memory(round);
    if (round < DESTRUCTOR_ROUNDS) {
        block = marked_take(48 * KEYS + which, round + 1);
        EXPECT_EQUAL(pthread_setspecific(keys[which], block), 0);
    }
}

/* The first that a thread registers is the last that is destroyed.  An even
 * one registers another, whose turn is next. */
static void object_destructor(void *object);

static void register_object(uintptr_t number)
{
    EXPECT_EQUAL(__cxa_thread_atexit_impl(object_destructor, (void *)number,
                                          &__dso_handle), 0);
}

static void object_destructor(void *object)
{
    const uintptr_t number = (uintptr_t)object;
    use_memory(number);
    atomic_fetch_add_explicit(&objects_destroyed, 1, memory_order_relaxed);
    if (number % 2 == 0)
        register_object(number + 1);
}

static void *dies_slowly(void *argument)
{
    const uint64_t seed = (uint64_t)(uintptr_t)argument;
    register_object(seed * 4);
    if (seed % 3 != 0) /* else the destructors make the first use of all */
        use_memory(seed);
    register_object(seed * 4 + 2);
    /* The text has a buffer of the thread's own, which the C library frees
     * when all destructors have run. */
    EXPECT(strerror(5000) != NULL);
    for (size_t i = 0; i < KEYS; i++) {
        struct marked *block = marked_take(48 * KEYS + i, 1);
        EXPECT_EQUAL(pthread_setspecific(keys[i], block), 0);
    }
    return NULL;
}

static void all_rounds_of_destructors(void)
{
    const size_t lives = test_scaled(400, 10);
    struct crew crew = {.count = 0};
    for (size_t i = 0; i < lives; i++) {
        crew_add(&crew, dies_slowly, (void *)(uintptr_t)(test.seed + i));
        if (crew.count == 4)
            crew_join(&crew);
    }
    crew_join(&crew);
    EXPECT_EQUAL(atomic_load(&destroyed),
                 lives * KEYS * DESTRUCTOR_ROUNDS);
    EXPECT_EQUAL(atomic_load(&objects_destroyed), lives * 4);
    subject_audit();
}

/* -- the end of the process, in children -- */

static void *runs_on(void *argument)
{
    struct dice dice = {(uint64_t)(uintptr_t)argument};
    for (;;)
        marked_free(marked_take(marked_size(&dice), dice_next(&dice)));
    return NULL;
}

static void exits_while_threads_run(unsigned number)
{
    struct crew crew = {.count = 0};
    for (size_t i = 0; i < 3; i++)
        crew_add(&crew, runs_on, (void *)(uintptr_t)(number * 10 + i));
    use_memory(number);
    exit(0);
}

static struct marked *of_main;
static pthread_t main_thread;

static void *outlives_main(void *argument)
{
    EXPECT_EQUAL(pthread_join(main_thread, NULL), 0);
    use_memory((uint64_t)(uintptr_t)argument);
    marked_free(of_main);
    return NULL;
}

static void main_thread_ends_first(unsigned number)
{
    struct crew crew = {.count = 0};
    main_thread = pthread_self();
    of_main = marked_take(1000 + number, number);
    crew_add(&crew, outlives_main, (void *)(uintptr_t)number);
    dies_slowly((void *)(uintptr_t)number);
    pthread_exit(NULL);
}

static void in_children(void (*life)(unsigned), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int status;
        const pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            alarm(CHILD_SECONDS);
            life(i);
            _exit(3);
        }
        EXPECT_EQUAL(waitpid(child, &status, 0), child);
        EXPECT_THAT(status == 0, "child %u ended with status %x", i,
                    (unsigned)status);
    }
}

/* -- atexit -- */

static struct marked *kept[HANDLERS];
static size_t handlers_run;

static void handler(void)
{
    struct marked *block = kept[handlers_run++];
    if (block == NULL)
        return; /* in a child: nothing was kept there */
    marked_free(block);
    use_memory(handlers_run);
    if (handlers_run == HANDLERS)
        subject_audit();
}

int main(int argc, char **argv)
{
    test_begin("late", argc, argv);
    for (size_t i = 0; i < KEYS; i++) {
        if (i == KEYS / 2)
            use_memory(test.seed);
        EXPECT_EQUAL(pthread_key_create(&keys[i], destructor), 0);
    }
    for (size_t i = 0; i < HANDLERS; i++)
        EXPECT_EQUAL(atexit(handler), 0);
    for (unsigned round = 0; test_more(round, 1); round++) {
        atomic_store(&destroyed, 0);
        atomic_store(&objects_destroyed, 0);
        all_rounds_of_destructors();
        /* A sanitizer's own exit is not made for these two. */
        if (!SUBJECT_SANITIZED) {
            in_children(exits_while_threads_run, 20);
            in_children(main_thread_ends_first, 20);
        }
    }
    struct dice dice = {test.seed};
    for (size_t i = 0; i < HANDLERS; i++)
        kept[i] = marked_take(i * 500, dice_next(&dice));
    return test_passed("%zu late destructors, %d handlers to come",
                       atomic_load(&destroyed), HANDLERS);
}
