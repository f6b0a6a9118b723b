/* SPDX-License-Identifier: MIT */
/*
 * Torture: a thread vanishes at any instruction.
 *
 * Goal: whatever another thread was doing when this one forked, the child can
 * allocate, free and trim at once, never waits, loses at most that one
 * operation's memory, and its heap passes the audit.  Method: a victim
 * thread executes a scenario one instruction at a time (step.h); before an
 * instruction of the library a helper thread forks while the victim stands
 * still; the child does what estate.h says.  Children come by fork(), _Fork()
 * and the bare clone system call in turn.
 *
 * A fork sees memory only, so the places worth a fork are those behind an
 * instruction that may have written some. Of these the first --ops (40) have
 * one each, and the n-th with the chance of --ops in n, drawn from the seed.
 *
 *   --scenario NAME  that one only       --how fork|_Fork|clone  that way only
 *   --all 1          at all such places; 2: at every instruction
 *   --at N           only before the N-th instruction, as a failure says
 *   --failures N     go on until a scenario has so many
 *   --verbose 1      a line for each scenario
 */
#include "scenario.h"

#include "estate.h"
#include "witness.h"

#include <semaphore.h>

/* What a thread that vanishes may take along besides the memory that its call
 * is about: the slabs of which it had a block each; a chain of kept runs, up
 * to the lease of its heap; and what all have in hand where nobody collects
 * it. */
enum { LOSS = MIB, CHAIN_LOSS = 4 * MIB, HANDS = 3 * MIB };

enum { STAGE_SECONDS = 120 };

enum how { BY_FORK, BY_UNDERSCORE, BY_CLONE, HOWS };
static const char *const how_names[HOWS] = {"fork", "_Fork", "clone"};

/* What the command line asks for. */
static struct {
    const char *scenario;
    int how;                    /* HOWS: in turn */
    uint64_t all;
    uint64_t at;                /* 0: any */
    uint64_t failures;
    uint64_t forks;
    uint64_t verbose;
} asked = {NULL, HOWS, 0, 0, 1, 40, 0};

/* -- what processes tell each other -- */

static struct {
    uint64_t steps;             /* instructions of the scenario */
    uint64_t places;            /* of those, behind a write */
    uint64_t forks;             /* of all scenarios */
    uint64_t all_steps;
    size_t left_bytes;          /* of the last child */
    struct death death;
} *shared;

/* -- a stage: one scenario in a process of its own -- */

struct worker {
    pthread_t thread;
    sem_t go;
    sem_t done;
    const struct move *move;    /* NULL: something else is to be done */
};

static struct {
    const struct scenario *scenario;
    struct worker helper;
    struct worker victim;
    pthread_key_t late;
    uint64_t failures;
    /* the victim's, while the helper sleeps */
    uint64_t step;
    uint64_t place;
    enum how how;
    enum child_kind kind;
    bool quiet;                 /* nothing is going on: find out the bases */
    bool stop;
    uintptr_t frames[FRAMES];
    size_t base_bytes[HOWS][CHILD_KINDS];
} stage;

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        EXPECT_EQUAL(errno, EINTR);
}

static void hand_over(struct worker *worker)
{
    sem_post(&worker->go);
    wait_for(&worker->done);
}

/* -- the helper: forks while the victim stands still -- */

static pid_t fork_by(enum how how)
{
    switch (how) {
    case BY_FORK: return fork();
    case BY_UNDERSCORE: return _Fork();
    default: return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    }
}

static size_t allowed_bytes(void)
{
    const struct scenario *scenario = stage.scenario;
    const size_t chain = (scenario->life & CHAINS) != 0 ? CHAIN_LOSS : 0;
    return stage.base_bytes[stage.how][stage.kind] + LOSS + chain
           + moves_bytes(scenario->act) * 5 / 4;
}

static void report_failure(int status)
{
    say("torture: %s, by %s, before instruction %llu: the child, which %s, "
        "ended with status %x and left %zu KiB of %zu allowed "
        "[--scenario %s --at %llu --how %s --seed %llu]\n",
        stage.scenario->name, how_names[stage.how],
        (unsigned long long)stage.step, child_kinds[stage.kind],
        (unsigned)status,
        shared->left_bytes / KIB, allowed_bytes() / KIB,
        stage.scenario->name, (unsigned long long)stage.step,
        how_names[stage.how], (unsigned long long)test.seed);
    frames_print("the victim stood before", stage.frames);
    if (WIFEXITED(status) && WEXITSTATUS(status) == DIED)
        print_death("the child");
    if (++stage.failures >= asked.failures)
        _exit(1);
}

static void helper_forks(void)
{
    int status = 0;
    shared->left_bytes = 0;
    const pid_t child = fork_by(stage.how);
    EXPECT_THAT(child >= 0, "errno %d", errno);
    if (child == 0) {
        child_life(stage.kind, test.seed + stage.step);
        shared->left_bytes = estate_bytes();
        _exit(0);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    shared->forks++;
    size_t *base = &stage.base_bytes[stage.how][stage.kind];
    if (stage.quiet)
        *base = shared->left_bytes;
    if (status != 0 || shared->left_bytes > allowed_bytes())
        report_failure(status);
}

static void *helper_life(void *nothing)
{
    estate_take();
    sem_post(&stage.helper.done);
    for (;;) {
        wait_for(&stage.helper.go);
        if (stage.stop)
            return nothing;
        if (stage.helper.move != NULL)
            move_make(stage.helper.move);
        else
            helper_forks();
        sem_post(&stage.helper.done);
    }
}

/* -- the victim -- */

/* Threads start only in children that the C library knows of. */
static void draw_child(uint64_t number)
{
    struct dice dice = {mixed(test.seed) + number};
    const int how = (int)dice_below(&dice, HOWS);
    stage.how = (enum how)(asked.how != HOWS ? asked.how : how);
    stage.kind = (enum child_kind)dice_below(
        &dice, stage.how == BY_FORK ? CHILD_KINDS : CHILD_STARTS_THREAD);
}

static void have_child(void)
{
    stage.helper.move = NULL;
    hand_over(&stage.helper);
}

static bool is_chosen(bool changed)
{
    if (asked.at != 0)
        return stage.step == asked.at;
    if (asked.all != 0)
        return changed || asked.all > 1;
    return changed
           && mixed(test.seed * 1000003 + stage.place) % stage.place
                  < asked.forks;
}

static void look(const ucontext_t *at, bool changed)
{
    stage.step++;
    stage.place += changed;
    if (!is_chosen(changed))
        return;
    frames_read(stage.frames, at);
    draw_child(stage.step);
    have_child();
}

/* Without a look inside, how much is pinned cannot be told. */
#if SUBJECT_PREFIXED
static bool is_noted(struct extent *const *noted, size_t count,
                     const struct extent *extent)
{
    while (count > 0 && noted[count - 1] != extent)
        count--;
    return count > 0;
}

/* The memory that is in use or pinned for blocks in slots. */
static size_t pinned_bytes(void)
{
    static struct extent *noted[SLOTS];
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        struct extent *extent = slots[i] == NULL
            ? NULL : load_relaxed(map_extent(map_find(slots[i])));
        if (extent == NULL || is_noted(noted, count, extent))
            continue;
        noted[count++] = extent;
        bytes += extent->slices != 0 ? extent->slices * SLICE_BYTES
                                     : extent->bytes;
    }
    return bytes;
}
#else
static size_t pinned_bytes(void)
{
    return PTRDIFF_MAX / 2;
}
#endif

/* What children leave while nothing is going on: by fork() nothing that is
 * free, else at most what other threads have in hand, too. */
static void find_bases(void)
{
    const size_t pinned = pinned_bytes();
    stage.quiet = true;
    for (int how = 0; how < HOWS; how++) {
        const size_t in_hands = how == BY_FORK ? 0 : HANDS;
        for (int kind = 0; kind < CHILD_KINDS; kind++) {
            if (how != BY_FORK && kind >= CHILD_STARTS_THREAD)
                continue;
            stage.how = (enum how)how;
            stage.kind = (enum child_kind)kind;
            have_child();
            EXPECT_AT_MOST(stage.base_bytes[how][kind], pinned + in_hands);
        }
    }
    stage.quiet = false;
}

static void act(void)
{
    find_bases();
    step_begin();
    for (const struct move *at = stage.scenario->act; at->verb != NOTHING; at++)
        move_make(at);
    if ((stage.scenario->life & ENDS) == 0)
        step_end();
}

/* The thread's heap has been given up in the first round of destructors. */
static void act_late(void *round)
{
    if ((uintptr_t)round < 2)
        EXPECT_EQUAL(pthread_setspecific(stage.late, (void *)2), 0);
    else
        act();
}

static void *victim_life(void *nothing)
{
    const unsigned life = stage.scenario->life;
    if ((life & UNBORN) == 0)
        estate_take();
    if ((life & LATE) != 0)
        EXPECT_EQUAL(pthread_setspecific(stage.late, (void *)1), 0);
    sem_post(&stage.victim.done);
    for (;;) {
        wait_for(&stage.victim.go);
        if (stage.victim.move == NULL)
            break;
        move_make(stage.victim.move);
        sem_post(&stage.victim.done);
    }
    if ((life & LATE) == 0)
        act();
    return nothing;
}

/* -- the stage's main thread -- */

static void worker_start(struct worker *worker, void *(*life)(void *))
{
    EXPECT_EQUAL(sem_init(&worker->go, 0, 0), 0);
    EXPECT_EQUAL(sem_init(&worker->done, 0, 0), 0);
    EXPECT_EQUAL(pthread_create(&worker->thread, NULL, life, NULL), 0);
    wait_for(&worker->done);
}

static void *orphan_life(void *move)
{
    if (move != NULL)
        move_make((const struct move *)move);
    else
        estate_take();
    return NULL;
}

static void orphan_run(const struct move *move)
{
    pthread_t thread_id;
    EXPECT_EQUAL(pthread_create(&thread_id, NULL, orphan_life,
                                (void *)(uintptr_t)move), 0);
    EXPECT_EQUAL(pthread_join(thread_id, NULL), 0);
}

static void make_before(const struct move *move)
{
    switch (move->who) {
    case MAIN: move_make(move); break;
    case ORPHAN: orphan_run(move); break;
    case HELPER:
        stage.helper.move = move;
        hand_over(&stage.helper);
        break;
    case VICTIM:
        stage.victim.move = move;
        hand_over(&stage.victim);
        break;
    }
}

/* Everybody owns something, and something of everybody was freed by another
 * and not yet taken in. */
static void set_scene(void)
{
    estate_take();
    worker_start(&stage.helper, helper_life);
    if ((stage.scenario->life & ALONE) == 0)
        orphan_run(NULL);
    worker_start(&stage.victim, victim_life);
    estate_give(1, 6);
    for (const struct move *at = stage.scenario->before; at->verb != NOTHING;
         at++)
        make_before(at);
}

static void clear_scene(void)
{
    estate_give(0, 1);
    for (size_t i = 0; i < SLOTS; i++)
        subject_free(slots[i]);
    stage.stop = true;
    sem_post(&stage.helper.go);
    EXPECT_EQUAL(pthread_join(stage.helper.thread, NULL), 0);
    subject_trim(0);
    subject_audit();
}

static void play(void)
{
    watch_deaths();
    alarm(STAGE_SECONDS);
    step.look = look;
    step_prepare(SUBJECT_NAME(free));
    EXPECT_EQUAL(pthread_key_create(&stage.late, act_late), 0);
    set_scene();
    stage.victim.move = NULL;
    sem_post(&stage.victim.go);
    EXPECT_EQUAL(pthread_join(stage.victim.thread, NULL), 0);
    shared->steps = stage.step;
    shared->places = stage.place;
    clear_scene();
}

/* false: something failed, and was reported. */
static bool play_in_process(const struct scenario *scenario)
{
    int status;
    stage.scenario = scenario;
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        play();
        _exit(stage.failures == 0 ? 0 : 1);
    }
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    if (status == 0)
        return true;
    say("torture: %s ended with status %x, seed %llu\n", scenario->name,
        (unsigned)status, (unsigned long long)test.seed);
    if (death->process == child) {
        step_prepare(SUBJECT_NAME(free));
        print_death("the scenario's process");
    }
    return false;
}

static bool torture(const struct scenario *scenario)
{
    const uint64_t forks = shared->forks;
    const double began = test_elapsed();
    memset(death, 0, sizeof *death);
    shared->steps = 0;
    const bool good = play_in_process(scenario);
    shared->all_steps += shared->steps;
    EXPECT(!good || shared->steps > 0);
    if (asked.verbose != 0)
        say("%-24s %7llu instructions, %6llu places, %5llu forks, %.1f s\n",
            scenario->name, (unsigned long long)shared->steps,
            (unsigned long long)shared->places,
            (unsigned long long)(shared->forks - forks),
            test_elapsed() - began);
    return good;
}

/* -- the command line -- */

static int how_of(const char *name)
{
    for (int how = 0; how < HOWS; how++) {
        if (strcmp(name, how_names[how]) == 0)
            return how;
    }
    FAIL("no such way: %s", name);
}

static bool take_option(const char *option, const char *value)
{
    if (strcmp(option, "--scenario") == 0)
        asked.scenario = value;
    else if (strcmp(option, "--how") == 0)
        asked.how = how_of(value);
    else if (strcmp(option, "--all") == 0)
        asked.all = test_number(value);
    else if (strcmp(option, "--at") == 0)
        asked.at = test_number(value);
    else if (strcmp(option, "--failures") == 0)
        asked.failures = test_number(value);
    else if (strcmp(option, "--verbose") == 0)
        asked.verbose = test_number(value);
    else
        return false;
    return true;
}

/* What is for this program alone is taken out of the arguments. */
static int take_options(int argc, char **argv)
{
    int left = 1;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && take_option(argv[i], argv[i + 1]))
            continue;
        argv[left++] = argv[i];
        if (i + 1 < argc)
            argv[left++] = argv[i + 1];
    }
    return left;
}

int main(int argc, char **argv)
{
    unsigned played = 0;
    unsigned failed = 0;
    const int left = take_options(argc, argv);
    test_begin("torture", left, argv);
    if (test.ops != 0)
        asked.forks = test.ops;
    if (SUBJECT_SANITIZED)
        return test_skipped("sanitizers make too many instructions of one");
    if (!subject_is_ashlar())
        return test_skipped("fork() waits for locks of this allocator");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(shared != MAP_FAILED);
    death = &shared->death;
    for (size_t i = 0; i < SCENARIOS; i++) {
        if (asked.scenario != NULL
            && strcmp(asked.scenario, scenarios[i].name) != 0)
            continue;
        played++;
        failed += !torture(&scenarios[i]);
    }
    EXPECT_THAT(played > 0, "no such scenario: %s", asked.scenario);
    if (failed > 0)
        FAIL("%u of %u scenarios failed", failed, played);
    return test_passed("%u scenarios, %llu instructions, %llu forks", played,
                       (unsigned long long)shared->all_steps,
                       (unsigned long long)shared->forks);
}
