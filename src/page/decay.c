/* SPDX-License-Identifier: MIT */
/*
 * decay - how much dirty memory is worth keeping. See decay.h.
 */
#include "page/decay.h"

/* After so many steps nothing of an allowance is left worth computing. */
enum { DECAY_STEPS_MAX = 64 };

size_t decay_limit(const struct decay *decay, size_t active)
{
    return active / 8 + DECAY_BASE_BYTES + decay->allowance;
}

void decay_note_purged(struct decay *decay, size_t bytes, uint64_t now_ms)
{
    if (now_ms - decay->purged_ms > DECAY_REGRET_MS)
        decay->purged = 0;
    decay->purged += bytes;
    decay->purged_ms = now_ms;
}

void decay_note_fresh(struct decay *decay, size_t bytes, uint64_t now_ms)
{
    /* Too long ago to have been a mistake. */
    if (decay->purged == 0 || now_ms - decay->purged_ms > DECAY_REGRET_MS)
        return;

    const size_t regret = min_size(bytes, decay->purged);
    decay->purged -= regret;
    decay->allowance = min_size(decay->allowance + regret, decay->peak);
    decay->lowered_ms = now_ms;
}

void decay_note_useful(struct decay *decay, uint64_t now_ms)
{
    decay->lowered_ms = now_ms;
}

void decay_note_active(struct decay *decay, size_t active)
{
    decay->peak = max_size(decay->peak, active);            /* D2 */
}

void decay_advance(struct decay *decay, size_t active, uint64_t now_ms)
{
    const uint64_t steps = (now_ms - decay->lowered_ms) / DECAY_STEP_MS;
    if (steps > 0) {
        const uint64_t bounded =
            steps < DECAY_STEPS_MAX ? steps : DECAY_STEPS_MAX;
        for (uint64_t i = 0; i < bounded; i++) {
            decay->allowance -= decay->allowance / 8;
            decay->peak -= decay->peak / 8;
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
