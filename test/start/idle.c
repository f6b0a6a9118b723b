/* SPDX-License-Identifier: MIT */
/*
 * idle - allocates a little, says "ready" and waits for its input to close.
 * The runner reads from /proc what it keeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char byte;
    void *const block = malloc(100);
    if (block == NULL || write(1, "ready\n", 6) != 6)
        return 1;
    while (read(0, &byte, 1) > 0)
        continue;
    free(block);
    return 0;
}
