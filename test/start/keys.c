/* SPDX-License-Identifier: MIT */
/*
 * keys - threads in a process where no pthread key is left.
 *
 * Usage   keys early|late
 *
 * early takes all keys in .preinit_array, before any library's constructor;
 * late takes them in main. Then threads that never allocated before work,
 * hand a block on and end, round after round. Prints how many keys it got,
 * and the peak of its resident memory in KiB: what a thread leaves at its end
 * must come back even if no key told of it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "early.h"

enum { ROUNDS = 200, KEYS_MAX = 5000 };

static int taken;

static void take_all_keys(void)
{
    pthread_key_t key;
    while (taken < KEYS_MAX && pthread_key_create(&key, NULL) == 0)
        taken++;
}

static void preinit(int argc, char **argv, char **environment)
{
    (void)environment;
    if (argc == 2 && strcmp(argv[1], "early") == 0)
        take_all_keys();
}

__attribute__((section(".preinit_array"), used))
static void (*const preinit_entry)(int, char **, char **) = preinit;

static void *thread_main(void *block)
{
    early_workout("a thread without keys");
    free(block);
    return malloc(777);
}

int main(void)
{
    take_all_keys();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            if (pthread_create(&threads[i], NULL, thread_main,
                               malloc(333)) != 0)
                return 1;
        }
        for (int i = 0; i < 2; i++) {
            void *block = NULL;
            pthread_join(threads[i], &block);
            if (block == NULL)
                return 1;
            free(block);
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%d %ld\n", taken, usage.ru_maxrss);
    return 0;
}
