/* SPDX-License-Identifier: MIT */
/*
 * prefixed - a program with two allocators: libc's, and one whose names begin
 * with je_.
 *
 * It fails unless both serve side by side, and the settings under the prefix
 * reach the second alone. Built by cmake/check_prefix.cmake, which sets
 * JE_MALLOC_CONF.
 */
#include <ashlar/ashlar.h>
#include <jemalloc/jemalloc.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* Read before JE_MALLOC_CONF, which says narenas:5. */
const char *je_malloc_conf = "narenas:7,dirty_decay_ms:1234";

static int check_settings(void)
{
    unsigned arenas;
    ssize_t decay_ms;
    size_t bytes = sizeof arenas;
    if (je_mallctl("opt.narenas", &arenas, &bytes, NULL, 0) != 0)
        return 4;
    bytes = sizeof decay_ms;
    if (je_mallctl("opt.dirty_decay_ms", &decay_ms, &bytes, NULL, 0) != 0)
        return 5;
    printf("%u arenas, %zd ms\n", arenas, decay_ms);
    return arenas == 5 && decay_ms == 1234 ? 0 : 6;
}

int main(void)
{
    /* 100 bytes take 112 of Ashlar's, and 104 of libc's. */
    void *ours = je_mallocx(100, 0);
    void *theirs = malloc(100);
    if (ours == NULL || theirs == NULL)
        return 1;
    if (je_malloc_usable_size(ours) != 112
        || malloc_usable_size(theirs) != 104)
        return 2;
    ours = je_rallocx(ours, 1000, MALLOCX_ZERO);
    je_dallocx(ours, 0);
    free(theirs);
    if (strcmp(je_ashlar_version(), ASHLAR_VERSION_STRING) != 0)
        return 3;
    return check_settings();
}
