/* SPDX-License-Identifier: MIT */
/*
 * Free blocks that the program writes to: the links of lists, marks, the rest.
 */
#include "misuse.h"

#define GARBAGE ((void *)(uintptr_t)0x4141414141414141)

/* The nearest neighbour that stays out. */
static char *live_neighbour(void)
{
    return scene.block[scene.victim - 2];
}

/* A few neighbours, then the victim: its link leads to the last of them. */
static char *give_a_list(void)
{
    give_neighbours();
    char *pointer = victim();
    give(scene.victim);
    return pointer;
}

static void overwrite_link(const void *link)
{
    char *pointer = misused(give_a_list());
    memcpy(pointer, &link, sizeof link);
    take_over();
}

static void link_is_garbage(void)
{
    overwrite_link(GARBAGE);
}

static void link_is_cut(void)
{
    overwrite_link(NULL);
}

static void link_into_a_block(void)
{
    overwrite_link(victim() + 8);
}

static void link_to_static_data(void)
{
    overwrite_link(static_data);
}

/* To a block of another slab, which is out. */
static void link_to_another_slab(void)
{
    overwrite_link(malloc(scene.bytes + 2000));
}

/* To a block of the same slab, which is out: the neighbour not given. */
static void link_to_a_live_block(void)
{
    overwrite_link(live_neighbour());
}

static void link_to_itself(void)
{
    overwrite_link(victim());
}

static void first_word_set_to(int byte)
{
    char *pointer = misused(give_a_list());
    memset(pointer, byte, 8);
    take_over();
}

static void cleared_after_free(void)
{
    first_word_set_to(0);
}

/* The program writes over all of a free block. */
static void filled_after_free(void)
{
    char *pointer = misused(give_a_list());
    memset(pointer, 0x5a, scene.bytes);
    take_over();
}

static void second_word(void)
{
    char *pointer = misused(give_a_list());
    memset(pointer + 8, 0x5a, 8);
    take_over();
}

/* The program writes into a free block, but for the first two words. */
static void rest_of_a_free_block(void)
{
    char *pointer = misused(give_a_list());
    memset(pointer + 16, 0x5a, scene.bytes - 16);
    take_over();
}

/* Without its mark a free block looks like any other. */
static void twice_without_mark(void)
{
    char *pointer = misused(give_a_list());
    memset(pointer + 8, 0x5a, 8);
    commit(call_free, pointer);
}

/* A live block written beyond its end, into a free one. */
static void overflow(void)
{
    char *pointer = victim();
    const size_t bytes = malloc_usable_size(pointer);
    size_t at = 0;
    while (at < scene.count && scene.block[at] != pointer + bytes
            && scene.block[at] != pointer - bytes)
        at++;
    insist(at < scene.count, "no neighbour");
    char *neighbour = scene.block[at];
    give(scene.victim - 3);
    give(at);
    misused(neighbour);
    memset(neighbour, 0x5a, 8);
    take_over();
}

static void overflow_into_a_live_block(void)
{
    char *pointer = misused(victim() - malloc_usable_size(victim()));
    insist(pointer == scene.block[scene.victim - 1], "no neighbour");
    memset(pointer, 0x5a, 2 * scene.bytes);
}

/* malloc believes the link of a block in hand. */
static void link_in_hand(void)
{
    const char *const link = misused(static_data);
    char *pointer = take_in_hand();
    memcpy(pointer, &link, sizeof link);
    for (size_t i = 0; i < 3; i++) {
        void *volatile block = malloc(scene.bytes);
        (void)block;
    }
}

/* The same of one that was freed a moment ago. */
static void link_in_warm_hand(void)
{
    const char *const link = static_data;
    char *pointer = misused(victim());
    give(scene.victim);
    memcpy(pointer, &link, sizeof link);
    take_over();
}

const struct named list_mistakes[] = {
    NAMED(link_is_garbage),
    NAMED(link_is_cut),
    NAMED(link_into_a_block),
    NAMED(link_to_static_data),
    NAMED(link_to_another_slab),
    NAMED(link_to_a_live_block),
    NAMED(link_to_itself),
    NAMED(cleared_after_free),
    NAMED(filled_after_free),
    NAMED(second_word),
    NAMED(rest_of_a_free_block),
    NAMED(twice_without_mark),
    NAMED(overflow),
    NAMED(overflow_into_a_live_block),
    NAMED(link_in_hand),
    NAMED(link_in_warm_hand),
    { NULL, NULL },
};
