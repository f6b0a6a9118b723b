/* SPDX-License-Identifier: MIT */
/*
 * Goal: sheet.h writes numbers, cells and quoted text as they must be, of any
 * length; figure.h reads what mallctl() answers; print.h heeds its letters.
 * Method: what the writer gets is put together and compared with the C
 * library's formats. That all of it is valid JSON is test/stats/run.py's part.
 */
#include "ask.h"

#include <inttypes.h>

#include "ctl/figure.h"
#include "ctl/print.h"

static struct {
    char text[1 << 20];
    size_t length;
    size_t pieces;
} got;

static void write_down(void *opaque, const char *text)
{
    const size_t length = strlen(text);
    assert_ptr_equal(opaque, &got);
    assert_true(length > 0 && length < SHEET_BYTES);
    assert_true(got.length + length < sizeof got.text);
    memcpy(got.text + got.length, text, length + 1);
    got.length += length;
    got.pieces++;
}

static struct sheet sheet;

static int begin(void **state)
{
    (void)state;
    memset(&got, 0, sizeof got);
    sheet_begin(&sheet, write_down, &got);
    return 0;
}

static void expect(const char *text)
{
    sheet_end(&sheet);
    assert_string_equal(got.text, text);
    (void)begin(NULL);
}

/* -- sheets -- */

static void numbers_are_as_printf_has_them(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {
        0, 1, 9, 10, 99, 100, 12345678901234567890u, UINT64_MAX, INT64_MAX,
        (uint64_t)INT64_MAX + 1
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        for (int width = -25; width <= 25; width++) {
            char wanted[64];
            (void)snprintf(wanted, sizeof wanted, "%*" PRIu64, width,
                numbers[i]);
            sheet_number(&sheet, width, numbers[i]);
            expect(wanted);
            (void)snprintf(wanted, sizeof wanted, "%*" PRId64, width,
                (int64_t)numbers[i]);
            sheet_signed(&sheet, width, (int64_t)numbers[i]);
            expect(wanted);
        }
    }
}

static void cells_are_as_wide_as_they_are_told(void **state)
{
    (void)state;
    sheet_cell(&sheet, 5, "abc");
    sheet_cell(&sheet, -5, "abc");
    sheet_cell(&sheet, 2, "abc");
    sheet_cell(&sheet, -2, "abc");
    sheet_cell(&sheet, 3, "");
    expect("  abcabc  abcabc   ");
}

static void every_byte_is_quoted_as_json_wants_it(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char wanted[16];
        const char text[] = { (char)byte, 0 };
        const char *form = byte == '"' || byte == '\\' ? "\"\\%c\""
            : byte < ' ' ? "\"\\u%04x\"" : "\"%c\"";
        (void)snprintf(wanted, sizeof wanted, form, byte);
        sheet_quoted(&sheet, text);
        expect(wanted);
    }
}

static void a_long_text_comes_in_pieces(void **state)
{
    (void)state;
    enum { LONG = 3 * SHEET_BYTES + 17 };
    static char text[LONG + 1];
    for (size_t i = 0; i < LONG; i++)
        text[i] = (char)('a' + i % 23);
    sheet_string(&sheet, text);
    sheet_end(&sheet);
    assert_string_equal(got.text, text);
    assert_int_equal(got.pieces, 4);
    /* Nothing is left, and nothing is written for it. */
    sheet_end(&sheet);
    assert_int_equal(got.pieces, 4);
}

/* -- figures -- */

static void a_figure_is_what_its_name_answers(void **state)
{
    (void)state;
    assert_true(snapshot_refresh());
    const struct figure size = figure_find("arenas.bin.0.", "size");
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        size_t bytes;
        assert_int_equal(ASK(ask_name("arenas.bin.", i, ".size"), &bytes), 0);
        assert_int_equal(figure_at(&size, i, 0), bytes);
    }
    const struct figure nslabs =
        figure_find("stats.arenas.0.bins.0.", "nslabs");
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        uint64_t slabs;
        assert_int_equal(
            ASK(ask_name("stats.arenas.0.bins.", i, ".nslabs"), &slabs), 0);
        assert_int_equal(figure_at(&nslabs, 0, i), slabs);
    }
    assert_true(figure_of("stats.", "mapped", 0) > 0);
    assert_int_equal(figure_of("stats.", "mapped", 0),
        ask_u64("stats.mapped"));
}

/* The numbers of a name are where its digits are. */
static void deep_names_keep_their_parts(void **state)
{
    (void)state;
    const struct figure deep = figure_find(
        "stats.arenas.0.hpa_shard.nonfull_slabs.0.", "nactive_huge");
    assert_int_equal(deep.numbers[0], 2);
    assert_int_equal(deep.numbers[1], 5);
    const struct figure flat = figure_find(
        "stats.arenas.0.hpa_shard.full_slabs.", "nactive_huge");
    assert_int_equal(flat.numbers[0], 2);
    assert_int_equal(flat.numbers[1], 0);
    assert_int_equal(figure_find("stats.", "active").numbers[0], 0);
}

static void what_is_no_arena_reads_as_nothing(void **state)
{
    (void)state;
    assert_int_equal(figure_of("stats.arenas.0.", "mapped", 4000), 0);
}

/* -- letters -- */

static const char *print(const char *opts)
{
    (void)begin(NULL);
    print_stats(write_down, &got, opts);
    return got.text;
}

static void letters_omit_their_parts(void **state)
{
    (void)state;
    static const struct { const char *letter; const char *part; } parts[] = {
        { "g", "\nVersion: " }, { "g", "\nQuantum size: " },
        { "a", "\narenas[0]:\n" }, { "b", "\nbins:  " },
        { "l", "\nlarge:          size" }, { "x", "n_lock_ops" },
        { "e", "\nextents:  " }, { "h", "\nHPA shard stats:" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_non_null(strstr(print(NULL), parts[i].part));
        assert_non_null(strstr(print("?!Z"), parts[i].part));
        assert_null(strstr(print(parts[i].letter), parts[i].part));
    }
    /* One arena needs no sum, unless it is not shown. */
    assert_null(strstr(print(""), "\nMerged arenas stats:"));
    assert_non_null(strstr(print("a"), "\nMerged arenas stats:"));
    assert_null(strstr(print("am"), "\nMerged arenas stats:"));
    assert_non_null(strstr(print("J"), "{\"jemalloc\":{\"version\":"));
    assert_null(strstr(print("J"), "jemalloc statistics"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(numbers_are_as_printf_has_them, begin),
        cmocka_unit_test_setup(cells_are_as_wide_as_they_are_told, begin),
        cmocka_unit_test_setup(every_byte_is_quoted_as_json_wants_it, begin),
        cmocka_unit_test_setup(a_long_text_comes_in_pieces, begin),
        cmocka_unit_test(a_figure_is_what_its_name_answers),
        cmocka_unit_test(deep_names_keep_their_parts),
        cmocka_unit_test(what_is_no_arena_reads_as_nothing),
        cmocka_unit_test(letters_omit_their_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
