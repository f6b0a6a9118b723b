/* SPDX-License-Identifier: MIT */
/*
 * static_served - a C program for static linking: threads that allocate, hand
 * blocks to each other and end. Prints its own addresses of malloc and of
 * ashlar_version less that of main, for the runner to compare with the
 * symbols in the file, then the version.
 */
#include <pthread.h>
#include <stdio.h>

#include "early.h"

const char *ashlar_version(void);

enum { THREADS = 4, ROUNDS = 50 };

static void *thread_main(void *argument)
{
    char **const block = argument;
    for (int round = 0; round < ROUNDS; round++)
        early_workout("a thread");
    free(*block);
    *block = malloc(3000);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    char *blocks[THREADS];
    for (int i = 0; i < THREADS; i++) {
        blocks[i] = malloc(2000);
        if (pthread_create(&threads[i], NULL, thread_main, &blocks[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (blocks[i] == NULL)
            return 1;
        free(blocks[i]);
    }
    printf("%ld %ld %s\n", (long)((intptr_t)malloc - (intptr_t)main),
           (long)((intptr_t)ashlar_version - (intptr_t)main),
           ashlar_version());
    return 0;
}
