/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is put in comes out, whole, at any length; what fails is told at
 * the end, and stays failed. Method: files and functions that collect it, with
 * pieces of many lengths around the size of the buffer.
 */
#include "unit/sys/unit.h"

#include <errno.h>
#include <unistd.h>

#include "ledger/out.h"

enum { BYTES = 5 * OUT_BUFFER_BYTES / 2 };

static struct out out;
static char sample[BYTES + 1];

static struct {
    char text[BYTES + 1];
    size_t length;
    size_t calls;
} got;

static void collect(void *to, const char *text)
{
    assert_ptr_equal(to, &got);
    const size_t length = strlen(text);
    assert_true(length <= OUT_BUFFER_BYTES);
    assert_true(got.length + length < sizeof got.text);
    memcpy(got.text + got.length, text, length + 1);
    got.length += length;
    got.calls++;
}

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        sample[i] = (char)('!' + i % 90);
    memset(&got, 0, sizeof got);
    out_open_to(&out, collect, &got);
    return 0;
}

static void passes_everything_on(void **state)
{
    (void)state;
    for (size_t at = 0, step = 1; at < BYTES; at += step, step = step * 3 + 1)
        out_bytes(&out, sample + at, min_size(step, BYTES - at));
    assert_true(out_close(&out));
    assert_string_equal(got.text, sample);
    assert_true(got.calls == 3);
}

static void writes_numbers_and_quotes(void **state)
{
    (void)state;
    out_decimal(&out, 0);
    out_text(&out, " ");
    out_decimal(&out, UINT64_MAX);
    out_text(&out, " ");
    out_hex(&out, 0);
    out_text(&out, " ");
    out_hex(&out, 0xfedcba9876543210);
    out_text(&out, " ");
    out_json(&out, "");
    out_json(&out, "a\"b\\c\n\x1f\x7f/\xc3\xa9");
    assert_true(out_close(&out));
    assert_string_equal(got.text, "0 18446744073709551615 0x0 "
        "0xfedcba9876543210 \"\"\"a\\\"b\\\\c\\u000a\\u001f\\u007f/\xc3\xa9\"");
}

static void copies_files(void **state)
{
    (void)state;
    char path[] = "/tmp/ashlar-out-XXXXXX";
    const int file = mkstemp(path);
    assert_int_equal(write(file, sample, BYTES), BYTES);
    (void)close(file);
    out_text(&out, "");
    assert_true(out_copy(&out, path));
    assert_false(out_copy(&out, "/no/such/file"));
    assert_false(out_copy(&out, "/"));
    assert_true(out_close(&out));
    assert_string_equal(got.text, sample);

    /* The same into the file itself. */
    assert_true(out_open(&out, path));
    out_bytes(&out, "x", 1);
    out_bytes(&out, sample, BYTES);
    assert_true(out_close(&out));
    (void)begin(NULL);
    static char longer[BYTES + 2];
    FILE *back = fopen(path, "r");
    assert_int_equal(fread(longer, 1, sizeof longer, back), BYTES + 1);
    (void)fclose(back);
    assert_int_equal(longer[0], 'x');
    assert_memory_equal(longer + 1, sample, BYTES);
    (void)unlink(path);
}

static void tells_what_failed_first(void **state)
{
    (void)state;
    assert_false(out_open(&out, "/no/such/folder/file"));
    assert_int_equal(out.error, ENOENT);
    assert_true(out_open(&out, "/dev/full"));
    out_bytes(&out, sample, BYTES);
    out_text(&out, "more");
    assert_int_equal(out.error, ENOSPC);
    const int file = out.file;
    assert_false(out_close(&out));
    assert_int_equal(out.error, ENOSPC);
    assert_int_equal(file_close(file), EBADF);

    /* What only closing writes. */
    assert_true(out_open(&out, "/dev/full"));
    out_text(&out, "a little");
    assert_false(out_close(&out));
    assert_int_equal(out.error, ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(passes_everything_on, begin),
        cmocka_unit_test_setup(writes_numbers_and_quotes, begin),
        cmocka_unit_test_setup(copies_files, begin),
        cmocka_unit_test_setup(tells_what_failed_first, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
