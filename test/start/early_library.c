/* SPDX-License-Identifier: MIT */
/*
 * early_library - a library to preload beside Ashlar, whose constructor,
 * destructor, IFUNC resolver and thread-exit call allocate.
 */
#include <pthread.h>

#include "early.h"

static char *from_constructor;
static pthread_key_t key;

static int answer(void)
{
    return 1;
}

static int (*resolve(void))(void)
{
    early_workout("a library's IFUNC resolver");
    return answer;
}

int early_library_resolved(void) __attribute__((ifunc("resolve")));

static void at_thread_exit(void *block)
{
    free(block);
    early_workout("a thread-exit call");
}

static void *thread_main(void *argument)
{
    pthread_setspecific(key, malloc(100));
    return argument;
}

__attribute__((constructor)) static void construct(void)
{
    pthread_t thread;
    from_constructor = malloc(5000);
    if (from_constructor == NULL || early_library_resolved() != 1)
        early_fail("a library's constructor");
    memset(from_constructor, 'c', 5000);
    early_workout("a library's constructor");
    if (pthread_key_create(&key, at_thread_exit) != 0 ||
        pthread_create(&thread, NULL, thread_main, NULL) != 0)
        early_fail("a library's constructor");
    pthread_join(thread, NULL);
}

__attribute__((destructor)) static void destruct(void)
{
    if (from_constructor[4999] != 'c')
        early_fail("a library's destructor");
    free(from_constructor);
    early_workout("a library's destructor");
}
