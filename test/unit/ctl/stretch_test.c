/* SPDX-License-Identifier: MIT */
/*
 * Stretches of names. Goal: where they end is right, their hash depends on
 * nothing but themselves, and no byte behind a name is read. Method: a twin
 * that looks at one byte after the other; texts of all lengths, of letters,
 * dots and what may begin a number, that end where a page does, with nothing
 * mapped behind it.
 */
#include "unit/sys/unit.h"

#include "ctl/stretch.h"

enum { TEXT_MAX = 80, ROUNDS = 300000, SEED = 11 };

static char *text_end;      /* the last byte of the page */

static int with_an_end_of_memory(void **state)
{
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = test_map(2 * page);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    text_end = pages + page - 1;
    return 0;
}

/* So many bytes and a zero, at the end of memory. */
static char *text_at_end(const char *bytes, size_t length)
{
    *text_end = '\0';
    return memcpy(text_end - length, bytes, length);
}

static size_t twin_length(const char *text, const char *end)
{
    for (const char *at = text; at != end; at++) {
        if (*at == '.' && (at + 1 == end || (unsigned char)at[1] < 'A'))
            return (size_t)(at - text);
    }
    return (size_t)(end - text);
}

static size_t random_text(struct dice *dice, char *text)
{
    static const char often[] = "abz_A..0";
    static const char seldom[] = "Z@/-+ <\t\x01\x7f\x80\xae\xff.";
    const size_t length = dice_below(dice, TEXT_MAX);
    for (size_t i = 0; i < length; i++)
        text[i] = dice_below(dice, 20) == 0
            ? seldom[dice_below(dice, sizeof seldom - 1)]
            : dice_below(dice, 4) == 0
            ? often[dice_below(dice, sizeof often - 1)] : 'q';
    return length;
}

static void a_stretch_ends_where_a_number_begins(void **state)
{
    (void)state;
    struct dice dice = { SEED };
    size_t ended = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[TEXT_MAX];
        const size_t length = random_text(&dice, bytes);
        const char *text = text_at_end(bytes, length);
        const struct stretch stretch = stretch_of(text, text_end);
        assert_ptr_equal(stretch.text, text);
        assert_int_equal(stretch.length, twin_length(text, text_end));
        ended += stretch.length < length;
    }
    assert_in_range(ended, ROUNDS / 4, ROUNDS);
}

/* A name may be cut at a dot; what is behind it does not count. */
static void a_name_ends_at_its_cut(void **state)
{
    (void)state;
    static const char text[] = "stats.arenas.0.bins.3.curregs";
    for (const char *end = text; (end = strchr(end, '.')) != NULL; end++)
        assert_int_equal(stretch_of(text, end).length,
            end - text < 12 ? end - text : 12);
}

static void a_hash_depends_on_the_stretch_alone(void **state)
{
    (void)state;
    struct dice dice = { SEED };
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[TEXT_MAX];
        char other[TEXT_MAX + 16];
        const size_t length = random_text(&dice, bytes);
        const size_t shift = dice_below(&dice, 9);
        const struct stretch one = { text_at_end(bytes, length), length };
        const struct stretch two = { memcpy(other + shift, bytes, length),
            length };
        other[shift + length] = (char)dice_below(&dice, 256);
        assert_int_equal(stretch_hash(one, 5), stretch_hash(two, 5));
    }
}

/* Any byte, and the seed, make another hash. */
static void a_hash_depends_on_every_byte(void **state)
{
    (void)state;
    struct dice dice = { SEED };
    for (size_t length = 1; length < TEXT_MAX; length++) {
        char bytes[TEXT_MAX];
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)dice_below(&dice, 256);
        const struct stretch stretch = { bytes, length };
        const uint32_t hash = stretch_hash(stretch, 5);
        assert_int_not_equal(hash, stretch_hash(stretch, 6));
        for (size_t i = 0; i < length; i++) {
            bytes[i] ^= 1;
            assert_int_not_equal(hash, stretch_hash(stretch, 5));
            bytes[i] ^= 1;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stretch_ends_where_a_number_begins),
        cmocka_unit_test(a_name_ends_at_its_cut),
        cmocka_unit_test(a_hash_depends_on_the_stretch_alone),
        cmocka_unit_test(a_hash_depends_on_every_byte),
    };
    return cmocka_run_group_tests_name("stretch", tests,
        with_an_end_of_memory, NULL);
}
