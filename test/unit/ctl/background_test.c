/* SPDX-License-Identifier: MIT */
/*
 * The background thread against background.h, due.h and helper.h: it comes and
 * goes, is alone, bears a name and takes no signal; gives back what is old
 * while the program sleeps, and sleeps itself when there is nothing. Each test
 * runs in a child of its own.
 */
#include "../heap/bench.h"

#include <dirent.h>
#include <time.h>

#include "ctl/background.h"
#include "heap/arenas.h"

static void sleep_ms(long ms)
{
    struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&rest, &rest) != 0)
        continue;
}

/* -- the system's view -- */

/* The first word after `key` in a file of /proc; 0 if there is none. */
static unsigned long long proc_value(const char *path, const char *key,
    int base)
{
    char text[4096];
    const int file = open(path, O_RDONLY);
    CHILD_EXPECT(file >= 0);
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *at = strstr(text, key);
    return at != NULL ? strtoull(at + strlen(key), NULL, base) : 0;
}

/* A thread of that name; 0: none. How many there are. */
static int helper_find(int *count)
{
    int found = 0;
    *count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHILD_EXPECT(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300];
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm",
            task->d_name);
        FILE *file = fopen(path, "r");
        char name[32] = "";
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL
            && strcmp(name, "jemalloc_bg_thd\n") == 0) {
            found = atoi(task->d_name);
            ++*count;
        }
        (void)fclose(file);
    }
    (void)closedir(tasks);
    return found;
}

/* There is one at most. */
static int helper_id(void)
{
    int count;
    const int id = helper_find(&count);
    CHILD_EXPECT(count <= 1);
    return id;
}

/* It names itself, in a moment. */
static int helper_id_soon(void)
{
    for (int i = 0; i < 1000 && helper_id() == 0; i++)
        sleep_ms(1);
    return helper_id();
}

/* Whether it is gone. A thread that was joined is listed a moment longer: the
 * kernel tells the joiner first. */
static bool helper_goes(void)
{
    for (int i = 0; i < 1000 && helper_id() != 0; i++)
        sleep_ms(1);
    return helper_id() == 0;
}

/* -- on and off -- */

static int come_and_go(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100; i++) {
        CHILD_EXPECT(background_set(true) && background_set(true));
        CHILD_EXPECT(background_is_on());
        CHILD_EXPECT(background_counts().num_threads == 1);
        if (i % 10 == 0)
            CHILD_EXPECT(helper_id_soon() != 0);
        API(free)(API(malloc)(10 * MiB));
        CHILD_EXPECT(background_set(false) && background_set(false));
        CHILD_EXPECT(!background_is_on() && helper_goes());
        CHILD_EXPECT(background_counts().num_threads == 0);
    }
    API(audit_all)();
    return 0;
}

static void it_comes_and_goes(void **state)
{
    (void)state;
    child_passes(come_and_go, NULL);
}

static int look_at_it(void *argument)
{
    (void)argument;
    CHILD_EXPECT(background_set(true));
    const int id = helper_id_soon();
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", id);
    /* All but the two that cannot be, and those that libc keeps. */
    const unsigned long long blocked = proc_value(path, "SigBlk:", 16);
    for (int signal = 1; signal < 32; signal++)
        CHILD_EXPECT(signal == SIGKILL || signal == SIGSTOP
            || (blocked >> (signal - 1) & 1) != 0);
    CHILD_EXPECT(proc_value("/proc/self/status", "SigBlk:", 16) == 0);
    return 0;
}

static void it_takes_no_signal(void **state)
{
    (void)state;
    child_passes(look_at_it, NULL);
}

static int be_refused(void *argument)
{
    (void)argument;
    sys_fault = (struct sys_fault){
        .from = 1, .to = 1, .kinds = 1u << SYS_THREAD_START };
    CHILD_EXPECT(!background_set(true) && !background_is_on());
    CHILD_EXPECT(background_set(true) && background_is_on());
    return 0;
}

static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    child_passes(be_refused, NULL);
}

/* As the option does: the first refill starts it. */
static int come_soon(void *argument)
{
    const bool cancelled = *(bool *)argument;
    background_set_soon();
    CHILD_EXPECT(background_is_on() && helper_id() == 0);
    CHILD_EXPECT(background_counts().num_threads == 0);
    if (cancelled)
        CHILD_EXPECT(background_set(false) && !background_is_on());
    for (int i = 0; i < 2000; i++)
        (void)API(malloc)(100);
    CHILD_EXPECT(background_is_on() == !cancelled);
    CHILD_EXPECT(background_counts().num_threads == !cancelled);
    if (!cancelled)
        CHILD_EXPECT(helper_id_soon() != 0);
    CHILD_EXPECT(background_set(false));
    for (int i = 0; i < 2000; i++)
        (void)API(malloc)(100);
    CHILD_EXPECT(!background_is_on() && helper_goes());
    return 0;
}

static void it_comes_with_a_refill(void **state)
{
    (void)state;
    bool cancelled = false;
    child_passes(come_soon, &cancelled);
    cancelled = true;
    child_passes(come_soon, &cancelled);
}

/* -- fork -- */

static int in_child(void *argument)
{
    (void)argument;
    CHILD_EXPECT(!background_is_on() && helper_id() == 0);
    CHILD_EXPECT(background_set(false));
    API(free)(API(malloc)(10 * MiB));
    CHILD_EXPECT(background_set(true) && background_is_on());
    CHILD_EXPECT(helper_id_soon() != 0);
    API(audit_all)();
    return 0;
}

static _Atomic bool forked_enough;

static void *fork_on(void *argument)
{
    (void)argument;
    for (int i = 0; i < 40; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            alarm(CHILD_SECONDS_MAX);
            _exit(in_child(NULL));
        }
        int status = 1;
        CHILD_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHILD_EXPECT(status == 0);
    }
    store_relaxed(&forked_enough, true);
    return NULL;
}

/* Forks while another thread turns it on and off. */
static int fork_meanwhile(void *argument)
{
    (void)argument;
    pthread_t forker;
    CHILD_EXPECT(pthread_create(&forker, NULL, fork_on, NULL) == 0);
    while (!load_relaxed(&forked_enough)) {
        CHILD_EXPECT(background_set(true));
        API(free)(API(malloc)(MiB));
        CHILD_EXPECT(background_is_on());
        CHILD_EXPECT(background_set(false));
    }
    CHILD_EXPECT(pthread_join(forker, NULL) == 0);
    return 0;
}

static int fork_beside(void *argument)
{
    (void)argument;
    CHILD_EXPECT(background_set(true));
    const pid_t pid = fork();
    if (pid == 0)
        _exit(in_child(NULL));
    int status = 1;
    CHILD_EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    CHILD_EXPECT(background_is_on() && background_set(false));
    return 0;
}

static void a_child_has_none(void **state)
{
    (void)state;
    child_passes(fork_beside, NULL);
    child_passes(fork_meanwhile, NULL);
}

/* -- its work -- */

enum { DECAY_MS = 200 };

static size_t dirty_bytes(void)
{
    struct pool *pool = &arena_main.pool;
    pool_lock(pool);
    const size_t bytes = pool->dirty_bytes + pool->leased_bytes;
    lock_give(&pool->lock);
    return bytes;
}

/* Runs and slabs become free, no more than may stay dirty, and not all there
 * is, or it would go back at once. */
static void leave_dirty(void)
{
    enum { BLOCKS = 32 };
    static void *block[BLOCKS];
    static void *stays;
    if (stays == NULL)
        stays = API(malloc)(100 * KiB);
    for (int i = 0; i < BLOCKS; i++)
        block[i] = memset(API(malloc)(32 * KiB), 1, 32 * KiB);
    void *run = memset(API(malloc)(512 * KiB), 1, 512 * KiB);
    for (int i = 0; i < BLOCKS; i++)
        API(free)(block[i]);
    API(free)(run);
    thread_flush();
}

static int purge_asleep(void *argument)
{
    const bool before = *(bool *)argument;
    pool_set_dirty_decay_ms(&arena_main.pool, DECAY_MS);
    if (before)
        CHILD_EXPECT(background_set(true));
    /* Twice: it has to be woken from its long sleep. */
    for (int round = 0; round < 2; round++) {
        leave_dirty();
        CHILD_EXPECT(dirty_bytes() >= MiB);
        if (round == 0 && !before)
            CHILD_EXPECT(background_set(true));
        sleep_ms(2 * DECAY_MS + 100);
        CHILD_EXPECT(dirty_bytes() == 0);
    }
    /* Nothing is dirty: it does not come by. */
    sleep_ms(DECAY_MS);
    const uint64_t runs = background_counts().num_runs;
    CHILD_EXPECT(runs > 0 && background_counts().run_interval > 0);
    sleep_ms(3 * DECAY_MS);
    CHILD_EXPECT(background_counts().num_runs == runs);
    CHILD_EXPECT(background_set(false));
    API(audit_all)();
    return 0;
}

static void what_is_old_goes_back_while_all_sleep(void **state)
{
    (void)state;
    bool before = false;
    child_passes(purge_asleep, &before);
    before = true;
    child_passes(purge_asleep, &before);
}

/* One whose time is shorter is not late for the longer one of another. */
static int purge_sooner(void *argument)
{
    (void)argument;
    unsigned index;
    pool_set_dirty_decay_ms(&arena_main.pool, 60000);
    CHILD_EXPECT(arenas_create(&index));
    struct arena *arena = arenas_at(index);
    pool_set_dirty_decay_ms(&arena->pool, DECAY_MS);
    CHILD_EXPECT(background_set(true));
    leave_dirty();
    sleep_ms(50);
    struct extent *extent = pool_take(&arena->pool, 10, 1);
    extent->touched = 10;
    pool_give(extent);
    CHILD_EXPECT(due_ms(&arena->pool) < UINT64_MAX);
    sleep_ms(2 * DECAY_MS + 100);
    CHILD_EXPECT(due_ms(&arena->pool) == UINT64_MAX);
    CHILD_EXPECT(dirty_bytes() > 0);
    /* Nor is it late when the time becomes shorter. */
    pool_set_dirty_decay_ms(&arena_main.pool, DECAY_MS);
    sleep_ms(2 * DECAY_MS + 100);
    CHILD_EXPECT(dirty_bytes() == 0);
    /* And for ever is for ever. */
    pool_set_dirty_decay_ms(&arena_main.pool, -1);
    leave_dirty();
    sleep_ms(2 * DECAY_MS);
    CHILD_EXPECT(dirty_bytes() > 0);
    return 0;
}

static void each_arena_has_its_time(void **state)
{
    (void)state;
    child_passes(purge_sooner, NULL);
}

/* A process ends with the last of its own threads, whichever that is. */
static void *outlive(void *argument)
{
    const pthread_t *first = argument;
    API(free)(API(malloc)(MiB));
    CHILD_EXPECT(pthread_join(*first, NULL) == 0);
    sleep_ms(100);
    *child_note = 1;
    return NULL;
}

static int leave_it_behind(void *argument)
{
    const bool many = *(bool *)argument;
    unsigned index;
    static pthread_t first;
    pthread_t other;
    *child_note = 0;
    first = pthread_self();
    API(free)(API(malloc)(100));
    if (many)
        CHILD_EXPECT(arenas_create(&index) && background_set_threads_max(2));
    CHILD_EXPECT(background_set(true));
    CHILD_EXPECT(pthread_create(&other, NULL, outlive, &first) == 0);
    pthread_exit(NULL);
}

static void it_is_not_the_last_to_go(void **state)
{
    (void)state;
    bool many = false;
    child_passes(leave_it_behind, &many);
    assert_int_equal(*child_note, 1);
    many = true;
    child_passes(leave_it_behind, &many);
    assert_int_equal(*child_note, 1);
}

/* -- several -- */

enum { MANY = 6 };

/* Within a second there are so many. */
static bool helpers_are(int wanted)
{
    int count = -1;
    for (int i = 0; i < 1000 && count != wanted; i++) {
        (void)helper_find(&count);
        sleep_ms(1);
    }
    return count == wanted;
}

static void dirty(struct arena *arena)
{
    struct extent *extent = pool_take(&arena->pool, 10, 1);
    CHILD_EXPECT(extent != NULL);
    extent->touched = 10;
    pool_give(extent);
    CHILD_EXPECT(due_ms(&arena->pool) < UINT64_MAX);
}

static int share_work(void *argument)
{
    (void)argument;
    struct arena *arena[MANY];
    arenas_set_dirty_decay_ms(DECAY_MS);
    for (int i = 0; i < MANY; i++) {
        unsigned index;
        CHILD_EXPECT(arenas_create(&index));
        arena[i] = arenas_at(index);
    }
    CHILD_EXPECT(background_set_threads_max(3) && !background_is_on());
    CHILD_EXPECT(background_set(true));
    CHILD_EXPECT(background_counts().num_threads == 3 && helpers_are(3));
    for (int max = 3; max > 0; max--) {
        CHILD_EXPECT(background_set_threads_max((size_t)max));
        CHILD_EXPECT(background_counts().num_threads == (size_t)max);
        for (int i = 0; i < MANY; i++)
            dirty(arena[i]);
        sleep_ms(2 * DECAY_MS + 200);
        for (int i = 0; i < MANY; i++)
            CHILD_EXPECT(due_ms(&arena[i]->pool) == UINT64_MAX);
        CHILD_EXPECT(helpers_are(max));
    }
    /* No more than there are arenas. */
    CHILD_EXPECT(background_set_threads_max(BACKGROUND_THREADS + 1));
    CHILD_EXPECT(background_counts().num_threads == MANY + 1);
    CHILD_EXPECT(background_set(false) && helpers_are(0));
    CHILD_EXPECT(background_counts().num_threads == 0);
    API(audit_all)();
    return 0;
}

static void arenas_are_shared_out(void **state)
{
    (void)state;
    child_passes(share_work, NULL);
}

/* The second of three is refused: the one there is does all. */
static int be_fewer(void *argument)
{
    (void)argument;
    unsigned index;
    CHILD_EXPECT(arenas_create(&index) && arenas_create(&index));
    struct arena *last = arenas_at(index);
    pool_set_dirty_decay_ms(&last->pool, DECAY_MS);
    CHILD_EXPECT(background_set_threads_max(3));
    sys_fault = (struct sys_fault){
        .from = 2, .to = 2, .kinds = 1u << SYS_THREAD_START };
    CHILD_EXPECT(background_set(true));
    CHILD_EXPECT(background_counts().num_threads == 1 && helpers_are(1));
    dirty(last);
    sleep_ms(2 * DECAY_MS + 200);
    CHILD_EXPECT(due_ms(&last->pool) == UINT64_MAX);
    return 0;
}

static void fewer_threads_do_the_same(void **state)
{
    (void)state;
    child_passes(be_fewer, NULL);
}

/* Arenas come and go while it looks after them. */
static int destroy_beside(void *argument)
{
    (void)argument;
    arenas_set_dirty_decay_ms(1);
    pool_set_dirty_decay_ms(&arena_main.pool, 1);
    CHILD_EXPECT(background_set(true));
    for (int round = 0; round < 3000; round++) {
        unsigned index;
        void *home = API(malloc)(100);
        CHILD_EXPECT(arenas_create(&index) && arenas_bind(index));
        for (int i = 0; i < 20; i++) {
            void *run = API(malloc)((size_t)(i + 1) * SLICE_BYTES);
            CHILD_EXPECT(run != NULL && API(malloc)(100) != NULL);
            API(free)(run);
        }
        CHILD_EXPECT(arenas_bind(0));
        API(free)(home);
        CHILD_EXPECT(arenas_destroy(index));
    }
    CHILD_EXPECT(background_counts().num_runs > 5);
    CHILD_EXPECT(background_set(false));
    API(audit_all)();
    return 0;
}

static void arenas_may_end_meanwhile(void **state)
{
    (void)state;
    child_passes(destroy_beside, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_and_goes),
        cmocka_unit_test(it_takes_no_signal),
        cmocka_unit_test(a_refusal_changes_nothing),
        cmocka_unit_test(it_comes_with_a_refill),
        cmocka_unit_test(a_child_has_none),
        cmocka_unit_test(what_is_old_goes_back_while_all_sleep),
        cmocka_unit_test(each_arena_has_its_time),
        cmocka_unit_test(arenas_are_shared_out),
        cmocka_unit_test(fewer_threads_do_the_same),
        cmocka_unit_test(arenas_may_end_meanwhile),
        cmocka_unit_test(it_is_not_the_last_to_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
