/* SPDX-License-Identifier: MIT */
/*
 * plain - a program that allocates a little, and says "done" and whether it
 * runs with more rights than its caller has (AT_SECURE).
 */
#include <stdio.h>
#include <sys/auxv.h>

#include "early.h"

int main(void)
{
    early_workout("main");
    printf("done secure=%lu\n", getauxval(AT_SECURE));
    return 0;
}
