/* SPDX-License-Identifier: MIT */
/*
 * watch - functions of the program that hear of every allocation. See watch.h.
 */
#include "heap/watch.h"

#include "heap/thread.h"

/* Readers copy a place and look whether its version is still the same: odd
 * while it is being written. */
struct watch_place {
    _Atomic uint32_t version;
    _Atomic bool used;
    struct watch watch;
};

static struct {
    struct lock lock;
    struct watch_place at[WATCH_MAX];
} watches = { .lock = { .rank = LOCK_events } };

/* Under the lock. */
static void watch_set(struct watch_place *place, const struct watch *watch)
{
    add_relaxed(&place->version, 1);
    fence_release();    /* pairs with watch_get() */
    store_relaxed(&place->used, watch != NULL);
    if (watch != NULL)
        place->watch = *watch;
    /* pairs with watch_get() */
    (void)add_release(&place->version, 1);
}

/* false: nothing is there, or it is changing. */
static bool watch_get(const struct watch_place *place, struct watch *watch)
{
    /* pairs with watch_set() */
    const uint32_t version = load_acquire(&place->version);
    if (version % 2 != 0 || !load_relaxed(&place->used))
        return false;
    *watch = place->watch;
    fence_acquire();    /* pairs with watch_set() */
    return load_relaxed(&place->version) == version;
}

const void *watch_add(const struct watch *watch)
{
    const void *handle = NULL;
    lock_take(&watches.lock);
    for (int i = 0; i < WATCH_MAX && handle == NULL; i++) {
        if (!load_relaxed(&watches.at[i].used)) {
            watch_set(&watches.at[i], watch);
            handle = &watches.at[i];
        }
    }
    lock_give(&watches.lock);
    if (handle != NULL)
        thread_watch_all(true);
    return handle;
}

bool watch_remove(const void *handle)
{
    bool found = false;
    bool any = false;
    lock_take(&watches.lock);
    for (int i = 0; i < WATCH_MAX; i++) {
        struct watch_place *place = &watches.at[i];
        if (place == handle && load_relaxed(&place->used)) {
            watch_set(place, NULL);
            found = true;
        }
        any = any || load_relaxed(&place->used);
    }
    lock_give(&watches.lock);
    if (!any)
        thread_watch_all(false);
    return found;
}

/* -- telling -- */

struct watch_news {
    void *pointer;
    size_t old_bytes;           /* 0: it is new */
    size_t bytes;               /* 0: it goes */
};

static void watch_tell_one(const struct watch *watch, struct watch_news news)
{
    uintptr_t arguments[WATCH_ARGUMENTS] = { news.bytes };
    if (news.old_bytes == 0) {
        if (watch->taken != NULL)
            watch->taken(watch->extra, 0, news.pointer,
                (uintptr_t)news.pointer, arguments);
        return;
    }
    arguments[0] = (uintptr_t)news.pointer;
    arguments[1] = news.bytes;
    if (news.bytes == 0 && watch->given != NULL)
        watch->given(watch->extra, 0, news.pointer, arguments);
    else if (news.bytes != 0 && watch->resized != NULL)
        watch->resized(watch->extra, 0, news.pointer, news.old_bytes,
            news.bytes, (uintptr_t)news.pointer, arguments);
}

static COLD void watch_tell(struct watch_news news)
{
    if (thread.calls)
        return;
    thread.calls = true;
    for (int i = 0; i < WATCH_MAX; i++) {
        struct watch watch;
        if (watch_get(&watches.at[i], &watch))
            watch_tell_one(&watch, news);
    }
    thread.calls = false;
}

void watch_take(void *pointer, size_t bytes)
{
    watch_tell((struct watch_news){ pointer, 0, bytes });
}

void watch_give(void *pointer, size_t bytes)
{
    watch_tell((struct watch_news){ pointer, bytes, 0 });
}

void watch_resize(void *pointer, size_t old_bytes, size_t bytes)
{
    watch_tell((struct watch_news){ pointer, old_bytes, bytes });
}
