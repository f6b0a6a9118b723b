/* SPDX-License-Identifier: MIT */
/*
 * The tree against jemalloc's names (names.h): each is there, with its size
 * and its access; and against itself: names and mibs lead to the same place,
 * parts of names are names, and numbers are read as jemalloc reads them.
 */
#include "ask.h"

struct name {
    const char *name;
    size_t bytes;
    const char *access;
};

static const struct name names[] = {
#define NAME(name, bytes, access) { name, bytes, access },
#include "names.h"
};
enum { NAMES = sizeof names / sizeof *names };

static int with_an_epoch(void **state)
{
    (void)state;
    ask_epoch();
    return 0;
}

static void match_name(const struct ask_leaf *leaf, void *argument)
{
    const struct name *name = argument;
    if (!ask_is(leaf, name->name))
        return;
    assert_string_equal(leaf->access, name->access);
    if (name->bytes != 0)
        assert_int_equal(leaf->read_bytes, name->bytes);
}

static void find_name(const struct ask_leaf *leaf, void *argument)
{
    const struct name **wanted = argument;
    if (*wanted != NULL && ask_is(leaf, (*wanted)->name))
        *wanted = NULL;
}

static void every_name_of_jemalloc_is_a_leaf(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        const struct name *wanted = &names[i];
        ask_each(find_name, &wanted);
        if (wanted != NULL)
            fail_msg("%s is missing", names[i].name);
    }
}

static void every_leaf_has_the_size_and_access_of_jemallocs(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        struct name name = names[i];
        ask_each(match_name, &name);
    }
}

static void names_and_mibs_meet(const struct ask_leaf *leaf, void *argument)
{
    (void)argument;
    size_t mib[TREE_DEPTH_MAX];
    size_t depth = TREE_DEPTH_MAX;
    assert_int_equal(ctl_name_to_mib(leaf->name, mib, &depth), 0);
    size_t parts = 1;
    for (const char *c = leaf->name; *c != '\0'; c++)
        parts += *c == '.';
    assert_int_equal(depth, parts);
    const struct node *node = tree_at(mib, depth);
    assert_ptr_equal(node, tree_find(leaf->name, mib, &depth));
    /* Too short, and too long. */
    assert_null(tree_at(mib, depth - 1)->leaf);
    size_t longer[TREE_DEPTH_MAX + 1] = { 0 };
    memcpy(longer, mib, depth * sizeof *mib);
    assert_null(tree_at(longer, depth + 1));
}

static void a_mib_leads_where_its_name_does(void **state)
{
    (void)state;
    assert_true(ask_each(names_and_mibs_meet, NULL) > NAMES);
}

static void numbers_stand_for_themselves(void **state)
{
    (void)state;
    size_t mib[TREE_DEPTH_MAX];
    size_t depth = TREE_DEPTH_MAX;
    assert_int_equal(ctl_name_to_mib("arenas.bin.0.size", mib, &depth), 0);
    assert_int_equal(depth, 4);
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        size_t size;
        size_t bytes = sizeof size;
        mib[2] = i;
        assert_int_equal(ctl_by_mib(mib, 4, &size, &bytes, NULL, 0), 0);
        assert_int_equal(size, class_bytes[i]);
    }
    mib[2] = CLASS_COUNT;
    assert_int_equal(ctl_by_mib(mib, 4, NULL, NULL, NULL, 0), ENOENT);
}

static void a_mib_may_be_shorter_than_its_name(void **state)
{
    (void)state;
    for (size_t room = 0; room <= TREE_DEPTH_MAX; room++) {
        size_t mib[TREE_DEPTH_MAX] = { 99, 99, 99, 99, 99, 99, 99 };
        size_t depth = room;
        assert_int_equal(
            ctl_name_to_mib("stats.arenas.0.bins.3.curregs", mib, &depth), 0);
        assert_int_equal(depth, room < 6 ? room : 6);
        for (size_t i = depth; i < TREE_DEPTH_MAX; i++)
            assert_int_equal(mib[i], 99);
        if (room > 2)
            assert_int_equal(mib[2], 0);
    }
}

/* What follows the first parts is not looked at, but a leaf has nothing below
 * it: as with jemalloc. */
static void a_leaf_is_the_end_of_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t leaf_depth;
    } longer[] = {
        { "epoch.x", 1 }, { "epoch.", 1 }, { "arenas.bin.0.size.x", 4 },
        { "stats.arenas.0.bins.0.mutex.num_ops.x", 7 },
        { "stats.arenas.0.bins.0.mutex.num_ops.", 7 },
    };
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        for (size_t room = 0; room <= TREE_DEPTH_MAX + 2; room++) {
            size_t mib[TREE_DEPTH_MAX + 2];
            size_t depth = room;
            assert_int_equal(ctl_name_to_mib(longer[i].name, mib, &depth),
                room < longer[i].leaf_depth ? 0 : ENOENT);
            assert_int_equal(depth, room);
        }
        assert_int_equal(DO(longer[i].name), ENOENT);
    }
}

static void a_part_of_a_name_has_a_mib_and_no_value(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "arenas", "arenas.bin", "arenas.bin.1", "stats", "stats.arenas.0",
        "thread.tcache", "experimental.hooks", "prof.stats.bins",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t mib[TREE_DEPTH_MAX];
        size_t depth = TREE_DEPTH_MAX;
        assert_int_equal(ctl_name_to_mib(parts[i], mib, &depth), 0);
        assert_int_equal(DO(parts[i]), ENOENT);
        assert_int_equal(ctl_by_mib(mib, depth, NULL, NULL, NULL, 0), ENOENT);
    }
}

static void what_is_no_name_is_not_found(void **state)
{
    (void)state;
    static const char *const none[] = {
        "", ".", "..", "stats.", ".stats", "stats..allocated", "arena.",
        "arena..purge", "arenas.bin.-1.size", "arenas.bin.48.size",
        "arenas.bin.x.size", "arenas.bin.18446744073709551616.size",
        "arenas.bin.99999999999999999999999.size", "arena.<i>.purge",
        "thread.arena.x", "epoch.", "Epoch", "epoc", "epochs", "opt.", "opt.x",
        "stats.arenas.<i>.mapped", "version\t", "arena.4098.purge",
        "arenas.lextent.187.size", "stats.arenas.0.extents.199.ndirty",
        "stats.arenas.0.hpa_shard.nonfull_slabs.64.nactive_huge",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        size_t mib[TREE_DEPTH_MAX];
        size_t depth = TREE_DEPTH_MAX;
        if (ctl_name_to_mib(none[i], mib, &depth) != ENOENT
            || DO(none[i]) != ENOENT)
            fail_msg("%s", none[i]);
        assert_int_equal(depth, TREE_DEPTH_MAX);
    }
    assert_int_equal(DO(NULL), ENOENT);
}

static void numbers_are_read_leniently(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t number;
    } spelled[] = {
        { "arenas.bin.3.size", 3 }, { "arenas.bin. 3.size", 3 },
        { "arenas.bin.+3.size", 3 }, { "arenas.bin.03.size", 3 },
        { "arenas.bin.3x.size", 3 }, { "arenas.bin.0x3.size", 0 },
        { "arenas.bin.-0.size", 0 }, { "arenas.bin.\t 3 .size", 3 },
        { "arenas.bin.3-4.size", 3 },
        { "arenas.bin.00000000000000000000000000000000000003.size", 3 },
        { "arenas.bin.-18446744073709551615.size", 1 },
        { "arenas.bin.3xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.size", 3 },
    };
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
        size_t mib[TREE_DEPTH_MAX];
        size_t depth = TREE_DEPTH_MAX;
        assert_int_equal(ctl_name_to_mib(spelled[i].name, mib, &depth), 0);
        assert_int_equal(mib[2], spelled[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_jemalloc_is_a_leaf),
        cmocka_unit_test(every_leaf_has_the_size_and_access_of_jemallocs),
        cmocka_unit_test(a_mib_leads_where_its_name_does),
        cmocka_unit_test(numbers_stand_for_themselves),
        cmocka_unit_test(a_mib_may_be_shorter_than_its_name),
        cmocka_unit_test(a_leaf_is_the_end_of_a_name),
        cmocka_unit_test(a_part_of_a_name_has_a_mib_and_no_value),
        cmocka_unit_test(what_is_no_name_is_not_found),
        cmocka_unit_test(numbers_are_read_leniently),
    };
    return cmocka_run_group_tests_name("tree", tests, with_an_epoch, NULL);
}
