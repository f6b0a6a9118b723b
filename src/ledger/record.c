/* SPDX-License-Identifier: MIT */
/*
 * record - a sampled object that lives, found by its address. See record.h.
 */
#include "ledger/record.h"

static struct book record_book = BOOK_INITIAL(LOCK_record, struct record);

static uint64_t record_hash(const void *pointer)
{
    return book_hash((uintptr_t)pointer, 0);
}

static struct record *record_of(struct book_entry *entry)
{
    return (struct record *)entry;
}

/* Of the object at the address, its shard open; NULL: none, nothing is open. */
static struct record *record_open(const void *pointer)
{
    const uint64_t hash = record_hash(pointer);
    struct book_shard *shard = book_open(&record_book, hash);
    struct book_entry *entry = NULL;
    while ((entry = book_find(shard, hash, entry)) != NULL) {
        if (record_of(entry)->data.object.pointer == pointer)
            return record_of(entry);
    }
    book_close(shard);
    return NULL;
}

static void record_close(struct record *record)
{
    book_close(record->entry.shard);
}

bool record_put(const struct record_data *data)
{
    const uint64_t hash = record_hash(data->object.pointer);
    struct book_shard *shard = book_open(&record_book, hash);
    struct record *record = record_of(book_fresh(shard));
    if (record != NULL) {
        record->data = *data;
        book_add(&record->entry, hash);
    }
    book_close(shard);
    return record != NULL;
}

bool record_find(const void *pointer, struct record_data *data)
{
    struct record *record = record_open(pointer);
    if (record == NULL)
        return false;
    *data = record->data;
    record_close(record);
    return true;
}

/* The record is open; it is closed, and gone. */
static void record_end(struct record *record, struct record_data *data)
{
    *data = record->data;
    book_remove(&record->entry);
    record_close(record);
}

bool record_take(const void *pointer, struct record_data *data)
{
    struct record *record = record_open(pointer);
    if (record == NULL)
        return false;
    record_end(record, data);
    return true;
}

void record_set_recent(const void *pointer, uint64_t recent)
{
    struct record *record = record_open(pointer);
    if (record == NULL)
        return;
    record->data.recent = recent;
    record_close(record);
}

bool record_take_next(unsigned arena, struct book_walk *walk,
    struct record_data *data)
{
    struct record *record;
    while ((record = record_of(book_next(&record_book, walk))) != NULL) {
        if (record->data.object.arena == arena) {
            record_end(record, data);
            return true;
        }
        record_close(record);
    }
    return false;
}

size_t record_count(void)
{
    return book_used(&record_book);
}

/* Is it the only one of its address? */
static bool record_is_alone(const struct record *record)
{
    const uint64_t hash = record->entry.hash;
    const struct book_entry *at = NULL;
    unsigned count = 0;
    while ((at = book_find(record->entry.shard, hash, at)) != NULL) {
        count += ((const struct record *)at)->data.object.pointer
            == record->data.object.pointer;
    }
    return count == 1;
}

void record_audit(void)
{
    book_audit(&record_book);
    struct book_walk walk = { 0 };
    struct record *record;
    while ((record = record_of(book_next(&record_book, &walk))) != NULL) {
        CHECK(record->entry.hash == record_hash(record->data.object.pointer));
        CHECK(record_is_alone(record));                         /* R1 */
        record_close(record);
    }
}
