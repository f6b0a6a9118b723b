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

static struct {
    struct lock lock;
    char *at;
    char *end;
} meta = {
    .lock = { .rank = LOCK_meta },
    .at = meta_first,
    .end = meta_first + META_FIRST_BYTES,
};

static bool meta_open_area(void)
{
    const size_t guard = sys_page_bytes();
    char *area = sys_reserve(guard + META_AREA_BYTES + guard, guard);
    if (area == NULL)
        return false;
    if (!sys_commit(area + guard, META_AREA_BYTES)) {
        (void)!sys_release(area, guard + META_AREA_BYTES + guard);
        return false;
    }
    meta.at = area + guard;
    meta.end = meta.at + META_AREA_BYTES;
    return true;
}

void *meta_take(size_t bytes)
{
    ASSERT(bytes <= META_TAKE_BYTES_MAX);
    bytes = round_up(bytes, CACHE_LINE_BYTES);
    lock_take(&meta.lock);
    char *taken = NULL;
    if ((size_t)(meta.end - meta.at) >= bytes || meta_open_area()) {
        taken = meta.at;
        meta.at += bytes;
    }
    lock_give(&meta.lock);
    return taken;
}
