/* SPDX-License-Identifier: MIT */
/*
 * ctl - reading and writing by name. See ctl.h.
 */
#include "ctl/ctl.h"

#include "ctl/tree.h"

static int (*const ctl_handlers[])(const struct leaf_call *) = {
#define LEAF(name) leaf_##name,
    LEAVES(LEAF)
#undef LEAF
};

/* May the leaf be read and written as is asked? What is not there at all is no
 * matter of permission. */
static inline bool ctl_may(const struct leaf *leaf,
    const struct leaf_call *call)
{
    return (leaf->is_read || (call->old == NULL && call->old_bytes == NULL))
        && (leaf->is_written || (call->new == NULL && call->new_bytes == 0));
}

/* Of what is not always there: is it now? */
static COLD bool ctl_is_there(const struct leaf *leaf)
{
    return leaf->handler != LEAF_absent && profile_is_armed();
}

static inline int ctl_call(const struct node *node, struct leaf_call *call)
{
    if (UNLIKELY(node == NULL || node->leaf == NULL))
        return ENOENT;
    if (UNLIKELY(!node->leaf->is_always && !ctl_is_there(node->leaf)))
        return ENOENT;
    if (UNLIKELY(!ctl_may(node->leaf, call)))
        return EPERM;
    call->argument = node->leaf->argument;
    call->read_bytes = node->leaf->read_bytes;
    call->written_bytes = node->leaf->written_bytes;
    return ctl_handlers[node->leaf->handler](call);
}

int ctl_by_name(const char *name, void *old, size_t *old_bytes,
    const void *new, size_t new_bytes)
{
    size_t mib[TREE_DEPTH_MAX];
    return ctl_call(tree_named(name, mib), &(struct leaf_call){
        .mib = mib,
        .old = old,
        .old_bytes = old_bytes,
        .new = new,
        .new_bytes = new_bytes,
    });
}

int ctl_by_mib(const size_t *mib, size_t depth, void *old, size_t *old_bytes,
    const void *new, size_t new_bytes)
{
    if (UNLIKELY(mib == NULL))
        return ENOENT;
    return ctl_call(tree_at(mib, depth), &(struct leaf_call){
        .mib = mib,
        .old = old,
        .old_bytes = old_bytes,
        .new = new,
        .new_bytes = new_bytes,
    });
}

int ctl_name_to_mib(const char *name, size_t *mib, size_t *depth)
{
    if (mib == NULL || depth == NULL)
        return EINVAL;
    return tree_find(name, mib, depth) != NULL ? 0 : ENOENT;
}
