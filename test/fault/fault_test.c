/* SPDX-License-Identifier: MIT */
/*
 * The N-th system call fails, for every N: once, three times, and for ever
 * from there on; calls of every kind, and of each kind alone.
 *
 * A scenario is a small program. Each run of one is a child process in which
 * nothing has been allocated yet, so that what it leaves behind can be
 * compared with nothing. During the faults a call may answer NULL with ENOMEM
 * and nothing else may go wrong; when they are over the next attempt
 * succeeds, all contents are what was written, and after everything was freed
 * and trimmed the pool holds nothing. N rises until a run meets no failure.
 *
 *     fault [SCENARIO [KINDS MODE N]]     one scenario, or one run of it
 */
#include "bench.h"
#include "scenario.h"

enum mode { ONCE, BURST, FOR_EVER, MODES };
static const char *const mode_name[MODES] = { "once", "burst", "for ever" };

enum { RUN_PASSED = 0, RUN_FAILED = 1, RUN_UNTOUCHED = 2 };
enum { CALLS_MAX = 2000 };
static const uint32_t ALL_KINDS = (1u << SYS_CALL_KINDS) - 1;

struct run {
    const struct scenario *scenario;
    uint32_t kinds;
    enum mode mode;
    uint64_t first;
};

static void faults_on(const struct run *run)
{
    sys_fault.from = run->first;
    sys_fault.to = run->mode == ONCE ? run->first
        : run->mode == BURST ? run->first + 2 : UINT64_MAX;
    sys_fault.kinds = run->kinds;
}

static bool faults_off(const struct run *run)
{
    sys_fault.kinds = 0;
    return load_relaxed(&sys_fault.calls) >= run->first;
}

/* Every kind of request succeeds when the system does. */
static void bench_serves_again(void)
{
    static const size_t sizes[] = {
        1, 100, 5000, 60000, 200 * KiB, 1 * MiB, 6 * MiB
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *pointer = ash_malloc(sizes[i]);
        EXPECT(pointer != NULL);
        memset(pointer, 1, min_size(sizes[i], 64 * KiB));
        bench_free_pointer(pointer);
        pointer = ash_calloc(1, sizes[i]);
        EXPECT(pointer != NULL);
        EXPECT(bench_is_zero(pointer, sizes[i]));
        bench_free_pointer(pointer);
    }
}

/* Address space of this process beside what the pool and the map may keep. */
static size_t other_address_space(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    size_t ours = arena_main.pool.reserved_bytes;
    for (size_t i = 0; i < MAP_ROOT_LEAVES; i++)
        ours += map.distance[i] != 0 ? sizeof(struct map_leaf) : 0;
    return pages * sys_page_bytes() - ours;
}

/* Areas for records, which stay. */
static const size_t META_BYTES_MAX = 1 * MiB;

static size_t address_space_before;

/* What was mapped was unmapped, if the system was willing. Stacks of threads
 * are the C library's. */
static void bench_leaks_nothing(const struct run *run)
{
    if (run->scenario->leaves_a_heap || (run->kinds >> SYS_RELEASE & 1))
        return;
    EXPECT(other_address_space() <= address_space_before + META_BYTES_MAX);
}

/* All is free: the pool knows of nothing but address space. */
static void bench_ends_empty(const struct run *run)
{
    (void)ash_malloc_trim(0);
    ash_audit_all();
    if (run->scenario->leaves_a_heap && (run->kinds >> SYS_THREAD_EXIT & 1))
        return;
    const struct pool *pool = &arena_main.pool;
    EXPECT_EQUAL(pool->taken_bytes, 0);
    EXPECT_EQUAL(pool->mapped_bytes, 0);
    EXPECT_EQUAL(pool->leased_bytes, 0);
    EXPECT_EQUAL(pool->dirty_bytes, 0);
    EXPECT(pool->cached == NULL);
    bench_leaks_nothing(run);
}

/* In the child. */
static int run_here(const struct run *run)
{
    alarm(20);
    bench_begin();
    address_space_before = other_address_space();
    faults_on(run);
    run->scenario->call();
    ash_audit_all();
    bench_check();
    bench_free_some();
    ash_audit_all();
    const bool touched = faults_off(run);
    bench_check();
    bench_serves_again();
    bench_free_all();
    ash_audit_all();
    bench_ends_empty(run);
    return touched ? RUN_PASSED : RUN_UNTOUCHED;
}

static int run_child(const struct run *run)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(run_here(run));
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return RUN_FAILED;
    if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : RUN_FAILED;
}

static struct {
    unsigned runs;
    unsigned failed;
    uint32_t met;               /* bit k: a call of kind k was refused */
} sums;

/* Does run N meet a failure, and pass? */
static bool run_counts(const struct run *run)
{
    const int result = run_child(run);
    sums.runs++;
    if (result == RUN_FAILED || (result != RUN_PASSED
            && result != RUN_UNTOUCHED)) {
        sums.failed++;
        dprintf(STDERR_FILENO, "failed: %s 0x%x %d %llu (%s)\n",
            run->scenario->name, run->kinds, (int)run->mode,
            (unsigned long long)run->first, mode_name[run->mode]);
        return false;
    }
    return result == RUN_PASSED;
}

/* For every N; the first failure ends it, for the rest is often the same. */
static void run_all(const struct scenario *scenario, uint32_t kinds)
{
    for (int mode = 0; mode < MODES; mode++) {
        struct run run = { scenario, kinds, (enum mode)mode, 1 };
        while (run_counts(&run)) {
            run.first++;
            if (kinds != ALL_KINDS)
                sums.met |= kinds;
            if (run.first > CALLS_MAX) {
                dprintf(STDERR_FILENO, "%s never ends\n", scenario->name);
                sums.failed++;
                return;
            }
        }
    }
}

static int run_one(const struct scenario *scenario, char **word)
{
    const struct run run = {
        scenario, (uint32_t)strtoul(word[0], NULL, 0),
        (enum mode)atoi(word[1]), strtoull(word[2], NULL, 10),
    };
    return run_here(&run) == RUN_FAILED;
}

int main(int argc, char **argv)
{
    for (const struct scenario *at = scenarios; at->name != NULL; at++) {
        if (argc > 1 && strcmp(argv[1], at->name) != 0)
            continue;
        if (argc == 5)
            return run_one(at, argv + 2);
        run_all(at, ALL_KINDS);
        for (unsigned kind = 0; kind < SYS_CALL_KINDS; kind++)
            run_all(at, 1u << kind);
    }
    if (argc == 1 && sums.met != ALL_KINDS) {
        dprintf(STDERR_FILENO, "no scenario meets the kinds 0x%x\n",
            ALL_KINDS & ~sums.met);
        sums.failed++;
    }
    dprintf(sums.failed > 0 ? STDERR_FILENO : STDOUT_FILENO,
        "fault: %u runs, %u failed\n", sums.runs, sums.failed);
    return sums.failed > 0 || sums.runs == 0;
}
