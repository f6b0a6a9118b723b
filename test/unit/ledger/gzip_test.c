/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever is written comes back, to the byte, in pieces of any size; and
 * text that repeats itself becomes short. Method: texts of many kinds and
 * lengths, around those of the buffer and its halves; a reader of its own.
 */
#include "unit/ledger/unpack.h"

#include "ledger/gzip.h"

enum { TEXT_MAX = 5 * GZIP_BUFFER_BYTES };

static struct gzip gzip;
static struct out out;
static uint8_t text[TEXT_MAX];
static char path[] = "/tmp/ashlar-gzip-XXXXXX";

static int begin_group(void **state)
{
    (void)state;
    const int file = mkstemp(path);
    return file < 0 || close(file) != 0;
}

static int end_group(void **state)
{
    (void)state;
    return unlink(path);
}

/* Writes the text in such pieces, reads it again; the length of the file. */
static size_t expect_same(size_t length, size_t piece)
{
    assert_true(out_open(&out, path));
    gzip_begin(&gzip, &out);
    for (size_t at = 0; at < length; at += piece)
        gzip_bytes(&gzip, text + at, min_size(piece, length - at));
    gzip_end(&gzip);
    assert_true(out_close(&out));
    const struct unpacked again = unpack_file(path);
    assert_int_equal(again.length, length);
    assert_memory_equal(again.bytes, text, length);
    free(again.bytes);
    return again.packed_bytes;
}

static void fill_random(unsigned kinds, uint32_t seed)
{
    for (size_t i = 0; i < TEXT_MAX; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (uint8_t)((seed >> 16) % kinds);
    }
}

static void an_empty_text_is_a_file_too(void **state)
{
    (void)state;
    assert_int_equal(expect_same(0, 1), 20);
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXT_MAX; i++)
        text[i] = (uint8_t)(i * 167);
    for (size_t length = 1; length < 600; length += 3)
        (void)expect_same(length, 600);
}

static void every_length_of_a_match_comes_back(void **state)
{
    (void)state;
    for (size_t length = 1; length < 300; length++) {
        for (size_t i = 0; i < 1000; i++)
            text[i] = (uint8_t)(i % length * 7 + length);
        (void)expect_same(1000, 1000);
    }
}

/* The same piece again, as far back as the format goes and further. */
static void matches_reach_the_window_and_no_further(void **state)
{
    (void)state;
    size_t near = 0;
    for (size_t back = GZIP_WINDOW_BYTES - 1; back <= GZIP_WINDOW_BYTES + 1;
         back++) {
        fill_random(256, 1);
        memcpy(text + back + 100, text + 100, 258);
        const size_t packed = expect_same(back + 358, 4096);
        fill_random(256, 1);
        const size_t other = expect_same(back + 358, 4096);
        near += packed + 200 < other;
    }
    assert_int_equal(near, 2);
}

static void lengths_around_the_buffer_come_back(void **state)
{
    (void)state;
    for (unsigned kinds = 2; kinds <= 256; kinds *= 4) {
        fill_random(kinds, kinds);
        for (size_t at = GZIP_WINDOW_BYTES; at < TEXT_MAX;
             at += GZIP_WINDOW_BYTES) {
            for (size_t length = at - 2; length <= at + 2; length++)
                (void)expect_same(length, length);
        }
    }
}

static void pieces_of_any_size_are_one_text(void **state)
{
    (void)state;
    static const size_t pieces[] = {
        1, 7, 255, 4096, GZIP_BUFFER_BYTES - 1, GZIP_BUFFER_BYTES + 1 };
    fill_random(20, 3);
    const size_t whole = expect_same(TEXT_MAX, TEXT_MAX);
    for (size_t i = 0; i < UNIT_COUNT(pieces); i++)
        assert_int_equal(expect_same(TEXT_MAX, pieces[i]), whole);
}

/* Random bytes become longer by no more than the code's ninth bits; a text of
 * two letters becomes a third, and one of one letter a hundredth. */
static void what_repeats_becomes_short(void **state)
{
    (void)state;
    fill_random(256, 5);
    assert_true(expect_same(TEXT_MAX, TEXT_MAX) < TEXT_MAX * 17 / 16);
    fill_random(2, 5);
    assert_true(expect_same(TEXT_MAX, TEXT_MAX) < TEXT_MAX / 3);
    fill_random(1, 5);
    assert_true(expect_same(TEXT_MAX, TEXT_MAX) < TEXT_MAX / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_is_a_file_too),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(every_length_of_a_match_comes_back),
        cmocka_unit_test(matches_reach_the_window_and_no_further),
        cmocka_unit_test(lengths_around_the_buffer_come_back),
        cmocka_unit_test(pieces_of_any_size_are_one_text),
        cmocka_unit_test(what_repeats_becomes_short),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
