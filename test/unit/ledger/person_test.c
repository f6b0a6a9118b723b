/* SPDX-License-Identifier: MIT */
/*
 * Goal: a thread is one person until it ends; numbers rise and never return;
 * a person whose thread has ended stays while it is held, and becomes another
 * then; names are cut, and never run on. Method: threads, one after another.
 */
#include "unit/sys/unit.h"

#include <pthread.h>

#include "ledger/person.h"

static void on_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

struct visit {
    struct person *person;
    uint64_t number;
    bool keeps;
    bool same;                  /* asked again, it was the same */
};

static void *visit(void *argument)
{
    struct visit *visit = argument;
    visit->person = person_of_thread();
    visit->number = visit->person->number;
    visit->same = person_of_thread() == visit->person;
    if (visit->keeps)
        person_keep(visit->person);
    person_end();
    return NULL;
}

static void is_one_until_it_ends(void **state)
{
    (void)state;
    struct visit first = { .keeps = true };
    on_thread(visit, &first);
    assert_true(first.same);
    struct visit second = { .keeps = false };
    on_thread(visit, &second);
    assert_true(second.person != first.person);
    assert_true(second.number > first.number);
    person_audit();
    /* The second is free, the first is not. */
    struct visit third = { .keeps = false };
    on_thread(visit, &third);
    assert_ptr_equal(third.person, second.person);
    assert_true(third.number > second.number);
    assert_int_equal(first.person->number, first.number);
    person_drop(first.person);
    struct visit fourth = { .keeps = false };
    on_thread(visit, &fourth);
    assert_ptr_equal(fourth.person, first.person);
    assert_true(fourth.number > third.number);
    person_audit();
}

static void *take_name(void *argument)
{
    EXPECT(person_of_thread()->name[0] == 0);
    EXPECT(person_set_name("somebody else"));
    person_end();
    return argument;
}

static void has_a_name(void **state)
{
    (void)state;
    char name[PERSON_NAME_BYTES];
    assert_true(person_set_name("worker"));
    person_read_name(person_of_thread(), name);
    assert_string_equal(name, "worker");
    assert_true(person_set_name("a name of more than fifteen characters"));
    person_read_name(person_of_thread(), name);
    assert_string_equal(name, "a name of more ");
    assert_string_equal(person_of_thread()->name, name);
    assert_true(person_set_name(""));
    person_read_name(person_of_thread(), name);
    assert_string_equal(name, "");
    /* The next thread's person had one before, or not. */
    on_thread(take_name, NULL);
    on_thread(take_name, NULL);
    person_audit();
}

/* -- no memory -- */

enum { PERSONS = 1000 };

static void *find_no_memory(void *argument)
{
    (void)argument;
    /* Persons that nobody was before, until there are no more. */
    struct person *held[PERSONS];
    size_t count = 0;
    unit_fail_all(1u << SYS_RESERVE | 1u << SYS_COMMIT);
    struct person *person;
    while (count < PERSONS && (person = person_of_thread()) != NULL) {
        person_keep(person);
        person_end();
        held[count++] = person;
    }
    EXPECT(count < PERSONS);
    EXPECT(!person_set_name("nobody"));
    (void)unit_fail_none();
    EXPECT(person_set_name("one"));
    person_end();
    while (count > 0)
        person_drop(held[--count]);
    person_audit();
    return NULL;
}

static void says_when_there_is_no_memory(void **state)
{
    (void)state;
    on_thread(find_no_memory, NULL);
}

/* -- many at once -- */

enum { THREADS = 16, VISITS = 2000 };

static void *come_and_go(void *argument)
{
    uint64_t last = 0;
    for (int i = 0; i < VISITS; i++) {
        struct person *person = person_of_thread();
        EXPECT(person->number > last);
        last = person->number;
        EXPECT(!person->busy);
        person->busy = true;
        char name[PERSON_NAME_BYTES];
        EXPECT(person_set_name("x"));
        person_read_name(person, name);
        EXPECT(name[0] == 'x' && name[1] == 0);
        person->busy = false;
        person_end();
    }
    return argument;
}

static void are_many_at_once(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    person_audit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(is_one_until_it_ends, unit_teardown),
        cmocka_unit_test_teardown(has_a_name, unit_teardown),
        cmocka_unit_test_teardown(are_many_at_once, unit_teardown),
        cmocka_unit_test_teardown(says_when_there_is_no_memory,
            unit_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
