/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are given back twice, or by a wrong size.
 */
#include "misuse.h"

#include <dlfcn.h>

/* -- twice -- */

static void twice(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_free, misused(pointer));
}

/* Twice, by two threads, in both orders. */
static void twice_other_first(void)
{
    void *pointer = victim();
    elsewhere(call_free, pointer);
    scene.block[scene.victim] = NULL;
    call_free(misused(pointer));
}

static void twice_other_last(void)
{
    void *pointer = victim();
    call_free(pointer);
    scene.block[scene.victim] = NULL;
    elsewhere(call_free, misused(pointer));
}

static void twice_with_others_between(void)
{
    void *pointer = victim();
    give(scene.victim);
    give_neighbours();
    commit(call_free, misused(pointer));
}

/* The same thread frees and allocates others, of other sizes. */
static void use_other_sizes(void *unused)
{
    (void)unused;
    for (size_t bytes = 1; bytes < 8 * MIB; bytes = bytes * 3 / 2 + 1) {
        void *volatile block[8];
        for (size_t i = 0; i < 8 && bytes / 2 > scene.bytes; i++)
            block[i] = malloc(bytes);
        for (size_t i = 0; i < 8 && bytes / 2 > scene.bytes; i++)
            free(block[i]);
    }
}

static void twice_with_other_sizes_between(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(use_other_sizes, NULL);
    commit(call_free, misused(pointer));
}

/* The owner goes on allocating, from other slabs. */
static void twice_with_refills_between(void)
{
    void *pointer = victim();
    give(scene.victim);
    give_neighbours();
    for (size_t round = 0; round < 300; round++) {
        void *volatile block[8];
        for (size_t i = 0; i < 8; i++)
            block[i] = malloc(scene.bytes);
        for (size_t i = 0; i < 8; i++) {
            insist(block[i] != pointer, "the block is out again");
            free(block[i]);
        }
    }
    commit(call_free, misused(pointer));
}

/* The memory of the second block went back to the system meanwhile. */
static void twice_with_a_trim_between(void)
{
    void *pointer = victim();
    give(scene.victim);
    give_neighbours();
    malloc_trim(0);
    commit(call_free, misused(pointer));
}

static void realloc_of_free(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_realloc, misused(pointer));
}

static void longer_realloc_of_free(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_realloc_longer, misused(pointer));
}

static void usable_size_of_free(void)
{
    char *pointer = victim();
    give(scene.victim);
    insist(malloc_usable_size(misused(pointer)) >= scene.bytes,
        "usable bytes of a free block");
}

static void sized_free_of_free(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_free_sized, misused(pointer));
}

static void aligned_free_of_free(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_free_aligned_sized, misused(pointer));
}

static void delete_of_free(void)
{
    void *pointer = victim();
    give(scene.victim);
    commit(call_delete, misused(pointer));
}

/* Everything in the slab is given back, then one once more. */
static void after_all(void)
{
    void *pointer = victim();
    for (size_t i = 0; i < scene.count; i++)
        give(i);
    commit(call_free, misused(pointer));
}

static void large_after_trim(void)
{
    void *pointer = victim();
    give(scene.victim);
    malloc_trim(0);
    commit(call_free, misused(pointer));
}

static void twice_in_hand(void)
{
    char *pointer = take_in_hand();
    commit(call_free, misused(pointer));
}

/* The block is somebody else's by now; who is told of it later. */
static void twice_while_out_again(void)
{
    char *pointer = victim();
    give(scene.victim);
    char *came = NULL;
    for (size_t i = 0; i < 100000 && came != pointer; i++)
        came = malloc(scene.bytes);
    insist(came == pointer, "the block does not come back");
    commit(call_free, pointer);
    commit(call_free, misused(came));
}

/* -- sizes -- */

static void sized(size_t bytes)
{
    void *pointer = misused(victim());
    scene.block[scene.victim] = NULL;
    const size_t asked = scene.bytes;
    scene.bytes = bytes;
    commit(call_free_sized, pointer);
    scene.bytes = asked;
}

static void size_too_large(void)
{
    sized(2 * scene.bytes);
}

static void size_too_small(void)
{
    sized(scene.bytes / 2);
}

static void size_zero(void)
{
    sized(0);
}

static void size_max(void)
{
    sized(SIZE_MAX);
}

static void size_right(void)
{
    sized(scene.bytes);
}

static void size_of_delete(void)
{
    void (*const delete)(void *, size_t) =
        (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "_ZdlPvm");
    void *pointer = misused(victim());
    scene.block[scene.victim] = NULL;
    delete(pointer, 3 * scene.bytes);
}

/* -- at once -- */

static struct {
    _Atomic size_t turn;        /* 2 * i + 2: block i may be given back */
} race;

static void *race_on(void *unused)
{
    for (size_t i = 0; i < scene.count; i++) {
        race.turn++;
        while (race.turn < 2 * i + 2)
            continue;
        free(scene.block[i]);
    }
    return unused;
}

/* Two threads free the same blocks, each at the same moment. */
static void both_at_once(void)
{
    pthread_t thread[2];
    misused(scene.block[0]);
    for (int i = 0; i < 2; i++)
        insist(pthread_create(&thread[i], NULL, race_on, NULL) == 0,
            "no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    scene.count = 0;
    take_over();
}

const struct named twice_mistakes[] = {
    NAMED(twice),
    NAMED(twice_other_first),
    NAMED(twice_other_last),
    NAMED(twice_with_others_between),
    NAMED(twice_with_other_sizes_between),
    NAMED(twice_with_refills_between),
    NAMED(twice_with_a_trim_between),
    NAMED(realloc_of_free),
    NAMED(longer_realloc_of_free),
    NAMED(usable_size_of_free),
    NAMED(sized_free_of_free),
    NAMED(aligned_free_of_free),
    NAMED(delete_of_free),
    NAMED(after_all),
    NAMED(large_after_trim),
    NAMED(twice_in_hand),
    NAMED(twice_while_out_again),
    NAMED(size_too_large),
    NAMED(size_too_small),
    NAMED(size_zero),
    NAMED(size_max),
    NAMED(size_right),
    NAMED(size_of_delete),
    NAMED(both_at_once),
    { NULL, NULL },
};
