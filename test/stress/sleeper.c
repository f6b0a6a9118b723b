/* SPDX-License-Identifier: MIT */
/*
 * Sleeper: threads that hold memory of others and never call again.
 *
 * Goal: memory goes back to the system whoever freed it, and whatever became
 * of the thread that allocated it: it sleeps, it goes on with another size, it
 * has ended, or it was ended by the bare system call.  Method: each scene is
 * one such fate with blocks of one size, in a process of its own, since memory
 * that comes and goes a second time is kept on purpose.  All threads are there
 * before the first block (or main allocates before there is any), main
 * directs them by semaphores and reads resident memory; between the owner's
 * last step and the reading nobody but the freers calls the allocator.
 *
 * --ops N plays scene N alone, in this process, and prints what it measured.
 */
#include "stress.h"

#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { OWNERS_MAX = 8, FREERS = 2, SCATTER = 1000003 };

/* More than the second after which a slow path looks for vanished threads. */
enum { ACTIVE_MS = 1400 };

static const size_t sizes[] = {48, 512, 4096, 20000};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Blocks first, first + step, ... of the book. */
struct part {
    size_t first, step;
    bool scattered;
};

struct actor {
    pthread_t thread;
    sem_t go, done;
    void (*act)(struct actor *self);
    struct part part;
};

static struct actor owners[OWNERS_MAX], freers[FREERS];
static size_t owner_count;

static size_t size;            /* of every block in this scene */
static struct marked **book;
static size_t blocks, base, peak;
static atomic_bool finished;

/* -- what actors do -- */

static size_t place_of(struct part part, size_t number, size_t count)
{
    return part.first
           + part.step * (part.scattered ? number * SCATTER % count : number);
}

static void says_hello(struct actor *self)
{
    marked_free(marked_take(size, self->part.first));
}

static void takes(struct actor *self)
{
    for (size_t i = self->part.first; i < blocks; i += self->part.step)
        book[i] = marked_take(size, mixed(test.seed + i));
}

static void frees(struct actor *self)
{
    const struct part part = self->part;
    const size_t count = (blocks - part.first + part.step - 1) / part.step;
    for (size_t i = 0; i < count; i++) {
        struct marked **at = &book[place_of(part, i, count)];
        if (*at == NULL)
            continue; /* its owner freed it */
        EXPECT_EQUAL((*at)->size, size);
        marked_free(*at);
        *at = NULL;
    }
}

/* Some thousand blocks come and go, none of them of the scene's size. */
static void uses_other_sizes(struct dice *dice)
{
    enum { WINDOW = 256, BLOCKS = 4000 };
    struct marked *window[WINDOW] = {0};
    for (size_t i = 0; i < BLOCKS; i++) {
        struct marked **at = &window[dice_below(dice, WINDOW)];
        if (*at != NULL)
            marked_free(*at);
        *at = marked_take(dice_between(dice, 130, 400), dice_next(dice));
    }
    for (size_t i = 0; i < WINDOW; i++)
        if (window[i] != NULL)
            marked_free(window[i]);
}

static void goes_on(struct actor *self)
{
    struct dice dice = {mixed(test.seed + self->part.first)};
    do {
        uses_other_sizes(&dice);
    } while (!atomic_load(&finished));
    uses_other_sizes(&dice);
}

/* Awake all the time, but with one small block at a time, for which nothing
 * needs to be looked up. */
static void goes_round(struct actor *self)
{
    (void)self;
    do {
        for (size_t i = 0; i < 1000; i++)
            subject_free(subject_malloc(200));
    } while (!atomic_load(&finished));
}

/* More than a heap keeps in hand comes and goes, so that it needs new slabs
 * again and again. */
static void is_active(struct actor *self)
{
    enum { BLOCKS = 1000 };
    static struct marked *held[BLOCKS];
    struct dice dice = {mixed(test.seed + self->part.first)};
    const double until = test_elapsed() + ACTIVE_MS / 1000.0;
    while (test_elapsed() < until) {
        for (size_t i = 0; i < BLOCKS; i++)
            held[i] = marked_take(dice_between(&dice, 130, 3000),
                                  dice_next(&dice));
        for (size_t i = 0; i < BLOCKS; i++)
            marked_free(held[i]);
        usleep(10000);
    }
}

/* The C library does not notice; pthread_join works all the same. */
static void vanishes(struct actor *self)
{
    sem_post(&self->done);
    syscall(SYS_exit, 0);
}

static void *live(void *argument)
{
    struct actor *self = (struct actor *)argument;
    for (;;) {
        while (sem_wait(&self->go) != 0)
            EXPECT_EQUAL(errno, EINTR);
        if (self->act == NULL)
            return NULL;
        self->act(self);
        sem_post(&self->done);
    }
}

/* -- how main directs them -- */

static void tell(struct actor *actor, void (*act)(struct actor *),
                 struct part part)
{
    actor->act = act;
    actor->part = part;
    EXPECT_EQUAL(sem_post(&actor->go), 0);
}

static void wait_for(struct actor *actor)
{
    while (sem_wait(&actor->done) != 0)
        EXPECT_EQUAL(errno, EINTR);
}

static void start(struct actor *actors, size_t count)
{
    struct crew crew = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        EXPECT_EQUAL(sem_init(&actors[i].go, 0, 0), 0);
        EXPECT_EQUAL(sem_init(&actors[i].done, 0, 0), 0);
        crew_add(&crew, live, &actors[i]);
        actors[i].thread = crew.threads[i];
    }
}

static void dismiss(struct actor *actor)
{
    tell(actor, NULL, (struct part){0});
    EXPECT_EQUAL(pthread_join(actor->thread, NULL), 0);
}

static void all_dismissed(struct actor *actors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dismiss(&actors[i]);
}

/* Each owner has had a block: what it may own depends on how many there are. */
static void begin(size_t owners_wanted)
{
    owner_count = owners_wanted;
    start(owners, owner_count);
    start(freers, FREERS);
    for (size_t i = 0; i < owner_count; i++) {
        tell(&owners[i], says_hello, (struct part){i, 1, false});
        wait_for(&owners[i]);
    }
    base = resident_bytes();
}

/* Every owner takes its share of the blocks. */
static void owners_take(void)
{
    for (size_t i = 0; i < owner_count; i++)
        tell(&owners[i], takes, (struct part){i, owner_count, false});
    for (size_t i = 0; i < owner_count; i++)
        wait_for(&owners[i]);
    peak = resident_bytes();
    if (!SUBJECT_SANITIZED)
        EXPECT_THAT(peak >= base + blocks * size / 8 * 7,
                    "from %zu to %zu KiB by %zu blocks", base / KIB,
                    peak / KIB, blocks);
}

/* The only owner takes all; then it frees half of them if told so. */
static void owner_takes(bool half)
{
    owners_take();
    if (half) {
        tell(&owners[0], frees, (struct part){0, 2, true});
        wait_for(&owners[0]);
    }
}

/* Both at once: one in order of birth, the other here and there. */
static void freers_begin(void)
{
    for (size_t i = 0; i < FREERS; i++)
        tell(&freers[i], frees, (struct part){i, FREERS, i == 1});
}

static void freers_end(void)
{
    for (size_t i = 0; i < FREERS; i++)
        wait_for(&freers[i]);
}

static void freers_free(void)
{
    freers_begin();
    freers_end();
}

/* The last 2 MiB later: what is freed while an owner that is awake has lost its
 * processor in the middle of free waits for the next that is freed. */
static void freers_free_in_two(void)
{
    const size_t all = blocks;
    blocks -= 2 * MIB / size;
    freers_free();
    blocks = all;
    usleep(50000);
    freers_free();
}

static void judge(size_t owned, size_t spare)
{
    const size_t most = base + owned + spare;
    /* An owner that is awake may be at it still; one that sleeps does not
     * make use of this. */
    size_t left = resident_bytes();
    for (int i = 0; i < 200 && left > most; i++) {
        usleep(10000);
        left = resident_bytes();
    }
    for (size_t i = 0; i < blocks; i++)
        EXPECT(book[i] == NULL);
    if (!SUBJECT_SANITIZED && subject_is_ashlar())
        EXPECT_THAT(left <= most,
                    "%zu bytes a block, %zu KiB before, %zu at the peak, "
                    "%zu are left, %zu would be good, scene %llu",
                    size, base / KIB, peak / KIB, left / KIB, most / KIB,
                    (unsigned long long)test.ops);
    peak = peak > base ? peak - base : 0; /* for the summary */
    base = left > base ? left - base : 0;
    subject_audit();
}

/* All blocks are free, and their owners are alive: they may own an eighth of
 * the peak and, together, some MiB, and the pool may keep 4 MiB dirty. */
static void judge_living(size_t spare)
{
    judge((peak - base) / 8, spare);
}

/* There is no owner left: what the pool keeps dirty is all that may stay, and
 * a little that slabs of other blocks take. */
static void judge_dead(void)
{
    judge(0, 8 * MIB);
}

/* -- scenes; half: its owner freed every second block before -- */

static void owner_sleeps(bool half)
{
    begin(1);
    owner_takes(half);
    freers_free();
    judge_living(8 * MIB);
    all_dismissed(owners, 1);
}

static void main_sleeps(bool half)
{
    owner_count = 1;
    base = resident_bytes();
    struct actor *self = &owners[0];
    self->part = (struct part){0, 1, false};
    takes(self);
    peak = resident_bytes();
    self->part = (struct part){0, 2, true};
    if (half)
        frees(self);
    start(freers, FREERS);
    /* What pthread_create does, but by the C library's malloc there. */
    if (SUBJECT_PREFIXED)
        subject_free(subject_calloc(18, 16));
    freers_free();
    judge_living(8 * MIB);
}

static void every_owner_sleeps(bool half)
{
    begin(OWNERS_MAX);
    owners_take();
    if (half) {
        for (size_t i = 0; i < owner_count; i++)
            tell(&owners[i], frees,
                 (struct part){i, owner_count * 2, i % 2 == 0});
        for (size_t i = 0; i < owner_count; i++)
            wait_for(&owners[i]);
    }
    freers_free();
    /* Each has a slab in hand, and what it rounds up to. */
    judge_living(8 * MIB + OWNERS_MAX * (size > 8 * KIB ? MIB : MIB / 2));
    all_dismissed(owners, owner_count);
}

/* One frees half and never calls again; the rest is freed by another while the
 * owner sleeps, or by the owner. */
static void freer_sleeps(bool by_owner)
{
    struct actor *other = by_owner ? &owners[0] : &freers[1];
    begin(1);
    owner_takes(false);
    tell(&freers[0], frees, (struct part){1, 2, true});
    wait_for(&freers[0]);
    tell(other, frees, (struct part){0, 2, true});
    wait_for(other);
    judge_living(8 * MIB);
    all_dismissed(owners, 1);
}

static void owner_uses_another_class(bool half)
{
    begin(1);
    owner_takes(half);
    tell(&owners[0], goes_on, (struct part){0});
    freers_free_in_two();
    atomic_store(&finished, true);
    wait_for(&owners[0]);
    judge_living(8 * MIB);
    all_dismissed(owners, 1);
}

static void owner_uses_one_block(bool half)
{
    begin(1);
    owner_takes(half);
    tell(&owners[0], goes_round, (struct part){0});
    freers_free_in_two();
    atomic_store(&finished, true);
    wait_for(&owners[0]);
    judge_living(8 * MIB);
    all_dismissed(owners, 1);
}

static void owner_has_ended(bool half)
{
    begin(1);
    owner_takes(half);
    dismiss(&owners[0]);
    freers_free();
    judge_dead();
}

static void owner_ends_meanwhile(bool half)
{
    begin(1);
    owner_takes(half);
    freers_begin();
    dismiss(&owners[0]);
    freers_end();
    judge_dead();
}

static void owner_vanished(bool half, bool noticed_first)
{
    begin(1);
    owner_takes(half);
    tell(&owners[0], vanishes, (struct part){0});
    wait_for(&owners[0]);
    EXPECT_EQUAL(pthread_join(owners[0].thread, NULL), 0);
    if (!noticed_first)
        freers_free();
    tell(&freers[0], is_active, (struct part){0});
    wait_for(&freers[0]);
    if (noticed_first)
        freers_free();
    judge_dead();
}

static void vanished_then_freed(bool half)
{
    owner_vanished(half, true);
}

static void freed_then_noticed(bool half)
{
    owner_vanished(half, false);
}

static const struct plot {
    const char *name;
    void (*play)(bool half);
    bool half;
} plots[] = {
    {"owner sleeps", owner_sleeps, false},
    {"owner sleeps, half", owner_sleeps, true},
    {"main sleeps", main_sleeps, false},
    {"main sleeps, half", main_sleeps, true},
    {"every owner sleeps", every_owner_sleeps, false},
    {"every owner sleeps, half", every_owner_sleeps, true},
    {"freer sleeps", freer_sleeps, false},
    {"freer sleeps, owner frees", freer_sleeps, true},
    {"another class", owner_uses_another_class, false},
    {"another class, half", owner_uses_another_class, true},
    {"one block", owner_uses_one_block, false},
    {"one block, half", owner_uses_one_block, true},
    {"owner has ended", owner_has_ended, false},
    {"owner has ended, half", owner_has_ended, true},
    {"owner ends meanwhile", owner_ends_meanwhile, false},
    {"vanished, then freed", vanished_then_freed, false},
    {"vanished half, then freed", vanished_then_freed, true},
    {"vanished, freed unnoticed", freed_then_noticed, false},
};
enum { PLOTS = sizeof plots / sizeof *plots, VANISHING = PLOTS - 3 };

/* -- one process each -- */

/* Scene numbers begin with 1. */
static const struct plot *prepare(size_t number)
{
    EXPECT_THAT(number <= PLOTS * SIZES, "scenes are 1 to %d", PLOTS * SIZES);
    const size_t plot = (number - 1) / SIZES;
    size = sizes[(number - 1) % SIZES];
    blocks = test_scaled(plot < VANISHING ? 32 : 48, 4) * MIB / size;
    book = (struct marked **)test_map(blocks * sizeof *book);
    memset(book, 1, blocks * sizeof *book); /* resident from the start */
    memset(book, 0, blocks * sizeof *book);
    return &plots[plot];
}

static pid_t play_in_child(size_t number, uint64_t seed)
{
    char number_text[24], seed_text[24];
    snprintf(number_text, sizeof number_text, "%zu", number);
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child != 0)
        return child;
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0)
        dup2(nowhere, STDOUT_FILENO);
    execl("/proc/self/exe", "sleeper", "--ops", number_text, "--seed",
          seed_text, (char *)NULL);
    _exit(3);
}

/* Some plots with all sizes, side by side; how many scenes. */
static size_t play(size_t first, size_t end, uint64_t seed)
{
    pid_t children[PLOTS * SIZES];
    size_t bad = 0;
    for (size_t i = first * SIZES; i < end * SIZES; i++)
        children[i] = play_in_child(i + 1, seed);
    for (size_t i = first * SIZES; i < end * SIZES; i++) {
        int status;
        EXPECT_EQUAL(waitpid(children[i], &status, 0), children[i]);
        if (status != 0)
            bad = i + 1;
    }
    EXPECT_THAT(bad == 0, "\"%s\" ends badly, --ops %zu",
                plots[(bad - 1) / SIZES].name, bad);
    return (end - first) * SIZES;
}

int main(int argc, char **argv)
{
    size_t played = 0;
    test_begin("sleeper", argc, argv);
    if (test.ops != 0) {
        const struct plot *plot = prepare(test.ops);
        plot->play(plot->half);
        all_dismissed(freers, FREERS);
        subject_audit();
        return test_passed("\"%s\", %zu bytes: %zu KiB, then %zu",
                           plot->name, size, peak / KIB, base / KIB);
    }
    for (unsigned round = 0; test_more(round, 1); round++) {
        const uint64_t seed = test.seed + round;
        for (size_t plot = 0; plot < VANISHING; plot++)
            played += play(plot, plot + 1, seed);
        /* These take seconds of waiting, so all at once. The thread sanitizer
         * demands that a thread ends in order. */
        if (!SUBJECT_TSAN)
            played += play(VANISHING, PLOTS, seed);
    }
    return test_passed("%zu scenes", played);
}
