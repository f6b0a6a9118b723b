/* SPDX-License-Identifier: MIT */
/*
 * heapfile - a profile as heap_v2 text. See heapfile.h.
 */
#include "ledger/heapfile.h"

#include "table/option.h"
#include "util/sort.h"
#include "util/units.h"

/* -- counts -- */

/* What some rows come to, and what that stands for. */
struct heapfile_sum {
    uint64_t objects;           /* samples */
    uint64_t bytes;
    double all_objects;         /* estimated from them */
    double all_bytes;
};

/* The live ones, and with those freed. */
struct heapfile_sums {
    struct heapfile_sum live;
    struct heapfile_sum ever;
};

static void heapfile_add(struct heapfile_sum *sum, uint64_t objects,
    size_t usable, double weight)
{
    sum->objects += objects;
    sum->bytes += objects * usable;
    sum->all_objects += (double)objects * weight;
    sum->all_bytes += (double)objects * weight * (double)usable;
}

static void heapfile_add_row(struct heapfile_sums *sums,
    const struct snapshot *snapshot, const struct snapshot_row *row)
{
    const double weight = snapshot_weight((double)row->usable,
        snapshot->rate_log2);
    heapfile_add(&sums->live, row->objects, row->usable, weight);
    if (snapshot->has_ever)
        heapfile_add(&sums->ever, row->objects_ever, row->usable, weight);
}

/* A pair of numbers as it is written. */
struct heapfile_pair {
    uint64_t objects;
    uint64_t bytes;
};

/* What stands for all these bytes, if so many objects are written. */
static double heapfile_read_bytes(struct heapfile_pair pair,
    unsigned rate_log2)
{
    if (pair.objects == 0)
        return 0;
    return (double)pair.bytes * snapshot_weight(
        (double)pair.bytes / (double)pair.objects, rate_log2);
}

static struct heapfile_pair heapfile_of(uint64_t objects, double mean)
{
    return (struct heapfile_pair){ objects,
        (uint64_t)((double)objects * mean + 0.5) };
}

/*
 * The pair that readers scale to the estimate. They take all objects of a
 * stack to be of its mean size, and only whole numbers are allowed: between
 * the two next to the right one, that one is chosen which brings the bytes
 * read from all stacks so far nearer to what they should be. *owed is what
 * they lack. With objects of one size there is no choice, and no error.
 */
static struct heapfile_pair heapfile_pair(const struct heapfile_sum *sum,
    unsigned rate_log2, double *owed)
{
    struct heapfile_pair low = { sum->objects, sum->bytes };
    if (!option_now.prof_unbias || sum->objects == 0)
        return low;
    const double mean = sum->all_bytes / sum->all_objects;
    const double objects = sum->all_objects
        / snapshot_weight(mean, rate_log2);
    /* Not less than were sampled; a whole number may come out as a bit less. */
    const uint64_t whole = (uint64_t)(objects + 1e-6);
    low = heapfile_of(whole > sum->objects ? whole : sum->objects, mean);
    const double wanted = sum->all_bytes + *owed;
    const double low_lacks = wanted - heapfile_read_bytes(low, rate_log2);
    *owed = low_lacks;
    if (objects - (double)low.objects < 1e-6)
        return low;
    const struct heapfile_pair high = heapfile_of(low.objects + 1, mean);
    const double high_lacks = wanted - heapfile_read_bytes(high, rate_log2);
    if (low_lacks + high_lacks < 0)
        return low;
    *owed = high_lacks;
    return high;
}

/* -- lines -- */

struct heapfile {
    struct out *out;
    const struct snapshot *snapshot;
};

/* Bytes that lines are short of: of live objects, and with those freed. */
struct heapfile_owed {
    double live;
    double ever;
};

static void heapfile_put_pair(struct out *out, struct heapfile_pair pair)
{
    out_decimal(out, pair.objects);
    out_text(out, ": ");
    out_decimal(out, pair.bytes);
}

static void heapfile_put_sums(const struct heapfile *file,
    const struct heapfile_sums *sums, struct heapfile_owed *owed)
{
    const unsigned rate_log2 = file->snapshot->rate_log2;
    heapfile_put_pair(file->out,
        heapfile_pair(&sums->live, rate_log2, &owed->live));
    out_text(file->out, " [");
    heapfile_put_pair(file->out,
        heapfile_pair(&sums->ever, rate_log2, &owed->ever));
    out_text(file->out, "]");
}

/* The line of all threads, which begins a block of lines. */
static void heapfile_put_total(const struct heapfile *file,
    const struct heapfile_sums *sums, struct heapfile_owed *owed)
{
    out_text(file->out, "  t*: ");
    heapfile_put_sums(file, sums, owed);
    out_text(file->out, "\n");
}

/* The line of a thread; a name may only stand before the first stack. */
static void heapfile_put_thread(const struct heapfile *file,
    const struct heapfile_sums *sums, const struct snapshot_row *row,
    const char *name)
{
    struct heapfile_owed owed = { 0, 0 };
    out_text(file->out, "  t");
    out_decimal(file->out, row->thread);
    out_text(file->out, ": ");
    heapfile_put_sums(file, sums, &owed);
    if (name[0] != 0) {
        out_text(file->out, " ");
        out_text(file->out, name);
    }
    out_text(file->out, "\n");
}

/* -- the head: all stacks, by threads -- */

static bool heapfile_before(const void *left, const void *right)
{
    const struct snapshot_row *a = left;
    const struct snapshot_row *b = right;
    return a->thread < b->thread;
}

static void heapfile_put_threads(const struct heapfile *file,
    struct snapshot_row **rows)
{
    const struct snapshot *snapshot = file->snapshot;
    for (size_t i = 0; i < snapshot->count; i++)
        rows[i] = &snapshot->row[i];
    sort_pointers((void **)rows, snapshot->count, heapfile_before);
    for (size_t i = 0; i < snapshot->count;) {
        struct heapfile_sums sums = { { 0 }, { 0 } };
        const struct snapshot_row *first = rows[i];
        while (i < snapshot->count && rows[i]->thread == first->thread)
            heapfile_add_row(&sums, snapshot, rows[i++]);
        heapfile_put_thread(file, &sums, first, first->name);
    }
}

static void heapfile_put_head(const struct heapfile *file)
{
    const struct snapshot *snapshot = file->snapshot;
    struct heapfile_sums sums = { { 0 }, { 0 } };
    struct heapfile_owed owed = { 0, 0 };
    for (size_t i = 0; i < snapshot->count; i++)
        heapfile_add_row(&sums, snapshot, &snapshot->row[i]);
    out_text(file->out, "heap_v2/");
    out_decimal(file->out, (uint64_t)1 << snapshot->rate_log2);
    out_text(file->out, "\n");
    heapfile_put_total(file, &sums, &owed);
    if (snapshot->count == 0)
        return;
    const size_t bytes = round_up(
        snapshot->count * sizeof(struct snapshot_row *), sys_page_bytes());
    struct snapshot_row **rows = sys_map(bytes);
    if (rows == NULL)
        return;
    heapfile_put_threads(file, rows);
    (void)!sys_release(rows, bytes);
}

/* -- the stacks -- */

/* Readers take all but the first for return addresses, and look one byte
 * before them for the call. So that the first is read alike, it is a byte
 * less. */
static void heapfile_put_trace(struct out *out, const struct trace *trace)
{
    out_text(out, "@");
    for (uint32_t i = 0; i < trace->count; i++) {
        out_text(out, " ");
        out_hex(out, (uintptr_t)trace->pc[i] - (i == 0));
    }
    out_text(out, "\n");
}

/* The rows first..end - 1 are of one stack; owed is carried from stack to
 * stack. */
static void heapfile_put_stack(const struct heapfile *file,
    const struct snapshot_row *first, const struct snapshot_row *end,
    struct heapfile_owed *owed)
{
    struct heapfile_sums sums = { { 0 }, { 0 } };
    for (const struct snapshot_row *row = first; row < end; row++)
        heapfile_add_row(&sums, file->snapshot, row);
    if (sums.live.objects == 0 && sums.ever.objects == 0)
        return;
    heapfile_put_trace(file->out, first->trace);
    heapfile_put_total(file, &sums, owed);
    while (first < end) {
        const struct snapshot_row *thread = first;
        sums = (struct heapfile_sums){ { 0 }, { 0 } };
        while (first < end && first->thread == thread->thread)
            heapfile_add_row(&sums, file->snapshot, first++);
        heapfile_put_thread(file, &sums, thread, "");
    }
}

static void heapfile_put_stacks(const struct heapfile *file)
{
    struct heapfile_owed owed = { 0, 0 };
    const struct snapshot_row *row = file->snapshot->row;
    const struct snapshot_row *end = row + file->snapshot->count;
    while (row < end) {
        const struct snapshot_row *first = row;
        while (row < end && row->trace == first->trace)
            row++;
        heapfile_put_stack(file, first, row, &owed);
    }
}

/* -- what lies where -- */

/* The first thread's maps are empty when it has ended. */
static void heapfile_put_mappings(struct out *out)
{
    out_text(out, "\nMAPPED_LIBRARIES:\n");
    if (!out_copy(out, "/proc/thread-self/maps"))
        (void)!out_copy(out, "/proc/self/maps");
}

void heapfile_write(struct out *out, const struct snapshot *snapshot)
{
    const struct heapfile file = { out, snapshot };
    heapfile_put_head(&file);
    heapfile_put_stacks(&file);
    heapfile_put_mappings(out);
}
