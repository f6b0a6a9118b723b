/* SPDX-License-Identifier: MIT */
/*
 * What leaves do that are not of arenas: the build and the options, sizes,
 * caches, the calling thread, how full slabs are, batches, callbacks, locks.
 */
#include "ask.h"

#include "heap/heap.h"
#include "heap/request.h"

/* -- the build, the options -- */

static void what_is_built_in_is_told(void **state)
{
    (void)state;
    const char *text;
    bool prof = false;
    bool debug = false;
    assert_int_equal(ASK("version", &text), 0);
    assert_true(strncmp(text, "5.", 2) == 0);
    assert_non_null(strchr(text, 'g'));
    assert_int_equal(ASK("config.prof", &prof), 0);
    assert_int_equal(ASK("config.debug", &debug), 0);
    assert_true(prof);
    assert_true(debug);
    assert_int_equal(ask_u64("arenas.page"), sys_page_bytes());
    assert_int_equal(ask_u64("arenas.quantum"), ASHLAR_QUANTUM);
    assert_int_equal(ask_unsigned("arenas.nbins"), CLASS_COUNT);
}

/* Of what is not built there is none. */
static void match_option(const char *name, const struct option_row *row)
{
    static const size_t bytes_of[] = {
        [OPTION_BOOL] = 1, [OPTION_UNSIGNED] = 4, [OPTION_SIZE] = 8,
        [OPTION_SSIZE] = 8, [OPTION_U32] = 4, [OPTION_I64] = 8,
        [OPTION_U64] = 8, [OPTION_STRING] = 8,
    };
    const size_t bytes = bytes_of[option_type(row)];
    const bool is_built = strcmp(row->name, "utrace") != 0
        && strcmp(row->name, "lg_san_uaf_align") != 0;
    const union option_value wanted = option_get(&option_now, row);
    union option_value value = { .u64 = 0 };
    assert_int_equal(ask_bytes(name, &value, bytes), is_built ? 0 : ENOENT);
    if (is_built)
        assert_memory_equal(&value, &wanted, bytes);
}

static void every_option_is_a_leaf_with_its_value(void **state)
{
    (void)state;
    assert_true(option_count() > 90);
    for (size_t i = 0; i < option_count(); i++) {
        const struct option_row *row = option_row(i);
        char name[ASK_NAME_BYTES];
        (void)snprintf(name, sizeof name, "opt.%s", row->name);
        match_option(name, row);
    }
}

static void sizes_rise_without_a_gap(void **state)
{
    (void)state;
    size_t last = 0;
    for (unsigned i = 0; i < ask_unsigned("arenas.nbins"); i++) {
        const size_t size = ask_u64(ask_name("arenas.bin.", i, ".size"));
        const size_t slab = ask_u64(ask_name("arenas.bin.", i, ".slab_size"));
        uint32_t blocks;
        assert_int_equal(ASK(ask_name("arenas.bin.", i, ".nregs"), &blocks), 0);
        assert_true(size > last);
        assert_true(blocks * size <= slab && (blocks + 1) * size > slab);
        last = size;
    }
    for (unsigned i = 0; i < ask_unsigned("arenas.nlextents"); i++) {
        const size_t size = ask_u64(ask_name("arenas.lextent.", i, ".size"));
        assert_true(size > last && size <= last + last / 4 + 1);
        last = size;
    }
    assert_true(last == (size_t)7 << 60);
}

/* -- caches -- */

static void a_cache_comes_and_goes(void **state)
{
    (void)state;
    unsigned id;
    assert_int_equal(ASK("tcache.create", &id), 0);
    const struct request request = {
        .size = 100, .arena = REQUEST_AUTO, .cache = (int)id,
    };
    void *pointer = request_take(&request);
    assert_non_null(pointer);
    request_give(pointer, (int)id);
    assert_int_equal(TELL("tcache.flush", &id), 0);
    assert_int_equal(TELL("tcache.destroy", &id), 0);
    assert_int_equal(TELL("tcache.destroy", &id), EFAULT);
    assert_int_equal(TELL("tcache.flush", &id), EFAULT);
    assert_int_equal(DO("tcache.flush"), EINVAL);
}

static void a_thread_keeps_blocks_in_hand_or_not(void **state)
{
    (void)state;
    bool on = false;
    bool was = false;
    size_t bytes = sizeof was;
    assert_int_equal(ctl_by_name("thread.tcache.enabled", &was, &bytes,
        &on, sizeof on), 0);
    assert_true(was);
    assert_int_equal(DO("thread.tcache.flush"), EFAULT);
    assert_int_equal(ASK("thread.tcache.enabled", &was), 0);
    assert_false(was);
    on = true;
    assert_int_equal(TELL("thread.tcache.enabled", &on), 0);
    assert_int_equal(DO("thread.tcache.flush"), 0);
}

static void the_largest_block_in_hand_is_a_class(void **state)
{
    (void)state;
    const char *leaf = "thread.tcache.max";
    const size_t most = ask_u64("arenas.tcache_max");
    const size_t odd = 4097;
    const size_t huge = SIZE_MAX;
    assert_int_equal(ask_u64(leaf), most);
    assert_int_equal(TELL(leaf, &odd), 0);
    assert_int_equal(ask_u64(leaf), 5120);
    assert_int_equal(TELL(leaf, &huge), 0);
    assert_int_equal(ask_u64(leaf), most);
}

/* How many blocks of a size may stay in hand. */
static size_t blocks_max(size_t size)
{
    size_t blocks;
    size_t bytes = sizeof blocks;
    assert_int_equal(ctl_by_name("thread.tcache.ncached_max.read_sizeclass",
        &blocks, &bytes, &size, sizeof size), 0);
    return blocks;
}

static void ranges_say_how_many_blocks_stay_in_hand(void **state)
{
    (void)state;
    const char *ranges = "500-600:3|1000-1000:0";
    assert_int_equal(TELL("thread.tcache.ncached_max.write", &ranges), 0);
    request_give(take(512, REQUEST_AUTO), REQUEST_AUTO);
    assert_true(blocks_max(512) <= 3);
    assert_int_equal(blocks_max(1000), 0);
    ranges = "500-1000:1000";
    assert_int_equal(TELL("thread.tcache.ncached_max.write", &ranges), 0);
    const size_t none = CLASS_BYTES_MAX + 1;
    size_t blocks;
    size_t bytes = sizeof blocks;
    assert_int_equal(ctl_by_name("thread.tcache.ncached_max.read_sizeclass",
        &blocks, &bytes, &none, sizeof none), EINVAL);
}

static void ranges_of_blocks_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = { "8-128:1", "1-2:3|4-5:6",
        "0-0:0" };
    static const char *const bad[] = { "", "8", "8-128", "8-128:", "8:1",
        "8-128:1|", "-:", "8-128:1|x", " 8-128:1", "8-128:1,1-2:3" };
    char longest[1100];
    memset(longest, '1', sizeof longest);
    memcpy(longest + sizeof longest - 5, "-2:3", 5);
    const char *text = longest;
    const char *leaf = "thread.tcache.ncached_max.write";
    assert_int_equal(TELL(leaf, &text), EINVAL);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(TELL(leaf, &good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(TELL(leaf, &bad[i]), EINVAL);
    text = NULL;
    assert_int_equal(TELL(leaf, &text), EINVAL);
}

/* -- the calling thread -- */

static void what_a_thread_takes_is_counted_at_once(void **state)
{
    (void)state;
    uint64_t *allocated;
    uint64_t *freed;
    assert_int_equal(ASK("thread.allocatedp", &allocated), 0);
    assert_int_equal(ASK("thread.deallocatedp", &freed), 0);
    const uint64_t before = *allocated;
    const uint64_t given = *freed;
    void *pointer = take(1, REQUEST_AUTO);
    assert_true(*allocated > before);
    assert_int_equal(ask_u64("thread.allocated"), *allocated);
    request_give(pointer, REQUEST_AUTO);
    assert_true(*freed > given);
    assert_int_equal(ask_u64("thread.deallocated"), *freed);
    assert_int_equal(*freed - given, *allocated - before);
}

static void a_peak_is_kept_until_the_reset(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20 };
    assert_int_equal(DO("thread.peak.reset"), 0);
    request_give(take(BYTES, REQUEST_AUTO), REQUEST_AUTO);
    assert_true(ask_u64("thread.peak.read") >= BYTES);
    assert_int_equal(DO("thread.peak.reset"), 0);
    assert_true(ask_u64("thread.peak.read") < BYTES);
    assert_int_equal(DO("thread.idle"), 0);
}

/* -- how full slabs are -- */

/* Whole pages, but in a build for Valkey, which divides by the blocks. */
static size_t bytes_told(unsigned cls)
{
    return ASHLAR_QUANTUM == 8 ? (size_t)class_blocks[cls] * class_bytes[cls]
        : class_slices[cls] * SLICE_BYTES;
}

static void a_slab_tells_how_full_it_is(void **state)
{
    (void)state;
    enum { BLOCKS = 50, SIZE = 320 };
    const unsigned index = create();
    void *pointer[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        pointer[i] = take(SIZE, (int)index);
    struct leaf_utilization all;
    size_t bytes = sizeof all;
    assert_int_equal(ctl_by_name("experimental.utilization.query", &all,
        &bytes, &pointer[0], sizeof pointer[0]), 0);
    const unsigned cls = class_of(SIZE);
    assert_int_equal(all.nregs, class_blocks[cls]);
    assert_int_equal(all.size, bytes_told(cls));
    assert_true(all.nfree <= all.nregs - BLOCKS);
    /* The arena has one slab of the class, of which some are in hand. */
    assert_int_equal(all.bin_nregs, all.nregs);
    assert_true(all.nfree <= all.bin_nfree);
    assert_true(all.bin_nfree <= all.nregs - BLOCKS);
    assert_true(all.nfree + 2 * BLOCKS > all.nregs);
    assert_non_null(all.slabcur_addr);
    destroy(index);
}

static void many_pointers_are_asked_about_at_once(void **state)
{
    (void)state;
    enum { COUNT = 5, LARGE = 300000 };
    const unsigned index = create();
    static char own[16];
    void *pointers[COUNT] = {
        take(100, (int)index), NULL, take(LARGE, (int)index), own, (void *)-1,
    };
    size_t figures[3 * COUNT];
    size_t bytes = sizeof figures;
    const char *leaf = "experimental.utilization.batch_query";
    assert_int_equal(ctl_by_name(leaf, figures, &bytes,
        pointers, sizeof pointers), 0);
    assert_int_equal(figures[1], class_blocks[class_of(100)]);
    assert_int_equal(figures[2], bytes_told(class_of(100)));
    assert_true(figures[0] < figures[1]);
    assert_int_equal(figures[6], 0);
    assert_int_equal(figures[7], 1);
    assert_true(figures[8] >= LARGE);
    for (int i = 1; i < COUNT; i += 2) {
        for (int j = 0; j < 3; j++)
            assert_int_equal(figures[3 * i + j], 0);
    }
    memset(figures, 0xa5, sizeof figures);
    size_t wrong = bytes - 1;
    assert_int_equal(ctl_by_name(leaf, figures, &wrong,
        pointers, sizeof pointers), EINVAL);
    assert_int_equal(ctl_by_name(leaf, figures, &bytes,
        pointers, sizeof pointers - 1), EINVAL);
    assert_int_equal(figures[0], (size_t)0xa5a5a5a5a5a5a5a5u);
    destroy(index);
}

static void a_batch_is_many_objects(void **state)
{
    (void)state;
    enum { COUNT = 1000, SIZE = 200 };
    const unsigned index = create();
    static void *pointers[COUNT];
    for (int i = 0; i < COUNT; i++)
        pointers[i] = memset(take(SIZE, (int)index), 1, SIZE);
    for (int i = 0; i < COUNT; i++)
        request_give(pointers[i], REQUEST_NO_CACHE);
    /* Zeroed, aligned to 64, of the arena, from no cache. */
    const struct leaf_batch batch = {
        pointers, COUNT, SIZE,
        (int)(6u | 0x40u | 0x100u | (index + 1) << 20),
    };
    size_t filled = 0;
    size_t bytes = sizeof filled;
    assert_int_equal(ctl_by_name("experimental.batch_alloc", &filled, &bytes,
        &batch, sizeof batch), 0);
    assert_int_equal(filled, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal((uintptr_t)pointers[i] % 64, 0);
        assert_int_equal(*(char *)pointers[i], 0);
        assert_ptr_equal(arenas_of(pointers[i]), arenas_at(index));
    }
    bytes = 1;
    assert_int_equal(ctl_by_name("experimental.batch_alloc", &filled, &bytes,
        &batch, sizeof batch), EINVAL);
    destroy(index);
}

static void pages_in_use_are_counted_where_the_pointer_says(void **state)
{
    (void)state;
    enum { BYTES = 1000000 };
    const unsigned index = create();
    const size_t *pages;
    assert_int_equal(
        ASK(ask_name("experimental.arenas.", index, ".pactivep"), &pages), 0);
    const size_t before = *pages;
    take(BYTES, (int)index);
    assert_true(*pages >= before + BYTES / sys_page_bytes());
    destroy(index);
}

/* -- callbacks -- */

static unsigned events;

static void event(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
    (void)allocated;
    (void)deallocated;
    events += is_alloc;
}

static void a_callback_hears_of_so_many_bytes(void **state)
{
    (void)state;
    const struct leaf_event mine = { event, 100000, true };
    const struct leaf_event wrong = { NULL, 0, false };
    const char *leaf = "experimental.hooks.thread_event";
    assert_int_equal(TELL(leaf, &wrong), EINVAL);
    assert_int_equal(TELL(leaf, &mine), 0);
    for (int i = 0; i < 100; i++)
        request_give(take(50000, REQUEST_AUTO), REQUEST_AUTO);
    assert_true(events >= 40 && events <= 60);
}

static unsigned heard[3];

static void hear_taken(void *extra, int kind, void *result,
    uintptr_t result_raw, uintptr_t *arguments)
{
    assert_int_equal(kind, 0);
    assert_int_equal(result_raw, (uintptr_t)result);
    assert_true(arguments[0] > 0);
    request_give(take(50, REQUEST_AUTO), REQUEST_AUTO);
    ((unsigned *)extra)[0]++;
}

static void hear_given(void *extra, int kind, void *address,
    uintptr_t *arguments)
{
    assert_int_equal(kind, 0);
    assert_int_equal(arguments[0], (uintptr_t)address);
    ((unsigned *)extra)[1]++;
}

static void a_watch_hears_of_each_call_until_it_is_removed(void **state)
{
    (void)state;
    enum { CALLS = 10, WATCHES = 4 };
    const struct watch watch = { hear_taken, hear_given, NULL, heard };
    void *handle[WATCHES + 1];
    size_t bytes = sizeof *handle;
    for (int i = 0; i <= WATCHES; i++)
        assert_int_equal(ctl_by_name("experimental.hooks.install", &handle[i],
            &bytes, &watch, sizeof watch), i < WATCHES ? 0 : EAGAIN);
    for (int i = 0; i < CALLS; i++)
        request_give(take(i % 2 == 0 ? 40 : 200000, REQUEST_AUTO),
            REQUEST_AUTO);
    assert_int_equal(heard[0], WATCHES * CALLS);
    assert_int_equal(heard[1], WATCHES * CALLS);
    for (int i = 0; i < WATCHES; i++) {
        assert_int_equal(TELL("experimental.hooks.remove", &handle[i]), 0);
        assert_int_equal(TELL("experimental.hooks.remove", &handle[i]), EINVAL);
    }
    request_give(take(100, REQUEST_AUTO), REQUEST_AUTO);
    assert_int_equal(heard[0], WATCHES * CALLS);
    assert_int_equal(DO("experimental.hooks.install"), EINVAL);
}

static char said[TEXT_BYTES];

static void stop(const char *line)
{
    (void)snprintf(said, sizeof said, "%s", line);
}

static void a_misuse_is_told_instead_of_ending_all(void **state)
{
    (void)state;
    void (*hook)(const char *) = stop;
    const char *leaf = "experimental.hooks.safety_check_abort";
    assert_int_equal(TELL(leaf, &hook), 0);
    misuse((struct misuse_report){ .call = "free", .where = "" });
    assert_non_null(strstr(said, "free("));
    hook = NULL;
    assert_int_equal(TELL(leaf, &hook), 0);
}

/* -- threads in the background -- */

static void background_threads_have_a_limit(void **state)
{
    (void)state;
    const size_t most = ask_u64("opt.max_background_threads");
    const char *leaf = "max_background_threads";
    const size_t was = ask_u64(leaf);
    const size_t bad[] = { 0, most + 1 };
    for (int i = 0; i < 2; i++)
        assert_int_equal(TELL(leaf, &bad[i]), EINVAL);
    const size_t one = 1;
    assert_int_equal(TELL(leaf, &one), 0);
    assert_int_equal(ask_u64(leaf), 1);
    assert_int_equal(TELL(leaf, &was), 0);
}

static void a_background_thread_comes_and_goes(void **state)
{
    (void)state;
    bool on = true;
    bool was = true;
    size_t bytes = sizeof was;
    assert_int_equal(ctl_by_name("background_thread", &was, &bytes,
        &on, sizeof on), 0);
    assert_false(was);
    assert_int_equal(ASK("background_thread", &was), 0);
    assert_true(was);
    ask_epoch();
    /* One for each arena, of which other tests made some. */
    assert_in_range(ask_u64("stats.background_thread.num_threads"), 1,
        ask_u64("max_background_threads"));
    on = false;
    assert_int_equal(TELL("background_thread", &on), 0);
    ask_epoch();
    assert_int_equal(ask_u64("stats.background_thread.num_threads"), 0);
}

/* -- locks -- */

static void locks_count_and_forget(void **state)
{
    (void)state;
    request_give(take(10000000, REQUEST_AUTO), REQUEST_AUTO);
    ask_epoch();
    ask_epoch();
    assert_true(ask_u64("stats.mutexes.ctl.num_ops") >= 2);
    assert_true(
        ask_u64("stats.arenas.0.mutexes.extents_dirty.num_ops") > 0);
    assert_int_equal(DO("stats.mutexes.reset"), 0);
    assert_true(ask_u64("stats.mutexes.ctl.num_ops") <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_built_in_is_told),
        cmocka_unit_test(every_option_is_a_leaf_with_its_value),
        cmocka_unit_test(sizes_rise_without_a_gap),
        cmocka_unit_test(a_cache_comes_and_goes),
        cmocka_unit_test(a_thread_keeps_blocks_in_hand_or_not),
        cmocka_unit_test(the_largest_block_in_hand_is_a_class),
        cmocka_unit_test(ranges_say_how_many_blocks_stay_in_hand),
        cmocka_unit_test(ranges_of_blocks_are_checked),
        cmocka_unit_test(what_a_thread_takes_is_counted_at_once),
        cmocka_unit_test(a_peak_is_kept_until_the_reset),
        cmocka_unit_test(a_slab_tells_how_full_it_is),
        cmocka_unit_test(many_pointers_are_asked_about_at_once),
        cmocka_unit_test(a_batch_is_many_objects),
        cmocka_unit_test(pages_in_use_are_counted_where_the_pointer_says),
        cmocka_unit_test(a_callback_hears_of_so_many_bytes),
        cmocka_unit_test(a_watch_hears_of_each_call_until_it_is_removed),
        cmocka_unit_test(a_misuse_is_told_instead_of_ending_all),
        cmocka_unit_test(background_threads_have_a_limit),
        cmocka_unit_test(a_background_thread_comes_and_goes),
        cmocka_unit_test(locks_count_and_forget),
    };
    return cmocka_run_group_tests_name("leaf", tests, NULL, NULL);
}
