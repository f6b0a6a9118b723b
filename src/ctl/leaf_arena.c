/* SPDX-License-Identifier: MIT */
/*
 * leaf_arena - leaves of one arena: arena.<i>.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"

#include <string.h>

/* The longest decay time that jemalloc takes. */
#define LEAF_DECAY_MS_MAX ((int64_t)18446744072 * 1000)

static bool leaf_means_all(size_t index)
{
    return index == SNAPSHOT_ALL || index == arenas_count();
}

/* NULL: it has not been made, or it is all of them. */
static struct arena *leaf_arena(const struct leaf_call *call)
{
    return call->mib[1] < ARENAS_MAX
        ? arenas_at((unsigned)call->mib[1]) : NULL;
}

bool leaf_has_any_arena(size_t index)
{
    return index <= arenas_count() || index == SNAPSHOT_ALL
        || index == SNAPSHOT_DESTROYED;
}

int leaf_arena_initialized(const struct leaf_call *call)
{
    return leaf_answer(call, snapshot_of(call->mib[1]) != NULL);
}

/* -- actions -- */

static int leaf_with_arenas(const struct leaf_call *call,
    void (*action)(struct arena *))
{
    struct arena *arena = leaf_arena(call);
    if (leaf_means_all(call->mib[1]))
        arenas_each(action);
    else if (arena != NULL)
        action(arena);
    return 0;
}

int leaf_arena_decay(const struct leaf_call *call)
{
    return leaf_with_arenas(call, arena_tick);
}

int leaf_arena_purge(const struct leaf_call *call)
{
    return leaf_with_arenas(call, arena_purge);
}

int leaf_arena_reset(const struct leaf_call *call)
{
    return leaf_arena(call) != NULL && arenas_reset((unsigned)call->mib[1])
        ? 0 : EFAULT;
}

int leaf_arena_destroy(const struct leaf_call *call)
{
    return leaf_arena(call) != NULL
        ? snapshot_destroy((unsigned)call->mib[1]) : EFAULT;
}

/* -- settings -- */

static const char *const leaf_dss_words[] = {
    "disabled", "primary", "secondary",
};
enum { LEAF_DSS_WORDS = sizeof leaf_dss_words / sizeof *leaf_dss_words };

/* What was written for each arena, from 1; 0: what option dss says. */
static _Atomic uint8_t leaf_dss[ARENAS_MAX];
static _Atomic uint8_t leaf_dss_of_all;

const char *leaf_dss_of(size_t index)
{
    unsigned word = load_relaxed(&leaf_dss_of_all);
    if (index < ARENAS_MAX && load_relaxed(&leaf_dss[index]) != 0)
        word = load_relaxed(&leaf_dss[index]);
    return leaf_dss_words[word != 0 ? word - 1 : (unsigned)option_now.dss];
}

void leaf_forget_dss(unsigned index)
{
    store_relaxed(&leaf_dss[index], 0);
}

int leaf_arena_dss(const struct leaf_call *call)
{
    const bool is_all = leaf_means_all(call->mib[1]);
    const char *text = NULL;
    unsigned word = 0;
    if (leaf_take(call, &text) != 0)
        return EINVAL;
    if (text != NULL) {
        while (word < LEAF_DSS_WORDS
            && strcmp(text, leaf_dss_words[word]) != 0)
            word++;
        if (word++ == LEAF_DSS_WORDS)
            return EINVAL;
    }
    if (!is_all && leaf_arena(call) == NULL)
        return EFAULT;
    const char *was = leaf_dss_of(is_all ? SIZE_MAX : call->mib[1]);
    if (text != NULL && is_all)
        store_relaxed(&leaf_dss_of_all, (uint8_t)word);
    else if (text != NULL)
        store_relaxed(&leaf_dss[call->mib[1]], (uint8_t)word);
    return leaf_answer_pointer(call, was);
}

int leaf_arena_oversize(const struct leaf_call *call)
{
    struct arena *arena = leaf_arena(call);
    if (arena == NULL)
        return EFAULT;
    size_t bytes = load_relaxed(&arena->oversize_threshold);
    int error = leaf_answer(call, bytes);
    if (error == 0)
        error = leaf_take(call, &bytes);
    if (error == 0)
        store_relaxed(&arena->oversize_threshold, bytes);
    return error;
}

bool leaf_is_decay_ms(int64_t ms)
{
    return ms >= -1 && ms <= LEAF_DECAY_MS_MAX;
}

int64_t leaf_decay_ms_of(const struct arena *arena, uint32_t which)
{
    return which == LEAF_DIRTY ? load_relaxed(&arena->pool.dirty_decay_ms)
        : load_relaxed(&arena->muzzy_decay_ms);
}

int leaf_arena_decay_ms(const struct leaf_call *call)
{
    struct arena *arena = leaf_arena(call);
    if (arena == NULL)
        return EFAULT;
    int64_t ms = leaf_decay_ms_of(arena, call->argument);
    int error = leaf_answer(call, (uint64_t)ms);
    if (error == 0)
        error = leaf_take(call, &ms);
    if (error != 0 || !leaf_is_written(call))
        return error;
    if (!leaf_is_decay_ms(ms))
        return EFAULT;
    if (call->argument == LEAF_DIRTY)
        pool_set_dirty_decay_ms(&arena->pool, ms);
    else
        store_relaxed(&arena->muzzy_decay_ms, ms);
    return 0;
}

int leaf_arena_hooks(const struct leaf_call *call)
{
    const unsigned index = (unsigned)call->mib[1];
    struct arena *arena = leaf_arena(call);
    if (arena == NULL && (call->mib[1] >= ARENAS_MAX || !arenas_exists(index)))
        return EFAULT;
    struct extent_hooks *was
        = arena != NULL ? arenas_hooks(arena) : &hooks_default;
    struct extent_hooks *hooks = NULL;
    const int error = leaf_take(call, &hooks);
    if (error != 0)
        return error;
    if (hooks != NULL && arena == NULL && arenas_touch(index) == NULL)
        return EFAULT;
    if (hooks != NULL && !arenas_set_hooks(index, hooks))
        return EFAULT;
    return leaf_answer_pointer(call, was);
}

/* What jemalloc answers where no limit was set: the largest size there is. */
#define LEAF_NO_LIMIT ((size_t)7 << 60)

/* The page size class that a limit means; 0: there is none below. */
static size_t leaf_class_below(size_t limit)
{
    if (limit == 0)
        return 0;
    const unsigned cls = census_class(min_size(limit, LEAF_NO_LIMIT));
    if (census_bytes(cls) <= limit)
        return census_bytes(cls);
    return cls > 0 ? census_bytes(cls - 1) : 0;
}

int leaf_arena_grow_limit(const struct leaf_call *call)
{
    struct arena *arena = leaf_arena(call);
    size_t limit = 0;
    if (!option_now.retain)
        return ENOENT;
    if (arena == NULL)
        return EFAULT;
    const size_t was = load_relaxed(&arena->pool.retain_grow_limit);
    const int error = leaf_take(call, &limit);
    if (error != 0)
        return error;
    if (leaf_is_written(call)) {
        const size_t most = leaf_class_below(limit);
        if (most == 0)
            return EFAULT;
        store_relaxed(&arena->pool.retain_grow_limit,
            most == LEAF_NO_LIMIT ? 0 : most);
    }
    return leaf_answer(call, was != 0 ? was : LEAF_NO_LIMIT);
}

int leaf_arena_name(const struct leaf_call *call)
{
    struct arena *arena = leaf_arena(call);
    if (leaf_means_all(call->mib[1]) || call->mib[1] == SNAPSHOT_DESTROYED)
        return EINVAL;
    if (arena == NULL)
        return EFAULT;
    if (leaf_is_read(call)) {
        if (*call->old_bytes != sizeof(char *))
            return EINVAL;
        memcpy(*(char **)call->old, arena->name, ARENA_NAME_BYTES);
    }
    char *name = NULL;
    if (!leaf_is_written(call))
        return 0;
    if (leaf_take(call, &name) != 0 || name == NULL)
        return EINVAL;
    const size_t length = strnlen(name, ARENA_NAME_BYTES - 1);
    memcpy(arena->name, name, length);
    memset(arena->name + length, 0, ARENA_NAME_BYTES - length);
    return 0;
}
