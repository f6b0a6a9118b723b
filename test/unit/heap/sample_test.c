/* SPDX-License-Identifier: MIT */
/*
 * Sampling, against sample.h: which objects are chosen, where they and all
 * others lie, and that nothing is lost. Each test runs in a child of its own.
 */
#include "bench.h"

#include "heap/alloc.h"
#include "heap/arenas.h"
#include "heap/request.h"
#include "heap/thread.h"
#include "ledger/ledger.h"

static bool is_sampled(const void *pointer)
{
    const struct heap_place place = heap_find(pointer);
    return heap_is_large(place) ? place.extent->sampled
        : heap_is_sampled(place);
}

static void begin(unsigned rate_log2)
{
    sample_set_rate(rate_log2);
    sample_set_active(true);
    API(free)(API(malloc)(1));
}

/* e^-x by its series, for x from 0 to some hundreds. */
static double exp_of_minus(double x)
{
    const int halvings = 20;
    double y = x;
    for (int i = 0; i < halvings; i++)
        y /= 2;
    double power = 1 - y + y * y / 2 - y * y * y / 6;
    for (int i = 0; i < halvings; i++)
        power *= power;
    return power;
}

static double chance(size_t bytes, unsigned rate_log2)
{
    return 1 - exp_of_minus((double)bytes / (double)((uint64_t)1 << rate_log2));
}

/* -- how many -- */

/* Ways to allocate `count` objects; each says how many were sampled. */
typedef uint32_t way(size_t bytes, uint32_t count);

static uint32_t one_at_a_time(size_t bytes, uint32_t count)
{
    uint32_t sampled = 0;
    for (uint32_t i = 0; i < count; i++) {
        void *pointer = API(malloc)(bytes);
        CHILD_EXPECT(pointer != NULL);
        sampled += is_sampled(pointer);
        API(free)(pointer);
    }
    return sampled;
}

enum { HELD_MAX = 700 };

/* Hands fill and empty, and are given back to their slabs. */
static uint32_t in_waves(size_t bytes, uint32_t count)
{
    static void *held[HELD_MAX];
    uint32_t sampled = 0;
    uint32_t done = 0;
    for (uint32_t wave = 1; done < count; wave++) {
        const uint32_t most = bytes > 64 * KiB ? 16 : HELD_MAX;
        uint32_t n = wave * 131 % most + 1;
        n = n < count - done ? n : count - done;
        for (uint32_t i = 0; i < n; i++) {
            held[i] = API(malloc)(bytes);
            CHILD_EXPECT(held[i] != NULL);
            sampled += is_sampled(held[i]);
        }
        for (uint32_t i = 0; i < n; i++)
            API(free)(held[wave % 2 ? i : n - 1 - i]);
        done += n;
        if (wave % 64 == 0)
            arena_audit(&arena_main);
    }
    return sampled;
}

static uint32_t by_realloc(size_t bytes, uint32_t count)
{
    uint32_t sampled = 0;
    void *pointer = API(malloc)(bytes);
    for (uint32_t i = 0; i < count; i++) {
        /* Away, and back: each is an allocation. */
        pointer = API(realloc)(pointer, bytes * 4);
        pointer = API(realloc)(pointer, bytes);
        CHILD_EXPECT(pointer != NULL);
        sampled += is_sampled(pointer);
    }
    API(free)(pointer);
    arena_audit(&arena_main);
    return sampled;
}

static uint32_t flushing(size_t bytes, uint32_t count)
{
    uint32_t sampled = 0;
    for (uint32_t done = 0; done < count; done += 100) {
        sampled += in_waves(bytes, 100);
        thread_flush();
    }
    return sampled;
}

static uint32_t of_the_second_tier(size_t bytes, uint32_t count)
{
    thread_set_reason(THREAD_COUNTED, true);
    const uint32_t sampled = in_waves(bytes, count);
    thread_set_reason(THREAD_COUNTED, false);
    return sampled;
}

static uint32_t without_a_cache(size_t bytes, uint32_t count)
{
    const struct request request =
        { bytes, 0, false, REQUEST_AUTO, REQUEST_NO_CACHE };
    uint32_t sampled = 0;
    for (uint32_t i = 0; i < count; i++) {
        void *pointer = request_take(&request);
        sampled += is_sampled(pointer);
        request_give(pointer, REQUEST_NO_CACHE);
    }
    return sampled;
}

/* The number sampled is binomial: within 4.5 deviations, which one run in
 * 150,000 leaves. The draws are of a seed that is another each time. */
static void expect_unbiased(way *allocate, size_t bytes, unsigned rate_log2)
{
    const size_t usable = request_usable(bytes, 1);
    const double p = chance(usable, rate_log2);
    double wanted = 400 / p;
    wanted = wanted < 2000 ? 2000 : wanted > 150000 ? 150000 : wanted;
    const uint32_t count = (uint32_t)wanted / 100 * 100;
    const double sampled = allocate(bytes, count);
    const double off = sampled - count * p;
    const double variance = count * p * (1 - p) + 1;
    if (off * off > 4.5 * 4.5 * variance) {
        dprintf(STDERR_FILENO, "%zu bytes at 2^%u: %.0f of %u sampled, "
            "expected %.1f\n", bytes, rate_log2, sampled, count, count * p);
        _exit(1);
    }
}

static const size_t sizes[] = {
    1, 40, 64, 500, 1024, 4000, 8192, 20000, 65536, 100000, 400000
};

static int run_every_size_is_sampled_by_its_bytes(void *unused)
{
    (void)unused;
    for (unsigned rate = 12; rate <= 21; rate += 3) {
        begin(rate);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            expect_unbiased(one_at_a_time, sizes[i], rate);
            expect_unbiased(in_waves, sizes[i], rate);
        }
    }
    return 0;
}

static void every_size_is_sampled_by_its_bytes(void **state)
{
    (void)state;
    child_passes(run_every_size_is_sampled_by_its_bytes, NULL);
}

static int run_every_way_is_sampled_alike(void *unused)
{
    (void)unused;
    static way *const ways[] = {
        by_realloc, flushing, of_the_second_tier, without_a_cache
    };
    begin(14);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        for (size_t size = 0; size < 5; size++)
            expect_unbiased(ways[i], sizes[size], 14);
    }
    return 0;
}

static void every_way_is_sampled_alike(void **state)
{
    (void)state;
    child_passes(run_every_way_is_sampled_alike, NULL);
}

/* -- the gaps -- */

/* Gaps between samples are geometric: of ten intervals of equal chance each
 * has as many, by chi squared; 9 degrees of freedom, one run in 200,000. */
static int run_gaps_are_geometric(void *unused)
{
    (void)unused;
    enum { INTERVALS = 10, SAMPLES = 4000 };
    begin(10);
    const double p = chance(48, 10);
    uint32_t found[INTERVALS] = { 0 };
    double expected[INTERVALS] = { 0 };
    uint32_t bound[INTERVALS];
    double left = 1;
    for (uint32_t gap = 1, i = 0; i < INTERVALS; gap++) {
        expected[i] += left * p;
        left *= 1 - p;
        if (left < 1 - (i + 1.0) / INTERVALS || i == INTERVALS - 1) {
            expected[i] += i == INTERVALS - 1 ? left : 0;
            bound[i++] = gap;
        }
    }
    for (uint32_t n = 0, gap = 1; n < SAMPLES; gap++) {
        void *pointer = API(malloc)(48);
        if (is_sampled(pointer)) {
            uint32_t i = 0;
            while (i < INTERVALS - 1 && gap > bound[i])
                i++;
            found[i]++;
            n++;
            gap = 0;
        }
        API(free)(pointer);
    }
    double chi = 0;
    for (int i = 0; i < INTERVALS; i++) {
        const double off = found[i] - SAMPLES * expected[i];
        chi += off * off / (SAMPLES * expected[i]);
    }
    if (chi > 40)
        dprintf(STDERR_FILENO, "chi squared is %.1f\n", chi);
    return chi > 40;
}

static void gaps_are_geometric(void **state)
{
    (void)state;
    child_passes(run_gaps_are_geometric, NULL);
}

/* -- where others lie -- */

enum { STEPS = 200000, SLOTS = 3000 };

/* A program that takes and gives blocks of all sizes, and where each would be
 * without sampling, in memory that the parent reads. */
static void walk(const void **seen)
{
    static void *slot[SLOTS];
    uint64_t random = 12345;
    for (int i = 0; i < STEPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        void **at = &slot[(random >> 33) % SLOTS];
        if (*at != NULL) {
            API(free)(*at);
            *at = NULL;
            continue;
        }
        size_t bytes = (size_t)1 << (random >> 20) % 13;
        bytes += (random >> 40) % bytes;
        if ((random >> 50) % 512 == 0)
            bytes += 100000;
        *at = API(malloc)(bytes);
        seen[i] = sample_reserved(*at);
    }
}

struct walk {
    unsigned rate_log2;         /* 0: without sampling */
    const void **seen;
};

static int run_walk(void *argument)
{
    const struct walk *how = argument;
    /* The first region: where the system puts it is not ours to say. */
    API(free)(API(malloc)(1));
    if (how->rate_log2 > 0)
        begin(how->rate_log2);
    else
        API(free)(API(malloc)(1));
    walk(how->seen);
    /* At any of the rates this is sampled. */
    how->seen[STEPS] = (void *)(uintptr_t)is_sampled(API(malloc)(64 * MiB));
    return 0;
}

/* Both are there before any child is: each has the same mappings. */
static const void **plain;
static const void **sampled;

static const void **walk_map(void)
{
    void *seen = mmap(NULL, (STEPS + 1) * sizeof(void *),
        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    return seen;
}

static void others_lie_where_they_always_do(void **state)
{
    (void)state;
    plain = walk_map();
    sampled = walk_map();
    child_passes(run_walk, &(struct walk){ 0, plain });
    assert_null(plain[STEPS]);
    for (unsigned rate = 4; rate <= 19; rate += 5) {
        child_passes(run_walk, &(struct walk){ rate, sampled });
        assert_non_null(sampled[STEPS]);
        for (int i = 0; i < STEPS; i++) {
            if (sampled[i] != plain[i])
                fail_msg("step %d at 2^%u: %p, not %p", i, rate, sampled[i],
                    plain[i]);
        }
    }
}

/* -- the life of a sampled object -- */

static int run_a_sampled_object_is_as_any_other(void *unused)
{
    (void)unused;
    begin(0);
    for (size_t bytes = 1; bytes < 300000; bytes += bytes / 3 + 1) {
        char *pointer = API(malloc)(bytes);
        const size_t usable = request_usable(bytes, 1);
        CHILD_EXPECT(is_sampled(pointer));
        CHILD_EXPECT(heap_usable_bytes(pointer) == usable);
        CHILD_EXPECT((uintptr_t)pointer % 16 == 0);
        memset(pointer, 0x77, usable);
        /* Within what it has it stays. */
        CHILD_EXPECT(API(realloc)(pointer, usable) == pointer);
        char *moved = API(realloc)(pointer, 3 * bytes + 20);
        for (size_t i = 0; i < bytes; i++)
            CHILD_EXPECT(moved[i] == 0x77);
        API(free)(moved);
        char *zero = API(calloc)(1, bytes);
        for (size_t i = 0; i < bytes; i++)
            CHILD_EXPECT(zero[i] == 0);
        API(free)(zero);
    }
    arena_audit(&arena_main);
    return 0;
}

static void a_sampled_object_is_as_any_other(void **state)
{
    (void)state;
    child_passes(run_a_sampled_object_is_as_any_other, NULL);
}

static int run_misuse_of_a_sampled_object_is_reported(void *unused)
{
    (void)unused;
    begin(0);
    sys_set_misuse_policy(MISUSE_IGNORE);
    char *pointer = API(malloc)(100);
    char *other = API(malloc)(100);
    API(free)(pointer);
    API(free)(pointer);
    API(free)(other + 16);
    CHILD_EXPECT(heap_usable_bytes(pointer) == 0);
    CHILD_EXPECT(is_sampled(other));
    CHILD_EXPECT(API(malloc)(100) != other);
    arena_audit(&arena_main);
    return 0;
}

static void misuse_of_a_sampled_object_is_reported(void **state)
{
    (void)state;
    child_passes(run_misuse_of_a_sampled_object_is_reported, NULL);
}

static int run_off_is_off(void *unused)
{
    (void)unused;
    begin(0);
    void *known = API(malloc)(64);
    CHILD_EXPECT(is_sampled(known));
    sample_set_active(false);
    CHILD_EXPECT(one_at_a_time(64, 1000) == 0);
    CHILD_EXPECT(thread.heap->sample == NULL);
    CHILD_EXPECT(heap_usable_bytes(known) == 64);
    API(free)(known);
    sample_set_active(true);
    sample_set_thread_active(false);
    CHILD_EXPECT(in_waves(64, 1000) == 0);
    sample_set_thread_active(true);
    CHILD_EXPECT(in_waves(64, 1000) == 1000);
    arena_audit(&arena_main);
    return 0;
}

static void off_is_off(void **state)
{
    (void)state;
    child_passes(run_off_is_off, NULL);
}

/* -- new heights -- */

static _Atomic unsigned heights;

static void count_height(const char *path)
{
    add_relaxed(&heights, 1);
    (void)unlink(path);
}

/* Of so many bytes in all, which the process did not have before. */
static unsigned heights_of(void *(*take)(void))
{
    const unsigned before = load_relaxed(&heights);
    for (int i = 0; i < 20; i++)
        CHILD_EXPECT(take() != NULL);
    return load_relaxed(&heights) - before;
}

static void *take_blocks(void)
{
    void *last = NULL;
    for (int i = 0; i < 4000; i++)
        last = API(malloc)(64);
    return last;
}

static void *take_large(void)
{
    return API(malloc)(300000);
}

static void *take_by_request(void)
{
    const struct request request =
        { 300000, 0, false, REQUEST_AUTO, REQUEST_AUTO };
    return request_take(&request);
}

static int run_heights(void *unused)
{
    (void)unused;
    static void *(*const ways[])(void) = {
        take_blocks, take_large, take_by_request
    };
    char folder[] = "/tmp/heights.XXXXXX";
    CHILD_EXPECT(mkdtemp(folder) != NULL && chdir(folder) == 0);
    dump_set_prefix("height");
    dump_set_hook(count_height);
    dump_set_gdump(true);
    begin(30);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        CHILD_EXPECT(heights_of(ways[i]) >= 3);
    /* Nor is anything written where nothing is sampled. */
    sample_set_active(false);
    CHILD_EXPECT(heights_of(take_large) == 0);
    CHILD_EXPECT(rmdir(folder) == 0);
    return 0;
}

static void each_way_leads_to_new_heights(void **state)
{
    (void)state;
    child_passes(run_heights, NULL);
}

/* -- threads -- */

enum { THREADS = 4, EXCHANGES = 60000 };

static void *_Atomic board[512];

/* Everything is freed by whoever comes by. */
static void *exchange(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    for (int i = 0; i < EXCHANGES; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const size_t bytes = ((size_t)16 << (random >> 30) % 9) - 8;
        char *mine = API(malloc)(bytes);
        if (mine == NULL)
            return argument;
        mine[0] = mine[bytes - 1] = 1;
        API(free)(exchange_acquire_release(&board[(random >> 40) % 512],
            (void *)mine));
        if (argument == (void *)1 && i % 5000 == 0)
            sample_set_active(i % 10000 == 0);
        if (argument == (void *)2 && i % 7000 == 0)
            sample_set_rate((unsigned)(random >> 60) + 4);
    }
    return NULL;
}

static int run_threads_free_for_each_other(void *unused)
{
    (void)unused;
    begin(8);
    pthread_t thread_of[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHILD_EXPECT(pthread_create(&thread_of[i], NULL, exchange,
            (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHILD_EXPECT(pthread_join(thread_of[i], &failed) == 0);
        CHILD_EXPECT(failed == NULL);
    }
    for (int i = 0; i < 512; i++)
        API(free)(board[i]);
    sample_set_active(false);
    thread_flush();
    arena_audit(&arena_main);
    return 0;
}

static void threads_free_for_each_other(void **state)
{
    (void)state;
    child_passes(run_threads_free_for_each_other, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_sampled_by_its_bytes),
        cmocka_unit_test(every_way_is_sampled_alike),
        cmocka_unit_test(gaps_are_geometric),
        cmocka_unit_test(others_lie_where_they_always_do),
        cmocka_unit_test(a_sampled_object_is_as_any_other),
        cmocka_unit_test(misuse_of_a_sampled_object_is_reported),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(each_way_leads_to_new_heights),
        cmocka_unit_test(threads_free_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
