/* SPDX-License-Identifier: MIT */
/*
 * malloc_usable_size and free_sized: goal and method.
 *
 * The size reported is at least what was asked for, stays the same while the
 * block lives, and may be written to the last byte without harm to any other
 * block; a block may be freed by its own size.  Checked over every size to
 * 4 KiB and around all boundaries above, with neighbours alive.
 */
#include "../expect.h"

enum { GROUP = 5 };

static size_t groups;

static void group_of(size_t size)
{
    void *blocks[GROUP];
    size_t usable[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        blocks[i] = i % 2 == 0 ? subject_malloc(size)
                               : subject_calloc(1, size);
        EXPECT_THAT(blocks[i] != NULL, "%zu bytes", size);
        usable[i] = subject_usable_size(blocks[i]);
        EXPECT_THAT(usable[i] >= size, "usable %zu of %zu", usable[i], size);
        contents_fill(blocks[i], usable[i], i + size);
    }
    for (size_t i = 0; i < GROUP; i++) {
        EXPECT_EQUAL(subject_usable_size(blocks[i]), usable[i]);
        EXPECT_CONTENTS(blocks[i], usable[i], i + size);
    }
    /* The slack survives a realloc that asks for it. */
    void *same = subject_realloc(blocks[0], usable[0]);
    EXPECT(same != NULL);
    EXPECT_CONTENTS(same, usable[0], size);
    EXPECT(subject_usable_size(same) >= usable[0]);
    blocks[0] = same;
    subject_free_sized(blocks[0], usable[0]);
    for (size_t i = 1; i < GROUP; i++)
        subject_free_sized(blocks[i], i % 2 == 0 ? size : usable[i]);
    groups++;
}

int main(int argc, char **argv)
{
    test_begin("usable_test", argc, argv);
    EXPECT(!subject_is_ashlar() || subject_has_sized_free());
    EXPECT(!subject_is_ashlar() || subject_serves("malloc_usable_size"));
    EXPECT_EQUAL(subject_usable_size(NULL), 0);
    for (size_t size = 0; size <= 4096; size += test_scaled(1, 1))
        group_of(size);
    for (size_t power = 4096; power <= 4 * MIB; power *= 2)
        for (size_t quarter = 4; quarter <= 7; quarter++)
            for (size_t off = 0; off <= 2; off++)
                group_of(power / 4 * quarter + off - 1);
    subject_audit();
    return test_passed("%zu sizes", groups);
}
