/* SPDX-License-Identifier: MIT */
/*
 * family - the edges of malloc and its family: results, errno, alignment.
 *
 * Goal: what the C library's functions answer at their edges is what jemalloc
 * answers, but for its known mistakes.  Method: one line for each call; errno
 * is set to a value that no function sets, so that "untouched" can be told.
 */
#include "contract.h"

enum { UNTOUCHED = 777 };

void *_Znwm(size_t size);
void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
void _ZdlPvm(void *ptr, size_t size);

/* The compiler must not see that nothing uses the memory. */
static void *hidden(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr));
    return ptr;
}

static size_t hidden_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static const char *kind_of(void *ptr)
{
    return ptr == NULL ? "NULL" : "a block";
}

/* Also gives it back. */
static void say_block(const char *what, void *ptr)
{
    const int error = errno;
    say(what, "%s, errno %s", kind_of(ptr), error_name(error));
    free(ptr);
}

#define SAY(call)                                                             \
    do {                                                                      \
        errno = UNTOUCHED;                                                    \
        say_block(#call, hidden(call));                                       \
    } while (0)

static const size_t huge = SIZE_MAX - 100;
static const size_t too_much = (size_t)PTRDIFF_MAX + 1;

static void plain(void)
{
    SAY(malloc(0));
    SAY(malloc(1));
    SAY(malloc(hidden_size(too_much)));
    SAY(malloc(hidden_size(huge)));
    SAY(malloc(hidden_size(SIZE_MAX)));
    SAY(calloc(0, 0));
    SAY(calloc(0, 10));
    SAY(calloc(10, 0));
    SAY(calloc(hidden_size(SIZE_MAX), 2));
    SAY(calloc(hidden_size((size_t)1 << 32), (size_t)1 << 32));
    SAY(calloc(hidden_size(SIZE_MAX), 0));
    SAY(calloc(1, hidden_size(huge)));
    SAY(realloc(NULL, 0));
    SAY(realloc(NULL, 10));
    SAY(realloc(NULL, hidden_size(huge)));
    void *first = malloc(0);
    void *second = malloc(0);
    say("two blocks of malloc(0) differ", "%s", yes_no(first != second));
    free(first);
    free(second);
}

static void resized(void)
{
    char *ptr = malloc(100);
    memset(ptr, 7, 100);
    errno = UNTOUCHED;
    void *none = hidden(realloc(ptr, hidden_size(huge)));
    say("realloc(p, huge)", "%s, errno %s, old block intact %s",
        kind_of(none), error_name(errno), yes_no(ptr[0] == 7 && ptr[99] == 7));
    errno = UNTOUCHED;
    void *gone = hidden(realloc(ptr, hidden_size(0)));
    say("realloc(p, 0)", "%s, errno %s", kind_of(gone), error_name(errno));
    errno = UNTOUCHED;
    ptr = hidden(reallocarray(NULL, hidden_size(SIZE_MAX), 3));
    say("reallocarray(NULL, SIZE_MAX, 3)", "%s, errno %s", kind_of(ptr),
        error_name(errno));
    ptr = hidden(reallocarray(NULL, 30, 3));
    memset(ptr, 3, 90);
    ptr = hidden(reallocarray(ptr, 3000, 30));
    say("reallocarray grows", "%s", yes_no(ptr[0] == 3 && ptr[89] == 3));
    free(ptr);
}

/* -- alignment -- */

static void say_posix(size_t align, size_t size)
{
    void *ptr = &ptr;
    errno = UNTOUCHED;
    const int error = posix_memalign(&ptr, hidden_size(align),
                                     hidden_size(size));
    char what[64];
    snprintf(what, sizeof what, "posix_memalign(%zu, %zu)", align, size);
    const bool given = error == 0;
    say(what, "%s, errno %s, %s", error_name(error), error_name(errno),
        given          ? ((uintptr_t)ptr % align == 0 ? "aligned" : "crooked")
        : ptr == &ptr  ? "pointer untouched"
                       : "pointer changed");
    if (given)
        free(ptr);
}

/* The two whose arguments are the same. */
static void say_aligned(const char *name, void *(*function)(size_t, size_t),
                        size_t align, size_t size)
{
    char what[64];
    errno = UNTOUCHED;
    void *ptr = hidden(function(hidden_size(align), hidden_size(size)));
    snprintf(what, sizeof what, "%s(%zu, %zu)", name, align, size);
    say(what, "%s, errno %s%s", kind_of(ptr), error_name(errno),
        ptr != NULL && align != 0 && (uintptr_t)ptr % align != 0 ? ", crooked"
                                                                 : "");
    free(ptr);
}

static void aligned(void)
{
    static const size_t aligns[] = {
        0, 1, 2, 3, 4, 8, 12, 16, 24, 48, 64, 100, 4096, 4097, 65536,
        (size_t)1 << 25, (size_t)1 << 62, (size_t)1 << 63, SIZE_MAX,
    };
    static const size_t sizes[] = {
        0, 1, 100, 5000, 100000, PTRDIFF_MAX, SIZE_MAX,
    };
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            say_posix(aligns[i], sizes[j]);
            say_aligned("aligned_alloc", aligned_alloc, aligns[i], sizes[j]);
            say_aligned("memalign", memalign, aligns[i], sizes[j]);
        }
    }
}

static void paged(void)
{
    static const size_t sizes[] = {0, 1, 4096, 4097, PTRDIFF_MAX, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = UNTOUCHED;
        void *ptr = hidden(valloc(hidden_size(sizes[i])));
        char what[64];
        snprintf(what, sizeof what, "valloc(%zu)", sizes[i]);
        say(what, "%s, errno %s, page aligned %s", kind_of(ptr),
            error_name(errno), yes_no((uintptr_t)ptr % 4096 == 0));
        free(ptr);
    }
}

/* -- the rest -- */

static void freeing(void)
{
    errno = UNTOUCHED;
    free(NULL);
    say("free(NULL)", "errno %s", error_name(errno));
    for (size_t size = 1; size <= 64 * MIB; size *= 8) {
        char *ptr = malloc(size);
        *ptr = 1;
        errno = UNTOUCHED;
        free(hidden(ptr));
        char what[64];
        snprintf(what, sizeof what, "free of %zu", size);
        say(what, "errno %s", error_name(errno));
    }
    say("malloc_usable_size(NULL)", "%zu", malloc_usable_size(NULL));
}

static void usable(void)
{
    size_t wrong = 0;
    for (size_t size = 1; size <= 4 * MIB; size += size / 7 + 1) {
        unsigned char *ptr = calloc(1, size);
        const size_t whole = malloc_usable_size(ptr);
        wrong += whole != nallocx(size, 0) || whole < size;
        for (size_t i = 0; i < whole; i++)
            wrong += ptr[i] != 0;
        memset(ptr, 0xff, whole);
        free(ptr);
    }
    say("calloc: usable sizes and zeros wrong", "%zu", wrong);
}

static void new_too_much(void)
{
    _Znwm(hidden_size(huge));
}

static void operators(void)
{
    static const char nothrow;
    void *ptr = hidden(_Znwm(0));
    say("new of 0", "%s", kind_of(ptr));
    _ZdlPvm(ptr, 0);
    _ZdlPvm(NULL, 10);
    errno = UNTOUCHED;
    ptr = hidden(_ZnwmRKSt9nothrow_t(hidden_size(huge), &nothrow));
    say("new (nothrow) of too much", "%s", kind_of(ptr));
    fclose(stderr);
    say_ending("new of too much, in C", in_child(new_too_much));
}

int main(void)
{
    plain();
    resized();
    aligned();
    paged();
    freeing();
    usable();
    operators();
    return 0;
}
