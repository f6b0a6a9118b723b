/* SPDX-License-Identifier: MIT */
/*
 * pattern - what the programs of this folder share: each does to jemalloc what
 * one known client does, and ends with 1 at the first thing that is not as that
 * client needs it.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "contract.h"

#define TEXT_OF(number) TEXT_OF_VALUE(number)
#define TEXT_OF_VALUE(number) #number

#define REQUIRE(condition, ...)                                               \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__,        \
                    #condition);                                              \
            fprintf(stderr, __VA_ARGS__);                                     \
            fprintf(stderr, "\n");                                            \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

/* A name with numbers in it, of a size_t. */
__attribute__((format(printf, 1, 2)))
static inline size_t size_at(const char *format, ...)
{
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    size_t value = 0;
    size_t bytes = sizeof value;
    const int error = mallctl(name, &value, &bytes, NULL, 0);
    REQUIRE(error == 0 && bytes == sizeof value, "%s: %s", name,
            error_name(error));
    return value;
}

static inline unsigned arena_new(void)
{
    unsigned arena = 0;
    size_t bytes = sizeof arena;
    REQUIRE(mallctl("arenas.create", &arena, &bytes, NULL, 0) == 0, "no arena");
    return arena;
}

#endif
