/* SPDX-License-Identifier: MIT */
/*
 * early_start - malloc before main: from an IFUNC resolver (while the loader
 * still relocates the program), from .preinit_array (before any library's
 * constructor), from the first constructor, and after main from atexit and
 * the last destructor. Blocks from before are given back later. Prints the
 * stages that ran, "ifunc preinit constructor main".
 *
 * WITHOUT_IFUNC leaves the resolver out: libc runs those of a static program
 * before there is thread-local data, so no malloc can serve there.
 */
#include <stdbool.h>
#include <stdio.h>

#include "early.h"

enum { RAN_IFUNC = 1, RAN_PREINIT = 2, RAN_CONSTRUCTOR = 4 };
static int ran;
static char *from_ifunc;
static char *from_preinit;

static int answer(void)
{
    return 42;
}

#if defined(WITHOUT_IFUNC)
int resolved(void)
{
    return answer();
}
#else
static int (*resolve(void))(void)
{
    from_ifunc = malloc(1000);
    if (from_ifunc == NULL)
        return NULL;
    from_ifunc[999] = 'i';
    early_workout("an IFUNC resolver");
    ran |= RAN_IFUNC;
    return answer;
}

int resolved(void) __attribute__((ifunc("resolve")));
#endif

static void preinit(void)
{
    from_preinit = malloc(70000);
    if (from_preinit == NULL)
        early_fail(".preinit_array");
    from_preinit[69999] = 'p';
    early_workout(".preinit_array");
    ran |= RAN_PREINIT;
}

__attribute__((section(".preinit_array"), used))
static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void construct(void)
{
    early_workout("the first constructor");
    ran |= RAN_CONSTRUCTOR;
}

__attribute__((destructor(101))) static void destruct(void)
{
    early_workout("the last destructor");
}

static void at_exit(void)
{
    early_workout("atexit");
}

int main(void)
{
    if (resolved() != 42 || from_preinit[69999] != 'p' ||
        (from_ifunc != NULL && from_ifunc[999] != 'i'))
        early_fail("main");
    free(from_ifunc);
    free(from_preinit);
    early_workout("main");
    atexit(at_exit);
    printf("%s%s%smain\n", ran & RAN_IFUNC ? "ifunc " : "",
           ran & RAN_PREINIT ? "preinit " : "",
           ran & RAN_CONSTRUCTOR ? "constructor " : "");
    return 0;
}
