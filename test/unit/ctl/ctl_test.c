/* SPDX-License-Identifier: MIT */
/*
 * The protocol, over every leaf there is: what may be read and written, short
 * reads and long ones, wrong sizes, nothing asked at all.
 */
#include "ask.h"

/* Leaves whose reading needs something written, or room of the program's. */
static bool answers_plainly(const struct ask_leaf *leaf)
{
    static const char *const special[] = {
        "arena.<i>.name", "arenas.lookup", "tcache.create", "arenas.create",
        "experimental.arenas_create_ext", "experimental.batch_alloc",
        "experimental.utilization.query",
        "experimental.utilization.batch_query",
        "experimental.arenas.<i>.pactivep", "experimental.hooks.install",
        "thread.tcache.ncached_max.read_sizeclass",
        "experimental.hooks.prof_backtrace", "experimental.hooks.prof_dump",
        "experimental.hooks.prof_sample",
        "experimental.hooks.prof_sample_free",
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (ask_is(leaf, special[i]))
            return false;
    }
    return leaf->read_bytes != 0 && !ask_is_absent(leaf);
}

/* A source of options that said nothing is not there. */
static bool is_silent_source(const struct ask_leaf *leaf)
{
    return strncmp(leaf->name, "opt.malloc_conf.", 16) == 0
        && DO(leaf->name) == ENOENT;
}

static int with_an_epoch(void **state)
{
    (void)state;
    ask_epoch();
    return 0;
}

/* The same leaves once more, those of profiles among them. */
static int armed(void **state)
{
    option_now.prof_stats = true;
    profile_arm();
    return with_an_epoch(state);
}

static void read_whole(const struct ask_leaf *leaf, void *count)
{
    if (!answers_plainly(leaf) || is_silent_source(leaf))
        return;
    unsigned char room[ASK_ROOM_BYTES];
    memset(room, 0xa5, sizeof room);
    size_t bytes = leaf->read_bytes;
    if (ctl_by_name(leaf->name, room, &bytes, NULL, 0) != 0)
        fail_msg("%s cannot be read", leaf->name);
    assert_int_equal(bytes, leaf->read_bytes);
    for (size_t i = bytes; i < sizeof room; i++)
        assert_int_equal(room[i], 0xa5);
    ++*(unsigned *)count;
}

static void every_leaf_is_read(void **state)
{
    (void)state;
    unsigned count = 0;
    ask_each(read_whole, &count);
    assert_true(count > 380);
}

/* With too little room, or too much: as much as fits, and EINVAL. */
static void read_otherwise(const struct ask_leaf *leaf, void *argument)
{
    (void)argument;
    if (!answers_plainly(leaf) || is_silent_source(leaf))
        return;
    for (size_t room = 0; room < 2 * leaf->read_bytes; room++) {
        unsigned char value[ASK_ROOM_BYTES];
        memset(value, 0xa5, sizeof value);
        size_t bytes = room;
        if (room == leaf->read_bytes)
            continue;
        if (ctl_by_name(leaf->name, value, &bytes, NULL, 0) != EINVAL)
            fail_msg("%s with room for %zu", leaf->name, room);
        assert_int_equal(bytes,
            room < leaf->read_bytes ? room : leaf->read_bytes);
        for (size_t i = bytes; i < sizeof value; i++)
            assert_int_equal(value[i], 0xa5);
    }
}

static void a_wrong_size_gets_what_fits_and_an_error(void **state)
{
    (void)state;
    ask_each(read_otherwise, NULL);
}

static void a_short_read_has_the_first_bytes(void **state)
{
    (void)state;
    const uint64_t page = ask_u64("arenas.page");
    uint32_t low = 0;
    assert_int_equal(ASK("arenas.page", &low), EINVAL);
    assert_int_equal(low, page);
    const char *version;
    assert_int_equal(ASK("version", &version), 0);
    uint32_t half = 0;
    assert_int_equal(ASK("version", &half), EINVAL);
    assert_int_equal(half, (uint32_t)(uintptr_t)version);
}

/* Half a pair of arguments is no reading. */
static void read_nothing(const struct ask_leaf *leaf, void *argument)
{
    (void)argument;
    if (!answers_plainly(leaf) || is_silent_source(leaf))
        return;
    uint64_t room[ASK_ROOM_BYTES / 8];
    size_t bytes = leaf->read_bytes;
    assert_int_equal(ctl_by_name(leaf->name, room, NULL, NULL, 0), 0);
    assert_int_equal(ctl_by_name(leaf->name, NULL, &bytes, NULL, 0), 0);
    assert_int_equal(bytes, leaf->read_bytes);
    assert_int_equal(ctl_by_name(leaf->name, NULL, NULL, NULL, 0), 0);
}

static void half_of_the_arguments_reads_nothing(void **state)
{
    (void)state;
    ask_each(read_nothing, NULL);
}

static void try_what_may_not_be(const struct ask_leaf *leaf, void *argument)
{
    (void)argument;
    uint64_t room[ASK_ROOM_BYTES / 8] = { 0 };
    size_t bytes = sizeof *room;
    const int wanted = ask_is_absent(leaf) && leaf->written_bytes == 0
        ? ENOENT : EPERM;
    if (leaf->access[0] == '-' && !ask_is_absent(leaf)) {
        assert_int_equal(ctl_by_name(leaf->name, room, &bytes, NULL, 0), EPERM);
        assert_int_equal(ctl_by_name(leaf->name, room, NULL, NULL, 0), EPERM);
        assert_int_equal(ctl_by_name(leaf->name, NULL, &bytes, NULL, 0), EPERM);
    }
    if (leaf->access[1] == '-') {
        assert_int_equal(ctl_by_name(leaf->name, NULL, NULL, room, 8), wanted);
        assert_int_equal(ctl_by_name(leaf->name, NULL, NULL, room, 0), wanted);
        assert_int_equal(ctl_by_name(leaf->name, NULL, NULL, NULL, 1), wanted);
    }
    assert_int_equal(bytes, sizeof *room);
}

static void what_may_not_be_done_is_EPERM(void **state)
{
    (void)state;
    ask_each(try_what_may_not_be, NULL);
}

/* Much of profiles is written only where profiling is armed. */
static bool is_refused(const struct ask_leaf *leaf, int error)
{
    return error == EINVAL || (error == ENOENT && !profile_is_armed()
        && strstr(leaf->name, "prof") != NULL);
}

static void try_wrong_writes(const struct ask_leaf *leaf, void *argument)
{
    (void)argument;
    uint64_t value[ASK_ROOM_BYTES / 8] = { 0 };
    if (leaf->access[1] != 'w' || ask_is_absent(leaf)
        || ask_is(leaf, "experimental.utilization.batch_query"))
        return;
    for (size_t bytes = 0; bytes < sizeof value; bytes++) {
        if (bytes != leaf->written_bytes
            && !is_refused(leaf, ctl_by_name(leaf->name, NULL, NULL, value,
                bytes)))
            fail_msg("%s written with %zu bytes", leaf->name, bytes);
    }
}

static void a_write_of_a_wrong_size_is_EINVAL(void **state)
{
    (void)state;
    const uint64_t epoch = ask_u64("epoch");
    ask_each(try_wrong_writes, NULL);
    assert_int_equal(ask_u64("epoch"), epoch);
}

static void try_absent(const struct ask_leaf *leaf, void *count)
{
    uint64_t room[ASK_ROOM_BYTES / 8] = { 0 };
    size_t bytes = leaf->read_bytes;
    if (!ask_is_absent(leaf))
        return;
    assert_int_equal(ctl_by_name(leaf->name, room, &bytes, NULL, 0), ENOENT);
    assert_int_equal(ctl_by_name(leaf->name, NULL, NULL, room,
        leaf->written_bytes), ENOENT);
    assert_int_equal(DO(leaf->name), ENOENT);
    ++*(unsigned *)count;
}

static void what_is_absent_is_ENOENT(void **state)
{
    (void)state;
    unsigned count = 0;
    ask_each(try_absent, &count);
    assert_int_equal(count > 10, !profile_is_armed());
}

/* What must not be made unless its number arrives. */
static void nothing_is_created_for_an_answer_of_the_wrong_size(void **state)
{
    (void)state;
    static const char *const makers[] = { "arenas.create", "tcache.create" };
    const unsigned arenas = ask_unsigned("arenas.narenas");
    unsigned first;
    assert_int_equal(ASK("tcache.create", &first), 0);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        uint64_t wide;
        size_t bytes = sizeof wide;
        assert_int_equal(
            ctl_by_name(makers[i], &wide, &bytes, NULL, 0), EINVAL);
        assert_int_equal(bytes, 0);
        assert_int_equal(DO(makers[i]), EINVAL);
    }
    assert_int_equal(ask_unsigned("arenas.narenas"), arenas);
    unsigned second;
    assert_int_equal(ASK("tcache.create", &second), 0);
    assert_int_equal(second, first + 1);
    assert_int_equal(TELL("tcache.destroy", &second), 0);
    assert_int_equal(TELL("tcache.destroy", &first), 0);
}

static void nothing_to_write_the_numbers_to_is_EINVAL(void **state)
{
    (void)state;
    size_t mib[TREE_DEPTH_MAX];
    size_t depth = TREE_DEPTH_MAX;
    assert_int_equal(ctl_name_to_mib("epoch", NULL, &depth), EINVAL);
    assert_int_equal(ctl_name_to_mib("epoch", mib, NULL), EINVAL);
    assert_int_equal(ctl_by_mib(NULL, 3, NULL, NULL, NULL, 0), ENOENT);
    assert_int_equal(ctl_by_mib(mib, 0, NULL, NULL, NULL, 0), ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_leaf_is_read),
        cmocka_unit_test(a_wrong_size_gets_what_fits_and_an_error),
        cmocka_unit_test(a_short_read_has_the_first_bytes),
        cmocka_unit_test(half_of_the_arguments_reads_nothing),
        cmocka_unit_test(what_may_not_be_done_is_EPERM),
        cmocka_unit_test(a_write_of_a_wrong_size_is_EINVAL),
        cmocka_unit_test(what_is_absent_is_ENOENT),
        cmocka_unit_test(nothing_is_created_for_an_answer_of_the_wrong_size),
        cmocka_unit_test(nothing_to_write_the_numbers_to_is_EINVAL),
    };
    return cmocka_run_group_tests_name("ctl", tests, with_an_epoch, NULL)
        + cmocka_run_group_tests_name("ctl, armed", tests, armed, NULL);
}
