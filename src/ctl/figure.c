/* SPDX-License-Identifier: MIT */
/*
 * figure - leaves as numbers, for who prints many of them. See figure.h.
 */
#include "ctl/figure.h"

#include <string.h>

#include "ctl/ctl.h"

static size_t figure_add(struct figure_name *name, size_t length,
    const char *piece)
{
    const size_t more = strlen(piece);
    CHECK(length + more < FIGURE_NAME_BYTES);
    memcpy(name->bytes + length, piece, more + 1);
    return length + more;
}

struct figure_name figure_name(const char *one, const char *two,
    const char *three)
{
    struct figure_name name;
    const size_t length = figure_add(&name, 0, one);
    (void)figure_add(&name, figure_add(&name, length, two), three);
    return name;
}

/* Which parts of a name are numbers: those that begin with a digit. */
static void figure_find_numbers(struct figure *figure, const char *name)
{
    size_t count = 0;
    uint8_t part = 0;
    for (const char *at = name; *at != 0; at++) {
        part = (uint8_t)(part + (*at == '.'));
        if (*at == '.' && at[1] >= '0' && at[1] <= '9' && count < 2)
            figure->numbers[count++] = part;
    }
}

struct figure figure_find(const char *path, const char *key)
{
    const struct figure_name name = figure_name(path, key, "");
    struct figure figure = { .key = key, .depth = TREE_DEPTH_MAX };
    const struct node *node =
        tree_find(name.bytes, figure.mib, &figure.depth);
    ASSERT(node != NULL && node->leaf != NULL);
    if (node != NULL && node->leaf != NULL)
        figure.bytes = node->leaf->read_bytes;
    figure_find_numbers(&figure, name.bytes);
    return figure;
}

/* *value, of as many bytes as the leaf has, with these numbers in its name; 0
 * for what is gone since the epoch. */
static void figure_read(const struct figure *figure, const size_t at[2],
    void *value)
{
    size_t mib[TREE_DEPTH_MAX];
    size_t bytes = figure->bytes;
    memcpy(mib, figure->mib, sizeof mib);
    for (int i = 0; i < 2; i++) {
        if (figure->numbers[i] != 0)
            mib[figure->numbers[i]] = at[i];
    }
    memset(value, 0, bytes);
    (void)ctl_by_mib(mib, figure->depth, value, &bytes, NULL, 0);
}

uint64_t figure_at(const struct figure *figure, size_t i, size_t j)
{
    uint64_t value = 0;
    ASSERT(figure->bytes <= sizeof value);
    figure_read(figure, (size_t[]){ i, j }, &value);
    return value;
}

prof_stats_t figure_stats_at(const struct figure *figure, size_t i)
{
    prof_stats_t value;
    ASSERT(figure->bytes == sizeof value);
    figure_read(figure, (size_t[]){ i, 0 }, &value);
    return value;
}

uint64_t figure_of(const char *path, const char *key, size_t i)
{
    const struct figure figure = figure_find(path, key);
    return figure_at(&figure, i, 0);
}

const char *figure_text(const char *path, const char *key, size_t i)
{
    return (const char *)(uintptr_t)figure_of(path, key, i);
}

size_t figure_find_all(struct figure *figures, const char *path,
    const char *const *keys)
{
    size_t count = 0;
    for (; keys[count] != NULL; count++) {
        ASSERT(count < FIGURE_KEYS_MAX);
        figures[count] = figure_find(path, keys[count]);
    }
    return count;
}
