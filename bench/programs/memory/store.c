/* SPDX-License-Identifier: MIT */
/*
 * store - a key-value store whose values grow.
 *
 * A hash table of entries; each has its name behind it in the same block, and
 * a value in another.  A request picks a random key.  A key that is not there
 * gets a short value; one that is there gets one that is a quarter to a half
 * longer, in a new block (SET) or in place (APPEND: realloc); a value that
 * became too long is deleted with its key.
 */
#include "valley.h"

static uint64_t keys = 100000, ops = 1000000, longest = 4096;

enum { SHORTEST = 16, LONGEST_FIRST = 64, NAME_MIN = 8, NAME_MAX = 40 };

struct entry {
    uint64_t stamp; /* work.h's */
    struct entry *next;
    void *value;
    uint32_t key, value_bytes, name_bytes;
    char name[];
};

static struct work_random random_numbers;
static struct work_sum sum;
static struct entry **buckets;
static size_t bucket_count;
static uint64_t live_bytes;

static struct entry **find(uint32_t key)
{
    struct entry **link = &buckets[key * 2654435761u % bucket_count];
    while (*link != NULL && (*link)->key != key)
        link = &(*link)->next;
    return link;
}

static void add(struct entry **link, uint32_t key)
{
    const uint32_t name_bytes = work_between(&random_numbers, NAME_MIN,
                                             NAME_MAX);
    const uint32_t bytes = work_between(&random_numbers, SHORTEST,
                                        LONGEST_FIRST);
    struct entry *entry = work_malloc(&sum, sizeof *entry + name_bytes);
    *link = entry;
    entry->next = NULL;
    entry->key = key;
    entry->name_bytes = name_bytes;
    memset(entry->name, 'n', name_bytes);
    entry->value_bytes = bytes;
    entry->value = pages_malloc(&sum, bytes);
    live_bytes += sizeof *entry + name_bytes + bytes;
}

static void delete(struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    live_bytes -= sizeof *entry + entry->name_bytes + entry->value_bytes;
    work_free(&sum, entry->value, entry->value_bytes);
    work_free(&sum, entry, sizeof *entry);
}

static void set(struct entry *entry, uint32_t bytes)
{
    void *value = malloc(bytes);
    if (value == NULL)
        work_die(1, "malloc(%u) failed", bytes);
    memcpy(value, entry->value, entry->value_bytes);
    work_free(&sum, entry->value, entry->value_bytes);
    work_put(&sum, value, bytes);
    entry->value = value;
}

static void append(struct entry *entry, uint32_t bytes)
{
    entry->value = realloc(entry->value, bytes);
    if (entry->value == NULL)
        work_die(1, "realloc to %u failed", bytes);
}

static void request(void)
{
    const uint32_t key = work_below(&random_numbers, (uint32_t)keys);
    struct entry **link = find(key);
    if (*link == NULL) {
        add(link, key);
        return;
    }
    struct entry *entry = *link;
    const uint32_t old = entry->value_bytes;
    const uint32_t bytes = old + work_between(&random_numbers, old / 4,
                                              old / 2);
    if (bytes > longest) {
        delete(link);
        return;
    }
    if (work_below(&random_numbers, 2) == 0)
        set(entry, bytes);
    else
        append(entry, bytes);
    pages_touch(entry->value, bytes);
    live_bytes += bytes - old;
    entry->value_bytes = bytes;
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"keys", &keys, 1, 1 << 28, NULL},
        {"ops", &ops, 1, UINT32_MAX, NULL},
        {"longest", &longest, LONGEST_FIRST, 1 << 24, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    struct valley valley = {0};
    bucket_count = keys;
    buckets = valley_map(&valley, bucket_count * sizeof *buckets);
    random_numbers = work_random(0);
    sum = work_sum(0);
    for (uint64_t i = 0; i < ops; i++)
        request();
    valley_note(&valley, live_bytes);
    for (size_t i = 0; i < bucket_count; i++)
        while (buckets[i] != NULL)
            delete(&buckets[i]);
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
