/* SPDX-License-Identifier: MIT */
/*
 * Goal: many threads at once take objects and give back each other's, while
 * snapshots are taken and all is reset, and nothing is lost; a child of fork
 * goes on at once. Method: 200 threads with made-up objects (objects.h);
 * children at any instant, with the hook of fork and without.
 */
#include "unit/ledger/objects.h"

#include <sys/syscall.h>

enum { THREADS = 200, SHARED = 400, STEPS = 600, FORKERS = 12 };

/* 0: nobody's; 1: out; 2: somebody is at it. */
static _Atomic uint32_t shared[SHARED];
static _Atomic bool enough;

static void live_step(struct dice *dice)
{
    const size_t i = dice_below(dice, SHARED);
    uint32_t found = load_relaxed(&shared[i]);
    /* pairs with the releases below */
    if (found == 2 || !cas_acquire(&shared[i], &found, 2))
        return;
    bool out = false;
    if (found == 1)
        EXPECT(give(i));
    else
        out = take(i, dice_below(dice, STACKS), dice_below(dice, SIZES),
            (unsigned)dice_below(dice, ARENAS));
    store_release(&shared[i], out);     /* pairs with the cas above */
}

static void *live(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    for (int i = 0; i < STEPS; i++) {
        live_step(&dice);
        if (dice_below(&dice, 100) == 0)
            person_end();
        if (dice_below(&dice, 100) == 0)
            EXPECT(person_set_name("lives"));
    }
    person_end();
    return NULL;
}

static void *live_on(void *argument)
{
    struct dice dice = { (uintptr_t)argument };
    while (!load_relaxed(&enough)) {
        live_step(&dice);
        if (dice_below(&dice, 300) == 0)
            person_end();
    }
    person_end();
    return NULL;
}

static void start(pthread_t *thread, size_t count, void *(*run)(void *))
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run,
            (void *)(i + 1)), 0);
}

static void join(pthread_t *thread, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* A snapshot while others are at work: at most what can be out. */
static void look_at_all(void)
{
    struct snapshot snapshot;
    EXPECT(snapshot_take(&snapshot));
    for (size_t i = 0; i < snapshot.count; i++) {
        const struct snapshot_row *row = &snapshot.row[i];
        EXPECT(row->objects <= SHARED);
        EXPECT(row->thread > 0);
        EXPECT(row->trace->count == 1 + ((size_t)row->trace->pc[0] - 1) % 40);
        EXPECT(strcmp(row->name, "lives") == 0 || row->name[0] == 0);
    }
    snapshot_drop(&snapshot);
}

static void give_all_shared(void)
{
    for (size_t i = 0; i < SHARED; i++) {
        if (load_relaxed(&shared[i]) == 1)
            EXPECT(give(i));
        store_relaxed(&shared[i], 0);
    }
}

static void threads_keep_apart(void **state)
{
    (void)state;
    EXPECT(person_set_name(""));
    for (int round = 0; round < 2; round++) {
        pthread_t thread[THREADS];
        option_now.prof_accum = round == 1;
        start(thread, THREADS, live);
        for (int i = 0; i < 20; i++) {
            look_at_all();
            if (i % 10 == 0)
                ledger_reset(19);
        }
        join(thread, THREADS);
        look_at_all();
        ledger_audit();
        give_all_shared();
        if (round == 1)
            ledger_reset(19);
        expect_nothing();
    }
}

/* -- fork -- */

/* In the child: whoever was at work has vanished. What was out is there, and
 * all goes on. */
static void go_on(void)
{
    ledger_audit();
    for (size_t i = 0; i < SHARED; i++) {
        const uint32_t was = load_relaxed(&shared[i]);
        const bool out = give(i);
        EXPECT(was == 2 || out == was);
        EXPECT(!give(i));
        EXPECT(take(i, i % STACKS, i % SIZES, 0));
    }
    EXPECT(record_count() == SHARED);
    struct snapshot snapshot;
    EXPECT(snapshot_take(&snapshot));
    uint64_t objects = 0;
    for (size_t i = 0; i < snapshot.count; i++)
        objects += snapshot.row[i].objects;
    /* Of each who vanished, one may stay counted, or was not yet. */
    EXPECT_THAT(objects >= SHARED && objects <= SHARED + FORKERS,
        "%zu objects", (size_t)objects);
    snapshot_drop(&snapshot);
    for (size_t i = 0; i < SHARED; i++)
        EXPECT(give(i));
    EXPECT(record_count() == 0);
    ledger_reset(19);
    expect_nothing();
}

static void children_go_on(void **state)
{
    (void)state;
    /* Which does not support children of processes with threads. */
    if (SUBJECT_TSAN)
        skip();
    enum { FORKS = 40 };
    struct dice dice = { 6 };
    pthread_t thread[FORKERS];
    store_relaxed(&enough, false);
    start(thread, FORKERS, live_on);
    int failed = 0;
    for (int i = 0; i < FORKS && failed == 0; i++) {
        for (size_t wait = dice_below(&dice, 30000); wait > 0; wait--)
            COMPILER_BARRIER();
        failed |= unit_in_child(i % 2 == 0 ? fork()
            : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL),
            go_on);
    }
    store_relaxed(&enough, true);
    join(thread, FORKERS);
    assert_int_equal(failed, 0);
    give_all_shared();
    expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_keep_apart, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(children_go_on, begin,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
