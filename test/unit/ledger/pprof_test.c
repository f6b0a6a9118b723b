/* SPDX-License-Identifier: MIT */
/*
 * Goal: a profile for pprof says of every row its stack, its estimates and its
 * labels, names the files of its addresses with their build ids, and fails
 * without memory, keeping none. Method: made-up snapshots; the file is read
 * back by a reader of its own.
 */
#include "unit/ledger/unpack.h"

#include <math.h>

#include "ashlar/ashlar.h"
#include "ledger/module.h"
#include "ledger/pprof.h"
#include "ledger/stack.h"

enum { PART_MAX = 50000, VALUE_MAX = 2000 };

/* A field of a message: a number, or bytes. */
struct part {
    unsigned field;
    uint64_t number;
    const uint8_t *bytes;
    size_t length;
};

/* A message taken apart. */
struct parts {
    struct part part[PART_MAX];
    size_t count;
};

static char path[] = "/tmp/ashlar-pprof-XXXXXX";
static struct out out;
static struct unpacked file;
static struct parts profile;    /* of the file that was written last */
static struct parts parts;

static int begin_group(void **state)
{
    (void)state;
    const int made = mkstemp(path);
    return made < 0 || close(made) != 0;
}

static int end_group(void **state)
{
    (void)state;
    free(file.bytes);
    return unlink(path);
}

/* -- the reader -- */

static uint64_t read_number(const uint8_t **at, const uint8_t *end)
{
    uint64_t number = 0;
    unsigned shift = 0;
    do {
        assert_true(*at < end && shift < 64);
        number |= (uint64_t)(**at & 0x7f) << shift;
        shift += 7;
    } while (*(*at)++ & 0x80);
    return number;
}

static void read_parts(struct parts *to, const uint8_t *bytes, size_t length)
{
    const uint8_t *const end = bytes + length;
    to->count = 0;
    while (bytes < end) {
        const uint64_t key = read_number(&bytes, end);
        assert_true(to->count < PART_MAX);
        struct part *const part = &to->part[to->count++];
        *part = (struct part){ .field = (unsigned)(key >> 3) };
        assert_true((key & 7) == 0 || (key & 7) == 2);
        part->number = read_number(&bytes, end);
        if ((key & 7) == 2) {
            part->length = part->number;
            part->bytes = bytes;
            assert_true(part->length <= (size_t)(end - bytes));
            bytes += part->length;
        }
    }
}

/* The n-th part of this kind, from 0; NULL: there are not so many. */
static const struct part *part_at(const struct parts *from, unsigned field,
    size_t n)
{
    for (size_t i = 0; i < from->count; i++) {
        if (from->part[i].field == field && n-- == 0)
            return &from->part[i];
    }
    return NULL;
}

static uint64_t number_in(const struct parts *from, unsigned field)
{
    const struct part *const part = part_at(from, field, 0);
    return part == NULL ? 0 : part->number;
}

static bool is_text(uint64_t number, const char *wanted)
{
    const struct part *const part = part_at(&profile, 6, number);
    return part != NULL && part->length == strlen(wanted)
        && memcmp(part->bytes, wanted, part->length) == 0;
}

/* The n-th part of the profile is a message: take it apart. */
static bool open_part(unsigned field, size_t n)
{
    const struct part *const part = part_at(&profile, field, n);
    if (part != NULL)
        read_parts(&parts, part->bytes, part->length);
    return part != NULL;
}

static size_t numbers_of(unsigned field, uint64_t *numbers)
{
    const struct part *const part = part_at(&parts, field, 0);
    size_t count = 0;
    if (part == NULL)
        return 0;
    for (const uint8_t *at = part->bytes; at < part->bytes + part->length;) {
        assert_true(count < VALUE_MAX);
        numbers[count++] = read_number(&at, part->bytes + part->length);
    }
    return count;
}

static void write_snapshot(const struct snapshot *snapshot)
{
    assert_true(out_open(&out, path));
    assert_true(pprof_write(&out, snapshot));
    assert_true(out_close(&out));
    free(file.bytes);
    file = unpack_file(path);
    read_parts(&profile, file.bytes, file.length);
}

/* -- made-up snapshots -- */

static struct trace *trace_of(void *const *pc, uint32_t count)
{
    struct trace *const trace =
        calloc(1, sizeof *trace + count * sizeof *trace->pc);
    trace->count = count;
    memcpy(trace->pc, pc, count * sizeof *pc);
    return trace;
}

static struct snapshot one_row(struct snapshot_row *row)
{
    return (struct snapshot){ .row = row, .count = 1, .rate_log2 = 19 };
}

/* The address of the n-th sample's location, from the innermost. */
static uint64_t address_at(size_t sample, size_t n, uint64_t *mapping)
{
    static uint64_t numbers[VALUE_MAX];
    assert_true(open_part(2, sample));
    assert_true(n < numbers_of(1, numbers));
    for (size_t i = 0; open_part(4, i); i++) {
        if (number_in(&parts, 1) == numbers[n]) {
            *mapping = number_in(&parts, 2);
            return number_in(&parts, 3);
        }
    }
    fail_msg("sample %zu has no location %zu", sample, n);
    return 0;
}

static void expect_values(size_t sample, const uint64_t *wanted, size_t count)
{
    static uint64_t values[VALUE_MAX];
    assert_true(open_part(2, sample));
    assert_int_equal(numbers_of(2, values), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(values[i], wanted[i]);
}

/* -- tests -- */

static void says_what_it_counts(void **state)
{
    (void)state;
    static const char *const types[] = {
        "alloc_objects", "count", "alloc_space", "bytes",
        "inuse_objects", "count", "inuse_space", "bytes" };
    struct snapshot snapshot = { .rate_log2 = 17 };
    for (int ever = 0; ever < 2; ever++) {
        snapshot.has_ever = ever == 1;
        write_snapshot(&snapshot);
        const size_t first = ever == 1 ? 0 : 4;
        for (size_t i = first; i < UNIT_COUNT(types); i += 2) {
            assert_true(open_part(1, (i - first) / 2));
            assert_true(is_text(number_in(&parts, 1), types[i]));
            assert_true(is_text(number_in(&parts, 2), types[i + 1]));
        }
        assert_false(open_part(1, (UNIT_COUNT(types) - first) / 2));
    }
    assert_false(open_part(2, 0));
    assert_true(open_part(11, 0));
    assert_true(is_text(number_in(&parts, 1), "space"));
    assert_true(is_text(number_in(&parts, 2), "bytes"));
    assert_int_equal(number_in(&profile, 12), 1 << 17);
    assert_true(is_text(number_in(&profile, 14), "inuse_space"));
    assert_true(is_text(0, ""));
    const uint64_t now = (uint64_t)time(NULL) * 1000000000;
    const uint64_t then = number_in(&profile, 9);
    assert_true(then <= now + 2000000000 && now <= then + 10000000000);
}

static void values_are_estimates(void **state)
{
    (void)state;
    struct snapshot_row row = { .objects = 3, .objects_ever = 10 };
    void *pc[] = { (void *)1000 };
    row.trace = trace_of(pc, 1);
    for (unsigned rate = 0; rate < 40; rate += 13) {
        for (row.usable = 16; row.usable < GiB; row.usable *= 5) {
            struct snapshot snapshot = one_row(&row);
            snapshot.rate_log2 = rate;
            const double weight =
                -1 / expm1(-(double)row.usable / (double)(1ull << rate));
            const double bytes = weight * (double)row.usable;
            const uint64_t wanted[] = {
                (uint64_t)(10 * weight + 0.5), (uint64_t)(10 * bytes + 0.5),
                (uint64_t)(3 * weight + 0.5), (uint64_t)(3 * bytes + 0.5) };
            write_snapshot(&snapshot);
            expect_values(0, wanted + 2, 2);
            snapshot.has_ever = true;
            write_snapshot(&snapshot);
            expect_values(0, wanted, 4);
        }
    }
    free(row.trace);
}

static void what_is_more_than_the_format_has_is_the_most(void **state)
{
    (void)state;
    struct snapshot_row row = { .objects = UINT64_MAX, .usable = SIZE_MAX };
    row.trace = trace_of(NULL, 0);
    const struct snapshot snapshot = one_row(&row);
    static const uint64_t wanted[] = { INT64_MAX, INT64_MAX };
    write_snapshot(&snapshot);
    expect_values(0, wanted, 2);
    free(row.trace);
}

static void rows_without_objects_are_left_out(void **state)
{
    (void)state;
    struct snapshot_row rows[] = {
        { .objects_ever = 5, .usable = 1 }, { .usable = 2 },
        { .objects = 1, .objects_ever = 1, .usable = 1 << 30 } };
    struct snapshot snapshot = { .row = rows, .count = 3, .rate_log2 = 0 };
    struct trace *const trace = trace_of(NULL, 0);
    for (size_t i = 0; i < 3; i++)
        rows[i].trace = trace;
    static const uint64_t live[] = { 1, 1 << 30 };
    write_snapshot(&snapshot);
    expect_values(0, live, 2);
    assert_null(part_at(&profile, 2, 1));
    snapshot.has_ever = true;
    write_snapshot(&snapshot);
    assert_non_null(part_at(&profile, 2, 1));
    assert_null(part_at(&profile, 2, 2));
    free(trace);
}

/* Of the sample's labels, the one with this name. */
static bool open_label(size_t sample, const char *name)
{
    static struct parts label;
    assert_true(open_part(2, sample));
    for (size_t i = 0; part_at(&parts, 3, i) != NULL; i++) {
        const struct part *const part = part_at(&parts, 3, i);
        read_parts(&label, part->bytes, part->length);
        if (is_text(number_in(&label, 1), name)) {
            parts = label;
            return true;
        }
    }
    return false;
}

static const char *arena_name(unsigned arena)
{
    return arena == 1 ? "shop" : arena == 2 ? "" : NULL;
}

/* More threads than names are kept in mind. */
static void labels_say_whose_objects_they_are(void **state)
{
    (void)state;
    enum { ROWS = 2000 };
    static struct snapshot_row rows[ROWS];
    struct trace *const trace = trace_of(NULL, 0);
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = (struct snapshot_row){ .trace = trace, .thread = i + 1,
            .arena = (unsigned)(i % 3), .usable = 16 * (i + 1), .objects = 1 };
        if (i % 4 != 0)
            (void)snprintf(rows[i].name, sizeof rows[i].name, "name %zu",
                i % 700);
    }
    const struct snapshot snapshot = {
        .row = rows, .count = ROWS, .rate_log2 = 12 };
    pprof_set_arena_names(arena_name);
    write_snapshot(&snapshot);
    pprof_set_arena_names(NULL);
    for (size_t i = 0; i < ROWS; i += 7) {
        assert_int_equal(open_label(i, "thread"), i % 4 != 0);
        if (i % 4 != 0)
            assert_true(is_text(number_in(&parts, 2), rows[i].name));
        assert_true(open_label(i, "thread_uid"));
        assert_int_equal(number_in(&parts, 3), i + 1);
        assert_true(open_label(i, "arena"));
        assert_true(is_text(number_in(&parts, 2),
            i % 3 == 0 ? "0" : i % 3 == 1 ? "shop" : "2"));
        assert_true(open_label(i, "bytes"));
        assert_int_equal(number_in(&parts, 3), 16 * (i + 1));
        assert_true(is_text(number_in(&parts, 4), "bytes"));
    }
    free(trace);
}

static void locations_are_the_calls(void **state)
{
    (void)state;
    enum { DEEP = STACK_DEPTH_MAX };
    static void *pc[DEEP];
    uint64_t mapping;
    for (size_t i = 0; i < DEEP; i++)
        pc[i] = (void *)(i % 300 * 12345 + 7);
    struct snapshot_row rows[] = {
        { .usable = 16, .objects = 1, .trace = trace_of(pc, DEEP) },
        { .usable = 16, .objects = 1, .trace = trace_of(pc + 5, 20) } };
    const struct snapshot snapshot = {
        .row = rows, .count = 2, .rate_log2 = 12 };
    write_snapshot(&snapshot);
    for (size_t i = 0; i < DEEP; i += 31) {
        assert_int_equal(address_at(0, i, &mapping), (uintptr_t)pc[i] - 1);
        assert_int_equal(mapping, 0);
    }
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(address_at(1, i, &mapping), (uintptr_t)pc[i + 5] - 1);
    assert_non_null(part_at(&profile, 4, 299));
    assert_null(part_at(&profile, 4, 300));
    free(rows[0].trace);
    free(rows[1].trace);
}

static void many_locations_come_back(void **state)
{
    (void)state;
    enum { ROWS = 60, DEPTH = 200 };
    static struct snapshot_row rows[ROWS];
    void *pc[DEPTH];
    uint64_t mapping;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < DEPTH; j++)
            pc[j] = (void *)(4096 * (i * DEPTH + j + 1));
        rows[i] = (struct snapshot_row){
            .usable = 16, .objects = 1, .trace = trace_of(pc, DEPTH) };
    }
    const struct snapshot snapshot = {
        .row = rows, .count = ROWS, .rate_log2 = 12 };
    write_snapshot(&snapshot);
    for (size_t i = 0; i < ROWS; i += 7)
        assert_int_equal(address_at(i, i, &mapping),
            (uintptr_t)rows[i].trace->pc[i] - 1);
    for (size_t i = 0; i < ROWS; i++)
        free(rows[i].trace);
}

/* An address in the test itself, and one of libc. */
static void mappings_name_files(void **state)
{
    (void)state;
    void *pc[] = { (void *)(uintptr_t)mappings_name_files,
        (void *)(uintptr_t)calloc, NULL };
    struct snapshot_row row = {
        .usable = 16, .objects = 1, .trace = trace_of(pc, 3) };
    const struct snapshot snapshot = one_row(&row);
    char program[4096];
    uint64_t mapping;
    assert_true(sys_read_link("/proc/self/exe", program, sizeof program));
    write_snapshot(&snapshot);
    const uint64_t address = address_at(0, 0, &mapping);
    assert_int_equal(address, (uintptr_t)pc[0] - 1);
    assert_true(open_part(3, 0));       /* the program's is the first */
    assert_int_equal(number_in(&parts, 1), mapping);
    assert_true(is_text(number_in(&parts, 5), program));
    assert_in_range(address, number_in(&parts, 2), number_in(&parts, 3) - 1);
    assert_int_equal(number_in(&parts, 4) % 4096, 0);
    (void)address_at(0, 1, &mapping);
    assert_int_not_equal(mapping, 0);
    assert_int_equal(address_at(0, 2, &mapping), 0);
    assert_int_equal(mapping, 0);
    free(row.trace);
}

/* What the file on the disk says, by another reader. */
static void build_ids_are_those_of_the_files(void **state)
{
    (void)state;
    struct module_list list;
    assert_true(module_list_take(&list));
    const struct module *const own = module_at(&list,
        (uintptr_t)build_ids_are_those_of_the_files);
    assert_non_null(own);
    char hex[2 * MODULE_BUILD_ID_BYTES + 1] = "";
    char command[5000];
    char said[256] = "";
    const bool has_one = module_build_id(own, hex);
    (void)snprintf(command, sizeof command,
        "readelf -n '%s' 2>/dev/null | sed -n 's/.*Build ID: //p'",
        own->name);
    FILE *const reader = popen(command, "r");
    assert_non_null(reader);
    if (fgets(said, sizeof said, reader) != NULL)
        said[strcspn(said, "\n")] = 0;
    (void)pclose(reader);
    assert_int_equal(has_one, said[0] != 0);
    assert_string_equal(hex, said);
    module_list_drop(&list);
}

static void modules_are_found_by_address(void **state)
{
    (void)state;
    struct module_list list;
    assert_true(module_list_take(&list));
    assert_true(list.count > 1);
    for (size_t i = 0; i < list.count; i++) {
        const struct module *const module = &list.module[i];
        assert_true(module->start < module->end);
        assert_ptr_equal(module_at(&list, module->start), module);
        assert_ptr_equal(module_at(&list, module->end - 1), module);
        assert_ptr_not_equal(module_at(&list, module->end), module);
        assert_ptr_not_equal(module_at(&list, module->start - 1), module);
    }
    assert_null(module_at(&list, 0));
    module_list_drop(&list);
    module_list_drop(&list);
}

static void fails_without_memory_and_keeps_none(void **state)
{
    (void)state;
    enum { DEPTH = 900, ROWS = 40 };
    static struct snapshot_row rows[ROWS];
    static void *pc[DEPTH];
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < DEPTH; j++)
            pc[j] = (void *)(64 * (i * DEPTH + j + 1));
        rows[i] = (struct snapshot_row){
            .usable = 16, .objects = 1, .trace = trace_of(pc, DEPTH) };
    }
    const struct snapshot snapshot = {
        .row = rows, .count = ROWS, .rate_log2 = 12 };
    unit_count_calls(1 << SYS_MAP);
    write_snapshot(&snapshot);
    const uint64_t calls = unit_fail_none();
    const size_t before = unit_address_bytes();
    assert_true(calls > 4);
    unsigned failed = 0;
    for (uint64_t call = 1; call <= calls; call++) {
        assert_true(out_open(&out, path));
        unit_fail(1 << SYS_MAP, call, call);
        failed += !pprof_write(&out, &snapshot);
        (void)unit_fail_none();
        assert_true(out_close(&out));
    }
    /* Without the list of files the rest is written all the same. */
    assert_int_equal(failed, calls - 2);
    assert_int_equal(unit_address_bytes(), before);
    for (size_t i = 0; i < ROWS; i++)
        free(rows[i].trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_counts),
        cmocka_unit_test(values_are_estimates),
        cmocka_unit_test(what_is_more_than_the_format_has_is_the_most),
        cmocka_unit_test(rows_without_objects_are_left_out),
        cmocka_unit_test(labels_say_whose_objects_they_are),
        cmocka_unit_test(locations_are_the_calls),
        cmocka_unit_test(many_locations_come_back),
        cmocka_unit_test(mappings_name_files),
        cmocka_unit_test(build_ids_are_those_of_the_files),
        cmocka_unit_test(modules_are_found_by_address),
        cmocka_unit_test_teardown(fails_without_memory_and_keeps_none,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
