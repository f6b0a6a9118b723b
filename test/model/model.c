/* SPDX-License-Identifier: MIT */
/*
 * The model: a random program run on the allocator and on an obvious twin.
 *
 * The twin is an array of the live blocks, each with the size and alignment
 * asked for, the usable size reported and the seed of its contents, and an
 * array of their extents sorted by address.  Which block comes next never
 * depends on an address, so that a seed replays.  After every operation what
 * the allocator did is compared with what the twin says must hold:
 *
 *   - a new block overlaps no live one, over its whole usable size
 *   - it is aligned, usable is at least the size, calloc gives zero
 *   - contents are whole when a block is freed, resized or looked at
 *   - a refusal is NULL with ENOMEM and changes nothing; free keeps errno
 *
 * The program goes through phases (grow, churn, shrink, free all), and draws
 * sizes from tiny to tens of MiB, mostly near class boundaries.
 *
 * Replay: --seed N --ops N as the failure prints them.  Without --seed it runs
 * the fixed seed, then one that is new each time.
 */
#include "../expect.h"

enum { LIVE_MAX = 6000, AUDIT_EVERY = 1000 };
#define LIVE_BYTES_MAX (200 * MIB)

struct block {
    unsigned char *start;
    size_t size, usable, alignment; /* alignment 0: natural */
    uint64_t seed;
    bool sparse;
};

struct span {
    const unsigned char *start, *end;
};

static struct {
    struct block live[LIVE_MAX];
    struct span spans[LIVE_MAX]; /* of the same blocks, in address order */
    size_t count, bytes;
    struct dice dice;
    uint64_t done;
    size_t refusals, peak_bytes;
} model;

/* -- the twin -- */

static size_t place_of(const unsigned char *start)
{
    size_t low = 0;
    size_t high = model.count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (model.spans[middle].start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void expect_apart(const struct span *low, const struct span *high)
{
    EXPECT_THAT(low->end <= high->start,
                "operation %llu: [%p, %p) overlaps [%p, %p)",
                (unsigned long long)model.done, (const void *)low->start,
                (const void *)low->end, (const void *)high->start,
                (const void *)high->end);
}

static void twin_add(const struct block *block)
{
    const size_t usable = block->usable == 0 ? 1 : block->usable;
    const struct span span = {block->start, block->start + usable};
    struct span *place = &model.spans[place_of(block->start)];
    struct span *end = &model.spans[model.count];
    if (place > model.spans)
        expect_apart(place - 1, &span);
    if (place < end)
        expect_apart(&span, place);
    memmove(place + 1, place, (size_t)(end - place) * sizeof span);
    *place = span;
    model.live[model.count++] = *block;
    model.bytes += block->size;
    if (model.bytes > model.peak_bytes)
        model.peak_bytes = model.bytes;
}

static void twin_remove(size_t index)
{
    struct span *place = &model.spans[place_of(model.live[index].start)];
    struct span *end = &model.spans[model.count];
    EXPECT(place->start == model.live[index].start);
    memmove(place, place + 1, (size_t)(end - place - 1) * sizeof *place);
    model.bytes -= model.live[index].size;
    model.live[index] = model.live[--model.count];
}

/* -- contents -- */

static void write_contents(struct block *block)
{
    block->seed = dice_next(&model.dice);
    block->sparse = block->size > 256 * KIB;
    if (block->sparse)
        sparse_fill(block->start, block->size, block->seed);
    else
        contents_fill(block->start, block->size, block->seed);
}

/* The first `kept` bytes, which may by now lie elsewhere. */
static void check_contents(const struct block *block, const void *now,
                           size_t kept)
{
    if (block->sparse)
        EXPECT_SPARSE(now, block->size, kept, block->seed);
    else
        EXPECT_CONTENTS(now, kept, block->seed);
}

static void check_block(struct block *block)
{
    EXPECT_ALIGNED(block->start,
                   subject_natural_alignment(block->start, block->size));
    if (block->alignment != 0)
        EXPECT_ALIGNED(block->start, block->alignment);
    block->usable = subject_usable_size(block->start);
    EXPECT_THAT(block->usable >= block->size,
                "operation %llu: usable %zu of %zu",
                (unsigned long long)model.done, block->usable, block->size);
}

/* -- drawing -- */

static size_t near(size_t size)
{
    return size + dice_below(&model.dice, 5) - 2;
}

static size_t draw_size(void)
{
    struct dice *dice = &model.dice;
    const size_t kind = dice_below(dice, 1000);
    if (kind < 400)
        return dice_below(dice, 129);
    if (kind < 650) { /* a power of two, or a quarter between two */
        const size_t power = (size_t)16 << dice_below(dice, 11);
        return near(power + power / 4 * dice_below(dice, 4));
    }
    if (kind < 880)
        return dice_below(dice, 10000);
    if (kind < 940)
        return dice_below(dice, 64 * KIB);
    if (kind < 970)
        return near(64 * KIB - dice_below(dice, 2) * dice_below(dice, 8192));
    if (kind < 992)
        return dice_between(dice, 64 * KIB, 1 * MIB);
    if (kind < 997)
        return near(dice_between(dice, 1, 8) * 512 * KIB);
    if (kind < 999)
        return near(4 * MIB + dice_below(dice, 2) * dice_below(dice, MIB));
    return dice_between(dice, 5 * MIB, 40 * MIB);
}

static size_t draw_alignment(void)
{
    const size_t most = dice_below(&model.dice, 40) == 0 ? 26 : 13;
    return (size_t)1 << dice_below(&model.dice, most);
}

static size_t draw_impossible(void)
{
    return SIZE_MAX - dice_below(&model.dice, (size_t)1 << 62);
}

static size_t draw_index(void)
{
    return dice_below(&model.dice, model.count);
}

static bool is_full(void)
{
    return model.count >= LIVE_MAX - 1 || model.bytes > LIVE_BYTES_MAX;
}

/* -- operations -- */

static void expect_refused(const void *ptr)
{
    EXPECT_THAT(ptr == NULL, "operation %llu",
                (unsigned long long)model.done);
    EXPECT_EQUAL(errno, ENOMEM);
    model.refusals++;
}

static void admit(void *ptr, size_t size, size_t alignment, bool zeroed)
{
    struct block block = {.start = ptr, .size = size, .alignment = alignment};
    EXPECT_THAT(ptr != NULL, "operation %llu: %zu bytes aligned to %zu",
                (unsigned long long)model.done, size, alignment);
    if (zeroed)
        EXPECT_ZERO(ptr, size);
    check_block(&block);
    write_contents(&block);
    twin_add(&block);
}

static void do_malloc(void)
{
    const size_t size = draw_size();
    admit(subject_malloc(size), size, 0, false);
}

static void do_calloc(void)
{
    const size_t size = draw_size();
    const size_t count = dice_between(&model.dice, 1, 9);
    admit(subject_calloc(count, size / count), size / count * count, 0, true);
}

static void do_aligned(void)
{
    const size_t size = draw_size();
    size_t alignment = draw_alignment();
    if (dice_below(&model.dice, 2) == 0) {
        admit(subject_aligned_alloc(alignment, size), size, alignment, false);
        return;
    }
    void *out = NULL;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    errno = EXDEV;
    EXPECT_EQUAL(subject_posix_memalign(&out, alignment, size), 0);
    EXPECT_EQUAL(errno, EXDEV);
    admit(out, size, alignment, false);
}

static void do_impossible(void)
{
    const size_t size = draw_impossible();
    void *out = &model;
    errno = 0;
    switch (dice_below(&model.dice, 6)) {
    case 0:
        expect_refused(subject_malloc(size));
        return;
    case 1:
        expect_refused(subject_calloc(size, 1 + dice_below(&model.dice, 9)));
        return;
    case 2:
        expect_refused(subject_aligned_alloc(draw_alignment(), size));
        return;
    case 3:
        EXPECT_EQUAL(subject_posix_memalign(&out, 64, size), ENOMEM);
        EXPECT(out == &model);
        return;
    case 4:
        expect_refused(subject_reallocarray(NULL, size, 16));
        return;
    default:
        break;
    }
    if (model.count == 0)
        return;
    struct block *block = &model.live[draw_index()];
    expect_refused(subject_realloc(block->start, size));
    check_contents(block, block->start, block->size);
}

static void do_realloc(void)
{
    if (model.count == 0)
        return;
    const size_t index = draw_index();
    const struct block old = model.live[index];
    size_t size = draw_size();
    if (dice_below(&model.dice, 2) == 0)
        size = old.size / 2 + dice_below(&model.dice, old.size + 2);
    size = size == 0 ? 1 : size;
    const size_t kept = old.size < size ? old.size : size;
    void *now = dice_below(&model.dice, 4) == 0
                    ? subject_reallocarray(old.start, size, 1)
                    : subject_realloc(old.start, size);
    EXPECT_THAT(now != NULL, "operation %llu: %zu to %zu",
                (unsigned long long)model.done, old.size, size);
    check_contents(&old, now, kept);
    twin_remove(index);
    admit(now, size, 0, false);
}

static void do_free(void)
{
    if (model.count == 0)
        return;
    const size_t index = draw_index();
    const struct block old = model.live[index];
    check_contents(&old, old.start, old.size);
    EXPECT_EQUAL(subject_usable_size(old.start), old.usable);
    twin_remove(index);
    errno = (int)(model.done % 200);
    switch (dice_below(&model.dice, 4)) {
    case 0:
        if (old.alignment != 0)
            subject_free_aligned_sized(old.start, old.alignment, old.size);
        else
            subject_free_sized(old.start, old.size);
        break;
    case 1:
        EXPECT(subject_realloc(old.start, 0) == NULL);
        break;
    default:
        subject_free(old.start);
        break;
    }
    EXPECT_EQUAL(errno, model.done % 200);
}

static void do_look(void)
{
    if (model.count == 0)
        return;
    const struct block *block = &model.live[draw_index()];
    check_contents(block, block->start, block->size);
    EXPECT_EQUAL(subject_usable_size(block->start), block->usable);
}

static void do_trim(void)
{
    if (!subject_serves("malloc_trim"))
        return;
    const int result = subject_trim(draw_size());
    EXPECT_THAT(result == 0 || result == 1, "came %d", result);
}

/* -- phases -- */

static void one_operation(unsigned grow)
{
    const size_t kind = dice_below(&model.dice, 1000);
    if (kind == 0)
        do_trim();
    else if (kind < 12)
        do_impossible();
    else if (kind < 40)
        do_look();
    else if (kind < 200)
        do_realloc();
    else if (is_full() || dice_below(&model.dice, 100) >= grow)
        do_free();
    else if (kind < 700)
        do_malloc();
    else if (kind < 880)
        do_calloc();
    else
        do_aligned();
    model.done++;
    if (model.done % AUDIT_EVERY == 0)
        subject_audit();
}

static void free_all(void)
{
    while (model.count != 0)
        do_free();
    EXPECT_EQUAL(model.bytes, 0);
    subject_audit();
}

static void run(uint64_t seed, uint64_t ops)
{
    test.seed = seed;
    model.dice.state = seed;
    model.done = 0;
    while (model.done < ops) {
        static const unsigned grows[] = {80, 50, 20};
        const size_t phase = dice_below(&model.dice, 10);
        const uint64_t length = dice_between(&model.dice, 100, 5000);
        if (phase == 9) {
            free_all();
            continue;
        }
        for (uint64_t i = 0; i < length && model.done < ops; i++)
            one_operation(grows[phase / 3]);
    }
    free_all();
}

int main(int argc, char **argv)
{
    test_begin("model", argc, argv);
    const uint64_t ops = test.ops != 0 ? test.ops : test_scaled(100000, 5);
    const uint64_t fixed = test.seed;
    run(fixed, ops);
    if (test.seed_given && test.seconds == 0)
        return test_passed("%llu operations, %zu refused, %zu MiB at most",
                           (unsigned long long)ops, model.refusals,
                           model.peak_bytes / MIB);
    unsigned rounds = 0;
    do {
        const uint64_t fresh = mixed((uint64_t)time(NULL)
                                     + ((uint64_t)getpid() << 32))
                               + rounds++;
        run(test.seconds != 0 && test.seed_given ? fixed + rounds : fresh,
            ops);
    } while (test_more(rounds, 1));
    return test_passed("%llu operations on each of seed %llu and %u more, "
                       "%zu refused, %zu MiB at most",
                       (unsigned long long)ops, (unsigned long long)fixed,
                       rounds, model.refusals, model.peak_bytes / MIB);
}
