/* SPDX-License-Identifier: MIT */
/*
 * strings - many strings grow by appending, each append a realloc.
 *
 * Stands for string builders that ask for just what they need: scripts that
 * join text, readers of lines, the output buffers of many connections.  One
 * of the open strings at a time gets a few bytes more.  It is dropped when it
 * has its length, and another one begins.
 */
#include "../work.h"

static uint64_t open_strings = 500;
static uint64_t length_max = 4000;
static uint64_t appends = 1000000;

static const struct work_option options[] = {
    {"open", &open_strings, 1, 1 << 24, NULL},
    {"length", &length_max, 1, 1 << 28, NULL},
    {"appends", &appends, 1, UINT64_MAX, NULL},
};

struct string {
    char *text;
    size_t length;
    size_t goal;
    char letter;
};

static struct work_random numbers;

static void append(struct string *string)
{
    const size_t more = work_between(&numbers, 1, 40);
    string->text = realloc(string->text, string->length + more);
    if (string->text == NULL)
        work_die(1, "realloc(%zu) failed", string->length + more);
    memset(string->text + string->length, string->letter, more);
    string->length += more;
}

static void drop(struct string *string)
{
    const char *text = string->text;
    const char letter = string->letter;
    if (string->length > 0 &&
        (text[0] != letter || text[string->length / 2] != letter ||
         text[string->length - 1] != letter))
        work_die(1, "a string of %zu bytes is spoilt", string->length);
    free(string->text);
    *string = (struct string){0};
}

static void begin(struct string *string)
{
    string->goal = work_skewed(&numbers, 1, (uint32_t)length_max);
    string->letter = (char)work_next(&numbers);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    struct string *strings = work_map(open_strings * sizeof *strings);
    numbers = work_random(0);
    for (uint64_t i = 0; i < appends; i++) {
        struct string *string =
            &strings[work_below(&numbers, (uint32_t)open_strings)];
        if (string->length == 0)
            begin(string);
        append(string);
        if (string->length >= string->goal)
            drop(string);
    }
    for (uint64_t i = 0; i < open_strings; i++)
        drop(&strings[i]);
    work_say("ops=%llu", (unsigned long long)appends);
    return 0;
}
