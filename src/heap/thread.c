/* SPDX-License-Identifier: MIT */
/*
 * thread - what a thread has in hand. See thread.h.
 */
#include "heap/thread.h"

#include "heap/chill.h"

/*
 * A thread that closed so many slabs without opening one is tearing down:
 * what it has in hand will not be needed soon, and would pin slabs.
 */
enum { THREAD_TEAR_DOWN_CLOSES = 32 };

THREAD_LOCAL struct thread thread = { .self = OWNER_UNBORN };

/* A list of blocks that were handed out but not used. */
static void thread_give_list(struct heap *heap, struct block *list)
{
    while (list != NULL) {
        struct block *next = list->next;
        struct slab *slab = slab_of(
            load_relaxed(map_extent(map_find(list))));
        heap->bin[slab->cls].handed--;
        heap->bin[slab->cls].folded--;
        slab_put(slab, list);
        list = next;
    }
}

static void thread_empty_shelves(struct heap *heap)
{
    for (size_t i = 0; i < SHELF_COUNT; i++) {
        struct block *list = thread.shelf[i];
        thread.shelf[i] = NULL;
        thread_give_list(heap, list);
    }
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct block *list = heap->bin[cls].shelf;
        heap->bin[cls].shelf = NULL;
        thread_give_list(heap, list);
    }
}

/* The thread ends: its heap goes to whoever comes next. */
static void thread_death(void *argument)
{
    struct heap *heap = argument;
    thread_empty_shelves(heap);
    thread.stage = THREAD_DEAD;
    thread.self = OWNER_UNBORN;
    thread.heap = NULL;
    heap_orphan(heap);
}

static COLD struct heap *thread_birth(void)
{
    /* Not before ld.so has set up our thread-local data. */
    if (thread.self == 0 || thread.stage == THREAD_DEAD)
        return NULL;
    struct heap *heap = heap_adopt(&arena_main);
    if (heap == NULL)
        return NULL;
    thread.stage = THREAD_ALIVE;
    thread.heap = heap;
    thread.self = (uintptr_t)heap;
    /* This may allocate, so it comes last. Without the call the heap stays
     * with a dead thread; what others free into it waits there. */
    (void)!sys_on_thread_exit(thread_death, heap);
    return heap;
}

struct heap *thread_heap(void)
{
    struct heap *heap = thread.heap;
    return LIKELY(heap != NULL) ? heap : thread_birth();
}

void thread_flush(void)
{
    struct heap *heap = thread.heap;
    if (heap == NULL)
        return;
    thread_empty_shelves(heap);
    heap_tidy(heap);
    chill_all(heap);
}

void thread_event(struct slab *slab)
{
    struct heap *heap = slab->heap;
    slab_event(slab);
    if (UNLIKELY(heap->closes >= THREAD_TEAR_DOWN_CLOSES)) {
        heap->closes = 0;
        thread_empty_shelves(heap);
        heap_tidy(heap);
    }
}
