/* SPDX-License-Identifier: MIT */
/*
 * snapshot - the counts of all sites at one time. See snapshot.h.
 */
#include "ledger/snapshot.h"

#include <string.h>

#include "ledger/ledger.h"
#include "table/option.h"
#include "util/units.h"

/* Sites that may come while the snapshot is taken: a quarter, and so many. */
enum { SNAPSHOT_SPARE = 64 };

/* -- order -- */

static bool snapshot_is_before(const struct snapshot_row *a,
    const struct snapshot_row *b)
{
    if (a->trace != b->trace)
        return (uintptr_t)a->trace < (uintptr_t)b->trace;
    if (a->thread != b->thread)
        return a->thread < b->thread;
    if (a->arena != b->arena)
        return a->arena < b->arena;
    return a->usable < b->usable;
}

/* Let the row at i sink to where both rows below it are before it. */
static void snapshot_sink(struct snapshot_row *row, size_t count, size_t i)
{
    const struct snapshot_row sinking = row[i];
    size_t below;
    while ((below = 2 * i + 1) < count) {
        if (below + 1 < count
            && snapshot_is_before(&row[below], &row[below + 1]))
            below++;
        if (!snapshot_is_before(&sinking, &row[below]))
            break;
        row[i] = row[below];
        i = below;
    }
    row[i] = sinking;
}

/* Heapsort: it needs no memory, and no luck. */
static void snapshot_sort(struct snapshot_row *row, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        snapshot_sink(row, count, i);
    for (size_t end = count; end-- > 1;) {
        const struct snapshot_row last = row[end];
        row[end] = row[0];
        row[0] = last;
        snapshot_sink(row, end, 0);
    }
}

/* -- rows -- */

/* The site is open. */
static void snapshot_read(struct snapshot_row *row, const struct site *site)
{
    trace_keep(site->key.trace);
    *row = (struct snapshot_row){
        .trace = site->key.trace,
        .thread = site->key.person->number,
        .arena = site->key.arena,
        .usable = site->key.usable,
        .objects = site->live,
        .objects_ever = option_now.prof_accum ? site->ever : 0,
    };
    person_read_name(site->key.person, row->name);
}

/* false: they do not fit. */
static bool snapshot_read_all(struct snapshot *snapshot, size_t count_max)
{
    struct book_walk walk = { 0 };
    struct site *site;
    snapshot->count = 0;
    while ((site = site_next(&walk)) != NULL) {
        const bool fits = snapshot->count < count_max;
        if (fits && (site->live > 0 || snapshot->has_ever))
            snapshot_read(&snapshot->row[snapshot->count++], site);
        site_close(site);
        if (!fits)
            return false;
    }
    return true;
}

bool snapshot_take(struct snapshot *snapshot)
{
    for (;;) {
        const size_t sites = site_count();
        const size_t bytes = (sites + sites / 4 + SNAPSHOT_SPARE)
            * sizeof *snapshot->row;
        const unsigned rate_log2 = ledger_rate_log2();
        *snapshot = (struct snapshot){
            .mapped_bytes = round_up(bytes, sys_page_bytes()),
            .rate_log2 = rate_log2,
            .has_ever = option_now.prof_accum,
        };
        snapshot->row = sys_map(snapshot->mapped_bytes);
        if (snapshot->row == NULL)
            return false;
        if (snapshot_read_all(snapshot,
                snapshot->mapped_bytes / sizeof *snapshot->row)
            && ledger_rate_log2() == rate_log2)
            break;
        snapshot_drop(snapshot);    /* too many came, or all went */
    }
    snapshot_sort(snapshot->row, snapshot->count);
    return true;
}

void snapshot_drop(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        trace_drop(snapshot->row[i].trace);
    (void)!sys_release(snapshot->row, snapshot->mapped_bytes);
    *snapshot = (struct snapshot){ .row = NULL };
}

/* -- weights -- */

/* From here on exp(-x) is nothing beside 1. */
#define SNAPSHOT_FAR 40.0

/* 1 - exp(-x), for x > 0: of a small part y of x by its series, and then
 * doubled as often: with p(y) = 1 - exp(-y), p(2y) = p(y) * (2 - p(y)). */
static double snapshot_chance(double x)
{
    if (x >= SNAPSHOT_FAR)
        return 1;
    unsigned doublings = 0;
    for (; x > 0.25; x /= 2)
        doublings++;
    double sum = 0;
    double term = x;
    for (int i = 2; i <= 14; i++) {
        sum += term;
        term *= -x / i;
    }
    for (; doublings > 0; doublings--)
        sum *= 2 - sum;
    return sum;
}

double snapshot_weight(double usable, unsigned rate_log2)
{
    return 1 / snapshot_chance(usable / (double)(UINT64_C(1) << rate_log2));
}
