/* SPDX-License-Identifier: MIT */
/*
 * stride - how far it is from one frame to the next. See stride.h.
 */
#include "ledger/stride.h"

/* Where an address may be, from its own place on. */
enum { STRIDE_PROBES = 16 };

struct stride {
    _Atomic uintptr_t pc;
    _Atomic uint32_t bytes;
    _Atomic uint32_t times;     /* that this was said */
};

/* Costs no memory before it is used. */
static struct stride strides[STRIDE_ADDRESSES];

static uint32_t stride_place(uintptr_t pc, uint32_t probe)
{
    const uint64_t hash = (uint64_t)pc * 0x9e3779b97f4a7c15;
    return ((uint32_t)(hash >> 40) + probe) % STRIDE_ADDRESSES;
}

uint32_t stride_of(const void *pc)
{
    for (uint32_t probe = 0; probe < STRIDE_PROBES; probe++) {
        struct stride *at = &strides[stride_place((uintptr_t)pc, probe)];
        const uintptr_t found = load_relaxed(&at->pc);
        if (found == (uintptr_t)pc)
            return load_relaxed(&at->times) >= STRIDE_TIMES
                ? load_relaxed(&at->bytes) : STRIDE_UNKNOWN;
        if (found == 0)
            break;
    }
    return STRIDE_UNKNOWN;
}

static void stride_say(struct stride *at, uint32_t bytes)
{
    uint32_t before = STRIDE_UNKNOWN;
    const bool same = cas_relaxed(&at->bytes, &before, bytes)
        || before == bytes;
    if (!same)
        store_relaxed(&at->bytes, (uint32_t)STRIDE_VARIES);
    if (load_relaxed(&at->times) < STRIDE_TIMES)
        add_relaxed(&at->times, 1);
}

void stride_learn(const void *pc, uint32_t bytes)
{
    for (uint32_t probe = 0; probe < STRIDE_PROBES; probe++) {
        struct stride *at = &strides[stride_place((uintptr_t)pc, probe)];
        uintptr_t found = load_relaxed(&at->pc);
        if (found == 0 && cas_relaxed(&at->pc, &found, (uintptr_t)pc))
            found = (uintptr_t)pc;
        if (found == (uintptr_t)pc) {
            stride_say(at, bytes);
            return;
        }
    }
}
