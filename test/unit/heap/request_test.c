/* SPDX-License-Identifier: MIT */
/*
 * Requests: what is usable is what was promised, alignment and zeros hold, and
 * resizing keeps contents, in place where it is asked to.
 */
#include "bench.h"

#include "heap/request.h"

static struct request plain(size_t size)
{
    return (struct request){
        .size = size, .arena = REQUEST_AUTO, .cache = REQUEST_AUTO,
    };
}

static const size_t sizes[] = {
    0, 1, 15, 16, 17, 100, 1000, 1025, 4096, 5000, 16384, 65535, 65536, 65537,
    200000, 1 * MiB + 1, 3 * MiB, 33 * MiB
};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void *dirty(size_t size)
{
    void *pointer = API(malloc)(size);
    assert_non_null(pointer);
    return memset(pointer, 0xa5, size);
}

static bool is_zero(const unsigned char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void promises_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t align = 0; align <= 8 * MiB; align = 2 * align + !align) {
            API(free)(dirty(sizes[i]));
            struct request request = plain(sizes[i]);
            request.align = align;
            request.zero = true;
            unsigned char *pointer = request_take(&request);
            assert_non_null(pointer);
            assert_int_equal((uintptr_t)pointer & (align - (align > 0)), 0);
            const size_t bytes = heap_usable_bytes(pointer);
            assert_int_equal(bytes, request_usable(sizes[i], align));
            assert_true(bytes >= sizes[i]);
            assert_true(is_zero(pointer, 0, bytes));
            request_give(pointer, REQUEST_AUTO);
        }
    }
    assert_true(nothing_is_left());
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const size_t wrong[] = {
        PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4095
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(request_usable(wrong[i], 0), 0);
        const struct request request = plain(wrong[i]);
        assert_null(request_take(&request));
        char *pointer = dirty(100);
        assert_null(request_resize(pointer, &request));
        assert_int_equal(request_resize_here(pointer, &request, 0), 112);
        assert_int_equal(pointer[99], (char)0xa5);
        API(free)(pointer);
    }
    assert_int_equal(request_usable(1, (size_t)1 << 63), 0);
}

/* From every size to every other: the contents stay, the new tail is zero. */
static void resizing_keeps_contents(void **state)
{
    (void)state;
    for (size_t i = 1; i < SIZES; i++) {
        for (size_t k = 1; k < SIZES; k++) {
            struct request request = plain(sizes[k]);
            request.zero = true;
            unsigned char *old = dirty(sizes[i]);
            const size_t old_bytes = heap_usable_bytes(old);
            memset(old, 0xa5, old_bytes);
            unsigned char *new = request_resize(old, &request);
            assert_non_null(new);
            const size_t bytes = heap_usable_bytes(new);
            assert_true(bytes >= sizes[k]);
            const size_t kept = old_bytes < sizes[k] ? old_bytes : sizes[k];
            for (size_t at = 0; at < kept; at++)
                assert_int_equal(new[at], 0xa5);
            if (old_bytes < bytes)
                assert_true(is_zero(new, old_bytes, bytes));
            API(free)(new);
        }
    }
    assert_true(nothing_is_left());
}

static void the_same_class_stays(void **state)
{
    (void)state;
    for (size_t i = 1; i < SIZES; i++) {
        void *pointer = dirty(sizes[i]);
        struct request request = plain(heap_usable_bytes(pointer));
        assert_ptr_equal(request_resize(pointer, &request), pointer);
        assert_int_equal(request_resize_here(pointer, &request, 0),
            request.size);
        API(free)(pointer);
    }
}

static void in_place_means_in_place(void **state)
{
    (void)state;
    struct request request = plain(0);
    /* Blocks have the size they have. */
    void *block = dirty(100);
    request.size = 113;
    assert_int_equal(request_resize_here(block, &request, 1000), 112);
    request.size = 1;
    assert_int_equal(request_resize_here(block, &request, 0), 112);
    API(free)(block);

    /* Runs shrink by pages, and grow where there is room. */
    unsigned char *run = dirty(900 * KiB);
    request.size = 200 * KiB + 1;
    assert_int_equal(request_resize_here(run, &request, 0),
        round_up(200 * KiB + 1, sys_page_bytes()));
    request.size = 300 * KiB;
    request.zero = true;
    const size_t bytes = request_resize_here(run, &request, 0);
    assert_true(bytes == 300 * KiB
        || bytes == round_up(200 * KiB + 1, sys_page_bytes()));
    assert_true(is_zero(run,
        round_up(200 * KiB + 1, sys_page_bytes()), bytes));
    API(free)(run);

    /* A mapping shrinks, and does not grow, for it might have to move. */
    void *mapping = dirty(40 * MiB);
    request.size = 36 * MiB;
    assert_int_equal(request_resize_here(mapping, &request, 0), 36 * MiB);
    request.size = 50 * MiB;
    assert_int_equal(request_resize_here(mapping, &request, 0), 36 * MiB);
    API(free)(mapping);
    assert_true(nothing_is_left());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_hold),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(resizing_keeps_contents),
        cmocka_unit_test(the_same_class_stays),
        cmocka_unit_test(in_place_means_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
