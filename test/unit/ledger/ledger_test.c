/* SPDX-License-Identifier: MIT */
/*
 * Goal: a snapshot says what was taken and not given, by stack and size, after
 * any sequence of calls; hooks, the log and the recent ones hear of it all;
 * without memory nothing is left behind. Method: a model with made-up stacks
 * and addresses (objects.h); every call to the system fails at times.
 */
#include "unit/ledger/objects.h"

enum { OBJECTS = 2000 };

/* -- a model -- */

struct model_object {
    bool out;
    bool counts;                /* no reset since */
    uint8_t stack;
    uint8_t size;
    uint8_t arena;
};

static struct {
    struct model_object object[OBJECTS];
    uint64_t live[STACKS][SIZES][ARENAS];
    uint64_t ever[STACKS][SIZES][ARENAS];
    size_t forgotten;
} model;

static uint64_t *model_count(uint64_t (*counts)[SIZES][ARENAS],
    const struct model_object *object)
{
    return &counts[object->stack][object->size][object->arena];
}

static void model_give(struct model_object *object)
{
    object->out = false;
    if (object->counts)
        --*model_count(model.live, object);
}

static void model_step(struct dice *dice)
{
    const size_t i = dice_below(dice, OBJECTS);
    struct model_object *object = &model.object[i];
    struct ledger_object found;
    const void *pointer = object_of(i, 0, 0).pointer;
    assert_int_equal(ledger_find(pointer, &found), object->out);
    if (object->out) {
        assert_true(give(i));
        model_give(object);
        return;
    }
    assert_false(give(i));
    *object = (struct model_object){ true, true,
        (uint8_t)dice_below(dice, STACKS), (uint8_t)dice_below(dice, SIZES),
        (uint8_t)dice_below(dice, ARENAS) };
    assert_true(take(i, object->stack, object->size, object->arena));
    ++*model_count(model.live, object);
    ++*model_count(model.ever, object);
}

static size_t model_rows(uint64_t (*counts)[SIZES][ARENAS])
{
    size_t rows = 0;
    for (size_t i = 0; i < sizeof model.live / sizeof(uint64_t); i++)
        rows += (&counts[0][0][0])[i] != 0;
    return rows;
}

static void model_check(void)
{
    struct snapshot snapshot;
    assert_true(snapshot_take(&snapshot));
    assert_int_equal(snapshot.count,
        model_rows(snapshot.has_ever ? model.ever : model.live));
    for (size_t i = 0; i < snapshot.count; i++) {
        const struct snapshot_row *row = &snapshot.row[i];
        const struct model_object object = {
            .stack = (uint8_t)((size_t)row->trace->pc[0] - 1),
            .size = (uint8_t)(row->usable / 100 - 1),
            .arena = (uint8_t)row->arena };
        assert_int_equal(row->trace->count, 1 + object.stack % 40);
        assert_int_equal(row->thread, person_of_thread()->number);
        assert_int_equal(row->objects, *model_count(model.live, &object));
        assert_int_equal(row->objects_ever,
            snapshot.has_ever ? *model_count(model.ever, &object) : 0);
    }
    snapshot_drop(&snapshot);
    ledger_audit();
}

static void model_reset(struct dice *dice)
{
    const unsigned rate_log2 = (unsigned)dice_below(dice, 64);
    ledger_reset(rate_log2);
    assert_int_equal(ledger_rate_log2(), rate_log2);
    memset(model.live, 0, sizeof model.live);
    memset(model.ever, 0, sizeof model.ever);
    for (size_t i = 0; i < OBJECTS; i++)
        model.object[i].counts = false;
    assert_int_equal(site_count(), 0);
}

static void model_forget(const struct ledger_object *object)
{
    const size_t i = (size_t)object->reserved - 1;
    assert_true(model.object[i].out);
    assert_int_equal(model.object[i].arena, object->arena);
    model_give(&model.object[i]);
    model.forgotten++;
}

static void model_forget_arena(struct dice *dice)
{
    const unsigned arena = (unsigned)dice_below(dice, ARENAS);
    size_t count = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        count += model.object[i].out && model.object[i].arena == arena;
    model.forgotten = 0;
    ledger_forget_arena(arena, model_forget);
    assert_int_equal(model.forgotten, count);
}

static void run_model(bool accum)
{
    struct dice dice = { accum };
    memset(&model, 0, sizeof model);
    option_now.prof_accum = accum;
    for (int round = 0; round < 30; round++) {
        for (size_t steps = dice_below(&dice, 3000); steps > 0; steps--)
            model_step(&dice);
        model_check();
        if (dice_below(&dice, 5) == 0)
            model_reset(&dice);
        if (dice_below(&dice, 5) == 0)
            model_forget_arena(&dice);
        model_check();
    }
    for (unsigned arena = 0; arena < ARENAS; arena++)
        ledger_forget_arena(arena, model_forget);
    model_check();
    model_reset(&dice);
    expect_nothing();
}

static void agrees_with_a_model(void **state)
{
    (void)state;
    run_model(false);
    run_model(true);
}

/* -- hooks and sums -- */

static struct {
    unsigned takes;
    unsigned gives;
    size_t usable;
    bool refused;               /* to take from within a hook */
} heard;

static void hear_take(const void *pointer, size_t size, void **stack,
    unsigned count, size_t usable)
{
    EXPECT(pointer == object_of(4, 0, 0).pointer);
    EXPECT(size == 300 - 4 && usable == 300);
    EXPECT(count == 1 + 9 && stack[0] == (void *)10 && stack[9] == (void *)19);
    heard.takes++;
    /* It may allocate, which is not sampled, and free what is. */
    heard.refused = !take(5, 1, 1, 0);
    EXPECT(stack[0] == (void *)10);
    EXPECT(give(6));
}

static void hear_give(const void *pointer, size_t usable)
{
    EXPECT((uintptr_t)pointer % 64 == 0);
    heard.gives++;
    heard.usable = usable;
}

static void hooks_hear_of_all(void **state)
{
    (void)state;
    assert_true(take(6, 2, 0, 0));
    ledger_set_take_hook(hear_take);
    ledger_set_give_hook(hear_give);
    assert_ptr_equal(ledger_take_hook(), hear_take);
    assert_ptr_equal(ledger_give_hook(), hear_give);
    assert_true(take(4, 9, 2, 0));
    assert_int_equal(heard.takes, 1);
    assert_true(heard.refused);
    assert_int_equal(heard.gives, 1);
    assert_int_equal(heard.usable, 100);
    assert_true(give(4));
    assert_int_equal(heard.gives, 2);
    assert_int_equal(heard.usable, 300);
    assert_false(give(5));
    ledger_set_take_hook(NULL);
    assert_true(take(5, 1, 1, 0));
    assert_true(give(5));
    expect_nothing();
}

static void sums_what_was_asked_for(void **state)
{
    (void)state;
    option_now.prof_stats = true;
    assert_true(take(0, 1, 3, 0));      /* 400 of 400 */
    assert_true(take(1, 2, 3, 0));      /* 399 of 400 */
    assert_true(take(2, 2, 1, 0));      /* 198 of 200 */
    assert_true(give(0));
    /* The class that 400 lies in is of more than 384, and at most 448. */
    for (size_t usable = 385; usable <= 448; usable++) {
        assert_int_equal(ledger_live_sums(usable).objects, 1);
        assert_int_equal(ledger_live_sums(usable).bytes, 399);
        assert_int_equal(ledger_ever_sums(usable).objects, 2);
        assert_int_equal(ledger_ever_sums(usable).bytes, 799);
    }
    assert_int_equal(ledger_ever_sums(384).objects, 0);
    assert_int_equal(ledger_ever_sums(449).objects, 0);
    assert_int_equal(ledger_live_sums(224).bytes, 198);
    ledger_reset(ledger_rate_log2());
    assert_int_equal(ledger_live_sums(224).bytes, 198);
    assert_true(give(1));
    assert_true(give(2));
    assert_int_equal(ledger_live_sums(224).objects, 0);
    assert_int_equal(ledger_live_sums(224).bytes, 0);
    assert_int_equal(ledger_ever_sums(SIZE_MAX / 2).objects, 0);
    expect_nothing();
}

static void names_come_from_the_system(void **state)
{
    (void)state;
    option_now.prof_sys_thread_name = true;
    assert_int_equal(pthread_setname_np(pthread_self(), "from-system"), 0);
    assert_true(take(0, 1, 1, 0));
    assert_string_equal(person_of_thread()->name, "from-system");
    option_now.prof_sys_thread_name = false;
    assert_true(give(0));
    expect_nothing();
}

/* -- the log and the recent ones -- */

static char written[16 * 1024];

static void write_on(void *to, const char *text)
{
    (void)to;
    EXPECT(strlen(written) + strlen(text) < sizeof written);
    (void)strcat(written, text);
}

static unsigned occurrences(const char *text, const char *words)
{
    unsigned count = 0;
    while ((text = strstr(text, words)) != NULL) {
        count++;
        text++;
    }
    return count;
}

static void *give_elsewhere(void *argument)
{
    EXPECT(person_set_name("giver"));
    stack_now = 0x500;
    EXPECT(give((size_t)argument));
    person_end();
    return NULL;
}

static void give_by_another(size_t i)
{
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, give_elsewhere, (void *)i), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void recent_ones_are_told(void **state)
{
    (void)state;
    assert_true(person_set_name("taker"));
    recent_set_max(10);
    assert_true(take(7, 0x300, 2, 0));
    assert_true(take(8, 0x400, 2, 0));
    give_by_another(7);
    written[0] = 0;
    assert_true(recent_write(write_on, NULL));
    assert_int_equal(occurrences(written, "\"released\":true"), 1);
    assert_int_equal(occurrences(written, "\"released\":false"), 1);
    assert_int_equal(occurrences(written, "taker"), 2);
    assert_int_equal(occurrences(written, "giver"), 1);
    assert_int_equal(occurrences(written, "[\"0x301\""), 1);
    assert_int_equal(occurrences(written, "[\"0x401\""), 1);
    assert_int_equal(occurrences(written, "[\"0x501\""), 1);
    assert_true(give(8));
    recent_set_max(0);
    expect_nothing();
}

/* What was taken before a reset is told of no more. */
static void frees_are_logged(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/ledger-test.%ld.json",
        (long)getpid());
    assert_true(log_start(path));
    assert_true(take(7, 0x300, 2, 0));
    assert_true(take(8, 0x400, 3, 0));
    give_by_another(7);
    ledger_reset(19);
    give_by_another(8);
    assert_true(log_stop());
    assert_true(sys_read_file(path, written, sizeof written));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(occurrences(written, "\"usize\":300"), 1);
    assert_int_equal(occurrences(written, "\"usize\":400"), 0);
    assert_int_equal(occurrences(written, "[\"0x301\""), 1);
    assert_int_equal(occurrences(written, "[\"0x501\""), 1);
    assert_int_equal(occurrences(written, "giver"), 1);
    expect_nothing();
}

/* -- no memory -- */

/* Whichever call fails: it is taken, or nothing is left of it. */
static void leaves_nothing_without_memory(void **state)
{
    (void)state;
    const uint32_t kinds = 1u << SYS_RESERVE | 1u << SYS_COMMIT
        | 1u << SYS_MAP;
    struct dice dice = { 4 };
    size_t refused = 0;
    for (size_t i = 0; i < 40 * OBJECTS && refused < 300; i++) {
        if (dice_below(&dice, 50) == 0)
            unit_fail_all(kinds);
        else if (dice_below(&dice, 50) == 0)
            (void)unit_fail_none();
        const size_t records = record_count();
        const size_t sites = site_count();
        if (take(i, i, i % SIZES, 1)) {
            assert_int_equal(record_count(), records + 1);
        } else {
            refused++;
            assert_int_equal(record_count(), records);
            assert_int_equal(site_count(), sites);
            assert_false(give(i));
        }
    }
    assert_true(refused > 0);
    (void)unit_fail_none();
    ledger_audit();
    for (size_t i = 0; i < 40 * OBJECTS; i++)
        (void)give(i);
    expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_a_model, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(hooks_hear_of_all, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(sums_what_was_asked_for, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(names_come_from_the_system, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(recent_ones_are_told, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(frees_are_logged, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(leaves_nothing_without_memory, begin,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
