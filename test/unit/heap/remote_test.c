/* SPDX-License-Identifier: MIT */
/*
 * Blocks freed by other threads against remote.h: what a push does to the
 * slab's word and the heap's pending list, what a drain makes of it, when a
 * slab closes, many threads at once, and a list that was overwritten. Slabs
 * that nobody owns: owner_test.c.
 */
#include "bench.h"

#include "heap/remote.h"

enum { THREADS = 4, ROUNDS = 200 };

/* All blocks of one slab of the class, and the slab, current. */
struct handful {
    struct heap *heap;
    struct slab *slab;
    size_t count;
    void *block[8192];
};

static void take_slab(struct handful *out, unsigned cls)
{
    out->slab = slab_open(out->heap, cls);
    assert_non_null(out->slab);
    out->heap->bin[cls].current = out->slab;
    out->count = carve_all(out->slab, out->block);
}

struct pushes {
    struct slab *slab;
    void **block;
    size_t count;
};

static void *push_all(void *argument)
{
    const struct pushes *pushes = argument;
    for (size_t i = 0; i < pushes->count; i++)
        remote_push(pushes->slab, pushes->block[i], NULL);
    return NULL;
}

static uint64_t word_of(struct slab *slab)
{
    return load_relaxed(&slab->remote);
}

/* The first slab that is announced to a heap that has an owner. */
static struct slab *first_pending(const struct heap *heap)
{
    const uintptr_t pending = load_relaxed(&heap->pending);
    assert_true(pending != HEAP_ORPHAN);
    return (struct slab *)pending;
}

static void the_first_push_puts_the_slab_on_the_pending_list(void **state)
{
    struct handful *out = *state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_slab(out, cls);
        assert_null(first_pending(out->heap));
        assert_int_equal(word_of(out->slab), 0);
        remote_push(out->slab, out->block[out->count - 1], NULL);
        assert_true(word_of(out->slab) & REMOTE_PENDING);
        assert_int_equal(word_of(out->slab) & REMOTE_GENERATION,
            remote_generation());
        assert_int_equal(remote_number(word_of(out->slab)), 1);
        assert_ptr_equal(remote_list(out->slab), out->block[out->count - 1]);
        assert_ptr_equal(first_pending(out->heap), out->slab);
        slab_audit(out->slab);
        remote_push(out->slab, out->block[0], NULL);
        assert_int_equal(remote_number(word_of(out->slab)), 2);
        assert_ptr_equal(remote_list(out->slab), out->block[0]);
        assert_ptr_equal(first_pending(out->heap), out->slab);
        assert_null(out->slab->pending_next);
        slab_audit(out->slab);
        /* They count as used until the owner comes. */
        assert_int_equal(slab_live(out->slab), out->count);
        assert_true(remote_drain(out->heap));
        assert_int_equal(word_of(out->slab), 0);
        assert_null(first_pending(out->heap));
        assert_int_equal(slab_live(out->slab), out->count - 2);
        slab_audit(out->slab);
        assert_false(remote_drain(out->heap));
        for (size_t i = 1; i + 1 < out->count; i++)
            slab_put(out->slab, out->block[i]);
        bin_settle(&out->heap->bin[cls]);
        assert_null(out->heap->bin[cls].current);
    }
}

static void several_slabs_wait_on_one_list(void **state)
{
    struct handful *out = *state;
    struct slab *slab[4];
    void *block[4];
    const unsigned cls = class_of(8192);
    for (int i = 0; i < 4; i++) {
        struct block *list = bin_refill(out->heap, cls);
        block[i] = list;
        slab[i] = slab_with(list);
        for (list = list->next; list != NULL; list = list->next)
            assert_ptr_equal(slab_with(list), slab[i]);
        while (slab[i]->place == SLAB_CURRENT)
            list = bin_refill(out->heap, cls);
        /* The one refill too many is the next slab's first. */
        if (i < 3)
            slab_put(slab_with(list), list);
    }
    /* Not before, for a refill drains. */
    for (int i = 0; i < 4; i++)
        remote_push(slab[i], block[i], NULL);
    size_t waiting = 0;
    for (struct slab *at = first_pending(out->heap); at != NULL;
         at = at->pending_next)
        waiting++;
    assert_int_equal(waiting, 4);
    assert_true(remote_drain(out->heap));
    for (int i = 0; i < 4; i++)
        assert_int_equal(word_of(slab[i]), 0);
    API(audit_all)();
}

static void a_slab_closes_after_its_last_remote_block(void **state)
{
    struct handful *out = *state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        take_slab(out, cls);
        struct bin *bin = &out->heap->bin[cls];
        bin->handed = bin->folded;
        /* A refill from another slab makes this one full. */
        struct block *other = bin_refill(out->heap, cls);
        assert_int_equal(out->slab->place, SLAB_FULL);
        char *start = out->slab->start;
        struct pushes pushes = { out->slab, out->block, out->count - 1 };
        thread_run(push_all, &pushes);
        assert_true(remote_drain(out->heap));
        assert_int_equal(owner_of(start), (uintptr_t)out->heap);
        slab_audit(out->slab);
        pushes.block = &out->block[out->count - 1];
        pushes.count = 1;
        thread_run(push_all, &pushes);
        /* Never from the freeing side, while it has an owner. */
        assert_int_equal(owner_of(start), (uintptr_t)out->heap);
        assert_true(remote_drain(out->heap));
        assert_int_equal(owner_of(start), MAP_NOBODY);
        for (int place = 0; place < SLAB_LISTS; place++)
            assert_null(bin->list[place].first);
        while (other != NULL) {
            struct block *next = other->next;
            slab_put(slab_with(other), other);
            other = next;
        }
        bin_settle(bin);
        assert_null(bin->current);
        assert_int_equal(bin->handed - bin->folded + out->count, 0);
    }
}

static void a_refill_uses_what_others_freed(void **state)
{
    struct handful *out = *state;
    const unsigned cls = class_of(64);
    take_slab(out, cls);
    const size_t segment = class_segment[cls];
    struct pushes pushes = { out->slab, out->block, segment };
    thread_run(push_all, &pushes);
    struct block *list = bin_refill(out->heap, cls);
    assert_int_equal(list_length(list), segment);
    for (; list != NULL; list = list->next)
        assert_ptr_equal(slab_with(list), out->slab);
    slab_audit(out->slab);
}

/* -- many at once -- */

struct storm {
    struct heap *heap;
    void *_Atomic mailbox[256];
    _Atomic bool over;
};

static void *free_mailboxes(void *argument)
{
    struct storm *storm = argument;
    bool over;
    do {
        over = load_acquire(&storm->over);
        for (size_t i = 0; i < 256; i++) {
            void *block = exchange_acquire(&storm->mailbox[i], NULL);
            if (block != NULL)
                remote_push(slab_with(block), block, NULL);
        }
    } while (!over);
    return NULL;
}

/* The owner hands blocks of several classes to four threads, refills, and
 * frees what nobody fetched; nothing is lost. */
static int push_storm(void *argument)
{
    (void)argument;
    static struct storm storm;
    static const size_t sizes[] = { 8, 64, 256, 2048, 8192, 65536 };
    struct heap *heap = heap_adopt(&arena_main);
    storm.heap = heap;
    pthread_t other[THREADS];
    threads_begin(other, THREADS, free_mailboxes, &storm);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            struct block *list = bin_refill(heap, class_of(sizes[s]));
            CHILD_EXPECT(list != NULL);
            for (size_t i = 0; list != NULL; i++) {
                struct block *next = list->next;
                void *old = atomic_exchange_explicit(
                    &storm.mailbox[i % 256], list, memory_order_acq_rel);
                if (old != NULL)
                    slab_put(slab_with(old), old);
                list = next;
            }
        }
    }
    store_release(&storm.over, true);
    threads_end(other, THREADS);
    API(audit_all)();
    heap_orphan(heap);
    API(audit_all)();
    CHILD_EXPECT(arena_main.pool.taken_bytes == chain_bytes(&heap->kept));
    CHILD_EXPECT(nothing_is_left());
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        CHILD_EXPECT(heap->bin[cls].handed == heap->bin[cls].folded
            + load_relaxed(&arena_main.folded[cls]));
    return 0;
}

static void nothing_is_lost_when_four_threads_push(void **state)
{
    (void)state;
    child_passes(push_storm, NULL);
}

/* -- a list that was overwritten -- */

/* Found when the list is handed out; what is behind is lost, no more. */
static int take_overwritten(void *argument)
{
    sys_set_misuse_policy(*(int *)argument);
    struct heap *heap = heap_adopt(&arena_main);
    struct block *list = bin_refill(heap, class_of(64));
    struct slab *slab = slab_with(list);
    struct block *one = list;
    struct block *two = list->next;
    remote_push(slab, one, NULL);
    remote_push(slab, two, NULL);
    two->next = (struct block *)(uintptr_t)0x123456789abcu;
    child_note[0] = (uintptr_t)two;
    CHILD_EXPECT(remote_drain(heap));
    CHILD_EXPECT(load_relaxed(&slab->remote) == 0);
    const uint32_t live = slab_live(slab);
    CHILD_EXPECT(bin_refill(heap, slab->cls) == two && two->next == NULL);
    CHILD_EXPECT(slab_live(slab) == live + 2);
    API(audit_all)();
    return 0;
}

static void an_overwritten_list_is_reported(void **state)
{
    (void)state;
    char message[200];
    int policy = MISUSE_ABORT;
    struct child child = child_run(take_overwritten, &policy);
    (void)snprintf(message, sizeof message, "<ashlar>: malloc(0x%llx): the "
        "list of free blocks was overwritten (block of 64 bytes in a slab of "
        "another thread)\n", (unsigned long long)child_note[0]);
    assert_string_equal(child.text, message);
    assert_int_equal(child.signal, SIGABRT);
    policy = MISUSE_WARN;
    child = child_run(take_overwritten, &policy);
    assert_string_equal(child.text, message);
    assert_int_equal(child.signal, 0);
    assert_int_equal(child.status, 0);
}

static int audit_overwritten(void *argument)
{
    (void)argument;
    struct heap *heap = heap_adopt(&arena_main);
    struct block *list = bin_refill(heap, class_of(64));
    struct slab *slab = slab_with(list);
    struct block *second = list->next;
    remote_push(slab, list, NULL);
    remote_push(slab, second, NULL);
    remote_audit(slab);
    second->next = second;
    remote_audit(slab);
    return 0;
}

static void the_audit_sees_an_overwritten_list(void **state)
{
    (void)state;
    child_panics(audit_overwritten, NULL, "heap/remote.c");
}

static int adopt(void **state)
{
    struct handful *out = calloc(1, sizeof *out);
    *state = out;
    out->heap = heap_adopt(&arena_main);
    return out->heap == NULL;
}

static int orphan(void **state)
{
    struct handful *out = *state;
    API(audit_all)();
    heap_orphan(out->heap);
    free(out);
    return 0;
}

int main(void)
{
#define WITH_HEAP(test) cmocka_unit_test_setup_teardown(test, adopt, orphan)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_when_four_threads_push),
        cmocka_unit_test(an_overwritten_list_is_reported),
        cmocka_unit_test(the_audit_sees_an_overwritten_list),
        WITH_HEAP(the_first_push_puts_the_slab_on_the_pending_list),
        WITH_HEAP(a_slab_closes_after_its_last_remote_block),
        WITH_HEAP(a_refill_uses_what_others_freed),
        WITH_HEAP(several_slabs_wait_on_one_list),
    };
    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
