/* SPDX-License-Identifier: MIT */
/*
 * site - how many sampled objects are of one stack, one thread, one arena and
 * one size. See site.h.
 */
#include "ledger/site.h"

#include "table/option.h"

static struct book site_book = BOOK_INITIAL(LOCK_site, struct site);

static uint64_t site_hash(const struct site_key *key)
{
    return book_hash(book_hash((uintptr_t)key->trace, (uintptr_t)key->person),
        key->usable ^ ((uint64_t)key->arena << 48));
}

static struct site *site_of(struct book_entry *entry)
{
    return (struct site *)entry;
}

static struct site *site_find(const struct book_shard *shard, uint64_t hash,
    const struct site_key *key)
{
    struct book_entry *entry = NULL;
    while ((entry = book_find(shard, hash, entry)) != NULL) {
        const struct site_key *other = &site_of(entry)->key;
        if (other->trace == key->trace && other->person == key->person
            && other->usable == key->usable && other->arena == key->arena)
            break;
    }
    return site_of(entry);
}

/* A site of that key with one object, which holds what it names; NULL: no
 * memory. */
static struct site *site_begin(struct book_shard *shard, uint64_t hash,
    const struct site_key *key)
{
    struct site *site = site_of(book_fresh(shard));
    if (site == NULL)
        return NULL;
    person_keep(key->person);                           /* S1 */
    site->key = *key;
    site->live = 1;
    site->ever = 1;
    book_add(&site->entry, hash);
    return site;
}

static void site_more(struct site *site)
{
    site->ever++;
    COMPILER_BARRIER();
    site->live++;                                       /* S2 */
}

bool site_take(const struct site_key *key, struct site_ticket *ticket)
{
    const uint64_t hash = site_hash(key);
    struct book_shard *shard = book_open(&site_book, hash);
    struct site *site = site_find(shard, hash, key);
    const bool was_there = site != NULL;
    if (was_there)
        site_more(site);
    else
        site = site_begin(shard, hash, key);
    if (site != NULL)
        *ticket = (struct site_ticket){ site, site->life };
    book_close(shard);
    if (was_there)
        trace_drop(key->trace);     /* the site has one hold already */
    return site != NULL;
}

/* Forget an open site, and close it. */
static void site_end(struct site *site)
{
    const struct site_key key = site->key;
    site->life++;
    book_remove(&site->entry);
    book_close(site->entry.shard);
    trace_drop(key.trace);
    person_drop(key.person);
}

/* The site of a ticket, open; NULL: it was forgotten, and nothing is open. */
static struct site *site_open(struct site_ticket ticket)
{
    if (ticket.site == NULL)
        return NULL;
    struct book_shard *shard = ticket.site->entry.shard;
    book_open_shard(shard);
    if (ticket.site->life == ticket.life)
        return ticket.site;
    book_close(shard);
    return NULL;
}

static void site_less(struct site_ticket ticket, uint64_t ever)
{
    struct site *site = site_open(ticket);
    if (site == NULL)
        return;
    site->live--;
    COMPILER_BARRIER();
    site->ever -= ever;                                 /* S2 */
    if (site->live == 0 && (site->ever == 0 || !option_now.prof_accum))
        site_end(site);                                 /* S3 */
    else
        book_close(site->entry.shard);
}

void site_give(struct site_ticket ticket)
{
    site_less(ticket, 0);
}

void site_undo(struct site_ticket ticket)
{
    site_less(ticket, 1);
}

bool site_hold(struct site_ticket ticket, struct site_key *key)
{
    struct site *site = site_open(ticket);
    if (site == NULL)
        return false;
    *key = site->key;
    trace_keep(key->trace);
    person_keep(key->person);
    book_close(site->entry.shard);
    return true;
}

void site_forget_all(void)
{
    struct book_walk walk = { 0 };
    struct site *site;
    while ((site = site_next(&walk)) != NULL)
        site_end(site);
}

size_t site_count(void)
{
    return book_used(&site_book);
}

struct site *site_next(struct book_walk *walk)
{
    return site_of(book_next(&site_book, walk));
}

void site_close(struct site *site)
{
    book_close(site->entry.shard);
}

struct lock_counts site_lock_counts(void)
{
    return book_lock_counts(&site_book);
}

void site_reset_lock_counts(void)
{
    book_reset_lock_counts(&site_book);
}

void site_audit(void)
{
    book_audit(&site_book);
    struct book_walk walk = { 0 };
    struct site *site;
    while ((site = site_next(&walk)) != NULL) {
        CHECK(load_relaxed(&site->key.person->holders) > 0);    /* S1 */
        CHECK(site->live <= site->ever);                        /* S2 */
        site_close(site);
    }
}
