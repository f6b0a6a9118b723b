/* SPDX-License-Identifier: MIT */
/*
 * stack - the return addresses of the calling thread. See stack.h.
 */
#include "ledger/stack.h"

#include <string.h>

#include "ledger/stride.h"
#include "table/option.h"
#include "util/bits.h"
#include "util/units.h"

enum {
    /* Right walks in a row until they are trusted; twice as many after each
     * disappointment. */
    STACK_EQUAL_FIRST = 64,
    STACK_EQUAL_MOST = 1 << 20,
    /* One stack in so many is still looked at by the unwinder. */
    STACK_RECHECK = 64,
    STACK_ROOTS = 16,
    STACK_TAIL = 2
};

/* Where stacks end: behind a frame with this address is nothing, or what libc
 * has below main or a thread's function, often without frame pointers. */
struct stack_root {
    void *_Atomic pc;           /* NULL: not yet; written last */
    void *tail[STACK_TAIL];     /* up to the first NULL */
};

static struct {
    /* any thread, atomically */
    stack_finder *_Atomic hook;
    _Atomic uint32_t equal;     /* walks in a row that were right */
    _Atomic uint32_t wanted;    /* of them, to trust frame pointers */
    _Atomic uint32_t frame_turn;        /* stacks by frame pointers */
    _Atomic uint32_t stride_turn;       /* and by strides */
    _Atomic uint32_t roots;     /* how many were begun */
    struct stack_root root[STACK_ROOTS];
} stack_state = { .hook = stack_find, .wanted = STACK_EQUAL_FIRST };

/* -- the thread's own stack -- */

/* Addresses that can be read as long as the thread lives. */
struct stack_span {
    const char *low;
    const char *high;
};

/*
 * What is known of the calling thread's stack: 0, nothing; else, above the
 * lowest bit, one more than the pages between its low end and its high one.
 * That is the thread's control block, which libc puts at the top of the stack;
 * or, if the lowest bit is set, the top of the first stack. One word, so that
 * a signal finds no half of it.
 */
static THREAD_LOCAL uint32_t stack_known;

/* What is not asked for at once: another stack is rarely so near, and the own
 * one rarely so deep without a sample on the way. */
#define STACK_SPAN_MAX (4 * MiB)
/* No function has a longer frame; one that does is asked for each time. */
#define STACK_STRIDE_MAX (1 * MiB)
/* No system has smaller pages; and no code is in the first one. */
#define STACK_PAGE_BYTES (4 * KiB)

static const char *stack_top(bool is_first)
{
    return is_first ? sys_first_stack_top() : __builtin_thread_pointer();
}

static bool stack_holds(struct stack_span span, const char *frame)
{
    return frame >= span.low && frame < span.high
        && (size_t)(span.high - frame) >= 2 * sizeof(void *);
}

static struct stack_span stack_span_known(void)
{
    const uint32_t known = stack_known;
    if (known == 0)
        return (struct stack_span){ NULL, NULL };
    const char *top = stack_top(known & 1);
    const uintptr_t page = (uintptr_t)top / STACK_PAGE_BYTES;
    return (struct stack_span){
        (const char *)((page + 1 - (known >> 1)) * STACK_PAGE_BYTES), top,
    };
}

/*
 * What is known, with all from this frame on if that is the same stack: if
 * nothing in between cannot be read. There would be a gap or a guard between
 * the thread's own stack and any other.
 */
static struct stack_span stack_span(const char *frame)
{
    const struct stack_span known = stack_span_known();
    if (LIKELY(stack_holds(known, frame)))
        return known;
    const bool is_first = frame >= stack_top(false);
    const struct stack_span span = {
        (const char *)((uintptr_t)frame & ~(STACK_PAGE_BYTES - 1)),
        stack_top(is_first),
    };
    if (!stack_holds(span, frame))
        return known;
    const char *end = span.high == known.high ? known.low : span.high;
    if ((size_t)(end - span.low) > STACK_SPAN_MAX
        || !sys_can_read(span.low, (size_t)(end - span.low)))
        return known;
    const uintptr_t pages = (uintptr_t)span.high / STACK_PAGE_BYTES
        - (uintptr_t)span.low / STACK_PAGE_BYTES;
    if (pages < UINT32_MAX / 4)
        stack_known = (uint32_t)(pages + 1) << 1 | is_first;
    return span;
}

/* -- addresses -- */

/* Can a function go on there? */
static bool stack_is_code(struct stack_span own, const void *pc)
{
    return (uintptr_t)pc >= STACK_PAGE_BYTES && (intptr_t)pc > 0
        && !stack_holds(own, pc);
}

/* With so many addresses before: is it one of the functions of this library
 * that the program's call has led to? */
static bool stack_is_ours(unsigned count, const void *pc)
{
    return count == 0 && sys_is_own_code(pc);
}

/* -- frame pointers -- */

struct stack_link {
    const char *above;          /* the caller's frame */
    void *pc;                   /* where it goes on */
};

struct stack_walk {
    struct stack_span own;
    const char *at;             /* the frame */
    struct stack_link link;     /* what is there */
    const char *copied;         /* where `copy` is from */
    size_t copy_bytes;
    char copy[512];
};

/* The link on another stack, of a signal or a fiber: the kernel reads it, and
 * what comes behind it in the same page. */
static bool stack_peek(struct stack_walk *walk, const char *next)
{
    const size_t link_bytes = sizeof walk->link;
    size_t offset = (size_t)(next - walk->copied);
    if (next < walk->copied || offset + link_bytes > walk->copy_bytes) {
        const size_t left =
            STACK_PAGE_BYTES - (uintptr_t)next % STACK_PAGE_BYTES;
        const size_t bytes =
            max_size(min_size(left, sizeof walk->copy), link_bytes);
        walk->copy_bytes = 0;
        if (!sys_peek(next, walk->copy, bytes))
            return false;
        walk->copied = next;
        walk->copy_bytes = bytes;
        offset = 0;
    }
    memcpy(&walk->link, walk->copy + offset, link_bytes);
    return true;
}

/* Go to the frame above; false: it cannot be one. */
static bool stack_step(struct stack_walk *walk)
{
    const char *next = walk->link.above;
    if ((uintptr_t)next % sizeof(void *) != 0)
        return false;
    const bool was_own = stack_holds(walk->own, walk->at);
    const bool ascends = next > walk->at;
    walk->at = next;
    if (!stack_holds(walk->own, next))
        return !was_own && ascends && stack_peek(walk, next);   /* W1 */
    if (was_own && !ascends)
        return false;
    memcpy(&walk->link, next, sizeof walk->link);
    return true;
}

static unsigned stack_walk(const void *frame, void **pc, unsigned pc_max)
{
    struct stack_walk walk;
    walk.own = stack_span(frame);
    walk.at = frame;
    walk.copied = NULL;
    walk.copy_bytes = 0;
    /* The first one is there: the function has not returned. */
    memcpy(&walk.link, frame, sizeof walk.link);
    unsigned count = 0;
    do {
        if (!stack_is_code(walk.own, walk.link.pc))
            break;
        if (!stack_is_ours(count, walk.link.pc))
            pc[count++] = walk.link.pc;
    } while (count < pc_max && stack_step(&walk));
    return count;
}

/* -- roots -- */

static const struct stack_root *stack_root_of(const void *pc)
{
    for (unsigned i = 0; i < STACK_ROOTS; i++) {
        /* pairs with stack_learn_root() */
        if (load_acquire(&stack_state.root[i].pc) == pc)
            return &stack_state.root[i];
    }
    return NULL;
}

/* Behind pc[0] come these; a signal in between uses another place. */
static void stack_learn_root(void *const *pc, unsigned tail)
{
    if (load_relaxed(&stack_state.roots) >= STACK_ROOTS)
        return;
    const uint32_t i = add_relaxed(&stack_state.roots, 1);
    if (i >= STACK_ROOTS)
        return;
    struct stack_root *root = &stack_state.root[i];
    memcpy(root->tail, pc + 1, tail * sizeof *pc);
    /* pairs with stack_root_of() */
    store_release(&root->pc, pc[0]);
}

/* -- the unwinder -- */

/* What a walk has found, and what the unwinder says, written over it. */
struct stack_hearing {
    void **pc;
    unsigned pc_max;
    unsigned walked;
    bool is_whole;              /* the walk came to where stacks end */
    unsigned count;             /* from here on: the unwinder's */
    unsigned common;            /* from the first on, both say the same */
    void *last;                 /* the address before this one, */
    const char *stack;          /* and where the stack pointer was there */
};

/* From one address to the next it is so far; through a signal's frame, never
 * twice the same. */
static void stack_learn_stride(struct stack_hearing *heard, void *pc,
    const char *stack)
{
    const uintptr_t bytes = (uintptr_t)stack - (uintptr_t)heard->stack;
    if (heard->last != NULL) {
        const bool plain = bytes % sizeof pc == 0 && bytes > STRIDE_END
            && bytes < STACK_STRIDE_MAX
            && memcmp(stack - sizeof pc, &pc, sizeof pc) == 0;
        stride_learn(heard->last,
            plain ? (uint32_t)bytes : (uint32_t)STRIDE_VARIES);
    }
    heard->last = pc;
    heard->stack = stack;
}

static bool stack_hear(void *argument, void *pc, const char *stack)
{
    struct stack_hearing *heard = argument;
    stack_learn_stride(heard, pc, stack);
    if (stack_is_ours(heard->count, pc))
        return true;
    const unsigned i = heard->count++;
    if (heard->common == i && i < heard->walked && heard->pc[i] == pc)
        heard->common++;
    heard->pc[i] = pc;
    return heard->count < heard->pc_max;
}

/* A walk that seems to be whole was right, or wrong. */
static void stack_judge(bool right)
{
    const uint32_t wanted = load_relaxed(&stack_state.wanted);
    if (right) {
        if (load_relaxed(&stack_state.equal) < wanted)
            add_relaxed(&stack_state.equal, 1);
        return;
    }
    if (load_relaxed(&stack_state.equal) >= wanted
        && wanted < STACK_EQUAL_MOST)
        store_relaxed(&stack_state.wanted, wanted * 2);
    store_relaxed(&stack_state.equal, 0);
}

/* Is it time to ask the unwinder, whatever is known? */
static bool stack_is_turn(_Atomic uint32_t *turn)
{
    return add_relaxed(turn, 1) % STACK_RECHECK == 0;
}

/* Are frame pointers enough, this time? */
static bool stack_trusts_frames(void)
{
    return load_relaxed(&stack_state.equal) >= load_relaxed(&stack_state.wanted)
        && !stack_is_turn(&stack_state.frame_turn);
}

/*
 * Does the walk stand? If all that the unwinder says is what the walk says: the
 * walk may know more, through code without tables that was compiled just now;
 * but a single address is no sign of frame pointers.
 */
static bool stack_stands(const struct stack_hearing *heard)
{
    return heard->common == heard->count
        && (heard->common != 1 || heard->walked == 1);
}

/* The unwinder's stack, if the walk does not stand. Where a walk that was right
 * ends without our knowing that stacks end there, we know from now on. */
static unsigned stack_unwind(const void *frame, struct stack_hearing heard)
{
    if (sys_unwind(frame, stack_hear, &heard) && heard.last != NULL)
        stride_learn(heard.last, STRIDE_END);
    const bool stands = stack_stands(&heard);
    const unsigned tail = heard.count - heard.common;
    if (heard.is_whole)
        stack_judge(stands);
    else if (heard.common > 0 && heard.common == heard.walked
        && tail <= STACK_TAIL && heard.count < heard.pc_max)
        stack_learn_root(&heard.pc[heard.common - 1], tail);
    return stands ? heard.walked : heard.count;
}

/* The walk, up to where stacks end if it came there. */
static struct stack_hearing stack_walk_whole(const void *frame, void **pc,
    unsigned pc_max)
{
    unsigned count = stack_walk(frame, pc, pc_max);
    const struct stack_root *root =
        count > 0 ? stack_root_of(pc[count - 1]) : NULL;
    const bool is_whole = root != NULL || count == pc_max;
    for (unsigned i = 0; root != NULL && i < STACK_TAIL
        && root->tail[i] != NULL && count < pc_max; i++)
        pc[count++] = root->tail[i];
    return (struct stack_hearing){
        .pc = pc, .pc_max = pc_max, .walked = count, .is_whole = is_whole,
    };
}

/* -- learned strides -- */

/*
 * The stack by what the unwinder has said of its functions before; 0: not all
 * of them are known. Each address that is met has to be: a wrong stride would
 * lead to a word that is none.
 */
static unsigned stack_stride(const void *frame, void **pc, unsigned pc_max)
{
    const struct stack_span own = stack_span(frame);
    const char *at = (const char *)frame + 2 * sizeof *pc;
    unsigned count = 0;
    while (count < pc_max) {
        void *here;
        memcpy(&here, at - sizeof here, sizeof here);
        if (!stack_is_ours(count, here))
            pc[count++] = here;
        const uint32_t bytes = stride_of(here);
        if (bytes == STRIDE_END)
            break;
        if (bytes < STRIDE_END)
            return 0;
        at += bytes;
        if (!stack_holds(own, at - 2 * sizeof *pc))
            return 0;
    }
    return count;
}

/* -- for ledger.c -- */

void stack_arm(void)
{
    sys_unwind_find();
}

static unsigned stack_take_usual(const void *frame, void **pc,
    unsigned pc_max)
{
    if (!sys_unwind_is_found())
        return stack_walk(frame, pc, pc_max);
    struct stack_hearing walk = stack_walk_whole(frame, pc, pc_max);
    if (walk.is_whole && stack_trusts_frames())
        return walk.walked;
    if (!walk.is_whole && !stack_is_turn(&stack_state.stride_turn)) {
        const unsigned count = stack_stride(frame, pc, pc_max);
        if (count > 0)
            return count;
        /* That went over what the walk had found. */
        walk = stack_walk_whole(frame, pc, pc_max);
    }
    return stack_unwind(frame, walk);
}

unsigned stack_take(const void *frame, void **pc, unsigned pc_max)
{
    pc_max = (unsigned)min_size(pc_max, STACK_DEPTH_MAX);
    pc_max = (unsigned)min_size(pc_max, option_now.prof_bt_max);
    if (pc_max == 0)
        return 0;
    stack_finder *hook = stack_hook();
    if (hook == stack_find)
        return stack_take_usual(frame, pc, pc_max);
    unsigned count = 0;
    hook(pc, &count, pc_max);
    return (unsigned)min_size(count, pc_max);
}

NOINLINE void stack_find(void **pc, unsigned *count, unsigned pc_max)
{
    *count = pc_max == 0 ? 0
        : stack_take_usual(__builtin_frame_address(0), pc, pc_max);
}

stack_finder *stack_hook(void)
{
    return load_relaxed(&stack_state.hook);
}

void stack_set_hook(stack_finder *hook)
{
    store_relaxed(&stack_state.hook, hook);
}
