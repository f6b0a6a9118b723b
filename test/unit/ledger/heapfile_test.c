/* SPDX-License-Identifier: MIT */
/*
 * Goal: a heap_v2 text as jeprof reads it, from which its formula yields the
 * sums that the samples stand for. Method: snapshots made by hand; the text
 * byte by byte, and read back with jeprof's arithmetic.
 */
#include "unit/sys/unit.h"

#include <inttypes.h>
#include <unistd.h>

#include "ledger/heapfile.h"
#include "table/option.h"

enum { STACKS = 400, ROWS_MAX = 3 * STACKS, TEXT_MAX = 4 * 1024 * 1024 };

static struct snapshot_row row[ROWS_MAX];
static struct trace *trace[STACKS];
static struct snapshot snapshot;
static struct out out;
static char text[TEXT_MAX];
static size_t length;

static void collect(void *to, const char *piece)
{
    (void)to;
    const size_t more = strlen(piece);
    assert_true(length + more < TEXT_MAX);
    memcpy(text + length, piece, more + 1);
    length += more;
}

static void write_text(void)
{
    length = 0;
    out_open_to(&out, collect, NULL);
    heapfile_write(&out, &snapshot);
    assert_true(out_close(&out));
}

static int begin(void **state)
{
    (void)state;
    option_now.prof_unbias = true;
    snapshot = (struct snapshot){ .row = row, .rate_log2 = 19 };
    memset(row, 0, sizeof row);
    for (uintptr_t i = 0; i < STACKS; i++) {
        void *pc[] = { (void *)(0x1001 + i), (void *)0x2000,
            (void *)0xfffffffff000 };
        trace[i] = trace_hold(pc, 1 + (unsigned)i % 3);
        assert_non_null(trace[i]);
    }
    return 0;
}

static int end(void **state)
{
    for (size_t i = 0; i < STACKS; i++)
        trace_drop(trace[i]);
    return unit_teardown(state);
}

static struct snapshot_row *add(size_t stack, uint64_t thread, size_t usable,
    uint64_t objects)
{
    struct snapshot_row *added = &row[snapshot.count++];
    *added = (struct snapshot_row){ .trace = trace[stack],
        .thread = thread, .usable = usable, .objects = objects };
    return added;
}

/* -- the text -- */

static void begins_with(const char *wanted)
{
    if (strncmp(text, wanted, strlen(wanted)) != 0)
        print_error("%.500s\n", text);
    assert_int_equal(strncmp(text, wanted, strlen(wanted)), 0);
}

static void is_written_to_the_letter(void **state)
{
    (void)state;
    option_now.prof_unbias = false;
    strcpy(add(0, 7, 100, 2)->name, "a name");
    add(0, 9, 50, 1);
    add(0, 9, 10, 3);
    strcpy(add(2, 7, 1000, 1)->name, "a name");
    write_text();
    begins_with("heap_v2/524288\n"
        "  t*: 7: 1280 [0: 0]\n"
        "  t7: 3: 1200 [0: 0] a name\n"
        "  t9: 4: 80 [0: 0]\n"
        "@ 0x1000\n"
        "  t*: 6: 280 [0: 0]\n"
        "  t7: 2: 200 [0: 0]\n"
        "  t9: 4: 80 [0: 0]\n"
        "@ 0x1002 0x2000 0xfffffffff000\n"
        "  t*: 1: 1000 [0: 0]\n"
        "  t7: 1: 1000 [0: 0]\n"
        "\nMAPPED_LIBRARIES:\n");
}

static void shows_what_was_freed_where_that_is_counted(void **state)
{
    (void)state;
    option_now.prof_unbias = false;
    snapshot.has_ever = true;
    snapshot.rate_log2 = 0;
    add(0, 1, 8, 2)->objects_ever = 5;
    add(1, 1, 8, 0)->objects_ever = 1;
    write_text();
    begins_with("heap_v2/1\n"
        "  t*: 2: 16 [6: 48]\n"
        "  t1: 2: 16 [6: 48]\n"
        "@ 0x1000\n"
        "  t*: 2: 16 [5: 40]\n"
        "  t1: 2: 16 [5: 40]\n"
        "@ 0x1001 0x2000\n"
        "  t*: 0: 0 [1: 8]\n"
        "  t1: 0: 0 [1: 8]\n"
        "\nMAPPED_LIBRARIES:\n");
}

static void is_short_without_samples(void **state)
{
    (void)state;
    add(0, 1, 8, 0);
    write_text();
    begins_with("heap_v2/524288\n  t*: 0: 0 [0: 0]\n");
    assert_null(strchr(text, '@'));
    snapshot.count = 0;
    write_text();
    begins_with("heap_v2/524288\n  t*: 0: 0 [0: 0]\n\nMAPPED_LIBRARIES:\n");
}

/* Are this program's mappings there, line by line as the kernel has them? */
static void shows_the_mappings(void **state)
{
    (void)state;
    char line[1024];
    char own[1024] = { 0 };
    size_t found = 0;
    write_text();
    const char *mappings = strstr(text, "\nMAPPED_LIBRARIES:\n");
    assert_non_null(mappings);
    assert_true(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, own) == NULL)
            continue;
        found++;
        assert_non_null(strstr(mappings, line));
    }
    (void)fclose(maps);
    assert_true(found > 1);
    assert_int_equal(text[length - 1], '\n');
}

static void does_without_memory(void **state)
{
    (void)state;
    add(0, 1, 8, 1);
    unit_fail_all(1u << SYS_MAP);
    write_text();
    assert_int_equal(unit_fail_none(), 1);
    begins_with("heap_v2/524288\n  t*: 1: 8 [0: 0]\n@ 0x1000\n"
        "  t*: 1: 8 [0: 0]\n  t1: 1: 8 [0: 0]\n\nMAPPED_LIBRARIES:\n");
}

/* -- the numbers -- */

/* A pair as jeprof scales it. */
struct pair {
    double objects;
    double bytes;
};

static struct pair scaled(uint64_t objects, uint64_t bytes)
{
    if (objects == 0)
        return (struct pair){ 0, 0 };
    const double scale = snapshot_weight((double)bytes / (double)objects,
        snapshot.rate_log2);
    return (struct pair){ (double)objects * scale, (double)bytes * scale };
}

/* The sums of all stacks, as jeprof makes them; live, or ever. */
static struct pair read_back(bool ever)
{
    struct pair sum = { 0, 0 };
    for (char *at = strchr(text, '@'); at != NULL; at = strchr(at, '@')) {
        uint64_t number[4];
        at = strstr(at, "  t*: ");
        assert_int_equal(sscanf(at, "  t*: %" SCNu64 ": %" SCNu64 " [%" SCNu64
            ": %" SCNu64 "]", &number[0], &number[1], &number[2],
            &number[3]), 4);
        const struct pair one = scaled(number[2 * ever], number[2 * ever + 1]);
        sum.objects += one.objects;
        sum.bytes += one.bytes;
    }
    return sum;
}

/* What the samples stand for. */
static struct pair estimate(bool ever)
{
    struct pair sum = { 0, 0 };
    for (size_t i = 0; i < snapshot.count; i++) {
        const double objects =
            (double)(ever ? row[i].objects_ever : row[i].objects)
            * snapshot_weight((double)row[i].usable, snapshot.rate_log2);
        sum.objects += objects;
        sum.bytes += objects * (double)row[i].usable;
    }
    return sum;
}

/* Do they agree, but for that part? */
static void expect_near(double is, double wanted, double part)
{
    const double off = is > wanted ? is - wanted : wanted - is;
    if (off > part * wanted)
        print_error("%f is not %f\n", is, wanted);
    assert_true(off <= part * wanted);
}

static void is_exact_for_one_size_a_stack(void **state)
{
    (void)state;
    static const size_t usable[] = { 1, 16, 4096, 524288, 3000000,
        (size_t)1 << 40 };
    for (unsigned rate = 0; rate < 64; rate += 7) {
        snapshot.rate_log2 = rate;
        snapshot.count = 0;
        for (size_t i = 0; i < UNIT_COUNT(usable); i++)
            add(i, i % 2 + 1, usable[i], 1 + i * i * i);
        write_text();
        for (size_t i = 0; i < UNIT_COUNT(usable); i++) {
            char wanted[100];
            (void)snprintf(wanted, sizeof wanted, "\n  t*: %zu: %zu [0: 0]\n",
                1 + i * i * i, (1 + i * i * i) * usable[i]);
            assert_non_null(strstr(text, wanted));
        }
        expect_near(read_back(false).bytes, estimate(false).bytes, 1e-9);
        expect_near(read_back(false).objects, estimate(false).objects, 1e-9);
    }
}

static void is_right_for_many_sizes_a_stack(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252;
    snapshot.has_ever = true;
    for (size_t i = 0; i < ROWS_MAX; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        const uint64_t some = random >> 33;
        struct snapshot_row *added = add(i / 3, i % 3 + 1,
            (size_t)16 << some % 18, some / 18 % 4);
        added->objects_ever = added->objects + some / 100 % 9;
    }
    write_text();
    /* At most half a sample's bytes are owed at the end. */
    expect_near(read_back(false).bytes, estimate(false).bytes, 1e-3);
    expect_near(read_back(true).bytes, estimate(true).bytes, 1e-3);
    /* Objects are most where they are smallest; a whole number of samples may
     * be a third off. */
    expect_near(read_back(false).objects, estimate(false).objects, 0.1);
    expect_near(read_back(true).objects, estimate(true).objects, 0.1);
}

/* Half a sample too few for each stack would be a sixth of all bytes. */
static void does_not_round_all_to_one_side(void **state)
{
    (void)state;
    for (size_t i = 0; i < STACKS; i++) {
        add(i, 1, 16, 1);
        add(i, 1, 524288 * 14 / 10, 1);
    }
    write_text();
    expect_near(read_back(false).bytes, estimate(false).bytes, 2e-3);
}

/* Raw counts of mixed sizes would be wrong, so the test above can fail. */
static void would_be_wrong_otherwise(void **state)
{
    (void)state;
    option_now.prof_unbias = false;
    add(0, 1, 16, 50);
    add(0, 1, 2000000, 50);
    write_text();
    const double raw = read_back(false).bytes;
    option_now.prof_unbias = true;
    write_text();
    expect_near(read_back(false).bytes, estimate(false).bytes, 0.01);
    assert_true(raw > 1.05 * estimate(false).bytes
        || raw < 0.95 * estimate(false).bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_written_to_the_letter, begin, end),
        cmocka_unit_test_setup_teardown(
            shows_what_was_freed_where_that_is_counted, begin, end),
        cmocka_unit_test_setup_teardown(is_short_without_samples, begin, end),
        cmocka_unit_test_setup_teardown(shows_the_mappings, begin, end),
        cmocka_unit_test_setup_teardown(does_without_memory, begin, end),
        cmocka_unit_test_setup_teardown(is_exact_for_one_size_a_stack, begin,
            end),
        cmocka_unit_test_setup_teardown(is_right_for_many_sizes_a_stack,
            begin, end),
        cmocka_unit_test_setup_teardown(does_not_round_all_to_one_side, begin,
            end),
        cmocka_unit_test_setup_teardown(would_be_wrong_otherwise, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
