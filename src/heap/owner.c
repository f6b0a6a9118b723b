/* SPDX-License-Identifier: MIT */
/*
 * owner - slabs change hands. See owner.h.
 */
#include "heap/owner.h"

#include "heap/chill.h"
#include "heap/heap.h"
#include "heap/remote.h"

/* What all heaps together may own, beside the share of each. */
#define OWNER_BASE_BYTES (4 * MiB)
enum { OWNER_SHARE = 8 };

/* A slab with a sixteenth of its blocks free is worth taking. A lost mark is
 * set again after so many frees. */
enum { OWNER_ROOM_SHARE = 16, OWNER_MARK_AGAIN = 16 };

/* -- how much -- */

/* Where another thread can let go of slabs for an owner that sleeps, a heap
 * may own all it wants. */
static size_t owner_limit(const struct heap *heap)
{
    if (sys_barrier_prepare())
        return SIZE_MAX;
    const size_t heaps = (size_t)load_relaxed(&heap->arena->heap_count);
    const size_t all =
        heap->aside_bytes + load_relaxed(&heap->disowned_bytes);
    return OWNER_BASE_BYTES / heaps + all / OWNER_SHARE;
}

/* Only where it had to let go: what a proxy let go of, or what it took to give
 * free pages back, may stay nobody's, and a refill takes it if it is needed.
 * And only while it owns less than half of what it may: at the limit a slab
 * taken back would have another one disowned. */
static bool owner_wants_back(const struct heap *heap, const struct slab *slab)
{
    return heap != NULL && slab_heap(slab) == heap
        && heap->aside_bytes < heap->aside_low;
}

static uint32_t owner_room(const struct slab *slab)
{
    const uint32_t room = class_blocks[slab->remote_cls] / OWNER_ROOM_SHARE;
    return room < 1 ? 1 : room;
}

/* -- letting go -- */

/*
 * The loose bytes of slabs that nobody owns are counted in quarters of a slab:
 * those that are free when it is disowned, and each that is full of blocks that
 * came back since.
 */
static uint32_t owner_quarter(unsigned cls)
{
    return class_blocks[cls] / 4;
}

static int64_t owner_loose_at_first(const struct slab *slab, uint32_t live)
{
    const uint32_t quarter = owner_quarter(slab->cls);
    if (!chill_applies(slab->cls))
        return 0;
    const uint32_t loose = load_relaxed(&slab->fresh) - live
        - bits_count(load_relaxed(&slab->cold));
    return (int64_t)(loose / quarter) * quarter * slab_block_bytes(slab);
}

/* What owner_count_down() has added while blocks out went from live to left. */
static int64_t owner_loose_since(const struct slab *slab, uint32_t live,
    uint32_t left)
{
    const uint32_t quarter = owner_quarter(slab->cls);
    const uint32_t blocks = class_blocks[slab->cls];
    if (!chill_applies(slab->cls))
        return 0;
    return (int64_t)((blocks - left) / quarter - (blocks - live) / quarter)
        * quarter * slab_block_bytes(slab);
}

/* The slab's words are as they should be; its remote word was `word`. false:
 * it is another by now, and the map says that the slab is nobody's. */
static bool owner_let_go(struct slab *slab, uint64_t word)
{
    struct extent *extent = slab_extent(slab);
    struct heap *heap = slab_heap(slab);
    const uint32_t live = slab_live(slab);
    ASSERT(live > 0);
    const size_t bytes = slab_bytes(slab);
    const int64_t loose = owner_loose_at_first(slab, live);
    map_set(extent->start, extent->slices, OWNER_SHARED, extent);
    if (class_blocks[slab->cls] - live >= owner_room(slab))
        listing_set(extent, slab->cls);
    add_relaxed(&heap->disowned_bytes, bytes);
    if (loose != 0)
        add_relaxed(&heap->arena->loose_bytes, loose);
    const uint64_t found = word;
    while (word == found) {
        /* pairs with remote_push() and owner_claim() */
        if (cas_release(&slab->remote, &word,
                REMOTE_UNOWNED | live * REMOTE_ONE
                    | live % REMOTE_COUNTED * REMOTE_PHASE))
            return true;
    }
    add_relaxed(&heap->arena->loose_bytes, -loose);
    add_relaxed(&heap->disowned_bytes, -bytes);
    return false;
}

bool owner_disown(struct slab *slab)
{
    struct extent *extent = slab_extent(slab);
    if (load_relaxed(&slab->remote) != 0)
        return false;
    if (owner_let_go(slab, 0))
        return true;
    /* It stays, and frees come the fast way again. Who has only claimed a slab
     * must not say that to its owner, which would push into it. */
    map_set(extent->start, extent->slices, (uintptr_t)slab_heap(slab), extent);
    return false;
}

/* The one to let go of: the longest full one, then one with cold blocks, then
 * one with blocks to hand out. */
static struct slab *owner_surplus(const struct bin *bin)
{
    static const uint8_t order[] = { SLAB_FULL, SLAB_COLD, SLAB_PARTIAL };
    for (size_t i = 0; i < sizeof order; i++) {
        if (bin->list[order[i]].last != NULL)
            return bin->list[order[i]].last;
    }
    return NULL;
}

/* false: there is nothing to let go of, for now. */
static bool owner_shed_one(struct bin *bin)
{
    struct slab *slab = owner_surplus(bin);
    if (slab == NULL)
        return false;
    bin_unlist(bin, slab);
    if (owner_disown(slab))
        return true;
    bin_list(bin, slab);
    return false;
}

void owner_shed(struct heap *heap, struct bin *bin)
{
    if (sys_single_threaded())
        return;
    const size_t limit = owner_limit(heap);
    heap->aside_limit = limit;
    heap->aside_low = limit < SIZE_MAX ? limit / 2 : 0;
    while (heap->aside_bytes > limit && owner_shed_one(bin))
        continue;
}

void owner_shed_all(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        owner_shed(heap, &heap->bin[cls]);
}

void owner_leave(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct bin *bin = &heap->bin[cls];
        for (int place = 0; place < SLAB_LISTS; place++) {
            struct slab *slab = bin->list[place].first;
            while (slab != NULL) {
                struct slab *next = slab->next;
                bin_unlist(bin, slab);
                if (!owner_disown(slab))
                    bin_list(bin, slab);
                slab = next;
            }
        }
    }
}

/* -- taking -- */

bool owner_claim(struct slab *slab, uint64_t *word)
{
    /* pairs with owner_let_go() and remote_count_down() */
    return cas_acquire_release(&slab->remote, word,
        REMOTE_CLAIMED | remote_generation());
}

/* The slab leaves the sums of those that nobody owns. */
static void owner_count_out(struct slab *slab, uint32_t left)
{
    struct heap *last = slab_heap(slab);
    add_relaxed(&last->disowned_bytes, -slab_bytes(slab));
    const uint32_t live = slab_live(slab);
    const int64_t loose = owner_loose_at_first(slab, live)
        + owner_loose_since(slab, live, left);
    if (loose != 0)
        add_relaxed(&last->arena->loose_bytes, -loose);
}

/* CLAIMED becomes OWNED; what was freed meanwhile comes along. */
static void owner_settle(struct slab *slab)
{
    const uint64_t empty = REMOTE_CLAIMED | remote_generation();
    uint64_t word = empty;
    /* pairs with remote_push() */
    while (!cas_release(&slab->remote, &word, 0)) {
        if (remote_number(word) > 0) {
            /* pairs with remote_push_owned() */
            word = exchange_acquire_release(&slab->remote, empty);
            slab_absorb(slab, remote_head(slab, word), remote_number(word));
            slab_count(slab, remote_number(word));
        }
        word = empty;
    }
}

void owner_join(struct heap *heap, struct slab *slab, uint64_t word)
{
    struct extent *extent = slab_extent(slab);
    const uint32_t left = remote_number(word);
    const uint32_t back = slab_live(slab) - left;
    owner_count_out(slab, left);
    /* pairs with slab_heap() */
    store_release(&slab->heap, heap);
    slab->place = SLAB_CURRENT;
    if (back > 0)
        slab_absorb(slab, remote_head(slab, word), back);
    slab_count(slab, back % REMOTE_COUNTED);
    map_set(extent->start, extent->slices, (uintptr_t)heap, extent);
    owner_settle(slab);
    slab_rearm(slab);
}

/* The last block is back; `uncounted` of those that came while nobody owned the
 * slab are in no sum yet. */
static void owner_retire(struct slab *slab, uint32_t uncounted)
{
    struct extent *extent = slab_extent(slab);
    struct arena *arena = slab_heap(slab)->arena;
    add_relaxed(&arena->folded[slab->cls],
        uncounted + slab->armed - slab->countdown - slab->counted);
    add_relaxed(&arena->closed[slab->cls], 1);
    listing_clear(extent, slab->cls);
    map_clear(extent->start, extent->slices);
    slab_note_touched(slab);
    /* The word stays CLAIMED until the next slab_open(): an old mark that
     * leads here is refused, and a child of fork knows what this was. */
    pool_give(extent);
}

void owner_let_go_claimed(struct slab *slab)
{
    const uint64_t empty = REMOTE_CLAIMED | remote_generation();
    do {
        /* pairs with remote_push_owned() */
        const uint64_t word =
            exchange_acquire_release(&slab->remote, empty);
        if (remote_number(word) > 0)
            slab_absorb(slab, remote_head(slab, word), remote_number(word));
        slab_count(slab, remote_number(word));
        if (slab_live(slab) == 0) {
            owner_retire(slab, 0);
            return;
        }
    } while (!owner_let_go(slab, empty));
}

void owner_let_go_pending(struct slab *slab)
{
    const uint64_t empty = REMOTE_CLAIMED | remote_generation();
    /* pairs with remote_push_owned() */
    const uint64_t word = exchange_acquire_release(&slab->remote, empty);
    slab_absorb(slab, remote_head(slab, word), remote_number(word));
    slab_count(slab, remote_number(word));
    slab_rearm(slab);
    owner_let_go_claimed(slab);
}

/* What a mark leads to is taken if it is still nobody's. */
static bool owner_claim_listed(struct extent *extent, void *argument)
{
    struct slab *slab = slab_of(extent);
    uint64_t *word = argument;
    /* pairs with owner_let_go() */
    *word = load_acquire(&slab->remote);
    while (*word & REMOTE_UNOWNED) {
        if (owner_claim(slab, word))
            return true;
    }
    return false;
}

struct slab *owner_adopt(struct heap *heap, unsigned cls)
{
    struct pool *pool = &heap->arena->pool;
    while (listing_any(pool, cls)) {
        uint64_t word;
        struct extent *extent =
            listing_take(pool, cls, owner_claim_listed, &word);
        if (extent == NULL)
            return NULL;
        struct slab *slab = slab_of(extent);
        owner_join(heap, slab, word);
        if (slab->cls == cls)
            return slab;
        /* The mark was an old one: this is another slab now. */
        bin_list(&heap->bin[slab->cls], slab);
        slab_settle(slab);
    }
    return NULL;
}

/* -- free pages -- */

/* A slab in hand, on no list: closed if nothing of it is out, else its free
 * pages go back and it is let go of. */
static void owner_chill_in_hand(struct heap *heap, struct slab *slab)
{
    struct bin *bin = &heap->bin[slab->cls];
    bin_list(bin, slab);
    if (slab_live(slab) == 0) {
        slab_settle(slab);
        return;
    }
    bin_unlist(bin, slab);
    const size_t purged = slab_chill(slab);
    if (purged > 0)
        pool_note_chilled(&heap->arena->pool, purged);
    if (!owner_disown(slab))
        bin_list(bin, slab);
}

void owner_chill_all(struct heap *heap)
{
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        if (!chill_applies(cls))
            continue;
        /* All first: what is let go of is listed again. */
        struct slab *all = NULL;
        struct slab *slab;
        while ((slab = owner_adopt(heap, cls)) != NULL) {
            slab->next = all;
            all = slab;
        }
        while ((slab = all) != NULL) {
            all = slab->next;
            slab->next = NULL;
            owner_chill_in_hand(heap, slab);
        }
    }
}

/* -- blocks that come back -- */

/* So many free blocks make a slab worth listing, or listing again. */
static bool owner_has_room(const struct slab *slab, uint32_t free)
{
    const uint32_t room = owner_room(slab);
    const uint32_t again = room < OWNER_MARK_AGAIN ? room : OWNER_MARK_AGAIN;
    return free >= room && (free - room) % again == 0;
}

/* Is a quarter of the slab more free than when this was last so? */
static bool owner_is_quarter(const struct slab *slab, uint32_t free)
{
    const unsigned cls = slab->remote_cls;
    return chill_applies(cls) && free % owner_quarter(cls) == 0;
}

static int64_t owner_quarter_bytes(const struct slab *slab)
{
    const unsigned cls = slab->remote_cls;
    return (int64_t)owner_quarter(cls) * class_bytes[cls];
}

/* Are there so many free pages that this slab's should go back? */
static bool owner_should_chill(const struct slab *slab,
    const struct heap *mine)
{
    if (mine == NULL)
        return false;
    struct arena *arena = mine->arena;
    return load_relaxed(&arena->loose_bytes) + owner_quarter_bytes(slab)
        > (int64_t)pool_loose_limit(&arena->pool);
}

/* The common case: one more block on the list. */
static bool owner_count_down(struct slab *slab, void *block, uint64_t *word,
    bool quarter)
{
    /* Once the block is given the slab may be gone. */
    struct arena *arena = arena_of_pool(slab_extent(slab)->pool);
    const unsigned cls = slab->remote_cls;
    const uint64_t phase = (*word & REMOTE_GENERATION) / REMOTE_PHASE;
    const uint32_t left = remote_number(*word) - 1;
    const int64_t bytes = quarter ? owner_quarter_bytes(slab) : 0;
    if (!remote_count_down(slab, block, word))
        return false;
    if (UNLIKELY(left % REMOTE_COUNTED == phase))
        add_relaxed(&arena->folded[cls], REMOTE_COUNTED);
    if (quarter)
        add_relaxed(&arena->loose_bytes, bytes);
    return true;
}

bool owner_give(struct slab *slab, void *block, uint64_t *word,
    struct heap *mine)
{
    const uint32_t left = remote_number(*word) - 1;
    const uint32_t free = class_blocks[slab->remote_cls] - left;
    if (UNLIKELY(left == 0)) {
        if (!owner_claim(slab, word))
            return false;
        owner_count_out(slab, remote_number(*word));
        /* All but the last were counted together, as far as they went. */
        const uint32_t last = (slab_live(slab) - 1) % REMOTE_COUNTED + 1;
        owner_retire(slab, last);
        return true;
    }
    if (UNLIKELY(owner_wants_back(mine, slab))) {
        if (!owner_claim(slab, word))
            return false;
        owner_join(mine, slab, *word);
        bin_list(&mine->bin[slab->cls], slab);
        slab_rearm(slab);
        slab_put(slab, block);
        return true;
    }
    const bool quarter = owner_is_quarter(slab, free);
    if (UNLIKELY(quarter) && owner_should_chill(slab, mine)) {
        if (!owner_claim(slab, word))
            return false;
        owner_join(mine, slab, *word);
        slab_put(slab, block);
        owner_chill_in_hand(mine, slab);
        return true;
    }
    if (UNLIKELY(owner_has_room(slab, free)))
        listing_set(slab_extent(slab), slab->remote_cls);
    return owner_count_down(slab, block, word, quarter);
}
