/* SPDX-License-Identifier: MIT */
/*
 * meta - memory for our own structures; never given back. See meta.h.
 */
#include "page/meta.h"

#include "sys/lock.h"
#include "util/units.h"

#define META_AREA_BYTES (256 * KiB)
#define META_TAKE_BYTES_MAX (64 * KiB)

/* What a process with one thread needs, so that it pays no system call. */
#define META_FIRST_BYTES (12 * KiB)
static CACHE_ALIGNED char meta_first[META_FIRST_BYTES];

/* The head of an area; two words that would be cut apart by a fork if they
 * were not switched together, by one store to meta.area. */
struct meta_area {
    CACHE_ALIGNED char *at;
    char *end;
};

/* Sound after every prefix: a thread that vanishes here wastes what it was
 * about to get. There is nothing to mend. */
static struct {
    struct lock lock;
    struct meta_area first;
    struct meta_area *area;
} meta = {
    .lock = { .rank = LOCK_meta },
    .first = { meta_first, meta_first + META_FIRST_BYTES },
    .area = &meta.first,
};

static bool meta_open_area(void)
{
    const size_t guard = sys_page_bytes();
    char *start = sys_reserve(guard + META_AREA_BYTES + guard, guard);
    if (start == NULL)
        return false;
    if (!sys_commit(start + guard, META_AREA_BYTES)) {
        (void)!sys_release(start, guard + META_AREA_BYTES + guard);
        return false;
    }
    struct meta_area *area = (struct meta_area *)(void *)(start + guard);
    area->at = (char *)(area + 1);
    area->end = (char *)area + META_AREA_BYTES;
    COMPILER_BARRIER();
    meta.area = area;
    return true;
}

struct lock *meta_lock(void)
{
    return &meta.lock;
}

void *meta_take(size_t bytes)
{
    ASSERT(bytes <= META_TAKE_BYTES_MAX);
    bytes = round_up(bytes, CACHE_LINE_BYTES);
    lock_take(&meta.lock);
    char *taken = NULL;
    if ((size_t)(meta.area->end - meta.area->at) >= bytes
        || meta_open_area()) {
        taken = meta.area->at;
        meta.area->at = taken + bytes;
    }
    lock_give(&meta.lock);
    return taken;
}
