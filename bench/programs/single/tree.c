/* SPDX-License-Identifier: MIT */
/*
 * tree - binary trees are built, walked and torn down.
 *
 * Stands for programs of linked nodes: syntax trees, maps, scene graphs.  One
 * big tree lives through the whole run; beside it many smaller ones come and
 * go, of all depths, with the same number of nodes in all for each depth.
 * Walking is part of it: nodes that lie close together are walked faster.
 */
#include "../work.h"

static uint64_t depth = 16;
static uint64_t rounds = 1;

static const struct work_option options[] = {
    {"depth", &depth, 4, 30, NULL},
    {"rounds", &rounds, 1, UINT64_MAX, NULL},
};

struct node {
    struct node *left;
    struct node *right;
    uint64_t stamp;
};

static struct work_sum sum;

static struct node *build(uint64_t below)
{
    struct node *node = malloc(sizeof *node);
    if (node == NULL)
        work_die(1, "malloc(%zu) failed", sizeof *node);
    work_put(&sum, &node->stamp, sizeof node->stamp);
    node->left = below > 0 ? build(below - 1) : NULL;
    node->right = below > 0 ? build(below - 1) : NULL;
    return node;
}

static uint64_t walk(const struct node *node)
{
    if (node->left == NULL)
        return 1;
    return 1 + walk(node->left) + walk(node->right);
}

static void tear_down(struct node *node)
{
    if (node->left != NULL) {
        tear_down(node->left);
        tear_down(node->right);
    }
    work_get(&sum, &node->stamp, sizeof node->stamp);
    free(node);
}

static uint64_t nodes_of(uint64_t below)
{
    return ((uint64_t)2 << below) - 1;
}

static uint64_t live_through(uint64_t below)
{
    struct node *root = build(below);
    if (walk(root) != nodes_of(below))
        work_die(1, "a tree of depth %llu has lost nodes",
                 (unsigned long long)below);
    tear_down(root);
    return nodes_of(below);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    sum = work_sum(0);
    struct node *lasting = build(depth);
    uint64_t ops = nodes_of(depth);
    for (uint64_t i = 0; i < rounds; i++)
        for (uint64_t below = 4; below <= depth; below += 2)
            for (uint64_t j = 0; j < (uint64_t)1 << (depth - below); j++)
                ops += live_through(below);
    if (walk(lasting) != nodes_of(depth))
        work_die(1, "the lasting tree has lost nodes");
    tear_down(lasting);
    work_check(&sum);
    work_say("ops=%llu", (unsigned long long)ops);
    return 0;
}
