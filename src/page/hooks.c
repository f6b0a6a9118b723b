/* SPDX-License-Identifier: MIT */
/*
 * hooks - memory that the program brings. See hooks.h.
 */
#include "page/hooks.h"

#include "page/map.h"
#include "util/units.h"

/* -- the default ones -- */

static void *hooks_default_alloc(struct extent_hooks *hooks, void *new_addr,
    size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks;
    (void)arena;
    /* Nothing is promised about what lies at an address. */
    if (new_addr != NULL)
        return NULL;
    void *start = sys_reserve(size, max_size(alignment, sys_page_bytes()));
    if (start == NULL)
        return NULL;
    if (!sys_commit(start, size)) {
        (void)!sys_release(start, size);
        return NULL;
    }
    *zero = true;
    *commit = true;
    return start;
}

static bool hooks_default_dalloc(struct extent_hooks *hooks, void *addr,
    size_t size, bool committed, unsigned arena)
{
    (void)hooks;
    (void)committed;
    (void)arena;
    return !sys_release(addr, size);
}

static void hooks_default_destroy(struct extent_hooks *hooks, void *addr,
    size_t size, bool committed, unsigned arena)
{
    (void)hooks_default_dalloc(hooks, addr, size, committed, arena);
}

/* What is mapped is committed, and stays so. */
static bool hooks_default_commit(struct extent_hooks *hooks, void *addr,
    size_t size, size_t offset, size_t length, unsigned arena)
{
    (void)hooks;
    (void)addr;
    (void)size;
    (void)offset;
    (void)length;
    (void)arena;
    return true;
}

static bool hooks_default_purge(struct extent_hooks *hooks, void *addr,
    size_t size, size_t offset, size_t length, unsigned arena)
{
    (void)hooks;
    (void)size;
    (void)arena;
    return !sys_purge((char *)addr + offset, length);
}

static bool hooks_default_split(struct extent_hooks *hooks, void *addr,
    size_t size, size_t size_a, size_t size_b, bool committed, unsigned arena)
{
    (void)hooks;
    (void)addr;
    (void)size;
    (void)size_a;
    (void)size_b;
    (void)committed;
    (void)arena;
    return false;
}

static bool hooks_default_merge(struct extent_hooks *hooks, void *addr_a,
    size_t size_a, void *addr_b, size_t size_b, bool committed,
    unsigned arena)
{
    (void)hooks;
    (void)addr_a;
    (void)size_a;
    (void)addr_b;
    (void)size_b;
    (void)committed;
    (void)arena;
    return false;
}

struct extent_hooks hooks_default = {
    .alloc = hooks_default_alloc,
    .dalloc = hooks_default_dalloc,
    .destroy = hooks_default_destroy,
    .commit = hooks_default_commit,
    .decommit = hooks_default_commit,
    .purge_lazy = hooks_default_purge,
    .purge_forced = hooks_default_purge,
    .split = hooks_default_split,
    .merge = hooks_default_merge,
};

/* -- calling -- */

THREAD_LOCAL uint8_t hooks_state;

static hooks_wrapper *_Atomic hooks_wrap;

void hooks_set_wrapper(hooks_wrapper *wrap)
{
    store_relaxed(&hooks_wrap, wrap);
}

/* One call of one hook. */
struct hooks_call {
    struct hooks_source source;
    char *start;
    size_t bytes;
    size_t align;
    size_t offset;
    size_t length;
    bool zero;
    bool commit;                /* said by alloc, and to those that release */
    bool refused;
};

static void hooks_run(void (*call)(void *), struct hooks_call *what)
{
    const uint8_t before = hooks_state;
    hooks_wrapper *wrap = load_relaxed(&hooks_wrap);
    hooks_state = HOOKS_RUNNING;
    if ((before & HOOKS_RUNNING) || wrap == NULL)
        call(what);
    else
        wrap(call, what);
    hooks_state = before;
}

static void hooks_call_alloc(void *argument)
{
    struct hooks_call *it = argument;
    it->start = it->source.hooks->alloc(it->source.hooks, NULL, it->bytes,
        it->align, &it->zero, &it->commit, it->source.arena);
}

static void hooks_call_commit(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->commit(it->source.hooks, it->start,
        it->bytes, it->offset, it->length, it->source.arena);
}

static void hooks_call_decommit(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->decommit(it->source.hooks, it->start,
        it->bytes, it->offset, it->length, it->source.arena);
}

static void hooks_call_dalloc(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->dalloc(it->source.hooks, it->start,
        it->bytes, it->commit, it->source.arena);
}

static void hooks_call_destroy(void *argument)
{
    struct hooks_call *it = argument;
    it->source.hooks->destroy(it->source.hooks, it->start, it->bytes,
        it->commit, it->source.arena);
}

static void hooks_call_purge_forced(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->purge_forced(it->source.hooks, it->start,
        it->bytes, it->offset, it->length, it->source.arena);
}

static void hooks_call_purge_lazy(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->purge_lazy(it->source.hooks, it->start,
        it->bytes, it->offset, it->length, it->source.arena);
}

static void hooks_call_split(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->split(it->source.hooks, it->start,
        it->bytes, it->offset, it->length, true, it->source.arena);
}

static void hooks_call_merge(void *argument)
{
    struct hooks_call *it = argument;
    it->refused = it->source.hooks->merge(it->source.hooks, it->start,
        it->offset, it->start + it->offset, it->length, true,
        it->source.arena);
}

/* -- the face -- */

bool hooks_may_split(struct hooks_source source, void *start,
    struct hooks_parts parts)
{
    struct hooks_call call = {
        .source = source, .start = start,
        .bytes = parts.first + parts.second,
        .offset = parts.first, .length = parts.second, .refused = true,
    };
    if (source.hooks->split != NULL && hooks_may_run())
        hooks_run(hooks_call_split, &call);
    return !call.refused;
}

bool hooks_may_merge(struct hooks_source source, void *start,
    struct hooks_parts parts)
{
    struct hooks_call call = {
        .source = source, .start = start,
        .offset = parts.first, .length = parts.second, .refused = true,
    };
    if (source.hooks->merge != NULL && hooks_may_run())
        hooks_run(hooks_call_merge, &call);
    return !call.refused;
}

/* About a part of what was taken. */
static struct hooks_call hooks_about(struct hooks_source source,
    struct hooks_memory memory, size_t offset, size_t length)
{
    return (struct hooks_call){
        .source = source, .start = memory.start, .bytes = memory.bytes,
        .offset = offset, .length = length, .refused = true,
    };
}

bool hooks_commit(struct hooks_source source, struct hooks_memory memory,
    size_t offset, size_t length)
{
    struct hooks_call call = hooks_about(source, memory, offset, length);
    if (source.hooks->commit != NULL)
        hooks_run(hooks_call_commit, &call);
    return !call.refused;
}

/* It can be used, or went back. */
static bool hooks_prepare(struct hooks_source source,
    struct hooks_memory *memory, size_t align)
{
    if (((uintptr_t)memory->start & (align - 1)) == 0
        && (!memory->decommitted
            || hooks_commit(source, *memory, 0, memory->bytes))) {
        memory->decommitted = false;
        if (map_cover(memory->start, memory->bytes))
            return true;
    }
    hooks_give_up(source, *memory);
    return false;
}

struct hooks_memory hooks_take(struct hooks_source source, size_t bytes,
    size_t align)
{
    struct hooks_call call = {
        .source = source, .bytes = bytes, .align = align, .commit = true,
    };
    hooks_run(hooks_call_alloc, &call);
    const uintptr_t said = (uintptr_t)call.start;
    /* Memory that is committed only now is zero. */
    struct hooks_memory memory = {
        .start = (char *)(said & ~(uintptr_t)HOOKS_FLAGS),
        .bytes = bytes,
        .zero = call.zero || !call.commit,
        .pinned = (said & HOOKS_PINNED) != 0,
        .decommitted = !call.commit,
    };
    if (memory.start != NULL && !hooks_prepare(source, &memory, align))
        memory.start = NULL;
    return memory;
}

/* What is told to those that release. */
static struct hooks_call hooks_leaving(struct hooks_source source,
    struct hooks_memory memory)
{
    struct hooks_call call = hooks_about(source, memory, 0, memory.bytes);
    call.commit = !memory.decommitted;
    return call;
}

bool hooks_give(struct hooks_source source, struct hooks_memory memory)
{
    struct hooks_call call = hooks_leaving(source, memory);
    if (source.hooks->dalloc != NULL)
        hooks_run(hooks_call_dalloc, &call);
    return !call.refused;
}

void hooks_give_up(struct hooks_source source, struct hooks_memory memory)
{
    struct hooks_call call = hooks_leaving(source, memory);
    if (!hooks_give(source, memory) && source.hooks->destroy != NULL)
        hooks_run(hooks_call_destroy, &call);
}

enum hooks_answer hooks_purge(struct hooks_source source,
    struct hooks_memory memory, size_t offset, size_t length)
{
    struct hooks_call call = hooks_about(source, memory, offset, length);
    if (memory.pinned)
        return HOOKS_REFUSED;
    if (source.hooks->decommit != NULL)
        hooks_run(hooks_call_decommit, &call);
    if (!call.refused)
        return HOOKS_DECOMMITTED;
    if (source.hooks->purge_forced != NULL)
        hooks_run(hooks_call_purge_forced, &call);
    if (call.refused && source.hooks->purge_lazy != NULL)
        hooks_run(hooks_call_purge_lazy, &call);
    return call.refused ? HOOKS_REFUSED : HOOKS_PURGED;
}
