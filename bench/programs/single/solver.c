/* SPDX-License-Identifier: MIT */
/*
 * solver - terms that are built once, shared, and mostly kept.
 *
 * Stands for symbolic programs: provers, computer algebra, compilers with
 * shared expressions.  A term is an operator on one to four older terms.  It
 * is looked up in a table first, so equal terms are one block, and each term
 * keeps a list of its users, which grows by doubling.  Most of it lives to
 * the end: there are millions of small blocks, so bytes per block and how
 * close together they lie count as much as the calls.  After each level of
 * the search some of the newest terms are taken back.
 */
#include "../work.h"

static uint64_t terms_max = 500000;
static uint64_t level = 1000;
static uint64_t kept = 80;

static const struct work_option options[] = {
    {"terms", &terms_max, 1, 1 << 28, NULL},
    {"level", &level, 100, 1 << 28, NULL},
    {"kept", &kept, 10, 100, NULL},
};

enum { PARTS_MAX = 4 };

struct term {
    struct term *next; /* in the table */
    struct term **users;
    uint32_t hash;
    uint32_t users_count;
    uint32_t users_capacity;
    uint16_t operator;
    uint16_t parts_count;
    struct term *parts[];
};

/* What is asked for: a term that may exist already. */
struct pattern {
    uint32_t hash;
    uint16_t operator;
    uint16_t parts_count;
    struct term *parts[PARTS_MAX];
};

static struct term **all; /* in the order of their births */
static uint32_t all_count;
static struct term **table;
static uint32_t table_size;
static struct work_random numbers;

static void need(const void *block, size_t size)
{
    if (block == NULL)
        work_die(1, "no memory for %zu bytes", size);
}

/* The table doubles when there are as many terms as heads. */
static void grow_table(void)
{
    table_size = table_size > 0 ? 2 * table_size : 1024;
    free(table);
    table = calloc(table_size, sizeof *table);
    need(table, table_size * sizeof *table);
    for (uint32_t i = 0; i < all_count; i++) {
        struct term **head = &table[all[i]->hash & (table_size - 1)];
        all[i]->next = *head;
        *head = all[i];
    }
}

static void add_user(struct term *term, struct term *user)
{
    if (term->users_count == term->users_capacity) {
        term->users_capacity = term->users_capacity > 0
                                   ? 2 * term->users_capacity : 2;
        const size_t bytes = term->users_capacity * sizeof(struct term *);
        term->users = realloc(term->users, bytes);
        need(term->users, bytes);
    }
    term->users[term->users_count++] = user;
}

static struct term *find(const struct pattern *pattern)
{
    struct term *term = table[pattern->hash & (table_size - 1)];
    for (; term != NULL; term = term->next)
        if (term->hash == pattern->hash &&
            term->operator == pattern->operator &&
            term->parts_count == pattern->parts_count &&
            memcmp(term->parts, pattern->parts,
                   term->parts_count * sizeof term->parts[0]) == 0)
            return term;
    return NULL;
}

static void make(const struct pattern *pattern)
{
    const size_t parts_bytes = pattern->parts_count * sizeof(struct term *);
    struct term *term = malloc(sizeof *term + parts_bytes);
    need(term, sizeof *term + parts_bytes);
    if (all_count >= table_size)
        grow_table();
    struct term **head = &table[pattern->hash & (table_size - 1)];
    *term = (struct term){*head, NULL, pattern->hash, 0, 0,
                          pattern->operator, pattern->parts_count};
    memcpy(term->parts, pattern->parts, parts_bytes);
    *head = term;
    for (uint32_t i = 0; i < term->parts_count; i++)
        add_user(term->parts[i], term);
    all[all_count++] = term;
}

/* One of the newest terms mostly, of all of them now and then; its hash, not
 * its address, goes into the pattern's, so that every run is the same. */
static struct term *any_term(void)
{
    const uint32_t span = work_below(&numbers, 8) > 0 && all_count > 500
                              ? 500 : all_count;
    return all[all_count - 1 - work_below(&numbers, span)];
}

static struct pattern any_pattern(void)
{
    struct pattern pattern = {0};
    if (work_below(&numbers, 16) == 0 || all_count == 0) {
        pattern.operator = (uint16_t)work_next(&numbers);
        pattern.hash = pattern.operator * 0x9e3779b1u;
        return pattern;
    }
    pattern.operator = (uint16_t)work_below(&numbers, 4);
    pattern.parts_count = (uint16_t)work_between(&numbers, 1, PARTS_MAX);
    pattern.hash = pattern.operator;
    for (uint32_t i = 0; i < pattern.parts_count; i++) {
        pattern.parts[i] = any_term();
        pattern.hash = (pattern.hash ^ pattern.parts[i]->hash) * 0x9e3779b1u;
        pattern.hash ^= pattern.hash >> 15;
    }
    return pattern;
}

/* Unmakes the newest term. */
static void take_back(void)
{
    struct term *term = all[--all_count];
    struct term **link = &table[term->hash & (table_size - 1)];
    while (*link != term)
        link = &(*link)->next;
    *link = term->next;
    for (uint32_t i = term->parts_count; i > 0; i--) {
        struct term *part = term->parts[i - 1];
        if (part->users_count == 0 ||
            part->users[--part->users_count] != term)
            work_die(1, "a list of users is spoilt");
    }
    if (term->users_count != 0)
        work_die(1, "a term is spoilt");
    free(term->users);
    free(term);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    all = work_map((terms_max + level) * sizeof(struct term *));
    numbers = work_random(0);
    grow_table();
    uint64_t made = 0;
    while (all_count < terms_max) {
        const uint32_t start = all_count;
        for (uint64_t i = 0; i < level; i++) {
            const struct pattern pattern = any_pattern();
            if (find(&pattern) == NULL)
                make(&pattern);
        }
        made += all_count - start;
        const uint32_t stays = (uint32_t)((all_count - start) * kept / 100);
        while (all_count > start + stays)
            take_back();
    }
    while (all_count > 0)
        take_back();
    free(table);
    work_say("ops=%llu", (unsigned long long)made);
    return 0;
}
