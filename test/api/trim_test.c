/* SPDX-License-Identifier: MIT */
/*
 * Memory goes back: goal and method.
 *
 * A gibibyte in blocks of all sizes is allocated, touched and freed, small
 * sizes and large, in several orders.  Resident memory must then be back
 * within 8 MiB of where it began, at once, without malloc_trim and without a
 * helper thread.  malloc_trim returns 0 or 1, gives back what is free, and
 * disturbs nothing that is live.  Resident memory can be judged only without
 * sanitizers; there the work is done and contents are checked.
 */
#include "../expect.h"

#include <sys/types.h>

#include <sys/wait.h>
#include <unistd.h>

static size_t threads_now(void)
{
    return proc_number("/proc/self/status", "Threads:");
}

struct shape {
    const char *name;
    size_t low, high; /* sizes are drawn between these, evenly in log scale */
};

static size_t drawn(struct dice *dice, const struct shape *shape)
{
    size_t high = shape->low;
    while (high < shape->high && dice_below(dice, 3) != 0)
        high *= 2;
    high = high > shape->high ? shape->high : high;
    return dice_between(dice, shape->low, high);
}

struct books {
    void **blocks;
    uint32_t *sizes;
    size_t most, count, bytes;
};

static void take_all(struct books *books, const struct shape *shape,
                     size_t total, uint64_t seed)
{
    struct dice dice = {seed};
    books->count = 0;
    books->bytes = 0;
    while (books->bytes < total && books->count < books->most) {
        const size_t i = books->count++;
        const size_t size = drawn(&dice, shape);
        books->blocks[i] = subject_malloc(size);
        EXPECT_THAT(books->blocks[i] != NULL, "%zu bytes", size);
        books->sizes[i] = (uint32_t)size;
        books->bytes += size;
        sparse_fill(books->blocks[i], size, i);
    }
}

static void free_all(struct books *books, unsigned order)
{
    for (size_t i = 0; i < books->count; i++) {
        const size_t which = order == 0   ? i
                             : order == 1 ? books->count - 1 - i
                                          : (size_t)(i * 7368787ull
                                                     % books->count);
        EXPECT(books->blocks[which] != NULL);
        EXPECT_SPARSE(books->blocks[which], books->sizes[which],
                      books->sizes[which], which);
        subject_free(books->blocks[which]);
        books->blocks[which] = NULL;
    }
}

static void open_books(struct books *books, size_t most)
{
    books->most = most;
    books->blocks = (void **)test_map(most * sizeof(void *));
    books->sizes = (uint32_t *)test_map(most * sizeof(uint32_t));
    /* Resident now, so that they do not count as growth later. */
    memset(books->blocks, 0, most * sizeof(void *));
    memset(books->sizes, 0, most * sizeof(uint32_t));
}

/* The whole point of the test: back to the start, at once. */
static void goes_back(struct books *books, const struct shape *shape,
                      size_t total, unsigned order)
{
    const size_t before = resident_bytes();
    const size_t threads = threads_now();
    take_all(books, shape, total, test.seed + order);
    const size_t peak = resident_bytes();
    free_all(books, order);
    const size_t after = resident_bytes();
    const size_t left = after > before ? after - before : 0;
    EXPECT_EQUAL(threads_now(), threads);
    subject_audit();
    if (SUBJECT_SANITIZED || !subject_is_ashlar())
        return;
    EXPECT_THAT(peak > before, "%s: nothing was touched", shape->name);
    EXPECT_THAT(left <= 8 * MIB,
                "%s, order %u: resident %zu KiB before, %zu at the peak, "
                "%zu after all %zu MiB were freed",
                shape->name, order, before / KIB, peak / KIB, after / KIB,
                books->bytes / MIB);
}

/*
 * Each in a process of its own: memory that was given back and is needed
 * again within a second is kept the next time, which is what a program that
 * goes up and down wants, and not what is asked here.
 */
static void goes_back_alone(struct books *books, const struct shape *shape,
                            size_t total, unsigned order)
{
    if (SUBJECT_SANITIZED) {
        goes_back(books, shape, total, order);
        return;
    }
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        goes_back(books, shape, total, order);
        _exit(0);
    }
    int status;
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_EQUAL(status, 0);
}

static void trim_keeps_what_is_live(struct books *books)
{
    const struct shape mixed_sizes = {"mixed", 16, 2 * MIB};
    if (!subject_serves("malloc_trim"))
        return;
    take_all(books, &mixed_sizes, 64 * MIB, 7);
    size_t live = 0;
    for (size_t i = 0; i < books->count; i++) {
        if (i % 3 == 0) {
            live += books->sizes[i];
            continue;
        }
        subject_free(books->blocks[i]);
        books->blocks[i] = NULL;
    }
    errno = EXDEV;
    const int first = subject_trim(0);
    EXPECT_THAT(first == 0 || first == 1, "came %d", first);
    const int second = subject_trim(1 * MIB);
    EXPECT_THAT(second == 0 || second == 1, "came %d", second);
    const int third = subject_trim(SIZE_MAX);
    EXPECT_THAT(third == 0 || third == 1, "came %d", third);
    for (size_t i = 0; i < books->count; i += 3) {
        EXPECT_SPARSE(books->blocks[i], books->sizes[i], books->sizes[i], i);
        subject_free(books->blocks[i]);
        books->blocks[i] = NULL;
    }
    EXPECT_THAT(live > 0, "nothing was live");
    subject_audit();
}

/* After a trim nothing but the live remains: less than decay leaves. */
static void trim_returns_all_that_is_free(struct books *books)
{
    const struct shape mixed_sizes = {"mixed", 16, 8 * MIB};
    if (SUBJECT_SANITIZED || !subject_is_ashlar())
        return;
    subject_trim(0);
    const size_t before = resident_bytes();
    take_all(books, &mixed_sizes, 64 * MIB, 8);
    free_all(books, 0);
    subject_trim(0);
    EXPECT_AT_MOST(resident_bytes(), before + 1 * MIB);
    void *block = subject_malloc(1 * MIB);
    EXPECT(block != NULL);
    memset(block, 1, 1 * MIB);
    subject_free(block);
    EXPECT_EQUAL(subject_trim(0), 1);
}

int main(int argc, char **argv)
{
    const struct shape shapes[] = {
        {"tiny", 8, 512},
        {"middle", 600, 60000},
        {"large", 70000, 3 * MIB},
        {"huge", 5 * MIB, 80 * MIB},
        {"all sizes", 8, 32 * MIB},
    };
    struct books books;
    test_begin("trim_test", argc, argv);
    EXPECT(!subject_is_ashlar() || subject_serves("malloc_trim"));
    open_books(&books, 4 * MIB);
    const size_t total = SUBJECT_SANITIZED || SUBJECT_PREFIXED ? 64 * MIB : GIB;
    for (unsigned order = 0; order < 3; order++) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            /* The gibibyte once of all sizes; a part of it for each shape. */
            const size_t part = i == 4 ? total : total / 4;
            goes_back_alone(&books, &shapes[i], part, order);
        }
    }
    trim_keeps_what_is_live(&books);
    trim_returns_all_that_is_free(&books);
    return test_passed("%zu MiB in turn", total / MIB);
}
