/* SPDX-License-Identifier: MIT */
/*
 * nojemalloc - stands in for libjemalloc.so.2 while redis-server runs on
 * another allocator.
 *
 * Debian's redis-server is linked to jemalloc. Whatever is preloaded serves
 * malloc, but jemalloc would be there too: 2 MB for nothing, in the memory of
 * every allocator but jemalloc, and in glibc's case it would serve. This
 * library has the three functions that redis takes from jemalloc beyond
 * malloc's, and no malloc. When jemalloc itself is preloaded, the loader takes
 * that for the library of this name, and this one is not loaded at all.
 *
 * prepare.py builds it beside the inputs; redis.py puts it into the search.
 */
#include <errno.h>
#include <stddef.h>

int mallctl(const char *name, void *old, size_t *old_length, void *new,
    size_t new_length);
size_t nallocx(size_t size, int flags);
void malloc_stats_print(void (*write)(void *, const char *), void *opaque,
    const char *options);

/* Redis asks for statistics and for purges; there are none. */
int mallctl(const char *name, void *old, size_t *old_length, void *new,
    size_t new_length)
{
    (void)name, (void)old, (void)old_length, (void)new, (void)new_length;
    return ENOENT;
}

/*
 * What jemalloc would say: sixteens up to 128, then four sizes to each
 * doubling. So redis makes the same decisions on every allocator.
 */
size_t nallocx(size_t size, int flags)
{
    (void)flags;
    if (size <= 8)
        return 8;
    size_t step = 16;
    while (size > 8 * step)
        step *= 2;
    return (size + step - 1) / step * step;
}

void malloc_stats_print(void (*write)(void *, const char *), void *opaque,
    const char *options)
{
    (void)write, (void)opaque, (void)options;
}
