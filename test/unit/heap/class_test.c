/* SPDX-License-Identifier: MIT */
/*
 * Size classes: every answer of class_of() and class_of_aligned() against a
 * search in the rows of the table, and every column of the rows computed
 * again from the slab's and the block's size, here and by the tool that
 * printed them; and the multiplication that tells blocks from other addresses
 * against a division, for every offset that a slab has.
 */
#include "bench.h"

struct row {
    size_t bytes;
    size_t slices;
    size_t blocks;
    size_t segment;
    size_t tail;
    size_t inside;
};

static const struct row rows[] = {
#define CLASS(bytes, slices, blocks, segment, tail, inside) \
    { bytes, slices, blocks, segment, tail, inside },
#include "table/size_class.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static unsigned first_row_for(size_t size, size_t align)
{
    unsigned i = 0;
    while (rows[i].bytes < size || rows[i].bytes % align != 0)
        i++;
    return i;
}

static void every_size_gets_the_first_class_that_holds_it(void **state)
{
    (void)state;
    for (size_t size = 0; size <= CLASS_BYTES_MAX; size++)
        assert_int_equal(class_of(size), first_row_for(size, 1));
}

static void spaced_sizes_get_the_same_class_without_the_test(void **state)
{
    (void)state;
    for (size_t size = CLASS_LINEAR_BYTES + 1; size <= CLASS_BYTES_MAX;
         size++)
        assert_int_equal(class_of_spaced(size), class_of(size));
}

static void every_alignment_gets_the_first_class_that_is_aligned(void **state)
{
    (void)state;
    for (size_t align = 1; align <= CLASS_BYTES_MAX; align *= 2) {
        for (size_t size = 0; size <= CLASS_BYTES_MAX; size++) {
            const unsigned cls = class_of_aligned(size, align);
            if (cls != first_row_for(max_size(size, align), align))
                fail_msg("size %zu align %zu: class %u", size, align, cls);
        }
    }
}

static void the_arrays_are_the_rows(void **state)
{
    (void)state;
    assert_int_equal(CLASS_COUNT, ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        assert_int_equal(class_bytes[i], rows[i].bytes);
        assert_int_equal(class_slices[i], rows[i].slices);
        assert_int_equal(class_blocks[i], rows[i].blocks);
        assert_int_equal(class_segment[i], rows[i].segment);
    }
}

static void sizes_rise_by_the_quantum_and_then_four_to_a_doubling(void **state)
{
    (void)state;
    size_t bytes = ASHLAR_QUANTUM;
    for (unsigned i = 0; i < ROWS; i++) {
        assert_int_equal(rows[i].bytes, bytes);
        const size_t doubling = (size_t)1 << bits_log2(bytes);
        bytes += max_size(ASHLAR_QUANTUM, doubling / 4);
    }
    assert_int_equal(rows[ROWS - 1].bytes, CLASS_BYTES_MAX);
}

/* To the nearest whole number, as printf does it. */
static size_t whole(double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.0f", value);
    return (size_t)strtoul(text, NULL, 10);
}

/* -- one multiplication for two questions -- */

/* Is the answer for an offset right, whatever number of blocks is asked
 * about? */
static bool scales(unsigned cls, uint64_t offset)
{
    const uint64_t scaled = offset * class_factor[cls];
    const uint64_t bytes = class_bytes[cls];
    if (offset % bytes == 0 && offset / bytes < class_blocks[cls])
        return scaled == offset / bytes * class_step[cls];
    return scaled >= class_blocks[cls] * class_step[cls];
}

static void the_factor_tells_every_block_from_every_other_offset(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        /* Indices stay apart, and the highest does not wrap around. */
        assert_true(class_step[cls] > 0);
        assert_true(class_step[cls] <= UINT64_MAX / class_blocks[cls]);
        for (uint64_t offset = 0; offset <= SLAB_BYTES_MAX; offset++) {
            if (!scales(cls, offset))
                fail_msg("class %u: offset %zu", cls, (size_t)offset);
            /* Of a pointer below the slab. */
            if (offset > 0 && !scales(cls, -offset))
                fail_msg("class %u: offset -%zu", cls, (size_t)offset);
        }
    }
}

/* What was overwritten may be any address that a program can have. */
static void the_factor_refuses_addresses_anywhere(void **state)
{
    (void)state;
    const uint64_t addresses = (uint64_t)1 << 47;
    struct dice dice = { .state = 11 };
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (int i = 0; i < 200000; i++) {
            const uint64_t offset = SLAB_BYTES_MAX
                + (uint64_t)dice_below(&dice, (size_t)1 << 31)
                    * dice_below(&dice, 1 << 16) % addresses;
            if (!scales(cls, offset) || !scales(cls, -offset))
                fail_msg("class %u: offset 0x%llx", cls,
                    (unsigned long long)offset);
        }
    }
}

static void the_columns_follow_from_the_sizes(void **state)
{
    (void)state;
    size_t below = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        const size_t slab = row->slices * SLICE_BYTES;
        assert_int_equal(row->blocks, slab / row->bytes);
        const size_t hand_out = max_size(16, 4096 / row->bytes);
        assert_int_equal(row->segment,
            max_size(4, min_size(hand_out, row->blocks / 4)));
        assert_true(row->blocks / row->segment <= SLAB_SEGMENTS_MAX);
        assert_int_equal(row->tail, whole(1000.0
            * (double)(slab - row->blocks * row->bytes) / (double)slab));
        assert_int_equal(row->inside, whole(1000.0
            * (double)(row->bytes - below - 1) / 2 / (double)row->bytes));
        below = row->bytes;
    }
}

/* -- the tool -- */

/* The project's folder, from where this file is. */
static void project_path(char *path, size_t bytes, const char *below)
{
    const char *end = strstr(__FILE__, "test/unit/heap/class_test.c");
    assert_non_null(end);
    (void)snprintf(path, bytes, "%.*s%s", (int)(end - __FILE__), __FILE__,
        below);
}

/* The exit status of tools/size_class.py --check FILE. */
static int tool_check(const char *file)
{
    char tool[1024];
    char command[4096];
    project_path(tool, sizeof tool, "tools/size_class.py");
    (void)snprintf(command, sizeof command,
        "python3 '%s' --check '%s' > /dev/null", tool, file);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_tool_prints_the_same_rows(void **state)
{
    (void)state;
    char table[1024];
    project_path(table, sizeof table, "src/table/size_class.def");
    assert_int_equal(tool_check(table), 0);
}

static void the_tool_sees_a_row_that_differs(void **state)
{
    (void)state;
    char table[1024];
    char name[] = "/tmp/ashlar-class-XXXXXX";
    char command[4096];
    const int file = mkstemp(name);
    assert_true(file >= 0);
    close(file);
    project_path(table, sizeof table, "src/table/size_class.def");
    (void)snprintf(command, sizeof command,
        "sed '/^CLASS( *%zu,/s/)/1)/' '%s' > '%s'", rows[ROWS / 2].bytes,
        table, name);
    assert_int_equal(system(command), 0);
    const int status = tool_check(name);
    unlink(name);
    assert_int_equal(status, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_the_first_class_that_holds_it),
        cmocka_unit_test(spaced_sizes_get_the_same_class_without_the_test),
        cmocka_unit_test(every_alignment_gets_the_first_class_that_is_aligned),
        cmocka_unit_test(the_arrays_are_the_rows),
        cmocka_unit_test(
            sizes_rise_by_the_quantum_and_then_four_to_a_doubling),
        cmocka_unit_test(the_factor_tells_every_block_from_every_other_offset),
        cmocka_unit_test(the_factor_refuses_addresses_anywhere),
        cmocka_unit_test(the_columns_follow_from_the_sizes),
        cmocka_unit_test(the_tool_prints_the_same_rows),
        cmocka_unit_test(the_tool_sees_a_row_that_differs),
    };
    return cmocka_run_group_tests_name("class", tests, NULL, NULL);
}
