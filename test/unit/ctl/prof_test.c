/* SPDX-License-Identifier: MIT */
/*
 * Goal: the leaves of heap profiles: what is there before profiling is armed
 * and after, switches, rates, names of threads, files, sums, hooks, and what
 * the statistics print of them.
 * Method: with 1 byte between samples every object is sampled, and all figures
 * are exact. The tests are in the order in which a process goes: profiling is
 * armed once.
 */
#include "ask.h"

#include <unistd.h>

#include "api/api.h"
#include "ctl/print.h"
#include "ledger/ledger.h"

#define ALLOC_DUMP "experimental.prof_recent.alloc_dump"

static bool flag(const char *name)
{
    bool value;
    assert_int_equal(ASK(name, &value), 0);
    return value;
}

static int set_flag(const char *name, bool value)
{
    return TELL(name, &value);
}

static int set_text(const char *name, const char *text)
{
    return TELL(name, &text);
}

static int set_rate(size_t log2)
{
    return TELL("prof.reset", &log2);
}

static const char *name_now(void)
{
    const char *name;
    assert_int_equal(ASK("thread.prof.name", &name), 0);
    return name;
}

/* -- before -- */

static const char *const switches[] = {
    "thread.prof.active", "prof.thread_active_init", "prof.gdump",
};
enum { SWITCHES = sizeof switches / sizeof *switches };

static void before_it_is_armed_all_is_off(void **state)
{
    (void)state;
    for (int i = 0; i < SWITCHES; i++) {
        assert_false(flag(switches[i]));
        assert_int_equal(set_flag(switches[i], false), ENOENT);
        assert_int_equal(set_flag(switches[i], true), ENOENT);
        assert_false(flag(switches[i]));
    }
    assert_int_equal(ask_u64("prof.lg_sample"), 0);
    assert_int_equal(ask_u64("prof.interval"), 0);
    assert_false(flag("prof.active"));
    assert_int_equal(set_flag("prof.active", false), 0);
    assert_int_equal(set_flag("prof.active", true), ENOENT);
    assert_false(flag("prof.armed"));
    assert_int_equal(set_flag("prof.armed", false), 0);
    assert_int_equal(set_text("prof.dump", NULL), ENOENT);
    assert_int_equal(DO("prof.log_stop"), ENOENT);
}

static void hook(void)
{
}

static const char *const hooks[] = {
    "experimental.hooks.prof_backtrace", "experimental.hooks.prof_dump",
    "experimental.hooks.prof_sample", "experimental.hooks.prof_sample_free",
};
enum { HOOKS = sizeof hooks / sizeof *hooks };

static void before_it_is_armed_there_are_no_hooks(void **state)
{
    (void)state;
    for (int i = 0; i < HOOKS; i++) {
        void (*any)(void) = hook;
        assert_int_equal(TELL(hooks[i], &any), ENOENT);
        assert_int_equal(DO(hooks[i]), EINVAL);
        assert_int_equal(ASK(hooks[i], &any), 0);
        assert_true(any == NULL);
    }
}

/* Numbers of what comes later may be asked for before. */
static void a_name_is_known_before_it_is_armed(void **state)
{
    (void)state;
    size_t mib[TREE_DEPTH_MAX];
    size_t depth = TREE_DEPTH_MAX;
    prof_stats_t stats;
    size_t bytes = sizeof stats;
    assert_int_equal(ctl_name_to_mib("prof.stats.bins.3.live", mib, &depth), 0);
    assert_int_equal(ctl_by_mib(mib, depth, &stats, &bytes, NULL, 0), ENOENT);
}

/* -- arming -- */

static void it_is_armed_in_a_live_process(void **state)
{
    (void)state;
    const unsigned bytes_4 = 1;
    assert_int_equal(TELL("prof.armed", &bytes_4), EINVAL);
    assert_false(profile_is_armed());
    option_now.prof_stats = true;
    option_now.lg_prof_interval = 40;
    assert_int_equal(set_flag("prof.armed", true), 0);
    assert_true(profile_is_armed());
    assert_true(flag("prof.armed"));
    assert_int_equal(set_flag("prof.armed", false), EINVAL);
    assert_int_equal(set_flag("prof.armed", true), 0);
    assert_true(flag("prof.active"));
    assert_true(flag("thread.prof.active"));
    assert_true(flag("prof.thread_active_init"));
    assert_false(flag("prof.gdump"));
    assert_false(flag("opt.prof"));
    assert_int_equal(ask_u64("prof.lg_sample"), option_now.lg_prof_sample);
    assert_int_equal(ask_u64("prof.interval"), UINT64_C(1) << 40);
}

static void switches_keep_what_is_written(void **state)
{
    (void)state;
    for (int i = 0; i < SWITCHES; i++) {
        const bool was = flag(switches[i]);
        bool before = !was;
        bool after = !was;
        size_t bytes = sizeof before;
        assert_int_equal(ctl_by_name(switches[i], &before, &bytes, &after,
            sizeof after), 0);
        assert_int_equal(before, was);
        assert_int_equal(flag(switches[i]), !was);
        /* A read of a wrong size does not keep a write from happening. */
        bytes = 2;
        uint16_t two;
        assert_int_equal(ctl_by_name(switches[i], &two, &bytes, &was,
            sizeof was), EINVAL);
        assert_int_equal(flag(switches[i]), was);
    }
}

static void rates_have_an_end(void **state)
{
    (void)state;
    static const size_t rates[][2] = {
        { 12, 12 }, { 63, 63 }, { 64, 63 }, { SIZE_MAX, 63 }, { 0, 0 },
    };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        assert_int_equal(set_rate(rates[i][0]), 0);
        assert_int_equal(ask_u64("prof.lg_sample"), rates[i][1]);
    }
    assert_int_equal(set_rate(20), 0);
    assert_int_equal(DO("prof.reset"), 0);
    assert_int_equal(ask_u64("prof.lg_sample"), 20);
}

/* -- names -- */

static void names_are_of_what_can_be_printed(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        const char text[] = { 'a', (char)c, 'z', '\0' };
        const bool wanted = c == '\t' || (c >= ' ' && c <= '~');
        assert_int_equal(set_text("thread.prof.name", "before"), 0);
        assert_int_equal(set_text("thread.prof.name", text),
            wanted ? 0 : EINVAL);
        assert_string_equal(name_now(), wanted ? text : "before");
    }
    assert_int_equal(set_text("thread.prof.name", NULL), EINVAL);
    assert_int_equal(set_text("thread.prof.name", "0123456789abcdefgh"), 0);
    assert_string_equal(name_now(), "0123456789abcde");
    assert_int_equal(set_text("thread.prof.name", ""), 0);
    assert_string_equal(name_now(), "");
}

static void a_name_is_read_or_written(void **state)
{
    (void)state;
    const char *name = "x";
    size_t bytes = sizeof name;
    const char *leaf = "thread.prof.name";
    assert_int_equal(ctl_by_name(leaf, &name, &bytes, &name, 8), EPERM);
    assert_int_equal(ctl_by_name(leaf, &name, &bytes, NULL, 8), EPERM);
    assert_string_equal(name_now(), "");
    option_now.prof_sys_thread_name = true;
    assert_int_equal(set_text(leaf, "x"), ENOENT);
    assert_int_equal(ctl_by_name(leaf, NULL, NULL, &name, 4), EINVAL);
    assert_int_equal(ASK(leaf, &name), 0);
    option_now.prof_sys_thread_name = false;
}

/* -- files -- */

static char path[128];

static void find_path(const char *what)
{
    (void)snprintf(path, sizeof path, "/tmp/ashlar-prof-test-%d.%s",
        (int)getpid(), what);
}

static bool begins_with(const char *text)
{
    char line[64] = "";
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    (void)fgets(line, sizeof line, file);
    (void)fclose(file);
    (void)unlink(path);
    return strncmp(line, text, strlen(text)) == 0;
}

static void profiles_are_written_where_they_can_be(void **state)
{
    (void)state;
    find_path("heap");
    assert_int_equal(set_rate(12), 0);
    assert_int_equal(set_text("prof.dump", path), 0);
    assert_true(begins_with("heap_v2/4096\n"));
    assert_int_equal(set_text("prof.dump", "/nonexistent/heap"), EFAULT);
    assert_int_equal(set_text("prof.prefix", NULL), EINVAL);
    assert_int_equal(DO("prof.prefix"), EINVAL);
    assert_int_equal(set_text("prof.prefix", ""), 0);
    assert_int_equal(set_text("prof.dump", NULL), EFAULT);
    assert_int_equal(DO("prof.dump"), EFAULT);
}

static void a_log_ends_once(void **state)
{
    (void)state;
    find_path("json");
    assert_int_equal(DO("prof.log_stop"), EFAULT);
    assert_int_equal(set_text("prof.log_start", path), 0);
    assert_int_equal(set_text("prof.log_start", path), EFAULT);
    assert_int_equal(DO("prof.log_stop"), 0);
    assert_true(begins_with("{"));
    assert_int_equal(DO("prof.log_stop"), EFAULT);
}

/* -- the latest -- */

static char written[1 << 16];

static void put(void *opaque, const char *text)
{
    assert_ptr_equal(opaque, written);
    assert_true(strlen(written) + strlen(text) < sizeof written);
    strcat(written, text);
}

static void the_latest_are_remembered(void **state)
{
    (void)state;
    const char *leaf = "experimental.prof_recent.alloc_max";
    const ssize_t bad = -2;
    ssize_t count = 3;
    struct leaf_writer writer = { put, written };
    assert_int_equal(ask_u64(leaf), 0);
    assert_int_equal(TELL(leaf, &bad), EINVAL);
    assert_int_equal(TELL(leaf, &count), 0);
    assert_int_equal(ask_u64(leaf), 3);
    assert_int_equal(set_rate(0), 0);
    void *object = API(malloc)(777);
    assert_int_equal(TELL(ALLOC_DUMP, &writer), 0);
    assert_non_null(strstr(written, "\"recent_alloc_max\":3"));
    assert_non_null(strstr(written, "\"size\":777"));
    API(free)(object);
    count = -1;
    assert_int_equal(TELL(leaf, &count), 0);
    assert_int_equal((int64_t)ask_u64(leaf), -1);
    count = 0;
    assert_int_equal(TELL(leaf, &count), 0);
    writer.write = NULL;
    assert_int_equal(TELL(ALLOC_DUMP, &writer), EINVAL);
}

/* -- sums -- */

static prof_stats_t sums(const char *kind, unsigned index, const char *which)
{
    char name[ASK_NAME_BYTES];
    prof_stats_t stats;
    (void)snprintf(name, sizeof name, "prof.stats.%s.%u.%s", kind, index,
        which);
    assert_int_equal(ASK(name, &stats), 0);
    return stats;
}

/* Two objects of a class, and one of them freed. */
static void count_sums(const char *kind, unsigned index, size_t size)
{
    const prof_stats_t live = sums(kind, index, "live");
    const prof_stats_t ever = sums(kind, index, "accum");
    void *first = API(malloc)(size);
    void *second = API(malloc)(size - 5);
    prof_stats_t now = sums(kind, index, "live");
    assert_int_equal(now.req_sum - live.req_sum, 2 * size - 5);
    assert_int_equal(now.count - live.count, 2);
    API(free)(first);
    now = sums(kind, index, "live");
    assert_int_equal(now.req_sum - live.req_sum, size - 5);
    assert_int_equal(now.count - live.count, 1);
    now = sums(kind, index, "accum");
    assert_int_equal(now.req_sum - ever.req_sum, 2 * size - 5);
    assert_int_equal(now.count - ever.count, 2);
    API(free)(second);
}

static void sums_are_of_bytes_asked_for(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        count_sums("bins", i, class_bytes[i]);
    for (unsigned j = 0; j < 20; j++)
        count_sums("lextents", j, stats_lextent_bytes(j));
    prof_stats_t stats;
    option_now.prof_stats = false;
    assert_int_equal(ASK("prof.stats.bins.0.live", &stats), ENOENT);
    option_now.prof_stats = true;
}

/* -- hooks -- */

static struct {
    unsigned taken, given, stacks, written;
    const void *pointer;
    size_t size, usable;
    unsigned depth;
} seen;

static void own_stack(void **pc, unsigned *count, unsigned count_max)
{
    assert_true(count_max > 2);
    pc[0] = pc[1] = &seen;
    *count = 2;
    seen.stacks++;
}

static void note_write(const char *name)
{
    assert_string_equal(name, path);
    seen.written++;
}

static void note_take(const void *pointer, size_t size, void **pc,
    unsigned count, size_t usable)
{
    assert_true(count == 0 || pc[0] != NULL);
    seen.pointer = pointer;
    seen.size = size;
    seen.usable = usable;
    seen.depth = count;
    seen.taken++;
}

static void note_give(const void *pointer, size_t usable)
{
    assert_ptr_equal(pointer, seen.pointer);
    assert_int_equal(usable, seen.usable);
    seen.given++;
}

static void expect_hook(int i, void (*wanted)(void))
{
    void (*now)(void) = hook;
    assert_int_equal(ASK(hooks[i], &now), 0);
    assert_true(now == wanted);
}

static void hooks_are_called_while_they_are_set(void **state)
{
    (void)state;
    void (*const own[HOOKS])(void) = {
        (void (*)(void))own_stack, (void (*)(void))note_write,
        (void (*)(void))note_take, (void (*)(void))note_give,
    };
    void (*was[HOOKS])(void);
    for (int i = 0; i < HOOKS; i++) {
        size_t bytes = sizeof was[i];
        assert_int_equal(ctl_by_name(hooks[i], &was[i], &bytes, &own[i],
            sizeof own[i]), 0);
        expect_hook(i, own[i]);
    }
    API(free)(API(malloc)(100));
    find_path("hooked");
    assert_int_equal(set_text("prof.dump", path), 0);
    assert_true(begins_with("heap_v2/1\n"));
    assert_int_equal(seen.taken, 1);
    assert_int_equal(seen.given, 1);
    assert_int_equal(seen.stacks, 1);
    assert_int_equal(seen.written, 1);
    assert_int_equal(seen.size, 100);
    assert_int_equal(seen.usable, 112);
    assert_int_equal(seen.depth, 2);
    for (int i = 0; i < HOOKS; i++) {
        assert_int_equal(TELL(hooks[i], &was[i]), 0);
        expect_hook(i, was[i]);
    }
    API(free)(API(malloc)(100));
    assert_int_equal(seen.taken, 1);
    assert_int_equal(seen.given, 1);
    assert_int_equal(seen.stacks, 1);
}

/* A program's own one may call the one that was there. */
static void stacks_are_always_found_by_something(void **state)
{
    (void)state;
    void (*none)(void) = NULL;
    stack_finder *usual;
    void *pc[8];
    unsigned count = 99;
    assert_int_equal(TELL(hooks[0], &none), EINVAL);
    assert_int_equal(ASK(hooks[0], &usual), 0);
    assert_non_null(usual);
    usual(pc, &count, 8);
    assert_true(count <= 8);
}

/* -- what else tells of it -- */

static void locks_are_counted(void **state)
{
    (void)state;
    const char *leaf = "stats.mutexes.prof.num_ops";
    API(free)(API(malloc)(100));
    assert_true(ask_u64(leaf) > 0);
    assert_int_equal(DO("stats.mutexes.reset"), 0);
    assert_int_equal(ask_u64(leaf), 0);
    assert_int_equal(ask_u64("stats.mutexes.prof_dump.num_ops"), 0);
    find_path("counted");
    assert_int_equal(set_text("prof.dump", path), 0);
    assert_true(begins_with("heap_v2"));
    assert_true(ask_u64(leaf) > 0);
    assert_true(ask_u64("stats.mutexes.prof_dump.num_ops") > 0);
}

static struct {
    char text[1 << 20];
    size_t length;
} report;

static void write_down(void *opaque, const char *text)
{
    const size_t length = strlen(text);
    assert_null(opaque);
    assert_true(report.length + length < sizeof report.text);
    memcpy(report.text + report.length, text, length + 1);
    report.length += length;
}

static bool prints(const char *opts, const char *wanted)
{
    report.length = 0;
    print_stats(write_down, NULL, opts);
    return strstr(report.text, wanted) != NULL;
}

static void the_statistics_tell_of_it(void **state)
{
    (void)state;
    destroy(create());
    (void)create();     /* so that there are sums to print */
    assert_true(prints("", "\nProfiling settings\n"
        "  prof.thread_active_init: true\n  prof.active: true\n"
        "  prof.gdump: false\n  prof.interval: 1099511627776\n"
        "  prof.lg_sample: 0\n"));
    assert_true(prints("", "opt.lg_prof_sample: 19 (prof.lg_sample: 0)\n"));
    assert_true(prints("", " prof_live_requested  prof_live_count "));
    assert_true(prints("J", "\"prof\":{\"thread_active_init\":true,"
        "\"active\":true,\"gdump\":false,\"interval\":1099511627776,"
        "\"lg_sample\":0}"));
    assert_true(prints("J", "\"prof_accum_count\":"));
    assert_false(prints("Jm", "\"prof_accum_count\":"));
    option_now.prof_stats = false;
    assert_false(prints("J", "\"prof_accum_count\":"));
    assert_false(prints("", "prof_live_requested"));
    option_now.prof_stats = true;
}

static void it_is_switched_off(void **state)
{
    (void)state;
    const prof_stats_t before = sums("bins", 3, "accum");
    assert_int_equal(set_flag("thread.prof.active", false), 0);
    API(free)(API(malloc)(class_bytes[3]));
    assert_int_equal(set_flag("thread.prof.active", true), 0);
    assert_int_equal(set_flag("prof.active", false), 0);
    API(free)(API(malloc)(class_bytes[3]));
    assert_int_equal(sums("bins", 3, "accum").count, before.count);
    assert_true(profile_is_armed());
    assert_int_equal(DO("prof.reset"), 0);
    ledger_audit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_it_is_armed_all_is_off),
        cmocka_unit_test(before_it_is_armed_there_are_no_hooks),
        cmocka_unit_test(a_name_is_known_before_it_is_armed),
        cmocka_unit_test(it_is_armed_in_a_live_process),
        cmocka_unit_test(switches_keep_what_is_written),
        cmocka_unit_test(rates_have_an_end),
        cmocka_unit_test(names_are_of_what_can_be_printed),
        cmocka_unit_test(a_name_is_read_or_written),
        cmocka_unit_test(profiles_are_written_where_they_can_be),
        cmocka_unit_test(a_log_ends_once),
        cmocka_unit_test(the_latest_are_remembered),
        cmocka_unit_test(sums_are_of_bytes_asked_for),
        cmocka_unit_test(hooks_are_called_while_they_are_set),
        cmocka_unit_test(stacks_are_always_found_by_something),
        cmocka_unit_test(locks_are_counted),
        cmocka_unit_test(the_statistics_tell_of_it),
        cmocka_unit_test(it_is_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
