/* SPDX-License-Identifier: MIT */
/*
 * The sums of a thread against count.h: every call moves them by the bytes
 * that malloc_usable_size tells, in every way there is to allocate and free.
 * Each test runs in a thread or a child of its own, for to count is for life.
 */
#include "bench.h"

#include "heap/arenas.h"
#include "heap/cache.h"
#include "heap/count.h"
#include "heap/request.h"

/* -- sums -- */

struct sums {
    uint64_t allocated;
    uint64_t deallocated;
};

static struct sums sums_now(void)
{
    return (struct sums){ *count_allocated(), *count_deallocated() };
}

/* Since *before so much was allocated and freed; *before is now. */
static void expect_moved(struct sums *before, uint64_t allocated,
    uint64_t deallocated)
{
    const struct sums now = sums_now();
    if (now.allocated - before->allocated != allocated
        || now.deallocated - before->deallocated != deallocated) {
        dprintf(STDERR_FILENO, "moved by %lld and %lld, wanted %llu %llu\n",
            (long long)(now.allocated - before->allocated),
            (long long)(now.deallocated - before->deallocated),
            (unsigned long long)allocated, (unsigned long long)deallocated);
        _exit(1);
    }
    *before = now;
}

static size_t usable(void *pointer)
{
    return API(malloc_usable_size)(pointer);
}

static const size_t sizes[] = {
    0, 1, 16, 17, 100, 1000, 5000, 40000, 65536, 65537, 200000, 3 * MiB,
    40 * MiB,
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* -- every call -- */

static void count_plain(struct sums *sums, size_t size)
{
    void *one = API(malloc)(size);
    const size_t bytes = usable(one);
    expect_moved(sums, bytes, 0);
    void *other = API(calloc)(1, size);
    expect_moved(sums, usable(other), 0);
    API(free)(one);
    expect_moved(sums, 0, bytes);
    API(free_sized)(other, size);
    expect_moved(sums, 0, bytes);
}

static void count_aligned(struct sums *sums, size_t size)
{
    for (size_t align = 16; align <= 4 * MiB; align *= 8) {
        void *one = API(memalign)(align, size);
        const size_t bytes = usable(one);
        expect_moved(sums, bytes, 0);
        API(free)(one);
        expect_moved(sums, 0, bytes);
    }
}

static void count_resized(struct sums *sums, size_t size)
{
    void *one = API(malloc)(size);
    size_t bytes = usable(one);
    expect_moved(sums, bytes, 0);
    for (int i = 0; i < SIZES; i++) {
        one = API(realloc)(one, sizes[i] + 1);
        const size_t old_bytes = bytes;
        bytes = usable(one);
        expect_moved(sums, bytes, old_bytes);
    }
    CHILD_EXPECT(API(realloc)(one, SIZE_MAX / 4) == NULL);
    expect_moved(sums, 0, 0);
    CHILD_EXPECT(API(realloc)(one, 0) == NULL);
    expect_moved(sums, 0, bytes);
}

static int count_every_call(void *argument)
{
    (void)argument;
    struct sums sums = sums_now();
    for (int i = 0; i < SIZES; i++) {
        count_plain(&sums, sizes[i]);
        count_aligned(&sums, sizes[i]);
        count_resized(&sums, sizes[i]);
    }
    API(free)(NULL);
    CHILD_EXPECT(API(malloc)(SIZE_MAX / 4) == NULL);
    expect_moved(&sums, 0, 0);
    API(audit_all)();
    return 0;
}

static void every_call_is_counted(void **state)
{
    (void)state;
    child_passes(count_every_call, NULL);
}

/* -- calls that name an arena or a cache -- */

static void count_request(struct sums *sums, struct request request)
{
    void *one = request_take(&request);
    size_t bytes = usable(one);
    expect_moved(sums, bytes, 0);
    void *other = request_take(&request);
    expect_moved(sums, bytes, 0);
    request.size *= 2;
    one = request_resize(one, &request);
    expect_moved(sums, usable(one), bytes);
    bytes = usable(one);
    const size_t now = request_resize_here(one, &request, 100000);
    expect_moved(sums, now != bytes ? now : 0, now != bytes ? bytes : 0);
    request_give(one, request.cache);
    expect_moved(sums, 0, now);
    bytes = usable(other);
    request_give(other, REQUEST_NO_CACHE);
    expect_moved(sums, 0, bytes);
}

static int count_requests(void *argument)
{
    (void)argument;
    unsigned arena, cache;
    CHILD_EXPECT(arenas_create(&arena) && cache_create(&cache));
    struct sums sums = sums_now();
    for (int i = 1; i < SIZES; i++) {
        const struct request plain = {
            .size = sizes[i], .arena = REQUEST_AUTO, .cache = REQUEST_AUTO,
        };
        struct request request = plain;
        count_request(&sums, request);
        request.zero = true;
        request.arena = (int)arena;
        count_request(&sums, request);
        request = plain;
        request.cache = (int)cache;
        count_request(&sums, request);
        request = plain;
        request.align = 128 * KiB;
        request.cache = REQUEST_NO_CACHE;
        count_request(&sums, request);
    }
    API(audit_all)();
    return 0;
}

static void calls_with_wishes_are_counted(void **state)
{
    (void)state;
    child_passes(count_requests, NULL);
}

/* -- before, and elsewhere -- */

enum { PAST = 1000, PAST_BYTES = 256 };

static int count_the_past(void *argument)
{
    (void)argument;
    static void *block[PAST];
    for (int i = 0; i < PAST; i++)
        block[i] = API(malloc)(PAST_BYTES);
    API(free)(API(malloc)(PAST_BYTES));
    struct sums sums = sums_now();
    CHILD_EXPECT(sums.deallocated >= PAST_BYTES);
    const uint64_t live = sums.allocated - sums.deallocated;
    CHILD_EXPECT(live >= PAST * PAST_BYTES
        && live < PAST * PAST_BYTES + 64 * KiB);
    CHILD_EXPECT(hands_are_empty() && thread.self == OWNER_UNBORN);
    /* Moving house changes nothing. */
    unsigned arena;
    CHILD_EXPECT(arenas_create(&arena) && arenas_bind(arena));
    expect_moved(&sums, 0, 0);
    for (int i = 0; i < PAST; i++)
        API(free)(block[i]);
    expect_moved(&sums, 0, PAST * PAST_BYTES);
    return 0;
}

static void what_was_before_is_estimated(void **state)
{
    (void)state;
    child_passes(count_the_past, NULL);
}

/* Arrives with a block of another thread; leaves one of its own. */
static void *count_elsewhere(void *argument)
{
    void **block = argument;
    struct sums sums = sums_now();
    const size_t bytes = usable(*block);
    API(free)(*block);
    expect_moved(&sums, 0, bytes);
    *block = API(malloc)(5000);
    expect_moved(&sums, usable(*block), 0);
    return NULL;
}

static int count_for_the_freer(void *argument)
{
    (void)argument;
    void *block = API(malloc)(300);
    struct sums sums = sums_now();
    thread_run(count_elsewhere, &block);
    expect_moved(&sums, 0, 0);
    const size_t bytes = usable(block);
    API(free)(block);
    expect_moved(&sums, 0, bytes);
    return 0;
}

static void a_free_counts_for_who_frees(void **state)
{
    (void)state;
    child_passes(count_for_the_freer, NULL);
}

/* Others read where they were told to, while the thread lives. */
struct reading {
    _Atomic uint64_t *_Atomic at;
    _Atomic bool done;
};

static void *read_on(void *argument)
{
    struct reading *reading = argument;
    uint64_t last = 0;
    while (!atomic_load(&reading->done)) {
        const uint64_t now = load_relaxed(atomic_load(&reading->at));
        CHILD_EXPECT(now >= last);
        last = now;
    }
    return NULL;
}

static int count_while_read(void *argument)
{
    (void)argument;
    struct reading reading = {
        .at = (_Atomic uint64_t *)(void *)count_allocated(),
    };
    pthread_t reader;
    CHILD_EXPECT(pthread_create(&reader, NULL, read_on, &reading) == 0);
    for (int i = 0; i < 20000; i++)
        API(free)(API(malloc)((size_t)i));
    CHILD_EXPECT(count_allocated() == (void *)atomic_load(&reading.at));
    atomic_store(&reading.done, true);
    CHILD_EXPECT(pthread_join(reader, NULL) == 0);
    return 0;
}

static void others_may_read(void **state)
{
    (void)state;
    child_passes(count_while_read, NULL);
}

/* -- the peak -- */

static int climb(void *argument)
{
    (void)argument;
    API(free)(API(malloc)(MiB));
    count_peak_reset();
    CHILD_EXPECT(count_peak_read() == 0);
    void *one = API(malloc)(100000);
    const size_t bytes = usable(one);
    CHILD_EXPECT(count_peak_read() == bytes);
    API(free)(one);
    CHILD_EXPECT(count_peak_read() == bytes);
    one = API(malloc)(100);
    CHILD_EXPECT(count_peak_read() == bytes);
    count_peak_reset();
    API(free)(one);
    CHILD_EXPECT(count_peak_read() == 0);
    API(free)(API(malloc)(100));
    CHILD_EXPECT(count_peak_read() == 0);
    /* It moves along. */
    API(free)(API(malloc)(100000));
    unsigned arena;
    CHILD_EXPECT(arenas_create(&arena) && arenas_bind(arena));
    CHILD_EXPECT(count_peak_read() == bytes - 112);
    return 0;
}

static void the_peak_is_since_the_reset(void **state)
{
    (void)state;
    child_passes(climb, NULL);
}

/* -- events -- */

static _Atomic unsigned calls_taken, calls_given;

static void call_back(bool is_alloc, uint64_t allocated,
    uint64_t deallocated)
{
    add_relaxed(is_alloc ? &calls_taken : &calls_given, 1);
    CHILD_EXPECT(allocated == *count_allocated());
    CHILD_EXPECT(deallocated == *count_deallocated());
    /* May allocate, and nobody is called back for it. */
    for (int i = 0; i < 100; i++)
        API(free)(API(malloc)(1000));
}

static void call_nobody(bool is_alloc, uint64_t allocated,
    uint64_t deallocated)
{
    (void)is_alloc;
    (void)allocated;
    (void)deallocated;
}

static void *be_called(void *argument)
{
    (void)argument;
    const unsigned before = load_relaxed(&calls_taken);
    for (int i = 0; i < 100; i++)
        API(free)(API(malloc)(8192));
    CHILD_EXPECT(load_relaxed(&calls_taken) == before + 100);
    return NULL;
}

static int expect_calls(void *argument)
{
    (void)argument;
    void *block = API(malloc)(100);
    CHILD_EXPECT(!count_event_add(call_back, 0, true));
    CHILD_EXPECT(!count_event_add(NULL, 1, true));
    CHILD_EXPECT(count_event_add(call_back, 4096, true));
    CHILD_EXPECT(count_event_add(call_back, 4096, true));
    be_called(NULL);
    API(free)(block);
    CHILD_EXPECT(load_relaxed(&calls_given) == 0);
    thread_run(be_called, NULL);
    for (uint64_t i = 1; i < COUNT_EVENTS_MAX; i++)
        CHILD_EXPECT(count_event_add(call_nobody, i, i % 2));
    CHILD_EXPECT(!count_event_add(call_nobody, 99, true));
    CHILD_EXPECT(count_event_add(call_nobody, 1, true));
    API(audit_all)();
    return 0;
}

static int expect_calls_of_frees(void *argument)
{
    (void)argument;
    void *block = API(malloc)(100000);
    CHILD_EXPECT(count_event_add(call_back, 100000, false));
    API(free)(block);
    CHILD_EXPECT(load_relaxed(&calls_given) == 1);
    CHILD_EXPECT(load_relaxed(&calls_taken) == 0);
    return 0;
}

static void events_come_after_so_many_bytes(void **state)
{
    (void)state;
    child_passes(expect_calls, NULL);
    child_passes(expect_calls_of_frees, NULL);
}

/* A thread that lives hears of it at its next refill. */
struct meeting {
    _Atomic int step;
};

static void meeting_wait(struct meeting *meeting, int step)
{
    while (atomic_load(&meeting->step) < step)
        sched_yield();
}

static void *hear_of_events(void *argument)
{
    struct meeting *meeting = argument;
    API(free)(API(malloc)(10));
    atomic_store(&meeting->step, 1);
    meeting_wait(meeting, 2);
    CHILD_EXPECT(thread.reasons == 0);
    for (int i = 0; i < 1000; i++)
        (void)API(malloc)(1000);
    CHILD_EXPECT(thread.reasons == THREAD_COUNTED);
    return NULL;
}

static int tell_who_lives(void *argument)
{
    (void)argument;
    struct meeting meeting = { 0 };
    pthread_t other;
    CHILD_EXPECT(
        pthread_create(&other, NULL, hear_of_events, &meeting) == 0);
    meeting_wait(&meeting, 1);
    CHILD_EXPECT(count_event_add(call_nobody, 1, true));
    atomic_store(&meeting.step, 2);
    CHILD_EXPECT(pthread_join(other, NULL) == 0);
    return 0;
}

static void threads_that_live_hear_of_events(void **state)
{
    (void)state;
    child_passes(tell_who_lives, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_counted),
        cmocka_unit_test(calls_with_wishes_are_counted),
        cmocka_unit_test(what_was_before_is_estimated),
        cmocka_unit_test(a_free_counts_for_who_frees),
        cmocka_unit_test(others_may_read),
        cmocka_unit_test(the_peak_is_since_the_reset),
        cmocka_unit_test(events_come_after_so_many_bytes),
        cmocka_unit_test(threads_that_live_hear_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
