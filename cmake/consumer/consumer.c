/* SPDX-License-Identifier: MIT */
/*
 * consumer - a program outside the project, built against an installed Ashlar.
 *
 * It uses the library as a program would and fails unless its malloc is
 * Ashlar's (100 bytes lie in a block of 112, where libc's malloc gives 104) and
 * the library is of the header's version.
 */
#include <ashlar/ashlar.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *const text = malloc(100);
    if (text == NULL)
        return 1;
    memset(text, 'a', 99);
    text[99] = '\0';

    const size_t usable_bytes = malloc_usable_size(text);
    printf("ashlar %s: a block of %zu bytes, %zu in use\n",
           ashlar_version(), usable_bytes, strlen(text));
    free(text);
    if (strcmp(ashlar_version(), ASHLAR_VERSION_STRING) != 0)
        return 2;
    return usable_bytes == 112 ? 0 : 3;
}
