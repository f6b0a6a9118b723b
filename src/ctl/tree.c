/* SPDX-License-Identifier: MIT */
/*
 * tree - names to numbers to leaves. See tree.h.
 */
#include "ctl/tree.h"

#include <string.h>

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

static const struct leaf tree_leaves[] = {
#define CTL(name, read, written, access, handler, argument, status, about) \
    { LEAF_##handler, sizeof(read), sizeof(written), argument },
#include "table/ctl.def"
#define OPTION(kind, name, init, low, high, beyond, status, about) \
    { TREE_LEAF_##status, TREE_##kind(TREE_BYTES), 0, TREE_OPTION_##name },
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

static struct tree {
    struct lock lock;
    _Atomic bool ready;

    /* under lock ctl until ready, fixed then; node 0 is the root */
    uint16_t count;
    uint16_t slots[TREE_SLOTS];     /* nodes by their hash; 0: none */
    uint16_t children[TREE_NODES_MAX];
    struct node nodes[TREE_NODES_MAX];
} tree = { .lock = { .rank = LOCK_ctl } };

/* A part of a name: as far as a dot, or the end of the name. */
struct part {
    const char *text;
    uint32_t length;
    uint32_t hash;
};

static ALWAYS_INLINE struct part part_of(const char *text, char end)
{
    struct part part = { text, 0, 0 };
    for (char c = *text; c != '.' && c != end; c = text[part.length]) {
        part.hash = part.hash * 33 + (unsigned char)c;
        part.length++;
    }
    return part;
}

/* Where the search for a part begins. */
static inline uint32_t tree_slot(uint32_t parent, struct part part)
{
    return (part.hash + parent * 0x9e3779b1u) * 0x85ebca6bu >> 20;
}
_Static_assert(TREE_SLOTS == 1 << (32 - 20), "tree_slot");

static inline bool tree_is(const struct node *node, uint32_t parent,
    struct part part)
{
    if (node->parent != parent || node->length != part.length)
        return false;
    for (uint32_t i = 0; i < part.length; i++) {
        if (node->text[i] != part.text[i])
            return false;
    }
    return true;
}

/* The slot of a child, or the one where it would be. */
static inline uint16_t *tree_search(uint32_t parent, struct part part)
{
    uint32_t slot = tree_slot(parent, part);
    while (tree.slots[slot] != 0
        && !tree_is(&tree.nodes[tree.slots[slot]], parent, part))
        slot = (slot + 1) % TREE_SLOTS;
    return &tree.slots[slot];
}

/* -- building it -- */

/* The child of that name, made if need be. */
static uint32_t tree_grow(uint32_t parent, struct part part)
{
    uint16_t *slot = tree_search(parent, part);
    if (*slot != 0)
        return *slot;
    CHECK(tree.count < TREE_NODES_MAX);
    const uint16_t child = tree.count++;
    struct node *above = &tree.nodes[parent];
    tree.nodes[child] = (struct node){
        .text = part.text,
        .length = (uint16_t)part.length,
        .parent = (uint16_t)parent,
    };
    if (above->last != 0)
        tree.nodes[above->last].next = child;
    else
        above->first = child;
    above->last = child;
    above->count++;
    *slot = child;
    return child;
}

/* The numbers that may follow a path. */
static tree_has *tree_numbers(const char *path, size_t length)
{
    for (int i = 0; i < TREE_INDICES; i++) {
        if (text_equal(path, length, tree_indices[i].path))
            return tree_indices[i].has;
    }
    panic("ctl.def: an index without an INDEX row");
}

/* The nodes of a row, whose line begins here. */
static void tree_add(const char *line, const struct leaf *leaf)
{
    uint32_t at = 0;
    for (const char *text = line;;) {
        const struct part part = part_of(text, '\t');
        if (*text == '<')
            tree.nodes[at].has = tree_numbers(line, (size_t)(text - line) - 1);
        at = tree_grow(at, part);
        text += part.length;
        if (*text == '\t')
            break;
        text++;
    }
    /* Two types, then the access. */
    const char *access = line;
    for (int tabs = 0; tabs < 3; access++)
        tabs += *access == '\t';
    tree.nodes[at].leaf = leaf;
    tree.nodes[at].is_read = access[0] == 'r';
    tree.nodes[at].is_written = access[1] == 'w';
}

/* The children of each node side by side. */
static void tree_settle(void)
{
    uint16_t count = 0;
    for (uint32_t i = 0; i < tree.count; i++) {
        struct node *node = &tree.nodes[i];
        const uint16_t first = count;
        for (uint16_t child = node->first; child != 0;
            child = tree.nodes[child].next) {
            tree.nodes[child].place = (uint16_t)(count - first);
            tree.children[count++] = child;
        }
        node->first = first;    /* R1 */
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
        memset(tree.nodes, 0, sizeof tree.nodes);
        tree.count = 1;
        const char *line = tree_text;
        for (int i = 0; i < TREE_LEAVES; i++) {
            tree_add(line, &tree_leaves[i]);
            line = strchr(line, '\n') + 1;
        }
        tree_settle();
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

/*
 * A number, as strtoumax() reads it and jemalloc with it: blanks and a sign
 * before, anything behind. SIZE_MAX: none, or too large.
 */
static size_t tree_number(const char *text)
{
    while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
        text++;
    const bool is_negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (*text < '0' || *text > '9')
        return SIZE_MAX;
    size_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        const size_t digit = (size_t)(*text - '0');
        if (number > (SIZE_MAX - digit) / 10)
            return SIZE_MAX;
        number = number * 10 + digit;
    }
    return is_negative ? -number : number;
}

/* One step down by name; 0: there is none. *number: it in a mib. */
static inline uint32_t tree_step(uint32_t at, struct part part, size_t *number)
{
    const struct node *node = &tree.nodes[at];
    if (node->has != NULL) {
        *number = tree_number(part.text);
        return *number != SIZE_MAX && node->has(*number)
            ? tree.children[node->first] : 0;
    }
    const uint32_t child = *tree_search(at, part);
    if (child != 0)
        *number = tree.nodes[child].place;
    return child;
}

const struct node *tree_find(const char *name, size_t *mib, size_t *depth)
{
    tree_need();
    if (UNLIKELY(name == NULL || *name == '\0'))
        return NULL;
    uint32_t at = 0;
    for (size_t i = 0; i < *depth; i++) {
        const struct part part = part_of(name, '\0');
        at = tree_step(at, part, &mib[i]);
        if (at == 0)
            return NULL;
        name += part.length;
        if (*name == '\0') {
            *depth = i + 1;
            break;
        }
        name++;
    }
    return &tree.nodes[at];
}

const struct node *tree_at(const size_t *mib, size_t depth)
{
    tree_need();
    const struct node *node = &tree.nodes[0];
    for (size_t i = 0; i < depth; i++) {
        uint32_t place = 0;
        if (node->has != NULL) {
            if (!node->has(mib[i]))
                return NULL;
        } else if (UNLIKELY(mib[i] >= node->count)) {
            return NULL;
        } else {
            place = (uint32_t)mib[i];
        }
        node = &tree.nodes[tree.children[node->first + place]];
    }
    return node;
}

const char *tree_list(void)
{
    return tree_text;
}
