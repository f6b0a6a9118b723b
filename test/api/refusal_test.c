/* SPDX-License-Identifier: MIT */
/*
 * Options zero_realloc and xmalloc: goal and method.
 *
 * What realloc(p, 0) does, and a call that finds no memory, is up to the
 * settings, which a process reads once. So this program runs itself again, with
 * settings in the environment and the name of a scene, whose end and words on
 * stderr are compared. Without settings it counts what stats.zero_reallocs
 * says.
 */
#include "../expect.h"

#include <jemalloc/jemalloc.h>
#include <signal.h>
#include <sys/wait.h>

#if !SUBJECT_PREFIXED
#pragma weak mallctl
#pragma weak mallocx
#pragma weak rallocx
#endif

/* -- scenes -- */

static void realloc_frees(void)
{
    void *block = subject_malloc(100);
    errno = EXDEV;
    EXPECT(subject_realloc(block, 0) == NULL);
    EXPECT(subject_reallocarray(subject_malloc(5 * MIB), 0, 7) == NULL);
    EXPECT_EQUAL(errno, EXDEV);
}

static void realloc_keeps(void)
{
    const size_t sizes[] = {1, 100, 20000, 70000, 5 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = (unsigned char *)subject_malloc(sizes[i]);
        *block = 77;
        errno = EXDEV;
        block = (unsigned char *)subject_realloc(block, 0);
        EXPECT_EQUAL(errno, EXDEV);
        EXPECT(block != NULL);
        EXPECT_EQUAL(*block, 77);
        EXPECT_AT_MOST(subject_usable_size(block), 16);
        subject_free(block);
    }
}

static void realloc_aborts(void)
{
    EXPECT(subject_realloc(NULL, 0) != NULL);
    subject_realloc(subject_malloc(100), 0);
}

static int heard;

static void hear(const char *line)
{
    heard += strncmp(line, "Called realloc", 14) == 0;
}

/* A program that would rather go on: nothing happens to the block. */
static void realloc_is_told(void)
{
    void (*callback)(const char *) = hear;
    EXPECT_EQUAL(
        SUBJECT_NAME(mallctl)("experimental.hooks.safety_check_abort", NULL,
                              NULL, &callback, sizeof callback), 0);
    void *block = subject_malloc(100);
    EXPECT(subject_realloc(block, 0) == NULL);
    EXPECT_EQUAL(heard, 1);
    subject_free(block);
}

static void malloc_fails(void)
{
    subject_malloc(PTRDIFF_MAX);
}

static void calloc_fails(void)
{
    subject_calloc(SIZE_MAX / 2, 4);
}

static void realloc_fails(void)
{
    subject_realloc(subject_malloc(1), PTRDIFF_MAX);
}

static void memalign_fails(void)
{
    void *block;
    EXPECT(subject_posix_memalign(&block, 64, PTRDIFF_MAX) != 0);
}

static void mallocx_fails(void)
{
    subject_hide(SUBJECT_NAME(mallocx)(subject_hide_size(SIZE_MAX), 0));
}

static void rallocx_fails(void)
{
    void *block = subject_malloc(9);
    subject_hide(SUBJECT_NAME(rallocx)(block, subject_hide_size(SIZE_MAX), 0));
}

/* A scene, its settings, and what it says before it aborts; "": it ends well.
 */
static const struct scene {
    const char *name;
    void (*play)(void);
    const char *conf;
    const char *said;
} scenes[] = {
#define SCENE(name, conf, said) {#name, name, conf, said},
    SCENE(realloc_frees, "", "")
    SCENE(realloc_frees, "zero_realloc:free", "")
    SCENE(realloc_keeps, "zero_realloc:alloc", "")
    SCENE(realloc_aborts, "zero_realloc:abort",
          "Called realloc(non-null-ptr, 0) with "
          "zero_realloc:abort set\n")
    SCENE(realloc_is_told, "zero_realloc:abort", "")
    SCENE(malloc_fails, "xmalloc:false", "")
    SCENE(malloc_fails, "xmalloc:true",
          "<jemalloc>: Error in malloc(): out of memory\n")
    SCENE(calloc_fails, "xmalloc:true",
          "<jemalloc>: Error in calloc(): out of memory\n")
    SCENE(realloc_fails, "xmalloc:true",
          "<jemalloc>: Error in realloc(): out of memory\n")
    SCENE(memalign_fails, "xmalloc:true",
          "<jemalloc>: Error in posix_memalign(): out of memory\n")
    SCENE(mallocx_fails, "xmalloc:true",
          "<jemalloc>: Error in mallocx(): out of memory\n")
    SCENE(rallocx_fails, "xmalloc:true",
          "<jemalloc>: Error in rallocx(): out of memory\n")
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static int play(const char *name)
{
    for (size_t i = 0; i < SCENES; i++) {
        if (strcmp(scenes[i].name, name) == 0) {
            scenes[i].play();
            return 0;
        }
    }
    return 2;
}

/* -- running them -- */

static void run_scene(const struct scene *scene)
{
    setenv("TEST_SCENE", scene->name, 1);
    setenv(SUBJECT_PREFIXED ? "ASH_MALLOC_CONF" : "MALLOC_CONF", scene->conf,
           1);
    execl("/proc/self/exe", "refusal_test", (char *)NULL);
    _exit(3);
}

static void expect_scene(const struct scene *scene)
{
    int ends[2];
    char said[1024] = "";
    int status;
    EXPECT_EQUAL(pipe(ends), 0);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[1]);
        run_scene(scene);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(ends[0], said + used, sizeof said - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT_THAT(strcmp(said, scene->said) == 0, "%s, %s: said %s",
                scene->name, scene->conf, said);
    const bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    EXPECT_THAT(scene->said[0] != 0 ? aborted : status == 0,
                "%s, %s: ended with %x", scene->name, scene->conf,
                (unsigned)status);
}

static size_t counted(void)
{
    size_t count = 0;
    size_t bytes = sizeof count;
    EXPECT_EQUAL(SUBJECT_NAME(mallctl)("stats.zero_reallocs", &count, &bytes,
                                       NULL, 0), 0);
    return count;
}

static void each_is_counted(void)
{
    const size_t before = counted();
    subject_realloc(NULL, 0);
    EXPECT_EQUAL(counted(), before);
    for (size_t i = 1; i <= 5; i++) {
        subject_realloc(subject_malloc(i * 20000), 0);
        EXPECT_EQUAL(counted(), before + i);
    }
}

int main(int argc, char **argv)
{
    const char *scene = getenv("TEST_SCENE");
    if (scene != NULL)
        return play(scene);
    test_begin("refusal_test", argc, argv);
    if (!subject_is_ashlar())
        return test_skipped("other allocators' messages are others");
    for (size_t i = 0; i < SCENES; i++)
        expect_scene(&scenes[i]);
    each_is_counted();
    return test_passed("%u scenes", (unsigned)SCENES);
}
