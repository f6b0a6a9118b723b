/* SPDX-License-Identifier: MIT */
/*
 * exhaust - allocates until there is no more, and recovers.
 *
 * Usage   exhaust LIMIT_KIB   (the address-space limit it was started under)
 *
 * For several block sizes: takes blocks until malloc says NULL with ENOMEM,
 * checks every block's contents, gives all back, and does it again; the
 * second time must reach three quarters of the first. A refused realloc must
 * leave its block whole. Prints the megabytes reached with each size.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blocks are chained through their first word, the second holds a mark. */
struct block {
    struct block *next;
    size_t mark;
};

static size_t fill(size_t size, struct block **chain)
{
    size_t count = 0;
    for (;;) {
        errno = 0;
        struct block *const block = malloc(size);
        if (block == NULL)
            break;
        block->next = *chain;
        block->mark = count++ * 31 + size;
        ((char *)block)[size - 1] = 'e';
        *chain = block;
    }
    if (errno != ENOMEM) {
        fprintf(stderr, "malloc(%zu) failed with errno %d\n", size, errno);
        exit(1);
    }
    return count;
}

static void empty(size_t size, size_t count, struct block *chain)
{
    while (chain != NULL) {
        struct block *const block = chain;
        chain = block->next;
        if (block->mark != --count * 31 + size ||
            ((char *)block)[size - 1] != 'e') {
            fprintf(stderr, "a block of %zu bytes has changed\n", size);
            exit(1);
        }
        free(block);
    }
    if (count != 0) {
        fprintf(stderr, "%zu blocks of %zu bytes were lost\n", count, size);
        exit(1);
    }
}

/* Nothing so large is to be had: the block must stay as it was. */
static void refused_realloc(size_t limit_bytes)
{
    char *const block = malloc(100000);
    if (block == NULL)
        exit(1);
    memset(block, 'r', 100000);
    errno = 0;
    char *const moved = realloc(block, 2 * limit_bytes);
    if (moved != NULL || errno != ENOMEM) {
        fprintf(stderr, "realloc beyond the limit: errno %d\n", errno);
        exit(1);
    }
    for (int i = 0; i < 100000; i++) {
        if (block[i] != 'r')
            exit(1);
    }
    free(block);
}

int main(int argc, char **argv)
{
    const size_t sizes[] = { 4 << 20, 1 << 20, 100000, 5000, 200, 40 };
    const size_t limit_bytes = argc == 2 ? strtoul(argv[1], NULL, 10) << 10
                                         : 0;
    if (limit_bytes == 0)
        return 2;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct block *chain = NULL;
        const size_t first = fill(sizes[i], &chain);
        empty(sizes[i], first, chain);
        chain = NULL;
        const size_t second = fill(sizes[i], &chain);
        empty(sizes[i], second, chain);
        refused_realloc(limit_bytes);
        if (second < first / 4 * 3) {
            fprintf(stderr, "%zu bytes: %zu blocks, then only %zu\n",
                    sizes[i], first, second);
            return 1;
        }
        printf("%zu ", (first * sizes[i]) >> 20);
    }
    printf("\n");
    return 0;
}
