/* SPDX-License-Identifier: MIT */
/*
 * No more mappings: goal and method.
 *
 * The kernel allows a process some 65,530 mappings.  The test uses all that
 * are left, then allocates, grows and shrinks: every call gives memory or NULL
 * with ENOMEM, contents stay, and an object that can be served from memory the
 * library has already is served.  When the mappings are gone again, all is as
 * it was.
 */
#include "../expect.h"

#include <string.h>

enum { MAPS_MAX = 1 << 20, BLOCKS = 2000 };

static size_t block_size(size_t i)
{
    return i * 97 % 60000 + 1;
}

/* One-page mappings that cannot be merged, until the kernel refuses. */
static size_t use_all_maps(void **maps)
{
    size_t count = 0;
    while (count < MAPS_MAX) {
        void *map = mmap(NULL, 4096, count % 2 ? PROT_READ : PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            return count;
        maps[count++] = map;
    }
    return 0;
}

static void resizes_keep_contents(unsigned char *run, unsigned char *mapping)
{
    unsigned char *grown = (unsigned char *)subject_realloc(run, 3 * MIB);
    EXPECT(grown != NULL);
    EXPECT_CONTENTS(grown, 2 * MIB, 1);
    unsigned char *shrunk = (unsigned char *)subject_realloc(mapping, 3 * MIB);
    EXPECT(shrunk != NULL);
    EXPECT_CONTENTS(shrunk, 3 * MIB, 2);
    subject_free(grown);
    subject_free(shrunk);
}

static void blocks_are_whole_or_refused(void **blocks)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        errno = 0;
        blocks[i] = subject_malloc(block_size(i));
        if (blocks[i] == NULL)
            EXPECT_EQUAL(errno, ENOMEM);
        else
            contents_fill(blocks[i], block_size(i), i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] != NULL)
            EXPECT_CONTENTS(blocks[i], block_size(i), i);
        subject_free(blocks[i]);
    }
    subject_audit();
}

int main(int argc, char **argv)
{
    test_begin("maps_test", argc, argv);
    if (SUBJECT_SANITIZED || !subject_is_ashlar())
        return test_skipped("the promise is Ashlar's own, without sanitizer");
    void **maps = (void **)test_map(MAPS_MAX * sizeof(void *));
    void **blocks = (void **)test_map(BLOCKS * sizeof(void *));
    unsigned char *run = (unsigned char *)subject_malloc(2 * MIB);
    unsigned char *mapping = (unsigned char *)subject_malloc(6 * MIB);
    EXPECT(run != NULL && mapping != NULL);
    contents_fill(run, 2 * MIB, 1);
    contents_fill(mapping, 6 * MIB, 2);

    const size_t count = use_all_maps(maps);
    if (count == 0)
        return test_skipped("this kernel has no limit within reach");
    resizes_keep_contents(run, mapping);
    blocks_are_whole_or_refused(blocks);
    for (size_t i = 0; i < count; i++)
        EXPECT_EQUAL(munmap(maps[i], 4096), 0);

    blocks_are_whole_or_refused(blocks);
    void *huge = subject_malloc(50 * MIB);
    EXPECT(huge != NULL);
    subject_free(huge);
    subject_audit();
    return test_passed("%zu mappings beside the heap", count);
}
