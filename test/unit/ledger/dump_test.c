/* SPDX-License-Identifier: MIT */
/*
 * Goal: profiles are written when they are due, under the names they should
 * have, whole, whoever else writes; what goes wrong is said, and changes
 * nothing else. Method: samples made by hand, a folder that is looked through,
 * full devices, calls that fail, threads, forks, signals, and hooks that ask
 * for more.
 */
#include "unit/sys/unit.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "table/option.h"

enum { THREADS = 8, ROUNDS = 40, CHILDREN = 30, TEXT_MAX = 1024 * 1024 };

static char folder[] = "/tmp/ashlar-dump-XXXXXX";
static char path[100];
static char prefix[100];
static char text[TEXT_MAX];
static char said[1000];
static char told[200];
static _Atomic int tellings;
static char place[1000];                /* of objects that are none */

static void say(const char *line)
{
    (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s",
        line);
}

static void hear(const char *name)
{
    (void)snprintf(told, sizeof told, "%s", name);
    tellings++;
}

/* The files of the folder with these words in the name; they are removed. */
static size_t remove_files(const char *words)
{
    size_t count = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
        char name[400];
        if (entry->d_name[0] == '.' || strstr(entry->d_name, words) == NULL)
            continue;
        count++;
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(open_folder);
    return count;
}

/* The names of automatic files begin as if they were the first. */
static int begin(void **state)
{
    (void)state;
    option_now.prof_final = false;
    option_now.lg_prof_interval = -1;
    said[0] = told[0] = 0;
    tellings = 0;
    dump_set_say(say);
    dump_set_hook(NULL);
    dump_set_prefix(prefix);
    (void)remove_files("");
    return 0;
}

static int begin_all(void **state)
{
    (void)snprintf(path, sizeof path, "%s/file", mkdtemp(folder));
    (void)snprintf(prefix, sizeof prefix, "%s/p", folder);
    return begin(state);
}

static int end_all(void **state)
{
    (void)state;
    (void)remove_files("");
    return rmdir(folder);
}

/* A sample of so many bytes. */
static void take(size_t index, size_t bytes)
{
    const struct ledger_object object = { .pointer = &place[index],
        .size = bytes, .usable = bytes };
    assert_true(ledger_take(&object, __builtin_frame_address(0)));
}

static void give(size_t index)
{
    struct ledger_object object;
    assert_true(ledger_give(&place[index], &object, NULL));
}

/* The file's text; it stays. */
static const char *read_text(const char *from)
{
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    const size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    (void)fclose(file);
    return text;
}

/* Is it a profile from its first line to the mappings, and nothing else? */
static void expect_whole(const char *from)
{
    (void)read_text(from);
    assert_int_equal(strncmp(text, "heap_v2/524288\n  t*: ", 21), 0);
    assert_null(strstr(text + 1, "heap_v2/"));
    const char *mappings = strstr(text, "\n\nMAPPED_LIBRARIES:\n");
    assert_non_null(mappings);
    assert_non_null(strstr(mappings, "[stack]"));
    assert_null(strstr(mappings + 5, "MAPPED_LIBRARIES"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

/* -- names -- */

static void goes_where_it_is_told(void **state)
{
    (void)state;
    take(0, 1000000);
    assert_true(dump_write(path));
    expect_whole(path);
    assert_non_null(strstr(text, "\n  t*: 1: 1000000 [0: 0]\n"));
    give(0);
    assert_true(dump_write(path));
    expect_whole(path);
    assert_null(strstr(text, ": 1000000 ["));
    assert_string_equal(said, "");
}

static void writes_for_pprof_by_the_name(void **state)
{
    (void)state;
    char name[200];
    (void)snprintf(name, sizeof name, "%s.pb.gz", path);
    assert_true(dump_write(name));
    assert_memory_equal(read_text(name), "\x1f\x8b", 2);
}

/* The number behind the prefix and the process in a name like what the hook
 * was told, which has to end so. */
static unsigned long number_of(const char *format, const char *end)
{
    char start[200];
    (void)snprintf(start, sizeof start, format, prefix, getpid(),
        (unsigned long long)sys_process_namespace());
    if (strncmp(told, start, strlen(start)) != 0)
        print_error("%s is not %s...\n", told, start);
    assert_int_equal(strncmp(told, start, strlen(start)), 0);
    char *rest;
    const unsigned long number = strtoul(told + strlen(start), &rest, 10);
    assert_string_equal(rest, end);
    assert_int_equal(access(told, R_OK), 0);
    return number;
}

static void counts_in_names(void **state)
{
    (void)state;
    dump_set_hook(hear);
    assert_ptr_equal(dump_hook(), hear);
    assert_true(dump_write(NULL));
    const unsigned long first = number_of("%s.%d.", ".m0.heap");
    assert_true(dump_write(NULL));
    assert_int_equal(number_of("%s.%d.", ".m1.heap"), first + 1);
    dump_automatic(DUMP_INTERVAL);
    assert_int_equal(number_of("%s.%d.", ".i0.heap"), first + 2);
    dump_automatic(DUMP_HEIGHT);
    assert_int_equal(number_of("%s.%d.", ".u0.heap"), first + 3);
    option_now.prof_pid_namespace = true;
    option_now.prof_format = PROF_FORMAT_PPROF;
    dump_automatic(DUMP_INTERVAL);
    option_now.prof_pid_namespace = false;
    option_now.prof_format = PROF_FORMAT_HEAP;
    assert_int_equal(number_of("%1$s.%3$llu.%2$d.", ".i1.pb.gz"), first + 4);
    assert_int_equal(tellings, 5);
    assert_int_equal(remove_files("p."), 5);
}

static void does_nothing_without_a_prefix(void **state)
{
    (void)state;
    dump_set_hook(hear);
    dump_set_prefix("");
    dump_automatic(DUMP_INTERVAL);
    assert_string_equal(said, "");
    assert_false(dump_write(NULL));
    assert_non_null(strstr(said, "prof_prefix is empty"));
    option_now.prof_final = true;
    assert_false(dump_at_end());
    assert_int_equal(tellings, 0);
    assert_true(dump_write(path));
    assert_int_equal(remove_files(""), 1);
}

static void takes_any_prefix(void **state)
{
    (void)state;
    char *longest = malloc(3 * DUMP_PREFIX_BYTES_MAX);
    memset(longest, 'x', 3 * DUMP_PREFIX_BYTES_MAX - 1);
    longest[3 * DUMP_PREFIX_BYTES_MAX - 1] = 0;
    dump_set_prefix(longest);
    assert_false(dump_write(NULL));
    assert_non_null(strstr(said, "xxx"));
    dump_set_prefix(prefix);
    assert_true(dump_write(NULL));
    free(longest);
}

/* -- what goes wrong -- */

static void says_what_failed(void **state)
{
    (void)state;
    dump_set_hook(hear);
    take(0, 1000000);
    assert_false(dump_write("/dev/full"));
    assert_string_equal(said,
        "<ashlar>: heap profile: /dev/full: No space left on device\n");
    assert_string_equal(told, "/dev/full");
    assert_false(dump_write("/no/such/folder/file.pb.gz"));
    assert_non_null(strstr(said,
        "/no/such/folder/file.pb.gz: No such file or directory\n"));
    said[0] = 0;
    assert_true(dump_write(path));
    expect_whole(path);
    assert_non_null(strstr(text, ": 1000000 ["));
    give(0);
    assert_string_equal(said, "");
}

static void survives_without_memory(void **state)
{
    (void)state;
    take(0, 1000000);
    for (uint64_t from = 1; from < 20; from++) {
        unit_fail(1u << SYS_MAP, from, UINT64_MAX);
        const bool done = dump_write(path);
        (void)unit_fail_none();
        if (done)
            expect_whole(path);
        else
            assert_non_null(strstr(said, "Cannot allocate memory"));
    }
    assert_non_null(strstr(said, "Cannot allocate memory"));
    assert_true(dump_write(path));
    expect_whole(path);
    give(0);
}

static void end_at_failure(void *argument)
{
    (void)argument;
    dump_set_say(NULL);
    option_now.abort = true;
    EXPECT(!dump_write("/dev/full"));
    dump_set_prefix("/no/such/folder/p");
    dump_automatic(DUMP_INTERVAL);
}

static void ends_the_process_if_a_warning_does(void **state)
{
    (void)state;
    char output[1000];
    const int status = unit_child((struct unit_work){ end_at_failure, NULL },
        output, sizeof output);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(output, "/dev/full: No space"));
    assert_non_null(strstr(output, "/no/such/folder/p."));
}

/* -- when -- */

static void comes_at_intervals(void **state)
{
    (void)state;
    option_now.lg_prof_interval = 20;
    dump_note_bytes(MiB);
    (void)remove_files("");
    for (int i = 0; i < 64; i++)
        dump_note_bytes(MiB / 16);
    assert_int_equal(remove_files(".i"), 4);
    dump_note_bytes(10 * MiB);
    assert_int_equal(remove_files(".i"), 1);
    option_now.lg_prof_interval = -1;
    dump_note_bytes(MiB);
    assert_int_equal(remove_files(""), 0);
}

static void comes_at_new_heights(void **state)
{
    (void)state;
    assert_false(dump_gdump());
    dump_set_gdump(true);
    assert_true(dump_gdump());
    dump_note_active(100);
    dump_note_active(100);
    dump_note_active(50);
    assert_int_equal(remove_files(".u"), 1);
    dump_note_active(101);
    assert_int_equal(remove_files(".u"), 1);
    dump_set_gdump(true);
    dump_note_active(101);
    assert_int_equal(remove_files(""), 0);
    dump_set_gdump(false);
    assert_false(dump_gdump());
}

/* What a greedy hook does: each profile makes the next one due. */
static void ask_for_more(const char *name)
{
    hear(name);
    dump_note_bytes(MiB);
    dump_automatic(DUMP_HEIGHT);
    assert_true(dump_write(path));
}

static void hooks_may_ask_for_more(void **state)
{
    (void)state;
    option_now.lg_prof_interval = 0;
    dump_set_hook(ask_for_more);
    assert_true(dump_write(NULL));
    assert_int_equal(tellings, 1);
    dump_note_bytes(1);
    assert_int_equal(tellings, 2);
    assert_int_equal(remove_files("p."), 2);
}

/* -- many at once -- */

static void *write_many(void *argument)
{
    char own[200];
    (void)snprintf(own, sizeof own, "%s.%zu", path, (size_t)argument);
    for (int i = 0; i < ROUNDS; i++) {
        if (!dump_write(i % 2 == 0 ? path : own))
            return path;
        dump_automatic(i % 3 == 0 ? DUMP_INTERVAL : DUMP_HEIGHT);
    }
    return NULL;
}

/* Samples come and go meanwhile. */
static void is_whole_whoever_else_writes(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, write_many,
            (void *)i), 0);
    for (size_t i = 0; i < 2000; i++) {
        take(i % 100, 10000 + i);
        give(i % 100);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        (void)pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    expect_whole(path);
    for (size_t i = 0; i < THREADS; i++) {
        char own[200];
        (void)snprintf(own, sizeof own, "%s.%zu", path, i);
        expect_whole(own);
    }
    /* One that is due is written, if only together with another. */
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
        char name[400];
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == 'p')
            expect_whole(name);
    }
    (void)closedir(open_folder);
    assert_true(remove_files(".i") > 0);
    assert_string_equal(said, "");
}

/* Whoever opens a pipe to write waits for a reader. */
static void *write_to_pipe(void *pipe_path)
{
    return dump_write(pipe_path) ? NULL : pipe_path;
}

static void keeps_nobody_waiting(void **state)
{
    (void)state;
    pthread_t thread;
    char pipe_path[200];
    (void)snprintf(pipe_path, sizeof pipe_path, "%s.pipe", path);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const uint64_t taken = dump_lock_counts().num_ops;
    assert_int_equal(pthread_create(&thread, NULL, write_to_pipe, pipe_path),
        0);
    /* Counted when the lock was taken, which is held from then on. */
    while (dump_lock_counts().num_ops == taken)
        (void)usleep(1000);
    dump_automatic(DUMP_INTERVAL);
    dump_automatic(DUMP_HEIGHT);
    dump_automatic(DUMP_HEIGHT);
    take(0, 1000000);
    give(0);
    expect_whole(pipe_path);
    void *failed;
    (void)pthread_join(thread, &failed);
    assert_null(failed);
    /* What was due meanwhile was left to who wrote. */
    assert_int_equal(remove_files(".i"), 1);
    assert_int_equal(remove_files(".u"), 1);
}

static _Atomic bool writes_on;

static void *write_on(void *argument)
{
    while (writes_on)
        (void)!dump_write(argument);
    return NULL;
}

static void write_in_child(void)
{
    EXPECT(dump_write(path));
    dump_automatic(DUMP_INTERVAL);
    EXPECT(dump_write(NULL));
}

static void works_in_children(void **state)
{
    (void)state;
    pthread_t thread;
    char other[200];
    (void)snprintf(other, sizeof other, "%s.other", path);
    writes_on = true;
    assert_int_equal(pthread_create(&thread, NULL, write_on, other), 0);
    for (int i = 0; i < CHILDREN; i++) {
        const pid_t child = fork();
        assert_int_equal(unit_in_child(child, write_in_child), 0);
        expect_whole(path);
        char name[40];
        (void)snprintf(name, sizeof name, "p.%d.", child);
        assert_int_equal(remove_files(name), 2);
    }
    writes_on = false;
    (void)pthread_join(thread, NULL);
    expect_whole(other);
}

static _Atomic int handled;

static void write_in_handler(int signal)
{
    (void)signal;
    handled++;
    (void)!dump_write(path);
    dump_automatic(DUMP_INTERVAL);
}

/* A handler that comes in the middle is refused, and does not hang. */
static void hangs_in_no_handler(void **state)
{
    (void)state;
    const struct itimerval often = { { 0, 500 }, { 0, 500 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    (void)signal(SIGALRM, write_in_handler);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int i = 0; i < 20 * ROUNDS && handled < 5 * ROUNDS; i++)
        assert_true(dump_write(path));
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    (void)signal(SIGALRM, SIG_DFL);
    assert_true(handled > 0);
    expect_whole(path);
}

/* -- the end of the process -- */

/* At its end the process is asked for what these say. */
struct end {
    bool prof_final;
    bool prof_leak;
    bool prof_leak_error;
    size_t leaks;
};

static void end_process(void *argument)
{
    const struct end *end = argument;
    dump_set_say(NULL);
    option_now.prof = true;
    option_now.prof_final = end->prof_final;
    option_now.prof_leak = end->prof_leak;
    option_now.prof_leak_error = end->prof_leak_error;
    for (size_t i = 0; i < end->leaks; i++)
        take(i, 1000000000);
    _exit(dump_at_end() ? 1 : 0);
}

/* Ends with that status, says this, and leaves so many files. */
static void expect_end(struct end end, int status, const char *words,
    size_t files)
{
    char output[1000];
    const int ended = unit_child((struct unit_work){ end_process, &end },
        output, sizeof output);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), status);
    assert_string_equal(output, words);
    assert_int_equal(remove_files(".f.heap"), files);
}

#define LEAKS(bytes, objects) "<jemalloc>: Leak approximation summary: ~" \
    bytes ", ~" objects ", >= 1 context\n" \
    "<jemalloc>: Run jeprof on dump output for leak detail\n"

static void sums_up_at_the_end(void **state)
{
    (void)state;
    expect_end((struct end){ false, true, true, 1 }, 0, "", 0);
    expect_end((struct end){ true, false, true, 1 }, 0, "", 1);
    expect_end((struct end){ true, true, true, 0 }, 0, "", 1);
    expect_end((struct end){ true, true, false, 1 }, 0,
        LEAKS("1000000000 bytes", "1 object"), 1);
    expect_end((struct end){ true, true, true, 3 }, 1,
        LEAKS("3000000000 bytes", "3 objects") "<jemalloc>: Exiting with "
        "error code because memory leaks were detected\n", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counts_in_names, begin),
        cmocka_unit_test_setup(goes_where_it_is_told, begin),
        cmocka_unit_test_setup(writes_for_pprof_by_the_name, begin),
        cmocka_unit_test_setup(does_nothing_without_a_prefix, begin),
        cmocka_unit_test_setup(takes_any_prefix, begin),
        cmocka_unit_test_setup(says_what_failed, begin),
        cmocka_unit_test_setup_teardown(survives_without_memory, begin,
            unit_teardown),
        cmocka_unit_test_setup(ends_the_process_if_a_warning_does, begin),
        cmocka_unit_test_setup(comes_at_intervals, begin),
        cmocka_unit_test_setup(comes_at_new_heights, begin),
        cmocka_unit_test_setup(hooks_may_ask_for_more, begin),
        cmocka_unit_test_setup(is_whole_whoever_else_writes, begin),
        cmocka_unit_test_setup(keeps_nobody_waiting, begin),
        cmocka_unit_test_setup(works_in_children, begin),
        cmocka_unit_test_setup(hangs_in_no_handler, begin),
        cmocka_unit_test_setup(sums_up_at_the_end, begin),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
