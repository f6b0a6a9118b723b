/* SPDX-License-Identifier: MIT */
/*
 * The scenes: live blocks in one situation, and who will do wrong.
 */
#include "misuse.h"

#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void free_sized(void *pointer, size_t size) __attribute__((weak));
void free_aligned_sized(void *pointer, size_t alignment, size_t size)
    __attribute__((weak));

struct scene scene;
char static_data[4096];

char *victim(void)
{
    return scene.block[scene.victim];
}

size_t slab_bytes(void)
{
    return scene.bytes <= 8 * KIB ? 64 * KIB : 512 * KIB;
}

bool is_large(void)
{
    return scene.bytes > 64 * KIB;
}

/* -- a second thread -- */

static struct {
    sem_t begin, done;
    void (*work)(void *);
    void *argument;
} helper;

static void *help(void *unused)
{
    for (;;) {
        sem_wait(&helper.begin);
        helper.work(helper.argument);
        sem_post(&helper.done);
    }
    return unused;
}

static void begin_helper(void)
{
    pthread_t thread;
    insist(sem_init(&helper.begin, 0, 0) == 0, "no semaphore");
    insist(sem_init(&helper.done, 0, 0) == 0, "no semaphore");
    insist(pthread_create(&thread, NULL, help, NULL) == 0, "no thread");
    scene.helped = true;
}

void elsewhere(void (*work)(void *), void *argument)
{
    helper.work = work;
    helper.argument = argument;
    sem_post(&helper.begin);
    while (sem_wait(&helper.done) != 0)
        continue;
}

void commit(void (*work)(void *), void *argument)
{
    if (scene.elsewhere)
        elsewhere(work, argument);
    else
        work(argument);
}

static void take_something(void *unused)
{
    (void)unused;
    void *volatile block = malloc(24);
    insist(block != NULL, "no memory");
    free(block);
}

/* -- calls: the pointer is all that matters -- */

void call_free(void *pointer)
{
    errno = EXDEV;
    free(pointer);
    insist(errno == EXDEV, "free changed errno");
}

void call_realloc(void *pointer)
{
    void *volatile moved = realloc(pointer, scene.bytes);
    (void)moved;
}

void call_realloc_longer(void *pointer)
{
    void *volatile moved = realloc(pointer, 3 * scene.bytes);
    (void)moved;
}

void call_usable_size(void *pointer)
{
    const size_t bytes = malloc_usable_size(pointer);
    insist(bytes == 0, "usable bytes where there is no block");
}

void call_free_sized(void *pointer)
{
    free_sized(pointer, scene.bytes);
}

void call_free_aligned_sized(void *pointer)
{
    free_aligned_sized(pointer, 16, scene.bytes);
}

void call_delete(void *pointer)
{
    void (*const delete)(void *) =
        (void (*)(void *))dlsym(RTLD_DEFAULT, "_ZdlPv");
    delete(pointer);
}

void give(size_t i)
{
    commit(call_free, scene.block[i]);
    scene.block[i] = NULL;
}

/* -- what several mistakes need -- */

void give_neighbours(void)
{
    const size_t eighth = slab_bytes() / scene.bytes / 8;
    for (size_t i = 0; i <= eighth && scene.victim >= 2 * i + 1; i++)
        give(scene.victim - 2 * i - 1);
}

char *take_in_hand(void)
{
    char *pointer = victim();
    char *last = scene.block[scene.victim - 1];
    give(scene.victim);
    give(scene.victim - 1);
    char *came = NULL;
    for (size_t i = 0; i < 100000 && came != last; i++) {
        came = malloc(scene.bytes);
        insist(came != pointer, "the block is out again");
    }
    insist(came == last, "no block comes back");
    return pointer;
}

static void take_many(void *unused)
{
    (void)unused;
    const size_t most = 64 * MIB / scene.bytes + 2000;
    for (size_t i = 0; i < most; i++) {
        void *volatile block = malloc(scene.bytes);
        insist(block != NULL, "no memory");
    }
}

void take_over(void)
{
    take_many(NULL);
    if (scene.helped)
        elsewhere(take_many, NULL);
}

/* -- scenes -- */

static void take_blocks(size_t count)
{
    scene.block = mmap(NULL, (count + 1) * sizeof(char *),
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    insist(scene.block != MAP_FAILED, "no memory for the scene");
    for (size_t i = 0; i < count; i++) {
        scene.block[i] = malloc(scene.bytes);
        insist(scene.block[i] != NULL, "no memory");
    }
    scene.count = count;
    scene.victim = count - 1;
}

/* More than any thread keeps in hand of what it frees. */
enum { SPARES = 600 };

/*
 * Blocks that are freed at once, so that there is no room in hand for what is
 * freed next, until a refill. They are taken first, and fill their slabs: the
 * scene's blocks lie in others.
 */
static void take_cold_blocks(size_t count)
{
    static char *spare[SPARES + 64 * KIB / 16];
    spare[0] = malloc(scene.bytes);
    insist(spare[0] != NULL, "no memory");
    const size_t blocks = slab_bytes() / malloc_usable_size(spare[0]);
    const size_t spares = (SPARES + blocks - 1) / blocks * blocks;
    for (size_t i = 1; i < spares; i++) {
        spare[i] = malloc(scene.bytes);
        insist(spare[i] != NULL, "no memory");
    }
    take_blocks(count);
    for (size_t i = 0; i < spares; i++)
        free(spare[i]);
}

/* What is freed next goes to its slab. */
static void take_cold(size_t count)
{
    if (is_large())
        take_blocks(count);
    else
        take_cold_blocks(count);
}

static void take_a_few(void *unused)
{
    (void)unused;
    take_cold(is_large() ? 3 : 60);
}

/* In the slab that blocks are handed out from. */
static void scene_own(void)
{
    take_a_few(NULL);
}

/* The second tier keeps nothing in hand that was freed. */
static bool is_hardened(void)
{
    const char *conf = getenv("MALLOC_CONF");
    return conf != NULL && strstr(conf, "hardening:1") != NULL;
}

/* Have room in hand: what is freed next comes back next. */
static void make_room(void *unused)
{
    (void)unused;
    char *volatile block = malloc(scene.bytes);
    insist(block != NULL, "no memory");
    const uintptr_t first = (uintptr_t)block;
    free(block);
    block = malloc(scene.bytes);
    insist((uintptr_t)block == first || is_hardened(),
        "there is no room in hand");
}

/* The same, but what is freed stays in hand. */
static void scene_warm(void)
{
    take_blocks(60);
    make_room(NULL);
}

/* Three quarters into a slab, the one after `slabs` others. */
static void choose_inside_slab(size_t slabs)
{
    const size_t blocks = slab_bytes() / malloc_usable_size(scene.block[0]);
    scene.victim = slabs * blocks + blocks * 3 / 4;
}

/* In a slab all of whose blocks are out. */
static void scene_full(void)
{
    take_cold(3 * slab_bytes() / scene.bytes);
    choose_inside_slab(1);
}

/* Given back, and handed out again. */
static void scene_reused(void)
{
    take_a_few(NULL);
    char *wanted = victim();
    for (size_t i = 0; i < (is_large() ? 1 : 4); i++)
        give(scene.count - 1 - i);
    char *came = NULL;
    for (size_t i = 0; i < 100000 && came != wanted; i++)
        came = malloc(scene.bytes);
    insist(came == wanted, "the block does not come back");
    scene.block[scene.victim] = came;
}

/* The wrongdoer is a thread with a heap of its own. */
static void scene_remote(void)
{
    take_a_few(NULL);
    begin_helper();
    elsewhere(take_something, NULL);
    scene.elsewhere = true;
}

/* As scene_remote, and what the wrongdoer frees stays in its hand. */
static void scene_keeper(void)
{
    scene_remote();
    elsewhere(make_room, NULL);
}

/* The wrongdoer never allocated. */
static void scene_bare(void)
{
    take_a_few(NULL);
    begin_helper();
    scene.elsewhere = true;
}

/* The wrongdoer is the owner, of blocks that others give back. */
static void scene_mixed(void)
{
    scene_remote();
    scene.elsewhere = false;
}

/* The same, and they keep them in hand. */
static void scene_mixed_keeper(void)
{
    scene_keeper();
    scene.elsewhere = false;
}

/* The same, and the owner does. */
static void scene_mixed_warm(void)
{
    scene_mixed();
    make_room(NULL);
}

/* As scene_full, and another thread does it. */
static void scene_full_remote(void)
{
    scene_full();
    begin_helper();
    elsewhere(take_something, NULL);
    scene.elsewhere = true;
}

/* Every second block of the first half, but for those beside the victim. */
static void give_much(void *unused)
{
    (void)unused;
    for (size_t i = scene.victim % 2; i < scene.count / 2; i += 2) {
        if (i + 2 < scene.victim || i > scene.victim + 2) {
            free(scene.block[i]);
            scene.block[i] = NULL;
        }
    }
}

/* So much that its owner, who does nothing meanwhile, has it no longer. */
static void take_too_much(void)
{
    take_cold(16 * MIB / scene.bytes);
    choose_inside_slab(8);
    begin_helper();
    elsewhere(take_something, NULL);
    elsewhere(give_much, NULL);
}

/* In a slab that its heap disowned, or that was disowned for it. */
static void scene_unowned(void)
{
    take_too_much();
    scene.elsewhere = true;
}

/* The same, and the last owner does wrong. */
static void scene_disowned(void)
{
    take_too_much();
}

static void *take_and_end(void *unused)
{
    take_a_few(NULL);
    return unused;
}

/* In a slab whose owner has ended. */
static void scene_ended(void)
{
    pthread_t thread;
    take_something(NULL);
    insist(pthread_create(&thread, NULL, take_and_end, NULL) == 0,
        "no thread");
    pthread_join(thread, NULL);
}

/* From here on it is a child that does wrong; its parent ends as it does. */
static void go_on_in_a_child(void)
{
    const pid_t child = fork();
    insist(child >= 0, "no process");
    if (child == 0) {
        scene.helped = false;
        return;
    }
    int status;
    insist(waitpid(child, &status, 0) == child, "the child is lost");
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

/* Blocks of before the fork. */
static void scene_forked(void)
{
    take_a_few(NULL);
    go_on_in_a_child();
}

/* Blocks of a thread that did not come along. */
static void scene_vanished(void)
{
    begin_helper();
    elsewhere(take_a_few, NULL);
    take_something(NULL);
    go_on_in_a_child();
}

const struct named scenes[] = {
    { "own", scene_own },
    { "warm", scene_warm },
    { "full", scene_full },
    { "reused", scene_reused },
    { "remote", scene_remote },
    { "keeper", scene_keeper },
    { "bare", scene_bare },
    { "mixed", scene_mixed },
    { "mixed-keeper", scene_mixed_keeper },
    { "mixed-warm", scene_mixed_warm },
    { "full-remote", scene_full_remote },
    { "unowned", scene_unowned },
    { "disowned", scene_disowned },
    { "ended", scene_ended },
    { "forked", scene_forked },
    { "vanished", scene_vanished },
    { NULL, NULL },
};
