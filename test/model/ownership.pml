/* SPDX-License-Identifier: MIT */
/*
 * ownership - the protocol of docs/design/ownership.md as a model for Spin.
 *
 * A slab or two of a few blocks, two heaps, and threads that do what they
 * like, in any order, until all blocks are free. A step of a thread is one
 * access to a word that others may write at that moment. What a thread does
 * inside a slab is one step as well, unless the thread may vanish in the
 * middle of it; that nobody else is inside is asserted at each access.
 *
 * Asserted
 *   A1  the fields of a slab, its map words and `slab.heap` are touched only
 *       by the owner of an OWNED slab and the claimer of a CLAIMED one (MAY)
 *   A2  a slab is closed once, by who may touch it, from W == 0 or CLAIMED,
 *       with no block out and nobody about to announce it (close)
 *   A3  a block goes from hand to list to hand and never is in two places
 *       (`where`)
 *   A4  a slab on a heap's list is that heap's, OWNED and PENDING; an UNOWNED
 *       one has blocks out; P is ORPHAN exactly while the heap has no owner,
 *       and the next owner finds none (SOUND)
 *   A5  a mark is set only while the slab is there (set_mark)
 *   A6  no thread is ever stuck (Spin's invalid end states). When all have
 *       finished, each slab is closed; or waits on the list of its owner; or
 *       has lost exactly the blocks that vanished threads had in their hands
 *       (finish)
 *
 * The configurations are at the end of the file, one for each CONFIG_. Each
 * BUG_ is a mistake in one step, which Spin must find. ownership.py runs them
 * all, and says which mistake shows in which configuration.
 *
 * Left out: arenas that are destroyed, the locks of shared heaps, the orders
 * of memory (each step here is seen by all at once; where the code has a
 * barrier for that, it stands between two steps), proxies that vanish.
 */

/* -- the configuration's sizes -- */

#if defined CONFIG_lists
#define SLABS 2
#define BLOCKS 2
#elif defined CONFIG_kinds || defined CONFIG_again
#define SLABS 1
#define BLOCKS 2
#else
#define SLABS 1
#define BLOCKS 3
#endif
#define HEAPS 2
#define NO_HEAP 3

/* Where there is a fork, the thread SURVIVOR lives on in the child. With two
 * in the child, the other was born there. */
#if defined CONFIG_fork_owner || defined CONFIG_fork_freer || \
    defined CONFIG_fork_adopter
#define SURVIVOR 3
#define IN_CHILD 1
#elif defined CONFIG_fork_late
#define SURVIVOR 2
#define IN_CHILD 2
#else
#define SURVIVOR 0
#define IN_CHILD 0
#endif

/* Blocks are handed out again, and a slab may stay current when empty. */
#ifdef CONFIG_again
#define SAME_AGAIN true
#else
#define SAME_AGAIN false
#endif

/* A thread may work in heap 0 while its owner sleeps (src/heap/proxy.h). Then
 * the owner says when it works there, and waits for the lock first. */
#ifdef CONFIG_proxy
#define PROXY
#define MAY_BE_EMPTY true
#else
#define MAY_BE_EMPTY SAME_AGAIN
#endif

/* -- the words -- */

/* W: state, PENDING, number, head (a block's number; 0: none), generation.
 * The generation is that of the claim, or of whoever set PENDING. */
#define OWNED 0
#define UNOWNED 1
#define CLAIMED 2
#define PENDING 4
#define STATE(w) ((w) & 3)
#define NUMBER(w) (((w) >> 3) & 7)
#define HEAD(w) (((w) >> 6) & 7)
#define GENERATION(w) (((w) >> 9) & 1)
#define LIST(number, head) ((number) << 3 | (head) << 6)
#define NOW (generation << 9)
#define MINE (CLAIMED | NOW)
#define STATE_ONLY(w) ((w) & (3 | PENDING | 1 << 9))

short W[SLABS];

/* P: 0, or the first slab plus 1, or this. */
#define ORPHAN 7
byte P[HEAPS];

byte mark[SLABS];               /* a bit for each of two kinds of slab */
byte map[SLABS];                /* a heap plus 1; 0: nobody's */
byte slab_heap[SLABS];
byte pending_next[SLABS];
bit open[SLABS];                /* the record says that it is a slab */

/* the owner's alone, or the claimer's */
byte freed[SLABS];
byte used[SLABS];
bit kind[SLABS];

byte next[SLABS * BLOCKS];      /* the first word of a block */
byte bag;                       /* blocks that the program may free */
bit generation;                 /* 1: this is the child, and */
bit repaired;                   /* what others left has been seen to */
bit heap_generation[HEAPS];
byte owner[HEAPS];              /* a thread; 0: nobody */
bit ended[HEAPS];               /* the owner's thread is no more */

/* of heap 0, where there is a proxy */
byte busy;                      /* the owner, while it works */
byte proxy_lock;
byte sleeper;                   /* the owner, until it ends */

/* -- what only the asserts know -- */

#define OUT 0                   /* in the bag, or in the hand of free() */
#define REMOTE 1                /* on the list in W */
#define TAKEN 2                 /* between lists */
#define FREE 3
byte where[SLABS * BLOCKS];
byte claimer[SLABS];
byte announcing[SLABS];         /* threads between PENDING and P */
byte lost;                      /* blocks in hands that vanished */
byte running;
bit opened;
byte handed;
byte proxy;                     /* who works in heap 0 for its owner, */
bit chained[SLABS];             /* with these */

#define X(block) (s * BLOCKS + (block) - 1)

#define MAY assert(open[s] && \
    ((STATE(W[s]) == OWNED && !chained[s] && \
        owner[slab_heap[s]] == _pid) || \
    (STATE(W[s]) == OWNED && chained[s] && proxy == _pid) || \
    (STATE(W[s]) == CLAIMED && claimer[s] == _pid)))

/* The same of the heap's lists of its slabs. */
#define MAY_BINS assert(slab_heap[s] != 0 || proxy == 0 || proxy == _pid)

#if SLABS == 1
#define LISTED(s, h) (P[h] == (s) + 1)
#else
#define LISTED(s, h) (P[h] == (s) + 1 || \
    (P[h] == 2 - (s) && pending_next[1 - (s)] == (s) + 1))
#endif
#define SOUND_LIST(h) (!LISTED(s, h) || (open[s] && slab_heap[s] == h && \
    STATE(W[s]) == OWNED && (W[s] & PENDING)))
#define SOUND_HEAP(h) ((P[h] == ORPHAN) == (owner[h] == 0))
#define SOUND \
    assert(SOUND_LIST(0) && SOUND_LIST(1)); \
    assert(SOUND_HEAP(0) && SOUND_HEAP(1)); \
    assert(STATE(W[s]) != UNOWNED || (open[s] && NUMBER(W[s]) > 0))

/* What a thread does inside its slab. */
#if SURVIVOR
#define INSIDE
#else
#define INSIDE atomic
#endif

/* -- what threads may do beside freeing -- */

#define DRAINS 1
#define DISOWNS 2
#define TAKES_BACK 4
#define EXITS 8
#define ADOPTS 16
#define CHILLS 32
#define INHERITS 64
#define BREAKS_OFF 128          /* ends without its exit call */
#define BURIES 256              /* looks for heaps of such threads */
#define HANDS_OUT 512
#define OPENS 1024
#define FORKS 2048
#define STANDS_IN 4096

/* -- conditions; a mistake changes one -- */

#define HEAP_IS_OLD(q) (heap_generation[q] != generation)
#define REPAIRED (!generation || repaired)

/* Has the owner of heap q the slab in its bins? */
#define IN_BINS(q) (open[s] && STATE(W[s]) == OWNED && slab_heap[s] == (q))

#ifdef BUG_disown_blindly
#define MAY_DISOWN true
#else
#define MAY_DISOWN (W[s] == 0)
#endif

#ifdef BUG_settle_blindly
#define MAY_SETTLE true
#else
#define MAY_SETTLE (W[s] == MINE)
#endif

#ifdef BUG_orphan_blindly
#define MAY_LEAVE true
#else
#define MAY_LEAVE (P[q] == 0)
#endif

#ifdef BUG_two_words_of_a_heap
#define MAY_ANNOUNCE (P[q] == p || (P[q] == ORPHAN && p == 0))
#else
#define MAY_ANNOUNCE (P[q] == p)
#endif

#ifdef BUG_close_by_count
#define IS_EMPTY (used[s] == NUMBER(W[s]))
#else
#define IS_EMPTY (used[s] == 0)
#endif

#ifdef BUG_heap_for_map
#define IS_OWN (slab_heap[s] == h)
#else
#define IS_OWN (map[s] == h + 1)
#endif

#ifdef BUG_number_read_before
#define BLOCKS_OUT l
#else
#define BLOCKS_OUT NUMBER(w)
#endif

#ifdef BUG_kind_read_before
#define IS_WANTED true
#else
#define IS_WANTED (kind[s] == 0)
#endif

#ifdef BUG_fork_forgets_orphans
#define HAS_VANISHED(q) (HEAP_IS_OLD(q) && owner[q] != 0 && \
    owner[q] < SURVIVOR)
#else
#define HAS_VANISHED(q) (HEAP_IS_OLD(q) && owner[q] < SURVIVOR)
#endif

#ifdef BUG_fork_collects_all
#define IS_OLD(w) true
#else
#define IS_OLD(w) (GENERATION(w) != generation)
#endif

#ifdef BUG_fork_leaves_claims
#define WAS_CLAIMED false
#else
#define WAS_CLAIMED (STATE(W[s]) == CLAIMED && IS_OLD(W[s]))
#endif
#define WAS_OWNED (STATE(W[s]) == OWNED && HAS_VANISHED(slab_heap[s]))

#ifdef BUG_fork_pushes_before_repair
#define MAY_PUSH true
#else
#define MAY_PUSH REPAIRED
#endif

#ifdef BUG_fork_exits_before_looking
#define MAY_LOOK !leave
#else
#define MAY_LOOK true
#endif

#ifdef BUG_proxy_waits_once
#define HAS_WAITED true
#else
#define HAS_WAITED began
#endif

#ifdef BUG_proxy_begun_lets_go
#define MAY_REST true
#else
#define MAY_REST !began
#endif

/* -- inside a slab -- */

/* The list that W had is in the thread's hand. */
inline gather(first)
{
    list = first;
    p = list;
    do
    :: p != 0 ->
        assert(where[X(p)] == REMOTE);
        where[X(p)] = TAKEN;
        p = next[X(p)]
    :: else -> break
    od
}

inline absorb()
{
    INSIDE {
    do
    :: list != 0 ->
        atomic {
            MAY;
            assert(where[X(list)] == TAKEN);
            p = next[X(list)];
            next[X(list)] = freed[s]
        }
        atomic { MAY; freed[s] = list; where[X(list)] = FREE }
        atomic { MAY; assert(used[s] > 0); used[s]--; list = p; p = 0 }
    :: else -> break
    od
    }
}

inline close()
{
    INSIDE {
    atomic { MAY; map[s] = 0 }
    atomic {
        MAY;
        if
        :: STATE(W[s]) == OWNED -> MAY_BINS
        :: else
        fi;
        assert(W[s] == 0 || STATE(W[s]) == CLAIMED);
        assert(announcing[s] == 0);
        p = 1;
        do
        :: p <= BLOCKS ->
            assert(where[X(p)] == FREE ||
                (STATE(W[s]) == CLAIMED && where[X(p)] == TAKEN));
            where[X(p)] = FREE;
            p++
        :: else -> p = 0; break
        od;
        open[s] = 0;
        claimer[s] = 0;
        SOUND
    }
    }
}

inline close_if_empty()
{
    if
    :: IS_EMPTY -> close()
    :: IS_EMPTY && SAME_AGAIN && !leave && STATE(W[s]) == OWNED
    :: else
    fi
}

inline set_mark()
{
    assert(open[s]);
    mark[s] = mark[s] | 1 << kind[s]
}

inline set_mark_if_room()
{
    if
    :: used[s] < BLOCKS -> atomic { set_mark() }
    :: else
    fi
}

/* By the owner of heap q. */
inline disown()
{
    if
    :: !(MAY_DISOWN)
    :: atomic {
            MAY_DISOWN ->
            MAY;
            MAY_BINS;
#ifndef BUG_map_after_disown
            map[s] = 0
#endif
        }
#ifndef BUG_mark_after_disown
        set_mark_if_room();
#endif
        atomic {
            MAY;
            if
            :: MAY_DISOWN ->
                W[s] = UNOWNED | LIST(used[s], 0);
                SOUND
            :: else -> map[s] = q + 1
            fi
        }
#ifdef BUG_map_after_disown
        atomic { MAY; map[s] = 0 }
#endif
#ifdef BUG_mark_after_disown
        atomic { set_mark() }
#endif
    fi
}

/* What the lists say; the counts may lag behind. */
inline recount()
{
    atomic {
        MAY;
#ifndef BUG_fork_trusts_counts
        used[s] = BLOCKS;
        p = freed[s];
        do
        :: p != 0 ->
            assert(where[X(p)] == FREE);
            used[s]--;
            p = next[X(p)]
        :: else -> break
        od
#endif
    }
}

#ifdef PROXY
#define ENTER(work) goto enter_##work
#else
#define ENTER(work) goto work
#endif

/* The owner is about to work in its heap. Who has begun nothing is not busy
 * while it waits, and so must look again. */
inline enter()
{
    busy = _pid;
#ifndef BUG_proxy_lock_unseen
    do
    :: proxy_lock == 0 -> break
    :: else ->
        if
        :: MAY_REST -> busy = 0
        :: else
        fi;
        proxy_lock == 0;
        busy = _pid;
        if
        :: HAS_WAITED -> break
        :: else
        fi
    od;
#endif
    began = 0
}

/* -- threads -- */

/* A block of the bag. Blocks of a slab that were never freed differ in
 * nothing: there the first stands for all. */
#define MAY_PICK(i) (bag & 1 << (i) && \
    (SAME_AGAIN || (i) % BLOCKS == 0 || !(bag & 1 << ((i) - 1))))
inline pick()
{
    if
    :: MAY_PICK(0) -> b = 0
    :: MAY_PICK(1) -> b = 1
    :: MAY_PICK(2) -> b = 2
    fi;
    bag = bag & ~(1 << b);
    s = b / BLOCKS;
    b = b % BLOCKS + 1
}

proctype Thread(byte h; short can)
#if SURVIVOR
    provided (!generation || _pid >= SURVIVOR)
#endif
{
    byte s, b;                  /* the slab and the block at hand */
    byte list;                  /* blocks between lists */
    byte l;                     /* slabs off their heap's list */
    byte q;                     /* the heap that is drained */
    byte p;
    short w;
    bit leave;                  /* the heap, or the slab, is given up then */
#ifdef PROXY
    byte chain;                 /* slabs off the list of heap 0 */
    bit began;                  /* busy before it has looked at the lock */
#endif

#if IN_CHILD > 1
    if
    :: _pid > SURVIVOR -> end: generation == 1
    :: else
    fi;
#endif

again:
#ifdef PROXY
    if
    :: atomic { busy == _pid -> busy = 0 }
    :: atomic { proxy_lock == _pid && chain != 0 ->
            s = chain - 1;
            chain = pending_next[s];
            announcing[s]++;
            goto announce
        }
    :: atomic { proxy_lock == _pid && chain == 0 -> proxy_lock = 0 }
    :: else
    fi;
#endif
    atomic {
        b = 0; list = 0; l = 0; p = 0; q = NO_HEAP; w = 0; leave = 0;
        if
        :: s = 0
        :: s = SLABS - 1
        fi;
        if
        :: bag != 0 ->
            pick();
            if
#ifdef PROXY
            :: h == 0 && IS_OWN -> busy = _pid; began = 1; goto give
            :: h == 0 && !IS_OWN -> goto give_slowly
            :: h != 0 -> w = W[s]
#else
            :: h != NO_HEAP && IS_OWN -> goto free_here
            :: !(h != NO_HEAP && IS_OWN) && MAY_PUSH -> w = W[s]
            :: else -> bag = bag | 1 << X(b); goto repair
#endif
            fi;
#ifdef BUG_number_read_before
            l = NUMBER(w);
#endif
#ifdef BUG_heap_read_before
            q = slab_heap[s];
#endif
            goto free_there
        :: !REPAIRED -> goto repair
        :: REPAIRED && (can & DRAINS) && h != NO_HEAP &&
            (P[h] != 0 || HEAP_IS_OLD(h)) ->
            q = h; ENTER(drain)
        :: REPAIRED && (can & DISOWNS) && h != NO_HEAP && IN_BINS(h) &&
            used[s] > 0 ->
            q = h; ENTER(surplus)
        :: REPAIRED && (can & ADOPTS) && h != NO_HEAP && (mark[s] & 1) ->
            mark[s] = mark[s] & ~1; goto adopt
        :: REPAIRED && (can & CHILLS) && mark[s] != 0 -> leave = 1; goto adopt
        :: REPAIRED && (can & EXITS) && h != NO_HEAP ->
            q = h; h = NO_HEAP; leave = 1; ENTER(drain)
        :: (can & BREAKS_OFF) && h != NO_HEAP ->
            ended[h] = 1; h = NO_HEAP; goto again
        :: (can & BURIES) && ended[0] ->
            ended[0] = 0; owner[0] = _pid; q = 0; leave = 1; goto drain
        :: REPAIRED && (can & INHERITS) && h == NO_HEAP && P[0] == ORPHAN ->
            goto inherit
        :: (can & HANDS_OUT) && h != NO_HEAP && IN_BINS(h) &&
            freed[s] != 0 && handed < 2 ->
            goto hand_out
        :: (can & OPENS) && h != NO_HEAP && !open[s] && !opened ->
            goto open_another
        :: (can & FORKS) && !generation -> goto fork
#ifdef PROXY
        :: (can & STANDS_IN) && P[0] != 0 && P[0] != ORPHAN &&
            proxy_lock == 0 ->
            proxy_lock = _pid; goto stand_in
#endif
#ifdef BUG_drain_off_the_list
        :: h != NO_HEAP && IN_BINS(h) && (W[s] & PENDING) && P[h] == 0 ->
            pending_next[s] = 0; l = s + 1; q = h; goto take
#endif
        :: bag == 0 && REPAIRED && (h == NO_HEAP || !HEAP_IS_OLD(h)) ->
            goto finish
        :: else -> goto again
        fi
    }

    /* -- free -- */

#ifdef PROXY
    /* No room in hand. */
give:
    if
    :: IS_OWN -> goto free_here
    :: else
    fi;
    /* By the time that it is busy the slab may have changed hands, and back. */
give_slowly:
    atomic { busy = 0; began = 0 }
    if
    :: IS_OWN ->
        enter();
        if
        :: IS_OWN -> goto free_here
        :: else -> goto give_slowly
        fi
    :: else
    fi;
    enter();
    w = W[s];
    goto free_there;
#endif

free_here:
    INSIDE {
        atomic {
            assert(where[X(b)] == OUT);
            where[X(b)] = TAKEN;
            next[X(b)] = 0;
            list = b
        }
        absorb();
#ifndef PROXY
        close_if_empty()
#endif
    }
#ifdef PROXY
    if
    :: used[s] > 0              /* the countdown goes on */
    :: true ->
#ifndef BUG_proxy_event_unseen
        if
        :: began -> enter()
        :: else
        fi;
#endif
        atomic { MAY; MAY_BINS }
        close_if_empty()
    fi;
    began = 0;
#endif
    goto again;

free_there:
    do
    :: atomic {
            STATE(w) == UNOWNED && !(mark[s] & 1 << kind[s]) ->
            set_mark()
        }
    :: atomic {
            STATE(w) == UNOWNED && (can & TAKES_BACK) && h != NO_HEAP &&
            slab_heap[s] == h ->
            if
            :: W[s] == w ->
                W[s] = MINE;
                claimer[s] = _pid;
                assert(where[X(b)] == OUT);
                gather(HEAD(w));
                where[X(b)] = TAKEN;
                next[X(b)] = list;
                list = b;
                goto claimed
            :: else -> w = W[s]
            fi
        }
    :: atomic {
            if
            :: W[s] == w ->
                assert(where[X(b)] == OUT);
                where[X(b)] = REMOTE;
                next[X(b)] = HEAD(w);
                if
                :: STATE(w) == UNOWNED && BLOCKS_OUT == 1 ->
                    W[s] = MINE;
                    claimer[s] = _pid;
                    gather(b);
                    goto retire
                :: STATE(w) == UNOWNED && BLOCKS_OUT != 1 ->
                    W[s] = UNOWNED | LIST(NUMBER(w) - 1, b)
                :: STATE(w) == CLAIMED || (w & PENDING) ->
                    W[s] = STATE_ONLY(w) | LIST(NUMBER(w) + 1, b)
                :: STATE(w) == OWNED && !(w & PENDING) ->
                    W[s] = PENDING | NOW | LIST(1, b);
                    announcing[s]++;
                    goto announce
                fi;
                SOUND;
#ifdef BUG_announce_claimed
                if
                :: STATE(w) == CLAIMED && NUMBER(w) == 0 -> goto announce
                :: else
                fi;
#endif
                goto again
            :: else -> w = W[s]
            fi
        }
    od;

retire:
    close();
    goto again;

announce:
    atomic {
#ifndef BUG_heap_read_before
        q = slab_heap[s];
#endif
        p = P[q]
    }
    do
    :: atomic {
            p != ORPHAN ->
            if
            :: MAY_ANNOUNCE ->
                pending_next[s] = p;
                P[q] = s + 1;
                announcing[s]--;
                SOUND;
                goto again
            :: else -> p = P[q]
            fi
        }
    :: atomic {
            p == ORPHAN ->
            if
            :: P[q] == ORPHAN ->
                P[q] = 0;
                assert(owner[q] == 0);
                owner[q] = _pid;
                announcing[s]--;
                pending_next[s] = 0;
                l = s + 1;
                leave = 1;
                SOUND;
                goto take
            :: else -> p = P[q]
            fi
        }
    od;

    /* -- the owner of heap q -- */

drain:
    atomic { l = P[q]; P[q] = 0 }
take:
    do
    :: l != 0 ->
#ifdef BUG_pending_before_list
        atomic { s = l - 1; MAY; W[s] = W[s] & ~PENDING }
        atomic { W[s] = W[s] | PENDING }
#endif
        INSIDE {
            atomic {
                s = l - 1;
#ifndef BUG_link_read_late
                l = pending_next[s];
#endif
                MAY;
                MAY_BINS;
                assert(W[s] & PENDING);
                gather(HEAD(W[s]));
#ifndef BUG_enter_before_leaving
                W[s] = 0;
#endif
                SOUND
            }
            absorb();
#ifdef BUG_enter_before_leaving
            W[s] = 0;
#endif
            close_if_empty()
        }
#ifdef BUG_link_read_late
        l = pending_next[s]
#endif
    :: else -> break
    od;
    if
    :: HEAP_IS_OLD(q) && MAY_LOOK -> goto look
    :: !leave && !(HEAP_IS_OLD(q) && MAY_LOOK) -> goto again
    :: else
    fi;
    s = 0;
    do
    :: s < SLABS ->
        if
#ifndef BUG_disown_empty
        :: IN_BINS(q) && used[s] == 0 -> close()
#endif
        :: IN_BINS(q) && used[s] > 0 -> disown()
        :: else
        fi;
        s++
    :: else -> s = 0; break
    od;
    atomic {
        if
        :: MAY_LEAVE ->
            P[q] = ORPHAN;
            owner[q] = 0;
            sleeper = 0;
            SOUND;
            goto again
        :: else
        fi
    }
    goto drain;

    /* What is PENDING since before the fork, and was not on the list: nobody
     * will announce that. */
look:
    heap_generation[q] = generation;
    s = 0;
    do
    :: s < SLABS ->
#ifndef BUG_fork_walks_the_list
        atomic {
            if
            :: IN_BINS(q) && (W[s] & PENDING) && IS_OLD(W[s]) ->
                pending_next[s] = l;
                l = s + 1
            :: else
            fi
        }
#endif
        s++
    :: else -> s = 0; break
    od;
    goto take;

surplus:
    disown();
    goto again;

#ifdef PROXY
enter_drain:
    enter();
    goto drain;

enter_surplus:
    enter();
    if
    :: IN_BINS(q) && used[s] > 0 -> goto surplus
    :: else -> goto again
    fi;
#endif

inherit:
    atomic {
        if
#ifdef BUG_inherit_blindly
        :: true ->
#else
        :: P[0] == ORPHAN ->
#endif
            P[0] = 0;
            assert(owner[0] == 0);
            owner[0] = _pid;
            h = 0
        :: else
        fi;
        goto again
    }

hand_out:
    atomic {
        MAY;
        b = freed[s];
        freed[s] = next[X(b)];
        used[s]++;
        handed++;
        where[X(b)] = OUT;
        bag = bag | 1 << X(b);
        goto again
    }

open_another:
    atomic {
        opened = 1;
        slab_heap[s] = h;
        map[s] = h + 1;
        kind[s] = 1 - kind[s];
        freed[s] = 0;
        used[s] = BLOCKS;
        W[s] = 0;
        open[s] = 1;
        b = 1;
        do
        :: b <= BLOCKS -> where[X(b)] = OUT; bag = bag | 1 << X(b); b++
        :: else -> break
        od;
        goto again
    }

    /* -- the claimer -- */

adopt:
    w = W[s];
    do
    :: atomic { STATE(w) != UNOWNED -> goto again }
    :: atomic {
            STATE(w) == UNOWNED ->
#ifdef BUG_heap_before_claim
            slab_heap[s] = h;
#endif
            if
            :: W[s] == w ->
                W[s] = MINE;
                claimer[s] = _pid;
                gather(HEAD(w));
#ifdef BUG_claim_drops_list
                list = 0;
#endif
                if
                :: !IS_WANTED -> leave = 1
                :: else
                fi;
                goto claimed
            :: else -> w = W[s]
            fi
        }
    od;

claimed:
    absorb();
    if
    :: used[s] == 0 -> close(); goto again
    :: else
    fi;
    if
    :: leave ->
        set_mark_if_room();
        atomic {
            if
            :: MAY_SETTLE ->
                W[s] = UNOWNED | LIST(used[s], 0);
                claimer[s] = 0;
                SOUND;
                goto again
            :: else
            fi
        }
    :: else ->
        INSIDE {
            atomic {
                MAY;
                assert(announcing[s] == 0);
                slab_heap[s] = h;
                SOUND
            }
            atomic { MAY; map[s] = h + 1 }
        }
        atomic {
            if
            :: MAY_SETTLE ->
                assert(kind[s] == 0);
                W[s] = 0;
                claimer[s] = 0;
                goto again
            :: else
            fi
        }
    fi;
    atomic { MAY; gather(HEAD(W[s])); W[s] = MINE; goto claimed }

#ifdef PROXY
    /* -- in the place of an owner that sleeps -- */

stand_in:
    atomic {
        if
        :: P[0] == 0 || P[0] == ORPHAN -> goto again
        :: else -> chain = P[0]; P[0] = 0
        fi
    }
#ifdef BUG_proxy_looks_first
    leave = (busy == 0 && sleeper != 0);
#endif
    l = chain;
    do
    :: l != 0 ->
        atomic {
            s = l - 1;
            assert(open[s] && slab_heap[s] == 0 && (W[s] & PENDING));
            map[s] = 0;
            l = pending_next[s]
        }
    :: else -> break
    od;
    atomic {
        if
#ifdef BUG_proxy_looks_first
        :: leave ->
#else
        :: busy == 0 && sleeper != 0 ->
#endif
            proxy = _pid;
            l = chain;
            do
            :: l != 0 -> chained[l - 1] = 1; l = pending_next[l - 1]
            :: else -> break
            od
        :: else -> goto put_back
        fi
    }
    do
    :: chain != 0 ->
        atomic { s = chain - 1; chain = pending_next[s] }
        if
        :: true ->
            /* the current slab stays the owner's */
#ifdef BUG_proxy_map_first
            atomic { MAY; map[s] = 1 }
#endif
            atomic { MAY; gather(HEAD(W[s])); W[s] = 0; SOUND }
            absorb();
            atomic { MAY; map[s] = 1; chained[s] = 0 }
        :: true ->
            atomic {
                MAY;
                MAY_BINS;
                gather(HEAD(W[s]));
                W[s] = MINE;
                claimer[s] = _pid;
                chained[s] = 0
            }
        let_go:
            absorb();
            if
            :: used[s] == 0 -> close()
            :: else ->
#ifdef BUG_proxy_map_back
                atomic { MAY; map[s] = 0 }
#endif
                set_mark_if_room();
                atomic {
                    if
                    :: W[s] == MINE ->
                        W[s] = UNOWNED | LIST(used[s], 0);
                        claimer[s] = 0;
                        SOUND
                    :: else ->
                        gather(HEAD(W[s]));
                        W[s] = MINE;
#ifdef BUG_proxy_map_back
                        map[s] = 1;
#endif
                        goto let_go
                    fi
                }
            fi
        fi
    :: else -> break
    od;
    atomic { proxy = 0; proxy_lock = 0 }
    goto again;

put_back:
    l = chain;
    do
    :: l != 0 ->
        atomic {
            s = l - 1;
            assert(open[s] && slab_heap[s] == 0 && (W[s] & PENDING));
            map[s] = 1;
            l = pending_next[s]
        }
    :: else -> break
    od;
    goto again;
#endif

    /* -- fork -- */

fork:
    atomic {
        generation = 1;
        running = IN_CHILD;
        s = 0;
        do
        :: s < SLABS ->
            announcing[s] = 0;
            b = 1;
            do
            :: b <= BLOCKS ->
                if
                :: where[X(b)] == TAKEN ||
                    (where[X(b)] == OUT && !(bag & 1 << X(b))) -> lost++
                :: else
                fi;
                b++
            :: else -> b = 0; break
            od;
            s++
        :: else -> s = 0; break
        od;
        goto again
    }

    /* What the others left, but for the survivor's own heap. Under a lock,
     * and before anything that could meet it. */
repair:
    atomic {
        if
        :: repaired -> goto again
        :: else
        fi;
        q = 0;
        do
        :: q < HEAPS ->
            if
            :: HAS_VANISHED(q) && P[q] != ORPHAN -> P[q] = 0
            :: else
            fi;
            q++
        :: else -> break
        od;
        s = 0;
        do
        :: s < SLABS ->
            if
            :: open[s] && STATE(W[s]) == UNOWNED -> set_mark_if_room()
            :: open[s] && (WAS_CLAIMED || WAS_OWNED) ->
                claimer[s] = _pid;
                gather(HEAD(W[s]));
                W[s] = MINE;
                recount();
                absorb();
                if
                :: used[s] == 0 -> close()
                :: else ->
#ifndef BUG_fork_keeps_map
                    map[s] = 0;
#endif
                    set_mark_if_room();
                    W[s] = UNOWNED | LIST(used[s], 0);
                    claimer[s] = 0;
                    SOUND
                fi
            :: else
            fi;
            s++
        :: else -> s = 0; break
        od;
        q = 0;
        do
        :: q < HEAPS ->
            if
            :: HAS_VANISHED(q) ->
                P[q] = ORPHAN;
                owner[q] = 0;
                heap_generation[q] = generation
            :: else
            fi;
            q++
        :: else -> break
        od;
        repaired = 1;
        goto again
    }

    /* -- the end -- */

finish:
    atomic {
        running--;
        if
        :: running == 0 ->
            s = 0;
            l = 0;
            do
            :: s < SLABS ->
                b = 1;
                q = 0;
                do
                :: b <= BLOCKS ->
                    if
                    :: where[X(b)] == OUT || where[X(b)] == TAKEN -> q++
                    :: else
                    fi;
                    b++
                :: else -> break
                od;
                l = l + q;
                if
                :: !open[s] -> assert(q == 0)
                :: open[s] && STATE(W[s]) == UNOWNED ->
                    assert(q > 0 && NUMBER(W[s]) == q)
                :: open[s] && STATE(W[s]) == CLAIMED -> assert(false)
                :: open[s] && STATE(W[s]) == OWNED ->
                    assert(owner[slab_heap[s]] != 0);
                    assert(W[s] == 0 || LISTED(s, slab_heap[s]));
                    assert(used[s] == NUMBER(W[s]) + q);
                    assert(used[s] > 0 || MAY_BE_EMPTY)
                fi;
                s++
            :: else -> break
            od;
            assert(l == lost)
        :: else
        fi;
        s = 0; b = 0; l = 0; q = 0; p = 0; w = 0; leave = 0
    }
}

#if SURVIVOR
/* Who has vanished stands still for ever; who survived must not. */
proctype Watch()
{
    timeout;
    assert(running == 0)
}
#endif

/* -- the configurations -- */

#define FREER NO_HEAP, 0

/* Slabs of heap 0; `out` has a bit for each block that is in use. */
inline begin(out)
{
    bag = out;
    P[1] = ORPHAN;
    do
    :: s < SLABS ->
        open[s] = 1;
        map[s] = 1;
        b = BLOCKS;
        do
        :: b > 0 && out & 1 << X(b) -> used[s]++; b--
        :: b > 0 && !(out & 1 << X(b)) ->
            where[X(b)] = FREE; next[X(b)] = freed[s]; freed[s] = b; b--
        :: else -> break
        od;
        s++
    :: else -> s = 0; break
    od
}

/* Threads are numbered from 1 in the order of their start. */
inline start(heap, can)
{
    running++;
    if
    :: heap != NO_HEAP -> owner[heap] = running; P[heap] = 0
    :: else
    fi;
    run Thread(heap, can)
}

init {
    byte s, b;
    atomic {
#if defined CONFIG_owner
        /* Frees from outside, against all that an owner does. */
        begin(7);
        start(0, DRAINS | DISOWNS | TAKES_BACK | EXITS);
        start(FREER);
        start(FREER)
#elif defined CONFIG_race
        /* Two heaps take a slab from each other. */
        begin(7);
        start(0, DRAINS | DISOWNS | TAKES_BACK | EXITS);
        start(1, DRAINS | DISOWNS | ADOPTS);
        start(FREER)
#elif defined CONFIG_orphan
        /* A heap whose thread has ended, in order or not. */
        begin(7);
        start(0, DRAINS | EXITS | BREAKS_OFF);
        start(NO_HEAP, INHERITS | BURIES | EXITS);
        start(NO_HEAP, INHERITS)
#elif defined CONFIG_chill
        /* Claimed and given back by a thread without a heap. */
        begin(3);
        start(0, DISOWNS | DRAINS | EXITS);
        start(NO_HEAP, CHILLS);
        start(1, ADOPTS | EXITS)
#elif defined CONFIG_lists
        /* Two slabs on one list. */
        begin(7);
        start(0, DRAINS | EXITS);
        start(FREER);
        start(FREER)
#elif defined CONFIG_proxy
        /* One who frees lets go of slabs while their owner sleeps. */
        begin(7);
        start(0, DRAINS | EXITS);
        sleeper = 1;
        start(NO_HEAP, STANDS_IN);
        start(FREER)
#elif defined CONFIG_kinds
        /* The slab is closed and another opened while its mark is read. */
        begin(1);
        start(0, DISOWNS | EXITS | OPENS);
        start(1, ADOPTS | EXITS);
        start(FREER)
#elif defined CONFIG_again
        /* Blocks are handed out again: the same W comes twice. */
        begin(3);
        start(0, DISOWNS | EXITS | DRAINS | TAKES_BACK | HANDS_OUT);
        start(1, ADOPTS | HANDS_OUT);
        start(FREER)
#elif defined CONFIG_fork_owner
        /* The child has the slab's owner. */
        begin(7);
        start(FREER);
        start(FREER);
        start(0, DRAINS | DISOWNS | TAKES_BACK | EXITS | FORKS)
#elif defined CONFIG_fork_freer
        /* The child has one who frees into what vanished heaps left. */
        begin(7);
        start(0, DRAINS | DISOWNS | EXITS);
        start(FREER);
        start(NO_HEAP, FORKS)
#elif defined CONFIG_fork_adopter
        /* The slab's owner and one who takes it vanish. */
        begin(3);
        start(0, DRAINS | EXITS);
        start(1, ADOPTS | EXITS);
        start(NO_HEAP, FORKS)
#elif defined CONFIG_fork_late
        /* A thread born in the child is there before its owner has looked. */
        begin(7);
        start(FREER);
        start(0, DRAINS | DISOWNS | EXITS | FORKS);
        start(NO_HEAP, INHERITS | EXITS)
#endif
#if SURVIVOR
        ;
#if IN_CHILD > 1
        running--;
#endif
        run Watch()
#endif
    }
}
