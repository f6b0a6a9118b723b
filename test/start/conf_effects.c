/* SPDX-License-Identifier: MIT */
/*
 * conf_effects - does what a setting changes, named by the argument, and says
 * what came of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void zero_realloc(void)
{
    void *block = realloc(malloc(10), 0);
    puts(block == NULL ? "null" : "block");
    free(block);
}

/* The middle of a block when it is new, and after it was freed: it is still
 * mapped, and beyond what a list of free blocks writes into it. */
static void junk(void)
{
    volatile unsigned char *block = malloc(100);
    const unsigned first = block[50];
    if (first == 0)
        memset((void *)block, 0x11, 100);
    free((void *)block);
    printf("%02x %02x\n", first, block[50]);
}

/* Without a C++ runtime: nobody can catch what operator new throws. */
static void new(void)
{
    void *(*operator_new)(size_t, const char *)
        = (void *(*)(size_t, const char *))dlsym(RTLD_DEFAULT,
            "_ZnwmRKSt9nothrow_t");
    puts(operator_new(PTRDIFF_MAX, "") == NULL ? "null" : "block");
}

static void five_times_2_mb(void)
{
    for (int i = 0; i < 5; i++) {
        void *volatile block = malloc(2 << 20);
        free(block);
    }
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "zero_realloc") == 0)
        zero_realloc();
    else if (count == 2 && strcmp(arguments[1], "junk") == 0)
        junk();
    else if (count == 2 && strcmp(arguments[1], "new") == 0)
        new();
    else if (count == 2 && strcmp(arguments[1], "five_times_2_mb") == 0)
        five_times_2_mb();
    else
        return 2;
    return 0;
}
