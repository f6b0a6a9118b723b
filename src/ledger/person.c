/* SPDX-License-Identifier: MIT */
/*
 * person - a thread, as profiles know it. See person.h.
 */
#include "ledger/person.h"

#include <string.h>

#include "ledger/stack.h"
#include "page/page.h"
#include "table/option.h"
#include "util/units.h"

static THREAD_LOCAL struct person *person_self;

/* Sound after every prefix: a person that somebody who vanished had in hand is
 * lost, and there is nothing to mend. */
static struct {
    struct lock lock;
    struct person *free;
    uint64_t number;            /* the latest */
} person_state = { .lock = { .rank = LOCK_person } };

/* A person that nobody is; NULL: no memory. */
static struct person *person_take(void)
{
    struct person *person = person_state.free;
    if (person != NULL) {
        person_state.free = person->next;
        return person;
    }
    const size_t pc_max = min_size(option_now.prof_bt_max, STACK_DEPTH_MAX);
    person = meta_take(sizeof *person + pc_max * sizeof person->pc[0]);
    if (person != NULL)
        person->pc_max = (unsigned)pc_max;
    return person;
}

static COLD struct person *person_begin(void)
{
    lock_take(&person_state.lock);
    struct person *person = person_take();
    if (person != NULL) {
        person->number = ++person_state.number;
        person->name[0] = 0;
        person->busy = false;
        store_relaxed(&person->holders, 1);             /* P1 */
        person_self = person;
    }
    lock_give(&person_state.lock);
    return person;
}

struct person *person_of_thread(void)
{
    struct person *person = person_self;
    return LIKELY(person != NULL) ? person : person_begin();
}

void person_end(void)
{
    struct person *person = person_self;
    person_self = NULL;
    if (person != NULL)
        person_drop(person);
}

bool person_set_name(const char *name)
{
    struct person *person = person_of_thread();
    if (person == NULL)
        return false;
    lock_take(&person_state.lock);
    for (size_t i = 0; i < PERSON_NAME_BYTES - 1; i++) {
        person->name[i] = *name;                        /* P2 */
        name += *name != 0;
    }
    lock_give(&person_state.lock);
    return true;
}

void person_read_name(struct person *person, char name[PERSON_NAME_BYTES])
{
    lock_take(&person_state.lock);
    memcpy(name, person->name, PERSON_NAME_BYTES);
    lock_give(&person_state.lock);
}

void person_keep(struct person *person)
{
    add_relaxed(&person->holders, 1);
}

void person_drop(struct person *person)
{
    /* What others did with it is done before it becomes another. */
    if (add_release(&person->holders, -1) != 1)         /* pairs with below */
        return;
    (void)load_acquire(&person->holders);               /* pairs with above */
    lock_take(&person_state.lock);
    person->next = person_state.free;
    COMPILER_BARRIER();
    person_state.free = person;
    lock_give(&person_state.lock);
}

struct lock_counts person_lock_counts(void)
{
    return lock_read_counts(&person_state.lock);
}

void person_reset_lock_counts(void)
{
    lock_take(&person_state.lock);
    lock_reset_counts(&person_state.lock);
    lock_give(&person_state.lock);
}

void person_audit(void)
{
    lock_take(&person_state.lock);
    for (const struct person *at = person_state.free; at; at = at->next) {
        CHECK(load_relaxed(&at->holders) == 0);                 /* P1 */
        CHECK(at->name[PERSON_NAME_BYTES - 1] == 0);            /* P2 */
    }
    const struct person *self = person_self;
    CHECK(self == NULL || load_relaxed(&self->holders) > 0);    /* P1 */
    lock_give(&person_state.lock);
}
