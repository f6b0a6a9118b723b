/* SPDX-License-Identifier: MIT */
/*
 * An address space that ends: goal and method.
 *
 * A child process limits itself to 200 MB of address space and allocates
 * blocks of one size until NULL.  It must come with ENOMEM and not before
 * most of the limit is in use; nothing held is disturbed; calloc, realloc and
 * aligned_alloc fail as cleanly; after half is freed that half can be
 * allocated again, and after all is freed all of it, in other sizes too.
 * Not for sanitizers, whose shadow needs more than the limit.
 */
#include "../expect.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define LIMIT_BYTES ((size_t)200 * 1000 * 1000)

struct node {
    struct node *next;
    uint64_t seed;
};

static void expect_node(const struct node *node, size_t size)
{
    const size_t body = size - sizeof *node;
    EXPECT_SPARSE(node + 1, body, body, node->seed);
}

static struct node *take(size_t size, size_t number)
{
    errno = 0;
    struct node *node = (struct node *)subject_malloc(size);
    if (node == NULL) {
        EXPECT_EQUAL(errno, ENOMEM);
        return NULL;
    }
    node->seed = mixed(test.seed + number);
    sparse_fill(node + 1, size - sizeof *node, node->seed);
    return node;
}

/* Pushes blocks on a list until there are no more; returns how many. */
static size_t take_until_null(struct node **list, size_t size, size_t most)
{
    size_t count = 0;
    while (count < most) {
        struct node *node = take(size, count);
        if (node == NULL)
            break;
        node->next = *list;
        *list = node;
        count++;
    }
    return count;
}

static size_t free_every_other(struct node **list, size_t size)
{
    size_t freed = 0;
    for (struct node **link = list; *link != NULL;) {
        struct node *gone = *link;
        expect_node(gone, size);
        *link = gone->next;
        subject_free(gone);
        freed++;
        if (*link != NULL)
            link = &(*link)->next;
    }
    return freed;
}

static void check_and_free(struct node **list, size_t size)
{
    while (*list != NULL) {
        struct node *gone = *list;
        expect_node(gone, size);
        *list = gone->next;
        subject_free(gone);
    }
}

/* While nothing is left, every other way to ask is refused as well. */
static void all_ways_are_refused(struct node *list, size_t size)
{
    const size_t more = 190 * MIB;
    void *out = list;
    errno = 0;
    EXPECT(subject_malloc(more) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
    errno = 0;
    EXPECT(subject_calloc(190, MIB) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
    errno = 0;
    EXPECT(subject_aligned_alloc(4096, more) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
    errno = 0;
    EXPECT(subject_aligned_alloc(GIB, 1) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
    errno = EXDEV;
    EXPECT_EQUAL(subject_posix_memalign(&out, 64, more), ENOMEM);
    EXPECT(out == list);
    errno = 0;
    EXPECT(subject_realloc(list, more) == NULL);
    EXPECT_EQUAL(errno, ENOMEM);
    expect_node(list, size);
}

static void limited(size_t size)
{
    const struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
    struct node *list = NULL;
    EXPECT_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);

    const size_t count = take_until_null(&list, size, SIZE_MAX);
    const size_t bytes = count * size;
    /* A block of 100,000 takes two slices of 64 KiB: 76 % of the address
     * space at best, and the program itself has a part of it. */
    const size_t least = subject_is_ashlar() ? LIMIT_BYTES / 20 * 13
                                             : LIMIT_BYTES / 2;
    EXPECT_THAT(bytes >= least, "%zu blocks of %zu: only %zu MB of 200", count,
                size, bytes / 1000000);
    all_ways_are_refused(list, size);
    subject_audit();

    const size_t freed = free_every_other(&list, size);
    const size_t again = take_until_null(&list, size, freed);
    EXPECT_THAT(again >= freed - freed / 10,
                "%zu blocks of %zu freed, only %zu came back", freed, size,
                again);
    check_and_free(&list, size);
    subject_audit();

    /* All is free: other sizes can have it, and then the first again. */
    const size_t other = size > 100000 ? 1000 : 2 * MIB;
    size_t part = take_until_null(&list, other, 100 * MIB / other);
    EXPECT_THAT(part * other >= 80 * MIB, "%zu MB as blocks of %zu after %zu",
                part * other / 1000000, other, size);
    check_and_free(&list, other);
    part = take_until_null(&list, size, 100 * MIB / size);
    EXPECT_THAT(part * size >= 80 * MIB, "%zu MB as blocks of %zu again",
                part * size / 1000000, size);
    check_and_free(&list, size);
    subject_audit();
}

int main(int argc, char **argv)
{
    const size_t sizes[] = {64, 1000, 5000, 40000, 100000, 1 * MIB, 6 * MIB};
    const size_t count = sizeof sizes / sizeof *sizes;
    test_begin("limit_test", argc, argv);
    if (SUBJECT_SANITIZED)
        return test_skipped("a sanitizer needs the address space");
    for (size_t i = 0; i < count; i++) {
        int status;
        const pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            limited(sizes[i]);
            _exit(0);
        }
        EXPECT_EQUAL(waitpid(child, &status, 0), child);
        EXPECT_THAT(status == 0, "blocks of %zu: child ended with %x",
                    sizes[i], (unsigned)status);
    }
    return test_passed("%zu sizes within 200 MB of address space", count);
}
