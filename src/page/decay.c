/* SPDX-License-Identifier: MIT */
/*
 * decay - how much dirty memory is worth keeping. See decay.h.
 */
#include "page/decay.h"

/* After so many steps nothing of an allowance is left worth computing. */
enum { DECAY_STEPS_MAX = 64 };

size_t decay_base(size_t active)
{
    return active / 8 + DECAY_BASE_BYTES;
}

size_t decay_loose_limit(const struct decay *decay, size_t active)
{
    return decay_base(active) + decay->allowance;
}

size_t decay_limit(const struct decay *decay, size_t active)
{
    const size_t base = decay_base(active);
    if (decay->floor > DECAY_BASE_BYTES && active < decay->floor / 2)
        return base;
    const size_t most = decay->peak + decay->peak / DECAY_ROOM_SHARE;
    return base + min_size(decay->allowance, most - min_size(most, active));
}

void decay_note_purged(struct decay *decay, size_t bytes, uint64_t now_ms)
{
    if (now_ms - decay->purged_ms > DECAY_REGRET_MS)
        decay->purged = 0;
    if (decay->purged == 0 || decay->active < decay->low)
        decay->low = decay->active;
    decay->purged += bytes;
    decay->purged_ms = now_ms;
}

void decay_note_fresh(struct decay *decay, size_t bytes, uint64_t now_ms)
{
    /* Too long ago to have been a mistake. */
    if (decay->purged == 0 || now_ms - decay->purged_ms > DECAY_REGRET_MS)
        return;

    const size_t regret = min_size(bytes, decay->purged);
    if (decay->allowance == 0 || decay->low < decay->floor)
        decay->floor = decay->low;
    decay->purged -= regret;
    decay->allowance = min_size(
        decay->allowance + DECAY_REGRET_FACTOR * regret, decay->peak);
    decay->lowered_ms = now_ms;
}

void decay_note_useful(struct decay *decay, uint64_t now_ms)
{
    decay->lowered_ms = now_ms;
}

void decay_note_active(struct decay *decay, size_t active)
{
    decay->active = active;
    decay->peak = max_size(decay->peak, active);            /* D2 */
}

void decay_advance(struct decay *decay, size_t active, uint64_t now_ms)
{
    const uint64_t steps = (now_ms - decay->lowered_ms) / DECAY_STEP_MS;
    if (steps > 0) {
        const uint64_t bounded =
            steps < DECAY_STEPS_MAX ? steps : DECAY_STEPS_MAX;
        for (uint64_t i = 0; i < bounded; i++) {
            decay->allowance /= 2;
            decay->peak /= 2;
        }
        decay->lowered_ms += steps * DECAY_STEP_MS;
    }
    decay_note_active(decay, active);
    decay->allowance = min_size(decay->allowance, decay->peak); /* D1 */
}

void decay_repair(struct decay *decay)
{
    decay->allowance = min_size(decay->allowance, decay->peak); /* D1 */
}

void decay_audit(const struct decay *decay)
{
    CHECK(decay->allowance <= decay->peak);                 /* D1 */
}
