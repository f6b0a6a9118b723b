/* SPDX-License-Identifier: MIT */
/*
 * Leaves of arenas: they come and go, keep what was written, and tell which of
 * their objects are whose.
 */
#include "ask.h"

#include "heap/heap.h"
#include "heap/request.h"

/* -- arenas -- */

static void an_arena_comes_and_goes(void **state)
{
    (void)state;
    const unsigned before = ask_unsigned("arenas.narenas");
    const unsigned first = create();
    const unsigned second = create();
    assert_int_equal(first, before);
    assert_int_equal(second, before + 1);
    assert_int_equal(ask_unsigned("arenas.narenas"), before + 2);
    void *pointer = take(1000, (int)second);
    unsigned found;
    size_t bytes = sizeof found;
    assert_int_equal(ctl_by_name("arenas.lookup", &found, &bytes,
        &pointer, sizeof pointer), 0);
    assert_int_equal(found, second);
    assert_int_equal(DO(ask_name("arena.", second, ".reset")), 0);
    assert_int_equal(ctl_by_name("arenas.lookup", &found, &bytes,
        &pointer, sizeof pointer), EINVAL);
    destroy(first);
    assert_int_equal(DO(ask_name("arena.", first, ".destroy")), EFAULT);
    assert_int_equal(create(), first);
    destroy(first);
    destroy(second);
    assert_int_equal(ask_unsigned("arenas.narenas"), before + 2);
}

static void what_is_no_object_is_in_no_arena(void **state)
{
    (void)state;
    static char own[64];
    unsigned found = 77;
    size_t bytes = sizeof found;
    const void *pointers[] = { NULL, own, &found, (void *)8, (void *)-1 };
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        assert_int_equal(ctl_by_name("arenas.lookup", &found, &bytes,
            &pointers[i], sizeof pointers[i]), EINVAL);
    assert_int_equal(found, 77);
    assert_int_equal(DO("arenas.lookup"), EINVAL);
}

static void an_automatic_arena_stays(void **state)
{
    (void)state;
    assert_int_equal(DO("arena.0.reset"), EFAULT);
    assert_int_equal(DO("arena.0.destroy"), EFAULT);
    assert_int_equal(DO("arena.4096.destroy"), EFAULT);
    assert_int_equal(DO("arena.4097.reset"), EFAULT);
}

static void an_arena_with_a_thread_is_not_destroyed(void **state)
{
    (void)state;
    const unsigned index = create();
    unsigned was;
    size_t bytes = sizeof was;
    assert_int_equal(ctl_by_name("thread.arena", &was, &bytes,
        &index, sizeof index), 0);
    assert_int_equal(ask_unsigned("thread.arena"), index);
    void *pointer = take(100, REQUEST_AUTO);
    *(volatile char *)pointer = 1;
    assert_int_equal(DO(ask_name("arena.", index, ".destroy")), EFAULT);
    assert_int_equal(*(volatile char *)pointer, 1);
    assert_int_equal(request_usable(100, 0), heap_usable_bytes(pointer));
    assert_int_equal(TELL("thread.arena", &was), 0);
    destroy(index);
}

static void a_thread_goes_to_no_arena_that_is_not_there(void **state)
{
    (void)state;
    const unsigned was = ask_unsigned("thread.arena");
    const unsigned none = ask_unsigned("arenas.narenas");
    assert_int_equal(TELL("thread.arena", &none), EFAULT);
    const unsigned index = create();
    uint64_t wide;
    size_t bytes = sizeof wide;
    /* The answer has no room: nothing is done. */
    assert_int_equal(ctl_by_name("thread.arena", &wide, &bytes,
        &index, sizeof index), EINVAL);
    assert_int_equal(ask_unsigned("thread.arena"), was);
    destroy(index);
}

static void all_arenas_have_three_names(void **state)
{
    (void)state;
    const unsigned count = ask_unsigned("arenas.narenas");
    static const char *const actions[] = { ".purge", ".decay" };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(DO(ask_name("arena.", count, actions[i])), 0);
        assert_int_equal(DO(ask_name("arena.", 4096, actions[i])), 0);
        assert_int_equal(DO(ask_name("arena.", 0, actions[i])), 0);
        assert_int_equal(DO(ask_name("arena.", 4097, actions[i])), 0);
        assert_int_equal(DO(ask_name("arena.", count + 1, actions[i])), ENOENT);
    }
}

/* By its number, or by one that means all. */
static void purge_by(unsigned index, unsigned number)
{
    enum { BYTES = 2000000 };
    void *pointer = take(BYTES, (int)index);
    memset(pointer, 1, BYTES);
    request_give(pointer, REQUEST_NO_CACHE);
    ask_epoch();
    const char *dirty = ".pdirty";
    assert_true(ask_u64(ask_name("stats.arenas.", index, dirty)) > 0);
    assert_int_equal(DO(ask_name("arena.", number, ".purge")), 0);
    ask_epoch();
    assert_int_equal(ask_u64(ask_name("stats.arenas.", index, dirty)), 0);
}

static void a_purge_gives_back_what_is_dirty(void **state)
{
    (void)state;
    const unsigned index = create();
    const int64_t never = -1;
    assert_int_equal(TELL(ask_name("arena.", index, ".dirty_decay_ms"),
        &never), 0);
    purge_by(index, index);
    purge_by(index, SNAPSHOT_ALL);
    purge_by(index, ask_unsigned("arenas.narenas"));
    assert_true(
        ask_u64(ask_name("stats.arenas.", index, ".dirty_purged")) > 0);
    destroy(index);
}

/* -- settings of an arena -- */

static void a_decay_time_is_kept_and_checked(void **state)
{
    (void)state;
    static const char *const leaves[] = { ".dirty_decay_ms",
        ".muzzy_decay_ms" };
    static const int64_t good[] = { 0, 5, -1, 9000000000, 1000 };
    static const int64_t bad[] = { -2, INT64_MIN, INT64_MAX };
    const unsigned index = create();
    for (size_t i = 0; i < 2; i++) {
        const char *name = ask_name("arena.", index, leaves[i]);
        for (size_t j = 0; j < sizeof good / sizeof *good; j++) {
            int64_t ms = 0;
            assert_int_equal(TELL(name, &good[j]), 0);
            assert_int_equal(ASK(name, &ms), 0);
            assert_int_equal(ms, good[j]);
        }
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++)
            assert_int_equal(TELL(name, &bad[j]), EFAULT);
        assert_int_equal(ask_u64(name), 1000);
    }
    destroy(index);
    assert_int_equal(DO("arena.4096.dirty_decay_ms"), EFAULT);
}

static void a_new_arena_has_the_decay_time_of_new_arenas(void **state)
{
    (void)state;
    const int64_t was = (int64_t)ask_u64("arenas.dirty_decay_ms");
    const int64_t wanted = 4321;
    const int64_t bad = -7;
    assert_int_equal(TELL("arenas.dirty_decay_ms", &bad), EFAULT);
    assert_int_equal(TELL("arenas.dirty_decay_ms", &wanted), 0);
    assert_int_equal(TELL("arenas.muzzy_decay_ms", &wanted), 0);
    const unsigned index = create();
    assert_int_equal(
        ask_u64(ask_name("arena.", index, ".dirty_decay_ms")), 4321);
    assert_int_equal(
        ask_u64(ask_name("arena.", index, ".muzzy_decay_ms")), 4321);
    destroy(index);
    assert_int_equal(TELL("arenas.dirty_decay_ms", &was), 0);
    assert_int_equal(ask_u64("arena.0.dirty_decay_ms"), was);
}

static void a_word_for_dss_is_kept(void **state)
{
    (void)state;
    const unsigned index = create();
    const char *word = "primary";
    const char *wrong = "tertiary";
    const char *was;
    size_t bytes = sizeof was;
    const char *name = ask_name("arena.", index, ".dss");
    assert_int_equal(TELL(name, &wrong), EINVAL);
    assert_int_equal(ctl_by_name(name, &was, &bytes, &word, sizeof word), 0);
    assert_string_equal(was, "disabled");
    assert_int_equal(ASK(name, &was), 0);
    assert_string_equal(was, "primary");
    assert_int_equal(ASK("arena.0.dss", &was), 0);
    assert_string_equal(was, "disabled");
    destroy(index);
    assert_int_equal(create(), index);
    assert_int_equal(ASK(ask_name("arena.", index, ".dss"), &was), 0);
    assert_string_equal(was, "disabled");
    destroy(index);
}

static void a_name_is_kept_and_cut(void **state)
{
    (void)state;
    const unsigned index = create();
    const char *leaf = ask_name("arena.", index, ".name");
    char room[ARENA_NAME_BYTES];
    char *name = room;
    size_t bytes = sizeof name;
    assert_int_equal(ctl_by_name(leaf, &name, &bytes, NULL, 0), 0);
    assert_int_equal(strncmp(room, "manual_", 7), 0);
    char *longer = (char *)"a name that is longer than thirty-one letters";
    assert_int_equal(TELL(leaf, &longer), 0);
    assert_int_equal(ctl_by_name(leaf, &name, &bytes, NULL, 0), 0);
    assert_string_equal(room, "a name that is longer than thir");
    char *none = NULL;
    assert_int_equal(TELL(leaf, &none), EINVAL);
    bytes = 4;
    assert_int_equal(ctl_by_name(leaf, &name, &bytes, NULL, 0), EINVAL);
    destroy(index);
}

static void a_grow_limit_is_a_class(void **state)
{
    (void)state;
    const unsigned index = create();
    const char *leaf = ask_name("arena.", index, ".retain_grow_limit");
    assert_int_equal(ask_u64(leaf), (size_t)7 << 60);
    const size_t limits[] = { 4096, 4097, 57343, 57344, 1000001 };
    const size_t meant[] = { 4096, 4096, 49152, 57344, 917504 };
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(TELL(leaf, &limits[i]), 0);
        assert_int_equal(ask_u64(leaf), meant[i]);
    }
    const size_t none = (size_t)7 << 60;
    assert_int_equal(TELL(leaf, &none), 0);
    assert_int_equal(ask_u64(leaf), none);
    const size_t tiny = 4095;
    assert_int_equal(TELL(leaf, &tiny), EFAULT);
    destroy(index);
}

/* -- hooks -- */

static void hooks_are_given_and_read(void **state)
{
    (void)state;
    struct extent_hooks mine = hooks_default;
    struct extent_hooks *hooks = &mine;
    struct extent_hooks *was;
    unsigned index;
    size_t bytes = sizeof index;
    assert_int_equal(ctl_by_name("arenas.create", &index, &bytes,
        &hooks, sizeof hooks), 0);
    const char *leaf = ask_name("arena.", index, ".extent_hooks");
    assert_int_equal(ASK(leaf, &was), 0);
    assert_ptr_equal(was, &mine);
    struct extent_hooks other = hooks_default;
    hooks = &other;
    bytes = sizeof was;
    assert_int_equal(ctl_by_name(leaf, &was, &bytes, &hooks, sizeof hooks), 0);
    assert_ptr_equal(was, &mine);
    assert_int_equal(ASK(leaf, &was), 0);
    assert_ptr_equal(was, &other);
    destroy(index);
    assert_int_equal(ASK("arena.0.extent_hooks", &was), 0);
    assert_ptr_equal(was->alloc, hooks_default.alloc);

    const struct leaf_arena_config config = {
        (extent_hooks_t *)(void *)&mine, false
    };
    bytes = sizeof index;
    assert_int_equal(ctl_by_name("experimental.arenas_create_ext", &index,
        &bytes, &config, sizeof config), 0);
    assert_int_equal(
        ASK(ask_name("arena.", index, ".extent_hooks"), &was), 0);
    assert_ptr_equal(was, &mine);
    destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_comes_and_goes),
        cmocka_unit_test(what_is_no_object_is_in_no_arena),
        cmocka_unit_test(an_automatic_arena_stays),
        cmocka_unit_test(an_arena_with_a_thread_is_not_destroyed),
        cmocka_unit_test(a_thread_goes_to_no_arena_that_is_not_there),
        cmocka_unit_test(all_arenas_have_three_names),
        cmocka_unit_test(a_purge_gives_back_what_is_dirty),
        cmocka_unit_test(a_decay_time_is_kept_and_checked),
        cmocka_unit_test(a_new_arena_has_the_decay_time_of_new_arenas),
        cmocka_unit_test(a_word_for_dss_is_kept),
        cmocka_unit_test(a_name_is_kept_and_cut),
        cmocka_unit_test(a_grow_limit_is_a_class),
        cmocka_unit_test(hooks_are_given_and_read),
    };
    return cmocka_run_group_tests_name("leaf_arena", tests, NULL, NULL);
}
