/* SPDX-License-Identifier: MIT */
/*
 * reopen - opens and closes the library named on the command line a thousand
 * times. Each time a thread takes memory from it, waits until it was closed,
 * gives the memory back and ends, so that what the library does at a
 * thread's end happens after dlclose. Prints "ok".
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 1000, BLOCKS = 20 };

static struct {
    void *(*malloc)(size_t);
    void (*free)(void *);
    pthread_barrier_t barrier;
} shared;

static void *thread_main(void *argument)
{
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = shared.malloc((size_t)(i * i * 40 + 1));
        if (blocks[i] == NULL)
            return argument;
        memset(blocks[i], i, (size_t)(i * i * 40 + 1));
    }
    pthread_barrier_wait(&shared.barrier);
    pthread_barrier_wait(&shared.barrier);   /* closed by now */
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i][0] != i)
            return argument;
        shared.free(blocks[i]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_barrier_init(&shared.barrier, NULL, 2);
    for (int round = 0; round < ROUNDS && argc == 2; round++) {
        void *const library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        *(void **)&shared.malloc = dlsym(library, "malloc");
        *(void **)&shared.free = dlsym(library, "free");
        pthread_t thread;
        void *failed = NULL;
        if (pthread_create(&thread, NULL, thread_main, argv) != 0)
            return 1;
        pthread_barrier_wait(&shared.barrier);
        dlclose(library);
        pthread_barrier_wait(&shared.barrier);
        pthread_join(thread, &failed);
        if (failed != NULL)
            return 1;
    }
    puts("ok");
    return 0;
}
