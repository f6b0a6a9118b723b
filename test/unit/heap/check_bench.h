/* SPDX-License-Identifier: MIT */
/*
 * check_bench - misuse that is counted, for the tests of check.h.
 *
 * Owns     a listener that counts reports; the blocks that a program holds of
 *          one slab; free blocks on each kind of list; and threads that ask
 *          about a block.
 * Used by  test/unit/heap/{check,list,hand,search,hardening}_test.c.
 */
#ifndef CHECK_BENCH_H
#define CHECK_BENCH_H

#include "bench.h"

#include <sched.h>

#include "heap/check.h"
#include "heap/owner.h"
#include "heap/remote.h"

/* -- reports -- */

static const char *const messages[] = {
#define MISUSE(id, message) message,
#include "table/misuse.def"
};

static _Atomic size_t reports;
static char last_report[512];

static UNUSED void hear(const char *line)
{
    add_relaxed(&reports, 1);
    (void)snprintf(last_report, sizeof last_report, "%s", line);
}

static UNUSED void listen(void)
{
    sys_set_misuse_policy(MISUSE_WARN);
    sys_set_listener(hear);
}

/* Since the last call there was one report, this. */
static UNUSED void expect_report(enum misuse what, const void *pointer)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted, "(0x%llx): %s",
        (unsigned long long)(uintptr_t)pointer, messages[what]);
    if (load_relaxed(&reports) != 1 || strstr(last_report, wanted) == NULL) {
        dprintf(STDERR_FILENO, "%zu reports, wanted one with \"%s\"\n",
            load_relaxed(&reports), wanted);
        _exit(1);
    }
    store_relaxed(&reports, 0);
}

static UNUSED void expect_silence(void)
{
    CHILD_EXPECT(load_relaxed(&reports) == 0);
}

/* -- blocks of one slab -- */

/* The first class whose free blocks have room for a mark. */
enum { CLASS_MARKED = sizeof(struct block) > ASHLAR_QUANTUM };

enum { BLOCKS_MAX = 20000 };

/* All that the program holds of a class. */
static struct {
    unsigned cls;
    struct slab *slab;          /* of the first */
    size_t count;
    struct block *block[BLOCKS_MAX];
} held;

static UNUSED struct block *hold_one(void)
{
    CHILD_EXPECT(held.count < BLOCKS_MAX);
    struct block *block = API(malloc)(class_bytes[held.cls]);
    CHILD_EXPECT(block != NULL);
    memset(block, 0x5a, class_bytes[held.cls]);
    held.block[held.count++] = block;
    return block;
}

static UNUSED void hold(unsigned cls, size_t count)
{
    held.cls = cls;
    held.count = 0;
    while (held.count < count)
        (void)hold_one();
    held.slab = slab_with(held.block[0]);
    for (size_t i = 0; i < count; i++)
        CHILD_EXPECT(slab_with(held.block[i]) == held.slab);
}

/* Drop a block from the books. */
static UNUSED struct block *drop_one(void)
{
    return held.block[--held.count];
}

static UNUSED void free_all_held(void)
{
    while (held.count > 0)
        API(free)(drop_one());
}

static UNUSED bool is_held(const struct block *block)
{
    for (size_t i = 0; i < held.count; i++) {
        if (held.block[i] == block)
            return true;
    }
    return false;
}

static UNUSED bool has_mark(const struct block *block)
{
    return block->mark == check_mark(slab_with(block), block);
}

/* The slab that the thread hands out from is nobody's. */
static UNUSED void let_go(unsigned cls)
{
    struct bin *bin = &thread.own->bin[cls];
    struct slab *slab = bin->current;
    CHILD_EXPECT(slab == held.slab);
    bin_settle(bin);
    if (remote_is_unowned(slab))
        return;
    bin_unlist(bin, slab);
    CHILD_EXPECT(owner_disown(slab));
}

/* Lists on which a free block can be; HAND is that of the calling thread. */
enum place { OPEN, SEGMENT, REMOTE, HAND, PLACES };

static UNUSED bool list_has(const struct block *list, const struct block *block)
{
    while (list != NULL && list != block)
        list = list->next;
    return list != NULL;
}

static UNUSED bool is_on(const struct slab *slab, enum place place,
    const struct block *block)
{
    if (place == OPEN)
        return list_has(slab->freed, block);
    if (place == REMOTE)
        return list_has(remote_list(slab), block);
    if (place == HAND)
        return list_has(thread.shelf[slab->remote_cls], block);
    for (uint32_t i = 0; i < slab->segments; i++) {
        if (list_has(slab_segment(slab, i), block))
            return true;
    }
    return false;
}

/* What is in hand as well: so nothing is let go of when the frees are many. */
static UNUSED void hold_the_hand(void)
{
    while (thread.shelf[held.cls] != NULL)
        (void)hold_one();
}

/* How many frees the list of that kind is made of; in hand there is room for
 * one more. */
static UNUSED size_t place_blocks(enum place place, unsigned cls)
{
    if (place == HAND)
        return (size_t)thread.room[cls] - 1;
    return place == OPEN ? class_segment[cls] - 1u : class_segment[cls];
}

/* Free so many that there is a list of that kind; the first is its last. The
 * blocks are in freed[]. But for HAND there is no room in hand then. */
static UNUSED size_t free_to(enum place place, unsigned cls,
    struct block **freed)
{
    (void)thread_heap();
    end_room(cls);
    hold(cls, class_segment[cls] + 1u);
    if (place != HAND) {
        hold_the_hand();
        end_room(cls);
    }
    const size_t count = place_blocks(place, cls);
    CHILD_EXPECT(count > 1 && count < held.count);
    for (size_t i = 0; i < count; i++) {
        freed[i] = drop_one();
        if (place == REMOTE)
            free_elsewhere(freed[i]);
        else
            API(free)(freed[i]);
    }
    for (size_t i = 0; i < count; i++)
        CHILD_EXPECT(is_on(held.slab, place, freed[i]));
    return count;
}

static UNUSED struct block *freed[BLOCKS_MAX];

/* Take all blocks of the slab that can be had; each one once. */
static UNUSED void hold_the_rest(void)
{
    static unsigned char seen[BLOCKS_MAX];
    memset(seen, 0, sizeof seen);
    const size_t bytes = class_bytes[held.cls];
    for (size_t i = 0; i < 2u * class_blocks[held.cls]; i++)
        (void)hold_one();
    for (size_t i = 0; i < held.count; i++) {
        if (slab_with(held.block[i]) != held.slab)
            continue;
        const size_t at = (size_t)((char *)held.block[i] - held.slab->start);
        CHILD_EXPECT(at % bytes == 0 && !seen[at / bytes]);
        seen[at / bytes] = 1;
    }
}

/* -- threads that ask -- */

enum { ASKERS_MAX = 3 };

/* Again and again, about a block that is out, while the test makes lists that
 * lead to it. They are more than the cores: one that is stopped in the middle
 * of a walk goes on in what was a list. */
static struct {
    struct block *victim;
    _Atomic bool over;
    _Atomic size_t asked;
    size_t askers;
    pthread_t asker[ASKERS_MAX];
} inquiry;

static UNUSED void *ask_about_the_victim(void *argument)
{
    const struct slab *slab = slab_with(inquiry.victim);
    while (!load_relaxed(&inquiry.over)) {
        /* It looks free each time, for the answer sets the mark. */
        CHILD_EXPECT(check_give_remote(slab, "free", inquiry.victim));
        add_relaxed(&inquiry.asked, 1);
    }
    return argument;
}

static UNUSED void begin_inquiry(struct block *victim, size_t askers)
{
    inquiry.victim = victim;
    inquiry.askers = askers;
    threads_begin(inquiry.asker, askers, ask_about_the_victim, NULL);
}

/* Nobody believed a list. */
static UNUSED void end_inquiry(void)
{
    store_relaxed(&inquiry.over, true);
    threads_end(inquiry.asker, inquiry.askers);
    expect_silence();
    API(audit_all)();
}

#endif
