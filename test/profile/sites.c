/* SPDX-License-Identifier: MIT */
/*
 * sites - a program that says what it holds, and which function took it.
 *
 * Usage: sites FILE...
 *
 * Each function keeps what it takes and prints a line "NAME BYTES USABLE
 * OBJECTS" of each size: what it asked for, what the allocator gives for that.
 * Then a profile is written to each file, if the allocator writes any. Sizes
 * are such that no usual allocator rounds them up by much.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

/* Where the compiler must believe that everything is looked at. */
static void *volatile kept;

static void say(const char *name, size_t bytes, size_t objects)
{
    void *one = malloc(bytes);
    printf("%s %zu %zu %zu\n", name, bytes, malloc_usable_size(one), objects);
    free(one);
}

/* Each object holds the one before, so that none is lost to leak checkers. */
static void keep(void *object)
{
    *(void **)object = kept;
    kept = object;
}

NOINLINE static void rivets(void)
{
    say("rivets", 48, 100000);
    for (size_t i = 0; i < 100000; i++)
        keep(malloc(48));
}

NOINLINE static void plates(void)
{
    say("plates", 1024, 10000);
    for (size_t i = 0; i < 10000; i++)
        keep(malloc(1024));
}

NOINLINE static void beams(void)
{
    say("beams", 20480, 700);
    for (size_t i = 0; i < 700; i++)
        keep(malloc(20480));
}

NOINLINE static void decks(void)
{
    say("decks", 327680, 60);
    for (size_t i = 0; i < 60; i++)
        keep(malloc(327680));
}

NOINLINE static void charts(void)
{
    say("charts", 256, 30000);
    for (size_t i = 0; i < 30000; i++)
        keep(calloc(4, 64));
}

NOINLINE static void anchors(void)
{
    say("anchors", 512, 9000);
    for (size_t i = 0; i < 9000; i++) {
        void *object = NULL;
        if (posix_memalign(&object, 64, 512) != 0)
            abort();
        keep(object);
    }
}

/* An object belongs to who resized it last. */
NOINLINE static void ropes(void)
{
    say("ropes", 4096, 3000);
    for (size_t i = 0; i < 3000; i++) {
        char *rope = NULL;
        for (size_t bytes = 32; bytes <= 4096; bytes *= 2) {
            rope = realloc(rope, bytes);
            rope[bytes - 1] = 1;
        }
        keep(rope);
    }
}

/* Most of what it takes is given back. */
NOINLINE static void waste(void)
{
    say("waste", 640, 5000);
    for (size_t i = 0; i < 40000; i++) {
        void *object = malloc(640);
        if (i % 8 == 0)
            keep(object);
        else
            free(object);
    }
}

/* One place that takes, for two that ask. */
NOINLINE static void *weld(size_t bytes)
{
    void *object = malloc(bytes);
    memset(object, 1, bytes);
    return object;
}

NOINLINE static void bow(void)
{
    say("bow", 128, 20000);
    for (size_t i = 0; i < 20000; i++)
        keep(weld(128));
}

NOINLINE static void stern(void)
{
    say("stern", 320, 20000);
    for (size_t i = 0; i < 20000; i++)
        keep(weld(320));
}

/* By a thread that ends before anybody asks. */
NOINLINE static void *cargo(void *crew)
{
    void **hold = crew;
    for (size_t i = 0; i < 2500; i++)
        hold[i] = malloc(2560);
    return NULL;
}

static void sail(void)
{
    static void *hold[2][2500];
    say("cargo", 2560, 5000);
    for (size_t i = 0; i < 2; i++) {
        pthread_t sailor;
        if (pthread_create(&sailor, NULL, cargo, hold[i]) != 0)
            abort();
        pthread_join(sailor, NULL);
    }
}

static int dump(const char *path)
{
    int (*control)(const char *, void *, size_t *, void *, size_t);
    *(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
    if (control == NULL)
        return 0;
    return control("prof.dump", NULL, NULL, &path, sizeof(path));
}

int main(int count, char **argument)
{
    /* Its own buffer is no part of what a function holds. */
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    rivets();
    plates();
    beams();
    decks();
    charts();
    anchors();
    ropes();
    waste();
    bow();
    stern();
    sail();
    for (int i = 1; i < count; i++)
        if (dump(argument[i]) != 0)
            return 1;
    return 0;
}
