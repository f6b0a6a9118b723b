/* SPDX-License-Identifier: MIT */
/*
 * Goal: texts are what was appended, cut at the buffer's end and nowhere else
 * (T1), and numbers are read and written exactly. Method: the C library's
 * formatting and 128-bit arithmetic as twins, and the limits by hand.
 */
#include "unit/sys/unit.h"

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

/* Is the text a number within the limits? By arithmetic wide enough. */
static bool twin_parse(const char *start, size_t length, int64_t *number)
{
    const bool negative = length > 0 && *start == '-';
    if (length == negative || length > 30)
        return false;
    __extension__ __int128 value = 0;
    for (size_t i = negative; i < length; i++) {
        if (start[i] < '0' || start[i] > '9')
            return false;
        value = value * 10 + (start[i] - '0');
    }
    value = negative ? -value : value;
    if (value < INT64_MIN || value > INT64_MAX)
        return false;
    *number = (int64_t)value;
    return true;
}

static void expect_parse(const char *start, size_t length)
{
    const int64_t untouched = 0x5eed;
    int64_t wanted = untouched;
    int64_t number = untouched;
    const bool good = twin_parse(start, length, &wanted);
    if (text_parse(start, length, &number) != good || number != wanted)
        fail_msg("\"%.*s\" read as %" PRId64, (int)length, start, number);
}

static void reads_what_is_a_number_and_nothing_else(void **state)
{
    (void)state;
    static const char *const words[] = {
        "", "-", "--1", "0", "-0", "00", "007", "-007", "1", "-1", "+1",
        " 1", "1 ", "1-", "1.0", "0x10", "1e3", "a", "1a", "-a", "-1-",
        "9223372036854775806", "9223372036854775807",
        "9223372036854775808", "-9223372036854775807",
        "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "99999999999999999999",
        "00000000009223372036854775807", "\xff", "1\n",
    };
    for (size_t i = 0; i < UNIT_COUNT(words); i++)
        expect_parse(words[i], strlen(words[i]));
}

static void reads_the_lowest_number(void **state)
{
    (void)state;
    expect_parse("-9223372036854775808", 20);
}

static void reads_only_the_span(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 6; length++)
        expect_parse("-12345", length);
    int64_t number = 0;
    assert_true(text_parse("129x", 2, &number));
    assert_int_equal(number, 12);
    assert_false(text_parse("1\0002", 3, &number));
    assert_int_equal(number, 12);
}

static void reads_random_texts_as_the_twin_does(void **state)
{
    (void)state;
    static const char letters[] = "01234567890123456789999999999-x ";
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
        cmocka_unit_test(reads_the_lowest_number),
        cmocka_unit_test(reads_only_the_span),
        cmocka_unit_test(reads_random_texts_as_the_twin_does),
        cmocka_unit_test(tells_words_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
