/* SPDX-License-Identifier: MIT */
/*
 * leaf_prof - leaves of heap profiles: what is sampled, what is written of it,
 * and the program's own functions on the way.
 *
 * Rows of the status armed are asked only where profiling is armed (ctl.c).
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "heap/sample.h"
#include "ledger/ledger.h"

/* -- switches -- */

/* Off and not to be written, unless profiling is armed. What is written holds
 * also where the answer does not arrive. */
static int leaf_prof_switch(const struct leaf_call *call, bool was,
    void (*set)(bool on))
{
    bool on;
    if (leaf_is_written(call)) {
        if (!profile_is_armed())
            return ENOENT;
        if (leaf_take(call, &on) != 0)
            return EINVAL;
        set(on);
    }
    return leaf_answer(call, was && profile_is_armed());
}

int leaf_prof_thread(const struct leaf_call *call)
{
    return leaf_prof_switch(call, sample_thread_is_active(),
        sample_set_thread_active);
}

int leaf_prof_thread_init(const struct leaf_call *call)
{
    return leaf_prof_switch(call, sample_begins_active(),
        sample_set_begins_active);
}

int leaf_prof_gdump(const struct leaf_call *call)
{
    return leaf_prof_switch(call, dump_gdump(), dump_set_gdump);
}

int leaf_prof_active(const struct leaf_call *call)
{
    const bool was = sample_is_active();
    bool on = was;
    if (leaf_take(call, &on) != 0)
        return EINVAL;
    if (on && !profile_is_armed())
        return ENOENT;
    if (on != was)
        sample_set_active(on);
    return leaf_answer(call, was);
}

/* From then on it is as with option prof; that cannot be undone. */
int leaf_prof_armed(const struct leaf_call *call)
{
    const bool was = profile_is_armed();
    bool on = was;
    if (leaf_take(call, &on) != 0 || (was && !on))
        return EINVAL;
    if (on && !was) {
        profile_arm();
        sample_set_active(option_now.prof_active);
    }
    return leaf_answer(call, was);
}

/* -- how often, and from the beginning -- */

int leaf_prof_lg_sample(const struct leaf_call *call)
{
    return leaf_answer(call, profile_is_armed() ? ledger_rate_log2() : 0);
}

int leaf_prof_interval(const struct leaf_call *call)
{
    const int64_t log2 = option_now.lg_prof_interval;
    return leaf_answer(call, profile_is_armed() && log2 >= 0
        ? (uint64_t)1 << log2 : 0);
}

int leaf_prof_reset(const struct leaf_call *call)
{
    enum { LOG2_MAX = 63 };
    size_t log2 = ledger_rate_log2();
    if (leaf_take(call, &log2) != 0)
        return EINVAL;
    sample_set_rate((unsigned)min_size(log2, LOG2_MAX));
    return 0;
}

/* -- the thread's name -- */

/* May profiles contain it? */
static bool leaf_is_name(const char *name)
{
    for (const char *at = name; at != NULL && *at != '\0'; at++) {
        if (*at != '\t' && (*at < ' ' || *at > '~'))
            return false;
    }
    return name != NULL;
}

int leaf_prof_name(const struct leaf_call *call)
{
    const char *name;
    if (leaf_is_read(call) && (leaf_is_written(call) || call->new_bytes != 0))
        return EPERM;
    if (!leaf_is_written(call)) {
        const struct person *person = person_of_thread();
        return leaf_answer_pointer(call, person != NULL ? person->name : "");
    }
    if (leaf_take(call, &name) != 0)
        return EINVAL;
    if (option_now.prof_sys_thread_name)
        return ENOENT;
    if (!leaf_is_name(name))
        return EINVAL;
    return person_set_name(name) ? 0 : EAGAIN;
}

/* -- what is written -- */

/* To the file of that name, or of an automatic one. */
static int leaf_prof_store(const struct leaf_call *call,
    bool (*store)(const char *path))
{
    const char *path = NULL;
    if (leaf_take(call, &path) != 0)
        return EINVAL;
    return store(path) ? 0 : EFAULT;
}

int leaf_prof_dump(const struct leaf_call *call)
{
    return leaf_prof_store(call, dump_write);
}

int leaf_prof_log_start(const struct leaf_call *call)
{
    return leaf_prof_store(call, log_start);
}

int leaf_prof_log_stop(const struct leaf_call *call)
{
    (void)call;
    return log_stop() ? 0 : EFAULT;
}

int leaf_prof_prefix(const struct leaf_call *call)
{
    const char *prefix;
    if (leaf_take_needed(call, &prefix) != 0 || prefix == NULL)
        return EINVAL;
    dump_set_prefix(prefix);
    return 0;
}

int leaf_prof_recent_max(const struct leaf_call *call)
{
    const ssize_t was = recent_max();
    ssize_t count = was;
    if (leaf_take(call, &count) != 0 || count < -1)
        return EINVAL;
    if (count != was)
        recent_set_max(count);
    return leaf_answer(call, (uint64_t)was);
}

int leaf_prof_recent_write(const struct leaf_call *call)
{
    struct leaf_writer writer;
    if (leaf_take_needed(call, &writer) != 0 || writer.write == NULL)
        return EINVAL;
    return recent_write(writer.write, writer.opaque) ? 0 : EAGAIN;
}

/* -- bytes asked for, of a class -- */

static int leaf_answer_sums(const struct leaf_call *call, size_t usable)
{
    if (!option_now.prof_stats)
        return ENOENT;
    const struct ledger_sums sums = call->argument == LEAF_PROF_LIVE
        ? ledger_live_sums(usable) : ledger_ever_sums(usable);
    const prof_stats_t stats = { sums.bytes, sums.objects };
    return leaf_answer_bytes(call, &stats, sizeof stats);
}

int leaf_prof_bin(const struct leaf_call *call)
{
    return leaf_answer_sums(call, class_bytes[call->mib[3]]);
}

int leaf_prof_lextent(const struct leaf_call *call)
{
    return leaf_answer_sums(call, stats_lextent_bytes((unsigned)call->mib[3]));
}

/* -- functions of the program -- */

static uintptr_t leaf_prof_hook_of(uint32_t which)
{
    switch (which) {
    case LEAF_HOOK_BACKTRACE: return (uintptr_t)stack_hook();
    case LEAF_HOOK_DUMP: return (uintptr_t)dump_hook();
    case LEAF_HOOK_SAMPLE: return (uintptr_t)ledger_take_hook();
    default: return (uintptr_t)ledger_give_hook();
    }
}

static void leaf_prof_set_hook(uint32_t which, uintptr_t hook)
{
    switch (which) {
    case LEAF_HOOK_BACKTRACE: stack_set_hook((stack_finder *)hook); break;
    case LEAF_HOOK_DUMP: dump_set_hook((dump_listener *)hook); break;
    case LEAF_HOOK_SAMPLE: ledger_set_take_hook((ledger_taken *)hook); break;
    default: ledger_set_give_hook((ledger_given *)hook); break;
    }
}

/* All are read as NULL unless profiling is armed. A stack is always found by
 * something. */
int leaf_prof_hook(const struct leaf_call *call)
{
    uintptr_t hook;
    if (call->old == NULL && !leaf_is_written(call))
        return EINVAL;
    const int error = leaf_answer(call,
        profile_is_armed() ? leaf_prof_hook_of(call->argument) : 0);
    if (error != 0 || !leaf_is_written(call))
        return error;
    if (!profile_is_armed())
        return ENOENT;
    if (leaf_take(call, &hook) != 0
        || (hook == 0 && call->argument == LEAF_HOOK_BACKTRACE))
        return EINVAL;
    leaf_prof_set_hook(call->argument, hook);
    return 0;
}
