/* SPDX-License-Identifier: MIT */
/*
 * numa - an arena for each NUMA node, whose memory lies on that node.
 *
 * One hook is enough: alloc takes memory from the default hooks and binds it to
 * the node before anybody has touched it. A thread then lives in the arena of
 * its node, and calls malloc and free as before.
 *
 *     cc -pthread numa.c -lashlar      (or -ljemalloc; docs/HOOKS.md)
 */
#define _GNU_SOURCE
#include <jemalloc/jemalloc.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NODES_MAX = 64, OBJECTS = 10000, OBJECT_BYTES = 2000 };

static extent_hooks_t *defaults;

/* Each hook is called with the address of the hooks: that of the whole. */
static struct node {
    extent_hooks_t hooks;
    unsigned number;
    unsigned arena;
    pthread_t thread;
    _Atomic bool refused;       /* the kernel does not bind memory to it */
    int strangers;              /* objects in other memory */
} nodes[NODES_MAX];

static void *node_alloc(extent_hooks_t *hooks, void *new_address, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    struct node *node = (struct node *)(void *)hooks;
    const unsigned long mask = 1ul << node->number;
    void *start = defaults->alloc(hooks, new_address, size, alignment, zero,
        commit, arena);
    /* No NUMA here, a sandbox, a node without memory: any memory will do. */
    if (start != NULL && syscall(SYS_mbind, start, size, MPOL_BIND, &mask,
            NODES_MAX + 1, 0) != 0)
        node->refused = true;
    return start;
}

/* Is it in memory that is not bound to the node? */
static bool node_is_strange(const struct node *node, void *address)
{
    int mode;
    unsigned long mask;
    return !node->refused && syscall(SYS_get_mempolicy, &mode, &mask,
        NODES_MAX + 1, address, MPOL_F_ADDR) == 0
        && (mode != MPOL_BIND || mask != 1ul << node->number);
}

/* From the first line on this thread's malloc is the arena's. */
static void *node_main(void *argument)
{
    struct node *node = argument;
    if (mallctl("thread.arena", NULL, NULL, &node->arena, sizeof node->arena)
        != 0)
        return NULL;
    char *objects[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(OBJECT_BYTES);
        if (objects[i] == NULL)
            return NULL;
        memset(objects[i], i, OBJECT_BYTES);
        node->strangers += node_is_strange(node, objects[i]);
    }
    for (int i = 0; i < OBJECTS; i++)
        free(objects[i]);
    return node;                /* it went well */
}

static bool node_begin(struct node *node, unsigned number)
{
    extent_hooks_t *hooks = &node->hooks;
    size_t bytes = sizeof node->arena;
    node->number = number;
    node->hooks = *defaults;
    node->hooks.alloc = node_alloc;
    return mallctl("arenas.create", &node->arena, &bytes, &hooks, sizeof hooks)
        == 0 && pthread_create(&node->thread, NULL, node_main, node) == 0;
}

int main(void)
{
    int count = 0, bound = 0, strangers = 0;
    size_t bytes = sizeof defaults;
    if (mallctl("arena.0.extent_hooks", &defaults, &bytes, NULL, 0) != 0)
        return 1;
    for (unsigned number = 0; number < NODES_MAX; number++) {
        char path[64];
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u", number);
        /* Where the kernel knows of no nodes there is number 0. */
        if ((number == 0 || access(path, F_OK) == 0)
            && !node_begin(&nodes[count++], number))
            return 1;
    }
    for (int i = 0; i < count; i++) {
        void *result;
        if (pthread_join(nodes[i].thread, &result) != 0 || result == NULL)
            return 1;
        bound += !nodes[i].refused;
        strangers += nodes[i].strangers;
    }
    printf("numa: %d of %d node(s) bound, %d objects elsewhere\n", bound,
        count, strangers);
    return strangers != 0;
}
