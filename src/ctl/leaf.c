/* SPDX-License-Identifier: MIT */
/*
 * leaf - reading and writing one value. See leaf.h.
 */
#include "ctl/leaf.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "leaf_answer() copies the first bytes of a number");

int leaf_answer_bytes(const struct leaf_call *call, const void *value,
    size_t bytes)
{
    if (!leaf_is_read(call))
        return 0;
    if (LIKELY(*call->old_bytes == bytes)) {
        memcpy(call->old, value, bytes);
        return 0;
    }
    *call->old_bytes = min_size(*call->old_bytes, bytes);
    memcpy(call->old, value, *call->old_bytes);
    return EINVAL;
}

int leaf_answer(const struct leaf_call *call, uint64_t value)
{
    if (LIKELY(leaf_is_read(call)) && *call->old_bytes == sizeof value
        && call->read_bytes == sizeof value) {
        memcpy(call->old, &value, sizeof value);
        return 0;
    }
    return leaf_answer_bytes(call, &value, call->read_bytes);
}

int leaf_expect_answer(const struct leaf_call *call)
{
    if (leaf_is_read(call) && *call->old_bytes == call->read_bytes)
        return 0;
    if (call->old_bytes != NULL)
        *call->old_bytes = 0;
    return EINVAL;
}

int leaf_take(const struct leaf_call *call, void *value)
{
    if (!leaf_is_written(call))
        return 0;
    if (call->new_bytes != call->written_bytes)
        return EINVAL;
    memcpy(value, call->new, call->written_bytes);
    return 0;
}

int leaf_take_needed(const struct leaf_call *call, void *value)
{
    return leaf_is_written(call) ? leaf_take(call, value) : EINVAL;
}
