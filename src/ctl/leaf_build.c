/* SPDX-License-Identifier: MIT */
/*
 * leaf_build - leaves of what is settled before the program runs: how the
 * library was built, and its options.
 */
#include "ctl/ctl.h"

#include "ctl/leaf.h"
#include "ctl/tree.h"

#include <jemalloc/jemalloc.h>

/* Only its place in the table matters: ctl.c asks nothing of it. */
int leaf_absent(const struct leaf_call *call)
{
    (void)call;
    return ENOENT;
}

int leaf_constant(const struct leaf_call *call)
{
    return leaf_answer(call, call->argument);
}

int leaf_zero(const struct leaf_call *call)
{
    return leaf_answer(call, 0);
}

int leaf_version(const struct leaf_call *call)
{
    return leaf_answer_pointer(call, JEMALLOC_VERSION);
}

int leaf_config_conf(const struct leaf_call *call)
{
    const char *text = option_source(OPTION_CONFIG);
    return leaf_answer_pointer(call, text != NULL ? text : "");
}

int leaf_list(const struct leaf_call *call)
{
    return leaf_answer_pointer(call, tree_list());
}

int leaf_option(const struct leaf_call *call)
{
    const union option_value value
        = option_get(&option_now, option_row(call->argument));
    return leaf_answer_bytes(call, &value, call->read_bytes);
}

int leaf_option_source(const struct leaf_call *call)
{
    const char *text = option_source(call->argument);
    return text != NULL ? leaf_answer_pointer(call, text) : ENOENT;
}

/* -- background threads -- */

int leaf_background_thread(const struct leaf_call *call)
{
    const bool was = background_is_on();
    bool on = was;
    if (leaf_is_written(call) && call->new_bytes != call->written_bytes)
        return EINVAL;
    const int error = leaf_answer(call, was);
    if (error != 0 || leaf_take(call, &on) != 0)
        return EINVAL;
    return on == was || background_set(on) ? 0 : EAGAIN;
}

int leaf_max_background_threads(const struct leaf_call *call)
{
    const size_t was = background_threads_max();
    size_t count = was;
    if (leaf_is_written(call) && call->new_bytes != call->written_bytes)
        return EINVAL;
    const int error = leaf_answer(call, was);
    if (error != 0 || leaf_take(call, &count) != 0 || count == 0
        || count > option_now.max_background_threads)
        return EINVAL;
    return count == was || background_set_threads_max(count) ? 0 : EAGAIN;
}
