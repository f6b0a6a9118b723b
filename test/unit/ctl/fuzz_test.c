/* SPDX-License-Identifier: MIT */
/*
 * Names and mibs that nobody would write: every answer is an error number of
 * the contract, and nothing beyond the room that was given is touched. The
 * seed is printed; run with it as the argument to see the same again.
 */
#include "ask.h"

#include <time.h>

enum { ROUNDS = 300000 };

static uint64_t seed;

static uint32_t next(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static bool is_answer(int error)
{
    return error == 0 || error == EINVAL || error == EPERM || error == ENOENT
        || error == EFAULT || error == EAGAIN;
}

/* A leaf that a blind write, or none, could not harm: nothing that destroys
 * arenas with objects in them, follows what was written, or starts threads. */
static bool is_harmless(const struct node *node)
{
    return node->leaf == NULL || !node->leaf->is_written
        || node->leaf->handler == LEAF_epoch
        || node->leaf->handler == LEAF_cache_flush
        || node->leaf->handler == LEAF_cache_destroy
        || node->leaf->handler == LEAF_thread_arena
        || node->leaf->handler == LEAF_arenas_lookup
        || node->leaf->handler == LEAF_utilization
        || node->leaf->handler == LEAF_cache_enabled
        || node->leaf->handler == LEAF_arena_oversize
        || node->leaf->handler == LEAF_arena_decay_ms
        || node->leaf->handler == LEAF_arenas_decay_ms;
}

/* Read and write as chance will have it, within fences. */
static void ask_anything(const size_t *mib, size_t depth,
    const struct node *node)
{
    enum { ROOM = 64, FENCE = 16 };
    unsigned char room[ROOM + FENCE];
    uint64_t value[8];
    memset(room, 0xa5, sizeof room);
    for (int i = 0; i < 8; i++)
        value[i] = next(3) == 0 ? UINT64_MAX : next(5000);
    size_t bytes = next(ROOM + 1);
    const bool is_read = next(4) != 0;
    const bool is_written = next(2) == 0 && is_harmless(node);
    if (node->leaf != NULL && node->leaf->handler == LEAF_arena_name)
        return;
    const int error = ctl_by_mib(mib, depth, is_read ? room : NULL,
        is_read ? &bytes : NULL, is_written ? value : NULL,
        is_written ? next(ROOM + 1) : 0);
    assert_true(is_answer(error));
    for (int i = ROOM; i < ROOM + FENCE; i++)
        assert_int_equal(room[i], 0xa5);
}

/* -- mibs -- */

static void no_mib_does_harm(void **state)
{
    (void)state;
    static const size_t edges[] = {
        4095, 4096, 4097, 4098, UINT32_MAX, (size_t)UINT32_MAX + 1,
        SIZE_MAX, SIZE_MAX - 1, (size_t)1 << 63,
    };
    enum { EDGES = sizeof edges / sizeof *edges, DEPTH = 10 };
    unsigned leaves = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t mib[DEPTH];
        for (int i = 0; i < DEPTH; i++)
            mib[i] = next(16) == 0 ? edges[next(EDGES)] : next(20);
        const size_t depth = next(DEPTH + 1);
        const struct node *node = tree_at(mib, depth);
        if (node == NULL) {
            assert_int_equal(
                ctl_by_mib(mib, depth, NULL, NULL, NULL, 0), ENOENT);
            continue;
        }
        leaves += node->leaf != NULL;
        ask_anything(mib, depth, node);
    }
    assert_true(leaves > ROUNDS / 1000);
}

/* -- names -- */

struct pick {
    char name[ASK_NAME_BYTES];
    unsigned at;
    unsigned number;
};

static void pick(const struct ask_leaf *leaf, void *argument)
{
    struct pick *picked = argument;
    if (picked->at++ == picked->number)
        memcpy(picked->name, leaf->name, sizeof picked->name);
}

static void change(char *name)
{
    static const char letters[] = "aeist.._019 -+<>\t\x01\xff";
    const size_t length = strlen(name);
    const size_t at = next((uint32_t)length + 1);
    switch (next(4)) {
    case 0:
        name[at] = letters[next(sizeof letters)];
        break;
    case 1:
        memmove(name + at, name + at + (at < length), length - at);
        break;
    case 2:
        memmove(name + at + 1, name + at, length - at + 1);
        name[at] = letters[next(sizeof letters)];
        break;
    default:
        (void)snprintf(name + at, ASK_NAME_BYTES - 1 - at, ".%u", next(5000));
    }
    name[ASK_NAME_BYTES - 1] = '\0';
}

static void no_name_does_harm(void **state)
{
    (void)state;
    enum { PICKS = 500, CHANGES = 200 };
    for (int i = 0; i < PICKS; i++) {
        struct pick picked = { .number = next(480) };
        ask_each(pick, &picked);
        for (int j = 0; j < CHANGES; j++) {
            char name[2 * ASK_NAME_BYTES];
            memcpy(name, picked.name, sizeof picked.name);
            for (uint32_t changes = next(3); changes > 0; changes--)
                change(name);
            size_t mib[TREE_DEPTH_MAX];
            size_t depth = next(TREE_DEPTH_MAX + 1);
            const struct node *node = tree_find(name, mib, &depth);
            if (node != NULL)
                ask_anything(mib, depth, node);
        }
    }
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mib_does_harm),
        cmocka_unit_test(no_name_does_harm),
    };
    return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
