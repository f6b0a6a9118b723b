/* SPDX-License-Identifier: MIT */
/*
 * Tiers: threads change how they allocate while others free their blocks.
 *
 * Goal: a thread that begins to count, gives up its hands and takes them back,
 * again and again, loses no block, and its sums stay right to the byte.
 * Method: threads swap blocks through shared slots, so that most are freed by
 * another thread than took them, and keep books of their own of the usable
 * bytes. At random each changes its tier; one thread reads everybody's sums all
 * the time. Waves of threads are born and die in between, for a heap may come
 * from one tier and be adopted in another. When all is freed, the sums of those
 * that counted agree with their books.
 */
#include "stress.h"

#if SUBJECT_PREFIXED
#include "heap/count.h"
#include "heap/thread.h"
#else
__attribute__((weak)) int mallctl(const char *name, void *old,
                                  size_t *old_bytes, void *new,
                                  size_t new_bytes);
#endif

enum { SLOTS = 256, AT_ONCE = 4, CHANGE_EVERY = 200 };

typedef _Atomic(uint64_t) sum;

static _Atomic(struct marked *) slots[SLOTS];
static atomic_bool finished;
static size_t steps;

/* Where a thread's sums are; it takes the address away before it ends. */
static _Atomic(sum *) published[AT_ONCE];
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;

/* -- by whatever interface there is -- */

#if SUBJECT_PREFIXED

static bool tiers_are_there(void)
{
    return true;
}

static sum *sum_of(bool taken)
{
    return (sum *)(void *)(taken ? count_allocated() : count_deallocated());
}

static void set_cache(bool on)
{
    count_enable_cache(on);
    EXPECT(count_cache_enabled() == on);
}

static void set_hardening(bool on)
{
    thread_set_reason(THREAD_HARDENED, on);
}

#else

static bool tiers_are_there(void)
{
    return mallctl != NULL;
}

static sum *sum_of(bool taken)
{
    sum *at = NULL;
    size_t bytes = sizeof at;
    EXPECT_EQUAL(mallctl(taken ? "thread.allocatedp" : "thread.deallocatedp",
                         &at, &bytes, NULL, 0), 0);
    return at;
}

static void set_cache(bool on)
{
    EXPECT_EQUAL(mallctl("thread.tcache.enabled", NULL, NULL, &on, sizeof on),
                 0);
}

static void set_hardening(bool on)
{
    (void)on;
}

#endif

/* -- a thread's work -- */

struct worker {
    struct dice dice;
    size_t place;
    bool counts;
    uint64_t taken, given;          /* since it counts, by its own books */
    uint64_t taken_base, given_base;
};

static uint64_t value(bool taken)
{
    return atomic_load_explicit(sum_of(taken), memory_order_relaxed);
}

static void check_books(const struct worker *worker)
{
    if (!worker->counts)
        return;
    EXPECT_EQUAL(value(true) - worker->taken_base, worker->taken);
    EXPECT_EQUAL(value(false) - worker->given_base, worker->given);
}

static void begin_to_count(struct worker *worker)
{
    worker->counts = true;
    worker->taken_base = value(true) - worker->taken;
    worker->given_base = value(false) - worker->given;
    pthread_mutex_lock(&reading);
    atomic_store(&published[worker->place], sum_of(true));
    pthread_mutex_unlock(&reading);
}

static void change_tier(struct worker *worker)
{
    switch (dice_below(&worker->dice, 6)) {
    case 0:
        if (!worker->counts)
            begin_to_count(worker);
        break;
    case 1:
    case 2:
        set_hardening(dice_below(&worker->dice, 2) == 0);
        break;
    default:
        set_cache(dice_below(&worker->dice, 2) == 0);
        break;
    }
    check_books(worker);
}

static void drop(struct worker *worker, struct marked *block)
{
    if (block == NULL)
        return;
    worker->given += subject_usable_size(block);
    marked_free(block);
}

static struct marked *take(struct worker *worker)
{
    struct marked *block = marked_take(marked_size(&worker->dice),
                                       dice_next(&worker->dice));
    worker->taken += subject_usable_size(block);
    return block;
}

/* Its seed is of the old size: the block is marked anew. */
static struct marked *resize(struct worker *worker, struct marked *block)
{
    const size_t size = sizeof *block + marked_size(&worker->dice);
    marked_check(block);
    worker->given += subject_usable_size(block);
    block = (struct marked *)subject_realloc(block, size);
    EXPECT(block != NULL);
    worker->taken += subject_usable_size(block);
    mark(block, size, dice_next(&worker->dice));
    return block;
}

static void *work(void *argument)
{
    const uintptr_t number = (uintptr_t)argument;
    struct worker worker = {
        .dice = {mixed(test.seed + number)}, .place = number % AT_ONCE,
    };
    for (size_t i = 0; i < steps; i++) {
        const size_t slot = dice_below(&worker.dice, SLOTS);
        struct marked *block = dice_below(&worker.dice, 4) == 0
                                   ? NULL : take(&worker);
        if (block != NULL && dice_below(&worker.dice, 8) == 0)
            block = resize(&worker, block);
        drop(&worker, atomic_exchange_explicit(&slots[slot], block,
                                               memory_order_acq_rel));
        if (dice_below(&worker.dice, CHANGE_EVERY) == 0)
            change_tier(&worker);
    }
    check_books(&worker);
    pthread_mutex_lock(&reading);
    atomic_store(&published[worker.place], NULL);
    pthread_mutex_unlock(&reading);
    return NULL;
}

static void *read_sums(void *argument)
{
    (void)argument;
    while (!atomic_load(&finished)) {
        uint64_t last[AT_ONCE] = {0};
        pthread_mutex_lock(&reading);
        for (size_t i = 0; i < 1000; i++) {
            sum *at = atomic_load(&published[i % AT_ONCE]);
            if (at == NULL)
                continue;
            const uint64_t now = atomic_load_explicit(at,
                                                      memory_order_relaxed);
            EXPECT(now - last[i % AT_ONCE] < UINT64_MAX / 2);
            last[i % AT_ONCE] = now;
        }
        pthread_mutex_unlock(&reading);
        usleep(100);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct crew crew = {.count = 0}, reader = {.count = 0};
    uintptr_t born = 0;
    test_begin("tiers", argc, argv);
    if (!tiers_are_there())
        return 77;
    steps = SUBJECT_SANITIZED ? 5000 : 15000;
    crew_add(&reader, read_sums, NULL);
    const unsigned waves = test.ops != 0 ? (unsigned)test.ops
                                         : test_scaled(24, 2);
    for (unsigned wave = 0; test_more(wave, waves); wave++) {
        for (size_t i = 0; i < AT_ONCE; i++)
            crew_add(&crew, work, (void *)born++);
        crew_join(&crew);
        subject_audit();
    }
    for (size_t i = 0; i < SLOTS; i++) {
        struct marked *block = atomic_exchange(&slots[i], NULL);
        if (block != NULL)
            marked_free(block);
    }
    atomic_store(&finished, true);
    crew_join(&reader);
    subject_audit();
    return test_passed("%zu threads of %zu steps", (size_t)born, steps);
}
