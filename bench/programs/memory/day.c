/* SPDX-License-Identifier: MIT */
/*
 * day - half an hour of a server's life, in less than a second.
 *
 * A step stands for a second.  The load rises and falls twice, as over two
 * days.  With it go the sessions, each with a connection's buffer and some
 * strings, and the requests, each with blocks that live until it is answered.
 * Some answers stay in a cache, which throws out its oldest when it is full
 * and what has become too old.  The pauses are in the nights.
 */
#include "item.h"

enum {
    STEPS_PER_DAY = 900,
    DAYS = 2,
    THOUSAND = 1000,
    SESSIONS_MIN = 100,
    REQUEST_BLOCKS = 20,
    STRINGS = 6,
    BUFFER_BYTES = 16384,
    CACHE_PLACES = 1 << 16,
    CACHE_AGE_STEPS = 300,
    CACHED_ONE_IN = 4
};

static uint64_t sessions_max = 3000, requests_max = 100, cache_mb = 24;

struct session {
    struct item profile, buffer, strings[STRINGS];
};

struct answer {
    struct item item;
    uint64_t step;
};

static struct work_random random_numbers;
static struct work_sum sum;
static struct session *sessions;
static size_t session_count;
static struct {
    struct answer *answers;
    size_t first, end; /* counted on and on */
    uint64_t bytes;
} cache;

static struct item any_item(uint32_t low, uint32_t high)
{
    return item_take(&sum, work_skewed(&random_numbers, low, high));
}

/* -- sessions -- */

static void session_begin(void)
{
    struct session *session = &sessions[session_count++];
    session->profile = any_item(256, 2048);
    session->buffer = item_take(&sum, BUFFER_BYTES);
    for (size_t i = 0; i < STRINGS; i++)
        session->strings[i] = any_item(8, 128);
}

static void session_end(void)
{
    struct session *session =
        &sessions[work_below(&random_numbers, (uint32_t)session_count)];
    for (size_t i = 0; i < STRINGS; i++)
        item_give(&sum, &session->strings[i]);
    item_give(&sum, &session->buffer);
    item_give(&sum, &session->profile);
    *session = sessions[--session_count];
}

/* As many as the load wants, of which one in a hundred is another one. */
static void sessions_turn(uint64_t wanted)
{
    for (uint64_t left = session_count / 100; left != 0; left--)
        session_end();
    while (session_count > wanted)
        session_end();
    while (session_count < wanted)
        session_begin();
}

/* -- the cache -- */

static void cache_evict(void)
{
    struct answer *oldest = &cache.answers[cache.first++ % CACHE_PLACES];
    cache.bytes -= oldest->item.size;
    item_give(&sum, &oldest->item);
}

static void cache_expire(uint64_t step)
{
    while (cache.first != cache.end &&
           cache.answers[cache.first % CACHE_PLACES].step + CACHE_AGE_STEPS <
               step)
        cache_evict();
}

static void cache_add(struct item item, uint64_t step)
{
    while (cache.first != cache.end &&
           (cache.bytes + item.size > cache_mb << 20 ||
            cache.end - cache.first == CACHE_PLACES))
        cache_evict();
    cache.bytes += item.size;
    cache.answers[cache.end++ % CACHE_PLACES] = (struct answer){item, step};
}

/* -- requests -- */

static void request(uint64_t step)
{
    struct item items[REQUEST_BLOCKS];
    for (size_t i = 0; i < REQUEST_BLOCKS; i++)
        items[i] = any_item(16, 512);
    struct item answer = any_item(256, 16384);
    for (size_t i = REQUEST_BLOCKS; i-- > 0;)
        item_give(&sum, &items[i]);
    if (work_below(&random_numbers, CACHED_ONE_IN) == 0)
        cache_add(answer, step);
    else
        item_give(&sum, &answer);
}

/* From 0 in the night to a thousand at noon. */
static uint64_t load_of(uint64_t step)
{
    const uint64_t time = step % STEPS_PER_DAY;
    return 4 * THOUSAND * time * (STEPS_PER_DAY - time) /
           (STEPS_PER_DAY * STEPS_PER_DAY);
}

static void live(struct valley *valley)
{
    for (uint64_t step = 1; step <= DAYS * STEPS_PER_DAY; step++) {
        const uint64_t load = load_of(step);
        sessions_turn(SESSIONS_MIN + sessions_max * load / THOUSAND);
        for (uint64_t left = 1 + requests_max * load / THOUSAND; left != 0;
             left--)
            request(step);
        cache_expire(step);
        if (step % STEPS_PER_DAY == 0)
            valley_note(valley, item_live_bytes);
    }
}

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"sessions", &sessions_max, 1, 1000000, NULL},
        {"requests", &requests_max, 1, 1000000, NULL},
        {"cache_mb", &cache_mb, 1, 4096, NULL},
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    struct valley valley = {0};
    sessions = valley_map(&valley, (SESSIONS_MIN + sessions_max) *
                                       sizeof *sessions);
    cache.answers = valley_map(&valley, CACHE_PLACES * sizeof(struct answer));
    random_numbers = work_random(0);
    sum = work_sum(0);
    live(&valley);
    while (session_count != 0)
        session_end();
    while (cache.first != cache.end)
        cache_evict();
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
