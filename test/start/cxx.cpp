/* SPDX-License-Identifier: MIT */
/*
 * cxx - the twenty C++ operators, seen from a C++ program.
 *
 * Goal    every form of new and delete serves, and fails as the standard
 *         says: handler called and tried again, bad_alloc thrown and caught,
 *         nothrow NULL, a throwing handler kept inside a nothrow form.
 * Method  requests that no machine can meet, and an address-space limit for
 *         the ones that a machine might; prints "ok" when all held.
 */
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <thread>
#include <vector>

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,         \
                         #condition);                                       \
            std::_Exit(1);                                                  \
        }                                                                   \
    } while (0)

/* Volatile, so that the compiler neither folds nor warns. */
static volatile std::size_t too_much = SIZE_MAX / 2 - 4096;

static bool is_aligned(void *ptr, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(ptr) % alignment == 0;
}

static void *filled(void *ptr, std::size_t size, std::size_t alignment)
{
    EXPECT(ptr != nullptr);
    EXPECT(is_aligned(ptr, alignment));
    std::memset(ptr, 0xa5, size);
    return ptr;
}

/* -- serving -- */

static void plain_forms(std::size_t size)
{
    const std::size_t natural = size < 16 ? 8 : 16;
    void *one = filled(operator new(size), size, natural);
    void *many = filled(operator new[](size), size, natural);
    void *quiet = filled(operator new(size, std::nothrow), size, natural);
    void *quiets = filled(operator new[](size, std::nothrow), size, natural);
    EXPECT(one != many && one != quiet && quiet != quiets);
    operator delete(one);
    operator delete[](many);
    operator delete(quiet, std::nothrow);
    operator delete[](quiets, std::nothrow);
    operator delete(operator new(size), size);
    operator delete[](operator new[](size), size);
}

static void aligned_forms(std::size_t size, std::size_t alignment)
{
    const std::align_val_t to{alignment};
    void *one = filled(operator new(size, to), size, alignment);
    void *many = filled(operator new[](size, to), size, alignment);
    void *quiet = operator new(size, to, std::nothrow);
    void *quiets = operator new[](size, to, std::nothrow);
    filled(quiet, size, alignment);
    filled(quiets, size, alignment);
    EXPECT(one != many && one != quiet && quiet != quiets);
    operator delete(one, to);
    operator delete[](many, to);
    operator delete(quiet, to, std::nothrow);
    operator delete[](quiets, to, std::nothrow);
    operator delete(operator new(size, to), size, to);
    operator delete[](operator new[](size, to), size, to);
}

static void deletes_of_null()
{
    const std::align_val_t to{64};
    operator delete(nullptr);
    operator delete[](nullptr);
    operator delete(nullptr, std::nothrow);
    operator delete[](nullptr, std::nothrow);
    operator delete(nullptr, std::size_t{8});
    operator delete[](nullptr, std::size_t{8});
    operator delete(nullptr, to);
    operator delete[](nullptr, to);
    operator delete(nullptr, to, std::nothrow);
    operator delete[](nullptr, to, std::nothrow);
    operator delete(nullptr, std::size_t{8}, to);
    operator delete[](nullptr, std::size_t{8}, to);
}

/* -- failing -- */

template <typename Form> static bool throws_bad_alloc(Form form)
{
    try {
        static_cast<void>(form());
    } catch (const std::bad_alloc &error) {
        EXPECT(std::strlen(error.what()) > 0);
        return true;
    }
    return false;
}

static void forms_fail_without_handler()
{
    const std::align_val_t to{4096};
    EXPECT(throws_bad_alloc([] { return operator new(too_much); }));
    EXPECT(throws_bad_alloc([] { return operator new[](too_much); }));
    EXPECT(throws_bad_alloc([=] { return operator new(too_much, to); }));
    EXPECT(throws_bad_alloc([=] { return operator new[](too_much, to); }));
    EXPECT(operator new(too_much, std::nothrow) == nullptr);
    EXPECT(operator new[](too_much, std::nothrow) == nullptr);
    EXPECT(operator new(too_much, to, std::nothrow) == nullptr);
    EXPECT(operator new[](too_much, to, std::nothrow) == nullptr);
}

static int handler_calls;

/* Gives up at the third call: the forms must have come back twice. */
static void gives_up()
{
    if (++handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

static void handler_is_called_again()
{
    const std::align_val_t to{256};
    for (int form = 0; form < 4; form++) {
        handler_calls = 0;
        std::set_new_handler(gives_up);
        if (form == 0)
            EXPECT(throws_bad_alloc([] { return operator new(too_much); }));
        if (form == 1)
            EXPECT(throws_bad_alloc(
                [=] { return operator new[](too_much, to); }));
        if (form == 2)
            EXPECT(operator new(too_much, std::nothrow) == nullptr);
        if (form == 3)
            EXPECT(operator new[](too_much, to, std::nothrow) == nullptr);
        EXPECT(handler_calls == 3);
    }
}

struct witness {
    int *count;
    ~witness() { ++*count; }
};

static int unwound;

static void throws_at_once()
{
    const witness inside{&unwound};
    handler_calls++;
    throw std::bad_alloc();
}

/* Values kept in registers across the call must survive the unwinding. */
__attribute__((noinline)) static void quiet_keeps_registers(long seed)
{
    long a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11;
    for (int i = 0; i < 100; i++) {
        EXPECT(operator new(too_much, std::nothrow) == nullptr);
        a += i, b -= i, c ^= i, d += 2 * i;
    }
    EXPECT(a == seed * 3 + 4950 && b == seed * 5 - 4950);
    EXPECT(d == seed * 11 + 9900 && c == (seed * 7 ^ 0));
}

static void throwing_handler()
{
    const std::align_val_t to{128};
    handler_calls = unwound = 0;
    std::set_new_handler(throws_at_once);
    EXPECT(throws_bad_alloc([] { return operator new(too_much); }));
    EXPECT(operator new(too_much, std::nothrow) == nullptr);
    EXPECT(operator new[](too_much, std::nothrow) == nullptr);
    EXPECT(operator new(too_much, to, std::nothrow) == nullptr);
    EXPECT(operator new[](too_much, to, std::nothrow) == nullptr);
    EXPECT(handler_calls == 5 && unwound == 5);
    quiet_keeps_registers(std::rand() % 1000);
    std::thread other(quiet_keeps_registers, 17L);
    other.join();
    EXPECT(std::uncaught_exceptions() == 0);
    EXPECT(unwound == 205);
    std::set_new_handler(nullptr);
}

/* -- a real shortage -- */

static std::vector<void *> held;

static void gives_back()
{
    handler_calls++;
    for (void *ptr : held)
        operator delete(ptr);
    held.clear();
    std::set_new_handler(nullptr);
}

static void shortage()
{
    const std::size_t chunk = std::size_t{4} << 20;
    const rlimit small = {std::size_t{256} << 20, std::size_t{256} << 20};
    held.reserve(1000);
    EXPECT(setrlimit(RLIMIT_AS, &small) == 0);
    while (void *ptr = operator new(chunk, std::nothrow)) {
        held.push_back(ptr);
        EXPECT(held.size() < 1000);
    }
    EXPECT(held.size() >= 16);
    EXPECT(throws_bad_alloc([=] { return operator new(chunk); }));
    EXPECT(throws_bad_alloc([=] { return std::vector<char>(2 * chunk); }));

    handler_calls = 0;
    std::set_new_handler(gives_back);
    void *ptr = filled(operator new(chunk), chunk, 16);
    EXPECT(handler_calls == 1);
    operator delete(ptr);
}

/* Objects made through expressions, as programs do. */
struct alignas(4096) page_like {
    char bytes[4096];
};

static void expressions()
{
    auto *pages = new page_like[3];
    EXPECT(is_aligned(pages, 4096));
    delete[] pages;
    auto *numbers = new (std::nothrow) int[1000]();
    EXPECT(numbers != nullptr && numbers[999] == 0);
    delete[] numbers;
    delete new std::vector<int>(500, 7);
}

int main()
{
    const std::size_t sizes[] = {0, 1, 8, 24, 100, 1000, 5000, 70000, 3000000};
    for (std::size_t size : sizes) {
        plain_forms(size);
        for (std::size_t alignment = 1; alignment <= 65536; alignment *= 4)
            aligned_forms(size, alignment);
        aligned_forms(size, 4096);
    }
    deletes_of_null();
    expressions();
    forms_fail_without_handler();
    handler_is_called_again();
    throwing_handler();
    shortage();
    std::puts("ok");
    return 0;
}
