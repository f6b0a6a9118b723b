/* SPDX-License-Identifier: MIT */
/*
 * Goal: texts are what was appended, cut at the buffer's end and nowhere else
 * (T1), and numbers are read and written exactly. Method: the C library's
 * formatting and parsing as twins, and the limits by hand.
 */
#include "unit/sys/unit.h"

#include <errno.h>
#include <inttypes.h>

#include "util/text.h"

enum { ROUNDS = 100000 };

static struct text text;

static int begin(void **state)
{
    (void)state;
    memset(&text, 'x', sizeof text);
    text_clear(&text);
    return 0;
}

static void expect_text(const char *wanted)
{
    assert_string_equal(text.bytes, wanted);
    assert_int_equal(text.length, strlen(wanted));      /* T1 */
}

static void is_empty_when_cleared(void **state)
{
    (void)state;
    expect_text("");
    text_string(&text, "something");
    text_clear(&text);
    expect_text("");
}

static void appends_strings_and_spans(void **state)
{
    (void)state;
    text_string(&text, "one");
    text_string(&text, "");
    text_span(&text, " two and more", 4);
    text_span(&text, "nothing", 0);
    expect_text("one two");
}

static void fills_the_buffer_to_its_last_byte(void **state)
{
    (void)state;
    for (size_t i = 1; i < TEXT_BYTES; i++) {
        text_span(&text, &"abcdefg"[i % 7], 1);
        assert_int_equal(text.length, i);
        assert_int_equal(text.bytes[i - 1], "abcdefg"[i % 7]);
        assert_int_equal(text.bytes[i], 0);             /* T1 */
    }
    text_string(&text, "z");
    text_number(&text, 7, 3);
    text_hex(&text, 7);
    assert_int_equal(text.length, TEXT_BYTES - 1);      /* T1 */
    assert_int_equal(text.bytes[TEXT_BYTES - 1], 0);
    assert_int_equal(text.bytes[TEXT_BYTES - 2],
        "abcdefg"[(TEXT_BYTES - 1) % 7]);
}

static void cuts_what_is_too_long(void **state)
{
    (void)state;
    struct {
        struct text text;
        char canary[64];
    } held;
    static char source[2 * TEXT_BYTES];
    memset(source, 'a', sizeof source);
    for (size_t before = 0; before < TEXT_BYTES; before += 13) {
        memset(held.canary, 'c', sizeof held.canary);
        text_clear(&held.text);
        text_span(&held.text, source, before);
        text_span(&held.text, source, TEXT_BYTES + 17);
        assert_int_equal(held.text.length, TEXT_BYTES - 1);
        assert_int_equal(strlen(held.text.bytes), TEXT_BYTES - 1);
        for (size_t i = 0; i < sizeof held.canary; i++)
            assert_int_equal(held.canary[i], 'c');
    }
}

static void writes_numbers_as_printf_does(void **state)
{
    (void)state;
    struct dice dice = { 1 };
    char wanted[128];
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t number = dice_next(&dice) >> dice_below(&dice, 64);
        const unsigned width = (unsigned)dice_below(&dice, 30);
        text_clear(&text);
        text_number(&text, number, width);
        text_hex(&text, number);
        (void)snprintf(wanted, sizeof wanted, "%*" PRIu64 "0x%" PRIx64,
            (int)width, number, number);
        expect_text(wanted);
    }
}

static void writes_the_lowest_and_the_highest_number(void **state)
{
    (void)state;
    text_number(&text, 0, 0);
    text_string(&text, " ");
    text_number(&text, UINT64_MAX, 0);
    text_string(&text, " ");
    text_hex(&text, 0);
    text_string(&text, " ");
    text_hex(&text, UINT64_MAX);
    expect_text("0 18446744073709551615 0x0 0xffffffffffffffff");
}

/* -- reading -- */

/* What strtoumax() makes of the whole text; false: not of all of it. */
static bool twin_parse(const char *start, size_t length, uint64_t *number)
{
    char copy[64];
    char *end;
    if (length >= sizeof copy || memchr(start, 0, length) != NULL)
        return false;
    memcpy(copy, start, length);
    copy[length] = 0;
    errno = 0;
    const uintmax_t value = strtoumax(copy, &end, 0);
    if (errno != 0 || end == copy || *end != 0)
        return false;
    *number = value;
    return true;
}

static void expect_parse(const char *start, size_t length)
{
    const uint64_t untouched = 0x5eed;
    uint64_t wanted = untouched;
    uint64_t number = untouched;
    const bool good = twin_parse(start, length, &wanted);
    if (text_parse(start, length, &number) != good || number != wanted)
        fail_msg("\"%.*s\" read as %" PRIu64, (int)length, start, number);
}

static void reads_what_is_a_number_and_nothing_else(void **state)
{
    (void)state;
    static const char *const words[] = {
        "", "-", "+", "--1", "0", "-0", "00", "007", "-007", "08", "1", "-1",
        "+1", " 1", "\t\n\v\f\r 1", "1 ", "1-", "1.0", "0x10", "0X1F",
        "0x", "0xg", "-0xff", "0x ", "x10", "1e3", "a", "1a", "-a", "-1-",
        " ", "- 1", "0xffffffffffffffff", "0x10000000000000000",
        "01777777777777777777777", "02000000000000000000000",
        "9223372036854775807", "-9223372036854775808",
        "18446744073709551615", "18446744073709551616",
        "-18446744073709551615", "-18446744073709551616",
        "99999999999999999999", "00000000000777", "\xff", "1\n", "0x@1",
    };
    for (size_t i = 0; i < UNIT_COUNT(words); i++)
        expect_parse(words[i], strlen(words[i]));
}

static void reads_only_the_span(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 6; length++)
        expect_parse("-12345", length);
    uint64_t number = 0;
    assert_true(text_parse("129x", 2, &number));
    assert_int_equal(number, 12);
    assert_false(text_parse("1\0002", 3, &number));
    assert_int_equal(number, 12);
}

static void reads_random_texts_as_the_twin_does(void **state)
{
    (void)state;
    static const char letters[] = "01234567890123456789999999999-x+f ";
    struct dice dice = { 2 };
    for (int round = 0; round < ROUNDS; round++) {
        char word[24];
        const size_t length = dice_below(&dice, sizeof word);
        const size_t kinds = round % 2 ? 10 : sizeof letters - 1;
        for (size_t i = 0; i < length; i++)
            word[i] = letters[dice_below(&dice, kinds)];
        expect_parse(word, length);
    }
}

static void expect_ratio(const char *word, bool good, uint32_t wanted)
{
    uint32_t ratio = 0x5eed;
    if (text_parse_ratio(word, strlen(word), &ratio) != good
        || ratio != (good ? wanted : 0x5eed))
        fail_msg("\"%s\" read as %" PRIu32, word, ratio);
}

static void reads_what_is_a_ratio_and_nothing_else(void **state)
{
    (void)state;
    expect_ratio("0", true, 0);
    expect_ratio("1", true, 65536);
    expect_ratio("0.25", true, 16384);
    expect_ratio(".5", true, 32768);
    expect_ratio("0.3", true, 19660);
    expect_ratio("0.99999", true, 65535);
    expect_ratio("0.123456789012345678", true, 8090);
    expect_ratio("65535.99999999999999999999", true, UINT32_MAX);
    static const char *const bad[] = {
        "", ".", "1.", "65536", "65536.0", "1e3", "-1", "+1", " 1", "1 ",
        "1.0x", "1.x", "1..0", "0x1", "a", "99999999999999999999999.0",
    };
    for (size_t i = 0; i < UNIT_COUNT(bad); i++)
        expect_ratio(bad[i], false, 0);
}

/* Read again, what was written is the same up to the digits that are lost. */
static void writes_ratios_as_decimal_fractions(void **state)
{
    (void)state;
    static const struct {
        uint32_t ratio;
        const char *wanted;
    } cases[] = {
        { 0, "0.0" }, { 65536, "1.0" }, { 16384, "0.25" },
        { 19660, "0.29998779296875" }, { 1, "0.00001525878906" },
        { UINT32_MAX, "-1" }, { UINT32_MAX - 1, "65535.99996948242187" },
    };
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        text_clear(&text);
        text_ratio(&text, cases[i].ratio);
        expect_text(cases[i].wanted);
    }
    struct dice dice = { 4 };
    for (int round = 0; round < ROUNDS; round++) {
        const uint32_t ratio = (uint32_t)dice_below(&dice, UINT32_MAX);
        uint32_t again = 0;
        text_clear(&text);
        text_ratio(&text, ratio);
        assert_true(text_parse_ratio(text.bytes, text.length, &again));
        assert_true(again <= ratio && ratio - again <= 1);
    }
}

static void tells_words_apart(void **state)
{
    (void)state;
    assert_true(text_equal("true", 4, "true"));
    assert_true(text_equal("trueish", 4, "true"));
    assert_true(text_equal("", 0, ""));
    assert_true(text_equal("x", 0, ""));
    assert_false(text_equal("true", 3, "true"));
    assert_false(text_equal("truely", 5, "true"));
    assert_false(text_equal("True", 4, "true"));
    assert_false(text_equal("x", 1, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_empty_when_cleared, begin),
        cmocka_unit_test_setup(appends_strings_and_spans, begin),
        cmocka_unit_test_setup(fills_the_buffer_to_its_last_byte, begin),
        cmocka_unit_test_setup(cuts_what_is_too_long, begin),
        cmocka_unit_test_setup(writes_numbers_as_printf_does, begin),
        cmocka_unit_test_setup(writes_the_lowest_and_the_highest_number,
            begin),
        cmocka_unit_test(reads_what_is_a_number_and_nothing_else),
        cmocka_unit_test(reads_only_the_span),
        cmocka_unit_test(reads_random_texts_as_the_twin_does),
        cmocka_unit_test(reads_what_is_a_ratio_and_nothing_else),
        cmocka_unit_test(writes_ratios_as_decimal_fractions),
        cmocka_unit_test(tells_words_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
