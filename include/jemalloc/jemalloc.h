/* SPDX-License-Identifier: MIT */
/*
 * jemalloc - the interface of jemalloc, as Ashlar serves it.
 *
 * For programs that were written for jemalloc: the same names, types, flags and
 * macros, written anew. A program compiled with this header runs on
 * libjemalloc.so.2 of either project. What Ashlar offers beyond that is in
 * ashlar/ashlar.h, with the rules for all functions; here is what differs.
 *
 * Names. In a prefix build (-DASHLAR_PREFIX=je_) every function and variable
 * begins with the prefix; define ASHLAR_PREFIX or JEMALLOC_PREFIX alike before
 * including this header. Further, as in jemalloc:
 *
 *   JEMALLOC_NO_DEMANGLE  je_malloc and so on are further names of them all
 *   JEMALLOC_MANGLE       the plain names mean the functions of a prefix build;
 *                         without a prefix, as JEMALLOC_NO_DEMANGLE
 */
#ifndef JEMALLOC_H_
#define JEMALLOC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* The version of jemalloc whose interface this is. It is no release of theirs,
 * hence a commit (GID) of zeros; mallctl("version") gives the same string. */
#define JEMALLOC_VERSION "5.3.1-0-g0000000000000000000000000000000000000000"
#define JEMALLOC_VERSION_MAJOR 5
#define JEMALLOC_VERSION_MINOR 3
#define JEMALLOC_VERSION_BUGFIX 1
#define JEMALLOC_VERSION_NREV 0
#define JEMALLOC_VERSION_GID "0000000000000000000000000000000000000000"
#define JEMALLOC_VERSION_GID_IDENT 0000000000000000000000000000000000000000

/* A pointer has so many bytes, as a power of two. */
#define LG_SIZEOF_PTR 3

/* -- flags of the functions whose names end in x -- */

#if defined(__cplusplus)
#define JEMALLOC_INT(number) (static_cast<int>(number))
#define JEMALLOC_BITS(number) (static_cast<unsigned>(number))
#else
#define JEMALLOC_INT(number) ((int)(number))
#define JEMALLOC_BITS(number) ((unsigned)(number))
#endif

/* Bits 0 to 5: the binary logarithm of the alignment; 0: none is asked for. */
#define MALLOCX_LG_ALIGN(la) JEMALLOC_INT(la)

/* The same from an alignment, a power of two. Of any other number its lowest
 * bit counts; an alignment of 0 is one that no memory has. */
#define MALLOCX_ALIGN(a) \
    JEMALLOC_INT((__builtin_ffsll(JEMALLOC_WIDE(a)) - 1) & 63)
#if defined(__cplusplus)
#define JEMALLOC_WIDE(number) (static_cast<long long>(number))
#else
#define JEMALLOC_WIDE(number) ((long long)(number))
#endif

/* Bit 6: zero; of an object that grows, what is beyond its old usable size. */
#define MALLOCX_ZERO JEMALLOC_INT(0x40)

/* Bits 8 to 19: a cache from mallctl("tcache.create"), or none at all. */
#define MALLOCX_TCACHE(tc) JEMALLOC_INT((JEMALLOC_BITS(tc) + 2u) << 8)
#define MALLOCX_TCACHE_NONE MALLOCX_TCACHE(-1)

/* Bits 20 to 31: an arena. */
#define MALLOCX_ARENA(a) JEMALLOC_INT((JEMALLOC_BITS(a) + 1u) << 20)

/* In place of an arena's number in names of mallctl(): all of them; those that
 * were destroyed. Plain digits, for programs make strings of them. */
#define MALLCTL_ARENAS_ALL 4096
#define MALLCTL_ARENAS_DESTROYED 4097

/* -- attributes, under the names that programs use in declarations of their
 *    own -- */

#define JEMALLOC_HAVE_ATTR
#define JEMALLOC_HAVE_ATTR_ALLOC_SIZE
#define JEMALLOC_ATTR(attribute) __attribute__((attribute))
#define JEMALLOC_ALIGNED(bytes) JEMALLOC_ATTR(aligned(bytes))
#define JEMALLOC_ALLOC_SIZE(size) JEMALLOC_ATTR(alloc_size(size))
#define JEMALLOC_ALLOC_SIZE2(count, size) JEMALLOC_ATTR(alloc_size(count, size))
#define JEMALLOC_EXPORT JEMALLOC_ATTR(visibility("default"))
#define JEMALLOC_NOTHROW JEMALLOC_ATTR(nothrow)
#define JEMALLOC_SYS_NOTHROW JEMALLOC_NOTHROW
#define JEMALLOC_NOINLINE JEMALLOC_ATTR(noinline)
#define JEMALLOC_COLD JEMALLOC_ATTR(cold)
#define JEMALLOC_SECTION(name) JEMALLOC_ATTR(section(name))
#define JEMALLOC_FORMAT_ARG(argument) JEMALLOC_ATTR(format_arg(argument))
#define JEMALLOC_FORMAT_PRINTF(format_, first) \
    JEMALLOC_ATTR(format(printf, format_, first))

/* For other compilers and systems than those of this library. */
#define JEMALLOC_ALLOCATOR
#define JEMALLOC_RESTRICT_RETURN
#define JEMALLOC_USABLE_SIZE_CONST
#define JEMALLOC_OVERRIDE_MEMALIGN
#define JEMALLOC_OVERRIDE_VALLOC
#define JEMALLOC_OVERRIDE_PVALLOC

/* Of what the C library declares too, and C++ compares. */
#if !defined(__cplusplus)
#define JEMALLOC_CXX_THROW
#elif __cplusplus >= 201103L
#define JEMALLOC_USE_CXX_THROW
#define JEMALLOC_CXX_THROW noexcept
#else
#define JEMALLOC_USE_CXX_THROW
#define JEMALLOC_CXX_THROW throw()
#endif

/* -- names -- */

#if !defined(JEMALLOC_PREFIX) && defined(ASHLAR_PREFIX)
#define JEMALLOC_PREFIX ASHLAR_PREFIX
#endif
#if defined(JEMALLOC_MANGLE) && !defined(JEMALLOC_NO_DEMANGLE)
#define JEMALLOC_NO_DEMANGLE
#endif
#define JEMALLOC_JOIN_(prefix, name) prefix##name
#define JEMALLOC_JOIN(prefix, name) JEMALLOC_JOIN_(prefix, name)
#if defined(JEMALLOC_PREFIX)
#define JEMALLOC_NAME(name) JEMALLOC_JOIN(JEMALLOC_PREFIX, name)
#else
#define JEMALLOC_NAME(name) name
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/* -- the standard's, glibc's and POSIX's; see ashlar/ashlar.h -- */

JEMALLOC_EXPORT void *JEMALLOC_NAME(malloc)(size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE(1);
JEMALLOC_EXPORT void *JEMALLOC_NAME(calloc)(size_t count, size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE2(1, 2);
JEMALLOC_EXPORT void *JEMALLOC_NAME(realloc)(void *pointer, size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ALLOC_SIZE(2);
JEMALLOC_EXPORT void JEMALLOC_NAME(free)(void *pointer)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW;
JEMALLOC_EXPORT void JEMALLOC_NAME(free_sized)(void *pointer, size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW;
JEMALLOC_EXPORT void JEMALLOC_NAME(free_aligned_sized)(void *pointer,
    size_t alignment, size_t size) JEMALLOC_CXX_THROW JEMALLOC_NOTHROW;
JEMALLOC_EXPORT void *JEMALLOC_NAME(aligned_alloc)(size_t alignment,
    size_t size) JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE(2);
JEMALLOC_EXPORT int JEMALLOC_NAME(posix_memalign)(void **result,
    size_t alignment, size_t size) JEMALLOC_CXX_THROW JEMALLOC_NOTHROW;
JEMALLOC_EXPORT void *JEMALLOC_NAME(memalign)(size_t alignment, size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE(2);
JEMALLOC_EXPORT void *JEMALLOC_NAME(valloc)(size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE(1);
JEMALLOC_EXPORT void *JEMALLOC_NAME(pvalloc)(size_t size)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc)
    JEMALLOC_ALLOC_SIZE(1);
JEMALLOC_EXPORT size_t JEMALLOC_NAME(malloc_usable_size)(
    JEMALLOC_USABLE_SIZE_CONST void *pointer)
    JEMALLOC_CXX_THROW JEMALLOC_NOTHROW;

/*
 * -- with flags --
 *
 * flags is an OR of the MALLOCX_ macros, or 0. None of these functions touches
 * errno. A cache that does not exist ends the process, after a message. Size 0
 * is served like 1, and a size above 7 EiB (0x7000000000000000) is never
 * available.
 */

/* At least size bytes; NULL: no memory, no such arena, or no such alignment. */
JEMALLOC_EXPORT void *JEMALLOC_NAME(mallocx)(size_t size, int flags)
    JEMALLOC_NOTHROW JEMALLOC_ATTR(malloc) JEMALLOC_ALLOC_SIZE(1);

/* The object with size bytes, moved or not; NULL: there is none so large, and
 * the old one is untouched. pointer NULL: as mallocx. It stays where it is if
 * what mallocx would give is of the same usable size, and it is aligned as
 * asked, whatever arena and cache the flags name. */
JEMALLOC_EXPORT void *JEMALLOC_NAME(rallocx)(void *pointer, size_t size,
    int flags) JEMALLOC_NOTHROW JEMALLOC_ALLOC_SIZE(2);

/* The object where it is, with size + extra bytes or, if it cannot have them
 * all, at least size. Returns its usable size from then on: less than size if
 * nothing could be done. pointer NULL: 0. */
JEMALLOC_EXPORT size_t JEMALLOC_NAME(xallocx)(void *pointer, size_t size,
    size_t extra, int flags) JEMALLOC_NOTHROW;

/* The usable size of an object; pointer NULL: 0. Flags are not looked at. */
JEMALLOC_EXPORT size_t JEMALLOC_NAME(sallocx)(const void *pointer, int flags)
    JEMALLOC_NOTHROW JEMALLOC_ATTR(pure);

/* free. Of the flags only the cache counts: it takes the object, if it is of
 * its arena. */
JEMALLOC_EXPORT void JEMALLOC_NAME(dallocx)(void *pointer, int flags)
    JEMALLOC_NOTHROW;

/* dallocx, with a size between the one asked for and the usable one, and the
 * alignment asked for. */
JEMALLOC_EXPORT void JEMALLOC_NAME(sdallocx)(void *pointer, size_t size,
    int flags) JEMALLOC_NOTHROW;

/* The usable size of what mallocx would give; 0: never available. */
JEMALLOC_EXPORT size_t JEMALLOC_NAME(nallocx)(size_t size, int flags)
    JEMALLOC_NOTHROW JEMALLOC_ATTR(pure);

/*
 * -- asking and telling --
 *
 * docs/CTL.md lists every name with its type. A read goes to *value, whose size
 * *bytes must be exactly the type's; a write comes from new_value. Both may be
 * NULL with a size of 0. 0, EINVAL, ENOENT, EPERM, EAGAIN or EFAULT.
 */
JEMALLOC_EXPORT int JEMALLOC_NAME(mallctl)(const char *name, void *value,
    size_t *bytes, void *new_value, size_t new_bytes) JEMALLOC_NOTHROW;

/* A name as numbers, at most *count of them, which is set to how many there
 * are. A number in the name stands for itself, and may be changed. */
JEMALLOC_EXPORT int JEMALLOC_NAME(mallctlnametomib)(const char *name,
    size_t *mib, size_t *count) JEMALLOC_NOTHROW;
JEMALLOC_EXPORT int JEMALLOC_NAME(mallctlbymib)(const size_t *mib,
    size_t count, void *value, size_t *bytes, void *new_value,
    size_t new_bytes) JEMALLOC_NOTHROW;

/* The statistics, by calls of write with a piece of text each; write NULL: to
 * malloc_message, or stderr. options: letters, each leaves something out, but
 * J, which makes it JSON (docs/STATS.md). NULL: all of it, as text. */
JEMALLOC_EXPORT void JEMALLOC_NAME(malloc_stats_print)(
    void (*write)(void *opaque, const char *text), void *opaque,
    const char *options) JEMALLOC_NOTHROW;

/* Settings that a program brings along: it defines them itself, with a constant
 * value. The second is read after the environment (docs/OPTIONS.md). */
extern JEMALLOC_EXPORT const char *JEMALLOC_NAME(malloc_conf);
extern JEMALLOC_EXPORT const char *JEMALLOC_NAME(malloc_conf_2_conf_harder);

/* Where messages go instead of stderr, if not NULL. It must not allocate. */
extern JEMALLOC_EXPORT void (*JEMALLOC_NAME(malloc_message))(void *cbopaque,
    const char *s);

/*
 * -- where arenas have their memory from --
 *
 * docs/HOOKS.md says when each is called. Those that return a bool return
 * false for success. All but alloc may be NULL: then they never succeed.
 */

/* In the lowest bits of an address that alloc returns. */
#define EXTENT_ALLOC_FLAG_PINNED 0x1
#define EXTENT_ALLOC_FLAG_MASK 0xFF

typedef struct extent_hooks_s extent_hooks_t;

typedef void *(extent_alloc_t)(extent_hooks_t *hooks, void *new_address,
    size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena);
typedef bool (extent_dalloc_t)(extent_hooks_t *hooks, void *address,
    size_t size, bool committed, unsigned arena);
typedef void (extent_destroy_t)(extent_hooks_t *hooks, void *address,
    size_t size, bool committed, unsigned arena);
typedef bool (extent_commit_t)(extent_hooks_t *hooks, void *address,
    size_t size, size_t offset, size_t length, unsigned arena);
typedef bool (extent_decommit_t)(extent_hooks_t *hooks, void *address,
    size_t size, size_t offset, size_t length, unsigned arena);
typedef bool (extent_purge_t)(extent_hooks_t *hooks, void *address,
    size_t size, size_t offset, size_t length, unsigned arena);
typedef bool (extent_split_t)(extent_hooks_t *hooks, void *address,
    size_t size, size_t size_a, size_t size_b, bool committed,
    unsigned arena);
typedef bool (extent_merge_t)(extent_hooks_t *hooks, void *address_a,
    size_t size_a, void *address_b, size_t size_b, bool committed,
    unsigned arena);

struct extent_hooks_s {
    extent_alloc_t *alloc;
    extent_dalloc_t *dalloc;
    extent_destroy_t *destroy;
    extent_commit_t *commit;
    extent_decommit_t *decommit;
    extent_purge_t *purge_lazy;
    extent_purge_t *purge_forced;
    extent_split_t *split;
    extent_merge_t *merge;
};

#if defined(__cplusplus)
}
#endif

/* -- further names, see above -- */

#if defined(JEMALLOC_MANGLE) && defined(JEMALLOC_PREFIX)
#define malloc JEMALLOC_NAME(malloc)
#define calloc JEMALLOC_NAME(calloc)
#define realloc JEMALLOC_NAME(realloc)
#define free JEMALLOC_NAME(free)
#define free_sized JEMALLOC_NAME(free_sized)
#define free_aligned_sized JEMALLOC_NAME(free_aligned_sized)
#define aligned_alloc JEMALLOC_NAME(aligned_alloc)
#define posix_memalign JEMALLOC_NAME(posix_memalign)
#define memalign JEMALLOC_NAME(memalign)
#define valloc JEMALLOC_NAME(valloc)
#define pvalloc JEMALLOC_NAME(pvalloc)
#define malloc_usable_size JEMALLOC_NAME(malloc_usable_size)
#define mallocx JEMALLOC_NAME(mallocx)
#define rallocx JEMALLOC_NAME(rallocx)
#define xallocx JEMALLOC_NAME(xallocx)
#define sallocx JEMALLOC_NAME(sallocx)
#define dallocx JEMALLOC_NAME(dallocx)
#define sdallocx JEMALLOC_NAME(sdallocx)
#define nallocx JEMALLOC_NAME(nallocx)
#define mallctl JEMALLOC_NAME(mallctl)
#define mallctlnametomib JEMALLOC_NAME(mallctlnametomib)
#define mallctlbymib JEMALLOC_NAME(mallctlbymib)
#define malloc_stats_print JEMALLOC_NAME(malloc_stats_print)
#define malloc_conf JEMALLOC_NAME(malloc_conf)
#define malloc_conf_2_conf_harder JEMALLOC_NAME(malloc_conf_2_conf_harder)
#define malloc_message JEMALLOC_NAME(malloc_message)
#elif defined(JEMALLOC_NO_DEMANGLE)
#define je_malloc JEMALLOC_NAME(malloc)
#define je_calloc JEMALLOC_NAME(calloc)
#define je_realloc JEMALLOC_NAME(realloc)
#define je_free JEMALLOC_NAME(free)
#define je_free_sized JEMALLOC_NAME(free_sized)
#define je_free_aligned_sized JEMALLOC_NAME(free_aligned_sized)
#define je_aligned_alloc JEMALLOC_NAME(aligned_alloc)
#define je_posix_memalign JEMALLOC_NAME(posix_memalign)
#define je_memalign JEMALLOC_NAME(memalign)
#define je_valloc JEMALLOC_NAME(valloc)
#define je_pvalloc JEMALLOC_NAME(pvalloc)
#define je_malloc_usable_size JEMALLOC_NAME(malloc_usable_size)
#define je_mallocx JEMALLOC_NAME(mallocx)
#define je_rallocx JEMALLOC_NAME(rallocx)
#define je_xallocx JEMALLOC_NAME(xallocx)
#define je_sallocx JEMALLOC_NAME(sallocx)
#define je_dallocx JEMALLOC_NAME(dallocx)
#define je_sdallocx JEMALLOC_NAME(sdallocx)
#define je_nallocx JEMALLOC_NAME(nallocx)
#define je_mallctl JEMALLOC_NAME(mallctl)
#define je_mallctlnametomib JEMALLOC_NAME(mallctlnametomib)
#define je_mallctlbymib JEMALLOC_NAME(mallctlbymib)
#define je_malloc_stats_print JEMALLOC_NAME(malloc_stats_print)
#define je_malloc_conf JEMALLOC_NAME(malloc_conf)
#define je_malloc_conf_2_conf_harder JEMALLOC_NAME(malloc_conf_2_conf_harder)
#define je_malloc_message JEMALLOC_NAME(malloc_message)
#endif

#endif
