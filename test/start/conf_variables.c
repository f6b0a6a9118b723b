/* SPDX-License-Identifier: MIT */
/*
 * conf_variables - a program that brings settings of its own, and says what
 * the first byte of new memory is. With -DHOOK it has no settings, and says
 * what its malloc_message heard before main.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HOOK

static char heard[4096];

static void hear(void *opaque, const char *line)
{
    (void)opaque;
    strncat(heard, "heard ", sizeof heard - strlen(heard) - 1);
    strncat(heard, line, sizeof heard - strlen(heard) - 1);
}

void (*malloc_message)(void *opaque, const char *line) = hear;

#else

static const char heard[] = "";

const char *malloc_conf = "confirm_conf:true,junk:true";
const char *malloc_conf_2_conf_harder = "narenas:7";

#endif

int main(void)
{
    volatile unsigned char *block = malloc(100000);
    printf("%sfirst byte %02x\n", heard, block[0]);
    free((void *)block);
    return 0;
}
