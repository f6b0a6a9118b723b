/* SPDX-License-Identifier: MIT */
/*
 * Party: three threads that wait for each other, if malloc is one of them.
 *
 * Goal: a thread that forks, one that flushes or closes streams, and one that
 * reads a line into a growing buffer never wait for each other in a circle.
 * They would if a lock of malloc were held across fork(): the C library's
 * fork() then waits for the list of streams, which fflush(NULL) and fclose()
 * hold while they wait for a stream, which getline() holds while it waits for
 * malloc.
 *
 * Method: all three until --ops forks are made (150), beside a watchdog that
 * ends the process when none was for a while; each child uses streams, too.
 * It means something only where the C library calls the malloc under test:
 * preloaded.
 */
#include "../stress/stress.h"

#include <signal.h>
#include <sys/wait.h>

enum { WATCH_SECONDS = 15, CHILD_SECONDS = 20, LINES = 4, TEXT_BYTES = 200000 };

static atomic_bool stop;
static atomic_uint forks;
static atomic_uint flushes;
static atomic_uint lines;

/* A line that makes getline() ask for more than a dozen sizes of buffer. */
static FILE *text_open(void)
{
    FILE *file = tmpfile();
    EXPECT(file != NULL);
    for (size_t line = 0; line < LINES; line++) {
        for (size_t i = 0; i < TEXT_BYTES / (line + 1); i++)
            EXPECT(putc('a' + (int)(i % 26), file) != EOF);
        EXPECT(putc('\n', file) != EOF);
    }
    EXPECT_EQUAL(fflush(file), 0);
    return file;
}

static void text_read(FILE *file)
{
    rewind(file);
    for (size_t line = 0; line < LINES; line++) {
        char *text = NULL;
        size_t room = 0;
        const ssize_t length = getline(&text, &room, file);
        EXPECT_EQUAL(length, TEXT_BYTES / (line + 1) + 1);
        EXPECT(text[length - 2] == 'a' + (length - 2) % 26);
        free(text);
    }
}

static void *reader(void *file)
{
    while (!atomic_load(&stop)) {
        text_read((FILE *)file);
        atomic_fetch_add(&lines, LINES);
    }
    return NULL;
}

static void *flusher(void *nothing)
{
    while (!atomic_load(&stop)) {
        FILE *file = fopen("/dev/null", "w");
        EXPECT(file != NULL);
        EXPECT(fputs("some text", file) >= 0);
        EXPECT_EQUAL(fflush(NULL), 0);
        EXPECT_EQUAL(fclose(file), 0);
        atomic_fetch_add(&flushes, 1);
    }
    return nothing;
}

/* Streams work in the child, and so does the allocator behind them. */
static void child_life(void)
{
    char word[16];
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS);
    FILE *file = fopen("/proc/self/stat", "r");
    EXPECT(file != NULL);
    EXPECT(fgets(word, sizeof word, file) != NULL);
    EXPECT_EQUAL(fclose(file), 0);
    for (size_t i = 0; i < 20; i++)
        marked_free(marked_take(i * i * i * 20, i));
}

static void *forker(void *count)
{
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        int status;
        const pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            child_life();
            _exit(0);
        }
        EXPECT_EQUAL(waitpid(child, &status, 0), child);
        EXPECT_THAT(status == 0, "child %u ended with status %x",
                    (unsigned)i, (unsigned)status);
        atomic_fetch_add(&forks, 1);
    }
    atomic_store(&stop, true);
    return NULL;
}

/* A signal handler, so that it needs nobody's lock. */
static void watch(int number)
{
    static unsigned before[3];
    const unsigned now[3] = {atomic_load(&forks), atomic_load(&flushes),
                             atomic_load(&lines)};
    (void)number;
    if (now[0] == before[0])
        FAIL("no fork for %d s; %u forks, %u flushes, %u lines so far",
             WATCH_SECONDS, now[0], now[1], now[2]);
    memcpy(before, now, sizeof before);
    alarm(WATCH_SECONDS);
}

int main(int argc, char **argv)
{
    struct crew crew = {.count = 0};
    test_begin("party", argc, argv);
    const struct sigaction action = {.sa_handler = watch};
    EXPECT_EQUAL(sigaction(SIGALRM, &action, NULL), 0);
    alarm(WATCH_SECONDS);
    FILE *files[2] = {text_open(), text_open()};
    const uintptr_t count = test.ops != 0 ? test.ops : 150;
    for (unsigned round = 0; test_more(round, 1); round++) {
        atomic_store(&stop, false);
        crew_add(&crew, forker, (void *)count);
        crew_add(&crew, flusher, NULL);
        crew_add(&crew, reader, files[0]);
        crew_add(&crew, reader, files[1]);
        crew_join(&crew);
    }
    EXPECT_EQUAL(fclose(files[0]), 0);
    EXPECT_EQUAL(fclose(files[1]), 0);
    return test_passed("%u forks, %u flushes, %u lines", atomic_load(&forks),
                       atomic_load(&flushes), atomic_load(&lines));
}
