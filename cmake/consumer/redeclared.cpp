// SPDX-License-Identifier: MIT
/*
 * redeclared - a C++ program for jemalloc, outside the project.
 *
 * It does to the header what large projects do: declares the functions once
 * more as weak ones, with the header's macros; asks for the je_ names; tests
 * the version; has settings of its own. It fails unless the library at run time
 * is Ashlar's, and answers for the version of the header.
 */
#define JEMALLOC_MANGLE
#include <jemalloc/jemalloc.h>

#include <cstdio>
#include <cstring>
#include <malloc.h>

#if !defined(JEMALLOC_NO_DEMANGLE) || JEMALLOC_VERSION_MAJOR < 5 \
    || !defined(JEMALLOC_CXX_THROW) || !defined(JEMALLOC_HAVE_ATTR)
#error "A macro is missing that programs test for."
#endif

#define WEAK JEMALLOC_ATTR(weak)
extern "C" {
JEMALLOC_ALLOCATOR JEMALLOC_RESTRICT_RETURN void JEMALLOC_NOTHROW *mallocx(
    size_t, int) JEMALLOC_ATTR(malloc) JEMALLOC_ALLOC_SIZE(1) WEAK;
JEMALLOC_ALLOCATOR JEMALLOC_RESTRICT_RETURN void JEMALLOC_NOTHROW *rallocx(
    void *, size_t, int) JEMALLOC_ALLOC_SIZE(2) WEAK;
size_t JEMALLOC_NOTHROW xallocx(void *, size_t, size_t, int) WEAK;
size_t JEMALLOC_NOTHROW sallocx(const void *, int) JEMALLOC_ATTR(pure) WEAK;
void JEMALLOC_NOTHROW dallocx(void *, int) WEAK;
void JEMALLOC_NOTHROW sdallocx(void *, size_t, int) WEAK;
size_t JEMALLOC_NOTHROW nallocx(size_t, int) JEMALLOC_ATTR(pure) WEAK;
int JEMALLOC_NOTHROW mallctl(const char *, void *, size_t *, void *,
    size_t) WEAK;
int JEMALLOC_NOTHROW mallctlnametomib(const char *, size_t *, size_t *) WEAK;
int JEMALLOC_NOTHROW mallctlbymib(const size_t *, size_t, void *, size_t *,
    void *, size_t) WEAK;
void JEMALLOC_NOTHROW malloc_stats_print(void (*)(void *, const char *),
    void *, const char *) WEAK;
size_t JEMALLOC_NOTHROW malloc_usable_size(JEMALLOC_USABLE_SIZE_CONST void *)
    JEMALLOC_CXX_THROW WEAK;
const char *malloc_conf = "narenas:3";
}

/* Any of them may be missing in another allocator. */
static bool is_jemalloc()
{
    return mallocx && rallocx && xallocx && sallocx && dallocx && sdallocx
        && nallocx && mallctl && mallctlnametomib && mallctlbymib
        && malloc_stats_print && malloc_usable_size;
}

static int check_settings()
{
    const char *version;
    unsigned arenas = 0;
    size_t bytes = sizeof version;
    if (je_mallctl("version", &version, &bytes, nullptr, 0) != 0
        || std::strcmp(version, JEMALLOC_VERSION) != 0)
        return 3;
    bytes = sizeof arenas;
    if (mallctl("opt.narenas", &arenas, &bytes, nullptr, 0) != 0)
        return 4;
    std::printf("jemalloc %s, %u arenas\n", version, arenas);
    return arenas == 3 ? 0 : 5;
}

int main()
{
    if (!is_jemalloc())
        return 1;
    void *block = je_mallocx(100, MALLOCX_ALIGN(64) | MALLOCX_ZERO);
    block = rallocx(block, 200, MALLOCX_TCACHE_NONE);
    if (sallocx(block, 0) != nallocx(200, 0))
        return 2;
    sdallocx(block, 200, MALLOCX_TCACHE_NONE);
    /* Not weak: for this one the linker keeps the library. */
    je_free(je_malloc(100));
    return check_settings();
}
