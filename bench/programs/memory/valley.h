/* SPDX-License-Identifier: MIT */
/*
 * valley - what stays resident where little is live.
 *
 * A program stops at a valley: it sleeps for a moment, without a call of the
 * allocator, and notes what is resident and what is live.  Live are the bytes
 * asked for in blocks that are not freed yet, and the program's own tables.
 * Of several valleys the one counts that has the most resident beyond what is
 * live.
 *
 * Used by  the programs of memory/.
 */
#ifndef ASHLAR_BENCH_VALLEY_H
#define ASHLAR_BENCH_VALLEY_H

#include "../pages.h"

enum { VALLEY_MS = 50 };

struct valley {
    uint64_t table_bytes;
    uint64_t live_kb, rss_kb; /* of the worst so far */
};

static inline void *valley_map(struct valley *valley, size_t bytes)
{
    valley->table_bytes += bytes;
    return work_map(bytes);
}

static inline void valley_sleep(unsigned ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static inline void valley_note(struct valley *valley, uint64_t live_bytes)
{
    valley_sleep(VALLEY_MS);
    const uint64_t rss_kb = work_rss_kb();
    const uint64_t live_kb = (live_bytes + valley->table_bytes) >> 10;
    /* All that is live was written, so it is part of what is resident. */
    if (rss_kb - live_kb < valley->rss_kb - valley->live_kb)
        return;
    valley->rss_kb = rss_kb;
    valley->live_kb = live_kb;
}

static inline void valley_say(const struct valley *valley)
{
    work_say("live_kb=%llu rss_kb=%llu", (unsigned long long)valley->live_kb,
             (unsigned long long)valley->rss_kb);
}

#endif
