/* SPDX-License-Identifier: MIT */
/*
 * Goal: the log is the JSON that jemalloc writes, of all objects given back
 * while it was on, and of nothing else; what cannot be written is said.
 * Method: deeds made by hand, the file to the letter; names, threads, forks,
 * calls that fail.
 */
#include "unit/sys/unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "table/option.h"

#include <jemalloc/jemalloc.h>

enum { MANY = 5000, THREADS = 4, TEXT_MAX = 4 * 1024 * 1024 };

static char folder[] = "/tmp/ashlar-log-XXXXXX";
static char path[64];
static char prefix[64];
static char text[TEXT_MAX];
static char said[1000];
static struct trace *trace[3];

static void say(const char *line)
{
    (void)snprintf(said, sizeof said, "%s", line);
}

static int begin_all(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/log", mkdtemp(folder));
    (void)snprintf(prefix, sizeof prefix, "%s/prefix", folder);
    dump_set_say(say);
    dump_set_prefix(prefix);
    for (uintptr_t i = 0; i < UNIT_COUNT(trace); i++) {
        void *pc[] = { (void *)(0xa0 + i), (void *)0xb0 };
        trace[i] = trace_hold(pc, 2);
        assert_non_null(trace[i]);
    }
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static int begin(void **state)
{
    (void)state;
    said[0] = 0;
    return 0;
}

/* The file's text; it is removed. */
static const char *read_text(const char *from)
{
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    const size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    (void)fclose(file);
    (void)unlink(from);
    return text;
}

static size_t count_of(const char *words)
{
    size_t count = 0;
    for (char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static struct deed deed(size_t of, uint64_t thread, uint64_t ns,
    const char *name)
{
    struct deed made = { of < UNIT_COUNT(trace) ? trace[of] : NULL, thread,
        "", ns };
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    return made;
}

static void note(size_t usable, struct deed taken, struct deed given)
{
    log_note_give(usable, &taken, &given);
}

static void is_written_to_the_letter(void **state)
{
    (void)state;
    assert_true(log_start(path));
    assert_true(log_is_on());
    note(64, deed(0, 1, 10, "one"), deed(1, 2, 20, ""));
    note(80, deed(0, 2, 11, "\""), deed(9, 1, 30, "one"));
    assert_true(log_stop());
    assert_false(log_is_on());
    char wanted[1000];
    uint64_t duration = UINT64_MAX;
    assert_int_equal(sscanf(read_text(path), "{\"info\":{\"duration\":%" SCNu64,
        &duration), 1);
    assert_true(duration < 10 * UINT64_C(1000000000));
    (void)snprintf(wanted, sizeof wanted, ",\"version\":\"%s\","
        "\"lg_sample_rate\":%u,\"prof_time_resolution\":\"default\","
        "\"pid\":%d},\"threads\":[{\"thr_uid\":1,\"thr_name\":\"one\"},"
        "{\"thr_uid\":2,\"thr_name\":\"\"},"
        "{\"thr_uid\":2,\"thr_name\":\"\\\"\"}],\"stack_traces\":["
        "", JEMALLOC_VERSION, ledger_rate_log2(), getpid());
    char *at = strchr(text, ',');
    assert_memory_equal(at, wanted, strlen(wanted));
    /* Stacks come in any order. */
    const char *notes = strstr(at, "\"allocations\":");
    unsigned stack[4];
    assert_int_equal(sscanf(notes, "\"allocations\":[{\"alloc_thread\":0,"
        "\"free_thread\":1,\"alloc_trace\":%u,\"free_trace\":%u,"
        "\"alloc_timestamp\":10,\"free_timestamp\":20,\"usize\":64},"
        "{\"alloc_thread\":2,\"free_thread\":0,\"alloc_trace\":%u,"
        "\"free_trace\":%u,\"alloc_timestamp\":11,\"free_timestamp\":30,"
        "\"usize\":80}]}", &stack[0], &stack[1], &stack[2], &stack[3]), 4);
    assert_int_equal(stack[0], stack[2]);
    assert_int_equal(1u << stack[0] | 1u << stack[1] | 1u << stack[3], 7);
    assert_int_equal(count_of("[\"0xa0\",\"0xb0\"]"), 1);
    assert_int_equal(count_of("[\"0xa1\",\"0xb0\"]"), 1);
    assert_int_equal(count_of("[]"), 1);
    assert_string_equal(text + strlen(text) - 3, "}]}");
}

static void names_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char name[200];
        assert_true(log_start(NULL));
        assert_false(log_start(NULL));
        assert_true(log_stop());
        assert_false(log_stop());
        (void)snprintf(name, sizeof name, "%s.%d.%d.json", prefix, getpid(),
            i);
        (void)read_text(name);
        assert_non_null(strstr(text, "\"threads\":[],\"stack_traces\":[],"
            "\"allocations\":[]}"));
    }
    dump_set_prefix("");
    assert_false(log_start(NULL));
    dump_set_prefix(prefix);
    assert_string_equal(said, "");
}

static void notes_nothing_while_off(void **state)
{
    (void)state;
    note(1, deed(0, 1, 1, ""), deed(0, 1, 1, ""));
    assert_true(log_start(path));
    assert_true(log_stop());
    (void)read_text(path);
    assert_int_equal(count_of("usize"), 0);
}

static void keeps_many_in_order(void **state)
{
    (void)state;
    assert_true(log_start(path));
    const uint32_t holders = trace[0]->holders;
    for (uint64_t i = 0; i < MANY; i++)
        note(i, deed(0, 1, i, ""), deed(1, 1, i, ""));
    assert_int_equal(trace[0]->holders, holders + MANY);
    assert_true(log_stop());
    assert_int_equal(trace[0]->holders, holders);
    char *at = strstr(read_text(path), "\"allocations\":[");
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t usable = 0;
        at = strstr(at, "\"usize\":");
        assert_int_equal(sscanf(at++, "\"usize\":%" SCNu64, &usable), 1);
        assert_int_equal(usable, i);
    }
    assert_null(strstr(at, "\"usize"));
}

static void says_what_failed(void **state)
{
    (void)state;
    assert_true(log_start("/no/such/folder/log"));
    assert_false(log_stop());
    assert_string_equal(said, "<ashlar>: log of samples: /no/such/folder/log: "
        "No such file or directory\n");
    assert_true(log_start("/dev/full"));
    assert_false(log_stop());
    assert_non_null(strstr(said, "No space left on device"));
    assert_true(log_start(path));
    unit_fail_all(1u << SYS_MAP);
    assert_false(log_stop());
    (void)unit_fail_none();
    assert_non_null(strstr(said, "Cannot allocate memory"));

    /* A log with gaps does not pass for a whole one. */
    said[0] = 0;
    assert_true(log_start(path));
    unit_fail_all(1u << SYS_MAP);
    note(1, deed(0, 1, 1, ""), deed(0, 1, 1, ""));
    (void)unit_fail_none();
    note(2, deed(0, 1, 1, ""), deed(0, 1, 1, ""));
    assert_false(log_stop());
    assert_non_null(strstr(said, "Cannot allocate memory"));
    (void)read_text(path);
    assert_int_equal(count_of("usize"), 1);
}

static void *note_many(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < MANY; i++)
        note(i, deed(i % 3, 1, i, ""), deed(i % 2, 1, i, ""));
    return NULL;
}

static void takes_notes_of_many_threads(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    assert_true(log_start(path));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, note_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    assert_true(log_stop());
    (void)read_text(path);
    assert_int_equal(count_of("usize"), THREADS * MANY);
}

static void end_in_child(void)
{
    log_at_end();
}

/* A child writes a log of its own, never over its parent's. */
static void leaves_the_file_of_a_parent(void **state)
{
    (void)state;
    assert_true(log_start(path));
    note(1, deed(0, 1, 1, ""), deed(0, 1, 1, ""));
    assert_int_equal(unit_in_child(fork(), end_in_child), 0);
    assert_int_equal(access(path, F_OK), -1);
    log_at_end();
    (void)read_text(path);
    assert_int_equal(count_of("usize"), 1);

    assert_true(log_start(NULL));
    const pid_t child = fork();
    assert_int_equal(unit_in_child(child, end_in_child), 0);
    char name[200];
    (void)snprintf(name, sizeof name, "%s.%d.2.json", prefix, child);
    (void)read_text(name);
    log_at_end();
    (void)snprintf(name, sizeof name, "%s.%d.2.json", prefix, getpid());
    (void)read_text(name);
    log_at_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_written_to_the_letter, begin),
        cmocka_unit_test_setup(names_itself, begin),
        cmocka_unit_test_setup(notes_nothing_while_off, begin),
        cmocka_unit_test_setup(keeps_many_in_order, begin),
        cmocka_unit_test_setup_teardown(says_what_failed, begin,
            unit_teardown),
        cmocka_unit_test_setup(takes_notes_of_many_threads, begin),
        cmocka_unit_test_setup(leaves_the_file_of_a_parent, begin),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
