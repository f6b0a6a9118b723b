/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is in a book is found, and nothing else, also with equal hashes,
 * without memory, and after a thread vanished at any instruction. Method: a
 * model; system calls that fail; each operation one instruction at a time, with
 * a child after each that changed something (step.h).
 */
#include "unit/sys/step.h"

#include "ledger/book.h"

struct card {
    struct book_entry entry;
    uint64_t key;
};

static struct book book;
static const struct book empty = BOOK_INITIAL(LOCK_record, struct card);

static struct card *card_of(struct book_entry *entry)
{
    return (struct card *)entry;
}

static bool add_with_hash(uint64_t key, uint64_t hash)
{
    struct book_shard *shard = book_open(&book, hash);
    struct card *card = card_of(book_fresh(shard));
    if (card != NULL) {
        card->key = key;
        book_add(&card->entry, hash);
    }
    book_close(shard);
    return card != NULL;
}

static bool add(uint64_t key)
{
    return add_with_hash(key, book_hash(key, 0));
}

/* How many there are of the key. */
static unsigned count_of(uint64_t key)
{
    const uint64_t hash = book_hash(key, 0);
    struct book_shard *shard = book_open(&book, hash);
    struct book_entry *at = NULL;
    unsigned count = 0;
    while ((at = book_find(shard, hash, at)) != NULL)
        count += card_of(at)->key == key;
    book_close(shard);
    return count;
}

static void take_out(uint64_t key)
{
    const uint64_t hash = book_hash(key, 0);
    struct book_shard *shard = book_open(&book, hash);
    struct book_entry *at = NULL;
    while ((at = book_find(shard, hash, at)) != NULL
        && card_of(at)->key != key)
        continue;
    if (at != NULL)
        book_remove(at);
    book_close(shard);
}

static size_t count_all(void)
{
    struct book_walk walk = { 0 };
    struct book_entry *entry;
    size_t count = 0;
    while ((entry = book_next(&book, &walk)) != NULL) {
        count++;
        book_close(entry->shard);
    }
    return count;
}

static int begin(void **state)
{
    (void)state;
    book = empty;
    fork_mind_slow();
    return 0;
}

/* -- a model -- */

enum { KEYS = 20000, STEPS = 60000 };

static void agrees_with_a_model(void **state)
{
    (void)state;
    static bool in[KEYS];
    struct dice dice = { 1 };
    size_t count = 0;
    for (int i = 0; i < STEPS; i++) {
        const size_t key = dice_below(&dice, KEYS);
        assert_int_equal(count_of(key), in[key]);
        if (in[key])
            take_out(key);
        else
            assert_true(add(key));
        in[key] = !in[key];
        count += in[key] ? 1 : (size_t)-1;
    }
    book_audit(&book);
    assert_int_equal(book_used(&book), count);
    assert_int_equal(count_all(), count);
    for (size_t key = 0; key < KEYS; key++)
        assert_int_equal(count_of(key), in[key]);
}

static void keeps_equal_hashes_apart(void **state)
{
    (void)state;
    const uint64_t hash = book_hash(7, 0);
    for (uint64_t key = 0; key < 10; key++)
        assert_true(add_with_hash(key, hash));
    assert_int_equal(count_of(7), 1);
    take_out(7);
    assert_int_equal(count_of(7), 0);
    assert_int_equal(book_used(&book), 9);
    book_audit(&book);
}

/* All are taken out on the way, and none is met twice. */
static void is_emptied_by_a_walk(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    for (uint64_t key = 0; key < COUNT; key++)
        assert_true(add(key));
    struct book_walk walk = { 0 };
    struct book_entry *entry;
    size_t count = 0;
    while ((entry = book_next(&book, &walk)) != NULL) {
        struct book_shard *shard = entry->shard;
        book_remove(entry);
        book_close(shard);
        count++;
    }
    assert_int_equal(count, COUNT);
    assert_int_equal(book_used(&book), 0);
    book_audit(&book);
}

/* -- no memory -- */

static void says_when_there_is_no_memory(void **state)
{
    (void)state;
    unit_fail_all(1u << SYS_RESERVE | 1u << SYS_COMMIT | 1u << SYS_MAP);
    uint64_t count = 0;
    while (add(count))
        count++;
    book_audit(&book);
    assert_int_equal(book_used(&book), count);
    (void)unit_fail_none();
    for (uint64_t key = 0; key < count; key++)
        assert_int_equal(count_of(key), 1);
    assert_true(add(count));
    assert_int_equal(count_of(count), 1);
    book_audit(&book);
}

/* -- vanish at every instruction -- */

/* Of these the first STABLE are in before and after; what is at work is about
 * key STABLE. In one shard, so that its table grows soon. */
enum { STABLE = 32 };
static uint64_t stable[STABLE + 1];

static void find_keys(void)
{
    size_t count = 0;
    for (uint64_t key = 0; count <= STABLE; key++) {
        if (book_hash(key, 0) >> (64 - BOOK_SHARDS_LOG2) == 3)
            stable[count++] = key;
    }
}

static uint64_t sum(void)
{
    const struct book_shard *shard = &book.shard[3];
    uint64_t total = step_add(0, shard, sizeof *shard);
    if (shard->slots != NULL)
        total = step_add(total, shard->slots, sizeof *shard->slots
            + shard->slots->count * sizeof shard->slots->slot[0]);
    for (struct book_block *block = shard->blocks; block;
         block = block->next)
        total = step_add(total, block, sizeof *block
            + block->count * shard->entry_bytes);
    return total;
}

static void check(void)
{
    book_audit(&book);
    for (size_t i = 0; i < STABLE; i++)
        EXPECT(count_of(stable[i]) == 1);
    const unsigned count = count_of(stable[STABLE]);
    EXPECT(count <= 1);
    EXPECT(book_used(&book) == STABLE + count);
    if (count == 1)
        take_out(stable[STABLE]);
    EXPECT(add(stable[STABLE]));
    EXPECT(count_of(stable[STABLE]) == 1);
    book_audit(&book);
}

static void add_last(void)
{
    EXPECT(add(stable[STABLE]));
}

static void remove_last(void)
{
    take_out(stable[STABLE]);
}

static void mends_after_any_prefix(void **state)
{
    (void)state;
    if (!STEP_CAN)
        skip();
    find_keys();
    for (size_t i = 0; i < STABLE; i++)
        assert_true(add(stable[i]));
    /* The next one makes a block and a larger table. */
    const size_t slots = book.shard[3].slots->count;
    const struct step adding = { add_last, check, sum };
    assert_true(step_run(&adding) > 20);
    assert_true(book.shard[3].slots->count > slots);
    const struct step removing = { remove_last, check, sum };
    assert_true(step_run(&removing) > 5);
    /* And one with nothing to make. */
    assert_true(step_run(&adding) > 5);
    book_audit(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_a_model, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(keeps_equal_hashes_apart, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(is_emptied_by_a_walk, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(mends_after_any_prefix, begin,
            unit_teardown),
        cmocka_unit_test_setup_teardown(says_when_there_is_no_memory, begin,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
