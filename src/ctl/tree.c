/* SPDX-License-Identifier: MIT */
/*
 * tree - names to numbers to leaves. See tree.h.
 */
#include "ctl/tree.h"

#include "ctl/stretch.h"

/* -- the table, as text and as rows -- */

/* By the kind of an option, the type that it is read as. */
#define TREE_FLAG(USE) USE(bool)
#define TREE_UNSIGNED(USE) USE(unsigned)
#define TREE_ARENAS(USE) USE(unsigned)
#define TREE_SIZE(USE) USE(size_t)
#define TREE_SSIZE(USE) USE(ssize_t)
#define TREE_PAGE_BITS(USE) USE(ssize_t)
#define TREE_I64(USE) USE(int64_t)
#define TREE_U64(USE) USE(uint64_t)
#define TREE_RATIO(USE) USE(uint32_t)
#define TREE_TEXT(USE) USE(const char *)
#define TREE_LETTERS(USE) USE(const char *)
#define TREE_LIST(USE) USE(const char *)
#define TREE_DSS(USE) USE(const char *)
#define TREE_PERCPU(USE) USE(const char *)
#define TREE_METADATA(USE) USE(const char *)
#define TREE_THP(USE) USE(const char *)
#define TREE_ZERO_REALLOC(USE) USE(const char *)
#define TREE_JUNK(USE) USE(const char *)
#define TREE_HUGIFY(USE) USE(const char *)
#define TREE_CLOCK(USE) USE(const char *)
#define TREE_PROF_FORMAT(USE) USE(const char *)
#define TREE_MISUSE(USE) USE(const char *)
#define TREE_QUOTE(type) #type
#define TREE_BYTES(type) sizeof(type)

static const char tree_text[] =
#define CTL(name, read, written, access, handler, argument, status, about) \
    name "\t" #read "\t" #written "\t" #access "\t" #status "\t" about "\n"
#include "table/ctl.def"
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    "opt." #name "\t" TREE_##kind(TREE_QUOTE)                       \
    "\tvoid\tr-\t" TREE_##status "\t" about "\n"
#define TREE_IN_FORCE "same"
#define TREE_ACCEPTED "equivalent"
#define TREE_NOT_BUILT "absent"
#include "table/option.def"
    ;

enum {
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    TREE_OPTION_##name,
#include "table/option.def"
};

/* By status: is such a leaf always there? */
enum {
    TREE_ALWAYS_same = 1, TREE_ALWAYS_equivalent = 1, TREE_ALWAYS_fixed = 1,
    TREE_ALWAYS_ours = 1, TREE_ALWAYS_armed = 0, TREE_ALWAYS_absent = 0,
    TREE_ALWAYS_IN_FORCE = 1, TREE_ALWAYS_ACCEPTED = 1,
    TREE_ALWAYS_NOT_BUILT = 0
};

static const struct leaf tree_leaves[] = {
#define CTL(name, read, written, access, handler, argument, status, about) \
    { LEAF_##handler, sizeof(read), sizeof(written), #access[0] == 'r',     \
        #access[1] == 'w', TREE_ALWAYS_##status, argument },
#include "table/ctl.def"
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    { TREE_LEAF_##status, TREE_##kind(TREE_BYTES), 0, true, false,          \
        TREE_ALWAYS_##status, TREE_OPTION_##name },
#define TREE_LEAF_IN_FORCE LEAF_option
#define TREE_LEAF_ACCEPTED LEAF_option
#define TREE_LEAF_NOT_BUILT LEAF_absent
#include "table/option.def"
};
enum { TREE_LEAVES = sizeof tree_leaves / sizeof *tree_leaves };

static const struct {
    const char *path;
    tree_has *has;
} tree_indices[] = {
#define INDEX(path, valid) { path, leaf_has_##valid },
#include "table/ctl.def"
};
enum { TREE_INDICES = sizeof tree_indices / sizeof *tree_indices };

/* -- the tree -- */

enum { TREE_NODES_MAX = 1024, TREE_SLOTS = 4096 };

/* A node by its name. Numbered in the order of the table; 0 is the root. */
struct tree_name {
    struct stretch stretch;     /* the last one of the name, so far */
    uint16_t base;              /* the name before that stretch */
    uint16_t parent;
    uint16_t place;             /* among its parent's children */
    uint16_t children;
    uint16_t row;               /* of tree_leaves, and 1; 0: it has children */
    uint16_t node;
};

static struct tree {
    struct lock lock;
    _Atomic bool ready;

    /* under lock ctl until ready, fixed then */
    uint16_t count;
    uint16_t slots[TREE_SLOTS];     /* names by their hash; 0: none */
    struct tree_name names[TREE_NODES_MAX];
    struct node nodes[TREE_NODES_MAX];
} tree = { .lock = { .rank = LOCK_ctl } };

/* The slot of the name that goes on so, or the one where it would be. */
static inline uint16_t *tree_search(uint32_t base, struct stretch stretch)
{
    uint32_t slot = stretch_hash(stretch, base);
    for (;; slot++) {
        uint16_t *found = &tree.slots[slot % TREE_SLOTS];
        const struct tree_name *name = &tree.names[*found];
        if (*found == 0 || (name->base == base
                && name->stretch.length == stretch.length
                && memcmp(name->stretch.text, stretch.text, stretch.length)
                    == 0))
            return found;
    }
}

/* -- building it -- */

/* The name of that parent that goes on so, made if need be. */
static uint16_t tree_grow(uint16_t parent, uint16_t base,
    struct stretch stretch)
{
    uint16_t *slot = tree_search(base, stretch);
    if (*slot == 0) {
        CHECK(tree.count < TREE_NODES_MAX);
        *slot = tree.count++;
        tree.names[*slot] = (struct tree_name){
            .stretch = stretch,
            .base = base,
            .parent = parent,
            .place = tree.names[parent].children++,
        };
    }
    return *slot;
}

/* The name that is written here, up to a zero or a tab; <i> and <j> stand for
 * numbers, and are stretches of their own. */
static uint16_t tree_add(const char *text)
{
    uint16_t base = 0;
    uint16_t at = 0;
    for (const char *end = text;; end++) {
        if (*end != '.' && *end != '\t' && *end != '\0')
            continue;
        at = tree_grow(at, base, (struct stretch){
            text, (size_t)(end - text) });
        if (*end != '.')
            return at;
        if (*text == '<' || end[1] == '<') {
            base = at;
            text = end + 1;
        }
    }
}

/* The nodes, now that it is known how many children each has. A parent is
 * older than its children, so it has its place already. */
static void tree_settle(void)
{
    struct node *next = &tree.nodes[1];
    for (uint16_t i = 0; i < tree.count; i++) {
        struct tree_name *name = &tree.names[i];
        const struct node *parent =
            &tree.nodes[tree.names[name->parent].node];
        if (i != 0)
            name->node = (uint16_t)
                (parent->children + name->place - tree.nodes);
        tree.nodes[name->node] = (struct node){
            .leaf = name->row != 0 ? &tree_leaves[name->row - 1] : NULL,
            .children = next,   /* R1 */
            .count = name->children,
            .name = i,
            .depth = (uint8_t)(i == 0 ? 0 : parent->depth + 1),
        };
        next += name->children;
    }
}

/* Whose children are numbers, and which. */
static void tree_mark_indices(void)
{
    size_t indices = 0;
    for (uint16_t i = 1; i < tree.count; i++)
        indices += *tree.names[i].stretch.text == '<';
    CHECK(indices == TREE_INDICES);
    for (size_t i = 0; i < TREE_INDICES; i++) {
        const struct tree_name *name =
            &tree.names[tree_add(tree_indices[i].path)];
        CHECK(name->children == 1);
        tree.nodes[name->node].has = tree_indices[i].has;
    }
}

/* A child of fork may find it half built, and begins anew. */
static COLD void tree_build(void)
{
    /* That settles option narenas, which somebody may be about to ask for. */
    (void)arenas_count();
    lock_take(&tree.lock);
    if (!load_relaxed(&tree.ready)) {
        memset(tree.slots, 0, sizeof tree.slots);
        tree.names[0] = (struct tree_name){ .children = 0 };
        tree.count = 1;
        const char *line = tree_text;
        for (uint16_t i = 0; i < TREE_LEAVES; i++) {
            tree.names[tree_add(line)].row = (uint16_t)(i + 1);
            line = strchr(line, '\n') + 1;
        }
        tree_settle();
        tree_mark_indices();
        /* pairs with tree_need() */
        store_release(&tree.ready, true);
    }
    lock_mend(&tree.lock);
    lock_give(&tree.lock);
    /* The first to ask finds statistics, as with jemalloc. */
    if (snapshot_epoch() == 0)
        (void)snapshot_refresh();
}

static inline void tree_need(void)
{
    /* pairs with tree_build() */
    if (UNLIKELY(!load_acquire(&tree.ready)))
        tree_build();
}

/* -- asking it -- */

/* The node of a name that ends there. The numbers in it go to their places in
 * mib. */
static inline const struct node *tree_follow(const char *text,
    const char *end, size_t *mib)
{
    for (uint32_t base = 0;; text++) {
        const struct stretch stretch = stretch_of(text, end);
        const uint32_t found = *tree_search(base, stretch);
        if (found == 0)
            return NULL;
        const struct node *node = &tree.nodes[tree.names[found].node];
        text += stretch.length;
        if (text == end)
            return node;
        if (node->has == NULL)
            return NULL;
        const size_t number = stretch_number(++text);
        if (number == SIZE_MAX || !node->has(number))
            return NULL;
        mib[node->depth] = number;
        node = node->children;
        while (text != end && *text != '.')
            text++;
        if (text == end)
            return node;
        base = node->name;
    }
}

/* Where the first parts of a name end. */
static const char *tree_cut(const char *name, size_t parts)
{
    for (; *name != '\0'; name++) {
        if (*name == '.' && --parts == 0)
            break;
    }
    return name;
}

const struct node *tree_named(const char *name, size_t *mib)
{
    tree_need();
    if (UNLIKELY(name == NULL))
        return NULL;
    return tree_follow(name, name + strlen(name), mib);
}

const struct node *tree_find(const char *name, size_t *mib, size_t *depth)
{
    tree_need();
    if (UNLIKELY(name == NULL || *name == '\0'))
        return NULL;
    if (*depth == 0)
        return &tree.nodes[0];
    const char *end = tree_cut(name, *depth);
    const struct node *node = tree_follow(name, end, mib);
    if (node == NULL || (node->leaf != NULL && *end != '\0'))
        return NULL;
    *depth = node->depth;
    for (const struct tree_name *part = &tree.names[node->name];
        part != &tree.names[0]; part = &tree.names[part->parent]) {
        const struct node *at = &tree.nodes[part->node];
        if (*part->stretch.text != '<')
            mib[at->depth - 1] = part->place;
    }
    return node;
}

const struct node *tree_at(const size_t *mib, size_t depth)
{
    tree_need();
    const struct node *node = &tree.nodes[0];
    for (size_t i = 0; i < depth; i++) {
        size_t place = mib[i];
        if (node->has != NULL) {
            if (!node->has(place))
                return NULL;
            place = 0;
        } else if (UNLIKELY(place >= node->count)) {
            return NULL;
        }
        node = &node->children[place];
    }
    return node;
}

const char *tree_list(void)
{
    return tree_text;
}
