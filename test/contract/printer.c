/* SPDX-License-Identifier: MIT */
/*
 * printer - malloc_stats_print, after a little of everything.
 *
 * Goal: the statistics have jemalloc's keys, for every letter of the options.
 * Method: the report goes to standard output (or, with a second argument, to
 * where the library sends it by itself); run.py reads the keys out of it.
 */
#include "contract.h"

static struct {
    size_t calls;
    size_t strange;       /* calls with another opaque pointer, or no text */
} written;

static void put(void *opaque, const char *text)
{
    written.calls++;
    written.strange += opaque != &written || text == NULL;
    const size_t size = strlen(text);
    if (write(STDOUT_FILENO, text, size) != (ssize_t)size)
        _exit(2);
}

static void live(void)
{
    unsigned arenas[2];
    for (int i = 0; i < 2; i++) {
        size_t bytes = sizeof arenas[i];
        mallctl("arenas.create", &arenas[i], &bytes, NULL, 0);
    }
    for (int i = 0; i < 2; i++) {
        const int flags = MALLOCX_ARENA(arenas[i]) | MALLOCX_TCACHE_NONE;
        for (size_t size = 1; size <= 8 * MIB; size += size / 3 + 1) {
            mallocx(size, flags);
            dallocx(mallocx(size, flags), MALLOCX_TCACHE_NONE);
        }
    }
    act_on("arena.%u.destroy", arenas[1]);
    for (size_t size = 1; size <= 8 * MIB; size += size / 3 + 1)
        free(malloc(size));
    if (realloc(malloc(1), 0) != NULL)
        _exit(4);
}

int main(int argc, char **argv)
{
    live();
    if (argc > 2) {
        malloc_stats_print(NULL, NULL, argv[1]);
        return 0;
    }
    malloc_stats_print(put, &written, argc > 1 ? argv[1] : NULL);
    if (written.strange != 0)
        fprintf(stderr, "%zu strange calls\n", written.strange);
    return written.strange != 0;
}
