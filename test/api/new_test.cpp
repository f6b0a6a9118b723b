// SPDX-License-Identifier: MIT
/*
 * The C++ operators: goal and method.
 *
 * All eight operators new and all twelve operators delete are called by name:
 * plain, array, nothrow, sized, aligned.  A request that cannot be met calls
 * the new-handler until it gives up, then throws bad_alloc, or returns null
 * from the nothrow forms.  Containers and exceptions then run on top.  Only
 * for a library that is preloaded or linked: the prefixed core has no
 * operators.
 */
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "../expect.h"

#ifndef __cpp_sized_deallocation
/* clang 14 declares these four only when asked to. */
void operator delete(void *block, std::size_t size) noexcept;
void operator delete[](void *block, std::size_t size) noexcept;
void operator delete(void *block, std::size_t size,
                     std::align_val_t alignment) noexcept;
void operator delete[](void *block, std::size_t size,
                       std::align_val_t alignment) noexcept;
#endif

namespace {

const std::size_t too_much = static_cast<std::size_t>(PTRDIFF_MAX) - 65536;

std::size_t hidden(std::size_t size)
{
    return subject_hide_size(size);
}

void use(void *block, std::size_t size)
{
    EXPECT(block != nullptr);
    sparse_fill(block, size, size);
    EXPECT_SPARSE(block, size, size, size);
}

void plain_forms(std::size_t size)
{
    void *block = ::operator new(hidden(size));
    use(block, size);
    ::operator delete(block);
    block = ::operator new(hidden(size));
    use(block, size);
    ::operator delete(block, size);
    block = ::operator new(hidden(size), std::nothrow);
    use(block, size);
    ::operator delete(block, std::nothrow);
    block = ::operator new[](hidden(size));
    use(block, size);
    ::operator delete[](block);
    block = ::operator new[](hidden(size));
    use(block, size);
    ::operator delete[](block, size);
    block = ::operator new[](hidden(size), std::nothrow);
    use(block, size);
    ::operator delete[](block, std::nothrow);
}

void aligned_forms(std::size_t size, std::size_t bytes)
{
    const std::align_val_t alignment = std::align_val_t(bytes);
    void *blocks[6] = {
        ::operator new(hidden(size), alignment),
        ::operator new(hidden(size), alignment),
        ::operator new(hidden(size), alignment, std::nothrow),
        ::operator new[](hidden(size), alignment),
        ::operator new[](hidden(size), alignment),
        ::operator new[](hidden(size), alignment, std::nothrow),
    };
    for (void *block : blocks) {
        EXPECT_ALIGNED(block, bytes);
        use(block, size);
    }
    ::operator delete(blocks[0], alignment);
    ::operator delete(blocks[1], size, alignment);
    ::operator delete(blocks[2], alignment, std::nothrow);
    ::operator delete[](blocks[3], alignment);
    ::operator delete[](blocks[4], size, alignment);
    ::operator delete[](blocks[5], alignment, std::nothrow);
}

void *nothing()
{
    return subject_hide(nullptr);
}

void null_is_accepted()
{
    const std::align_val_t alignment = std::align_val_t(64);
    errno = EXDEV;
    ::operator delete(nothing());
    ::operator delete(nothing(), std::size_t(8));
    ::operator delete(nothing(), std::nothrow);
    ::operator delete(nothing(), alignment);
    ::operator delete(nothing(), std::size_t(8), alignment);
    ::operator delete(nothing(), alignment, std::nothrow);
    ::operator delete[](nothing());
    ::operator delete[](nothing(), std::size_t(8));
    ::operator delete[](nothing(), std::nothrow);
    ::operator delete[](nothing(), alignment);
    ::operator delete[](nothing(), std::size_t(8), alignment);
    ::operator delete[](nothing(), alignment, std::nothrow);
    EXPECT_EQUAL(errno, EXDEV);
}

template <typename Ask> bool throws(Ask ask)
{
    try {
        ask();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void too_much_throws()
{
    const std::align_val_t alignment = std::align_val_t(256);
    const std::size_t size = hidden(too_much);
    EXPECT(throws([&] { subject_hide(::operator new(size)); }));
    EXPECT(throws([&] { subject_hide(::operator new[](size)); }));
    EXPECT(throws([&] { subject_hide(::operator new(size, alignment)); }));
    EXPECT(throws([&] { subject_hide(::operator new[](size, alignment)); }));
    EXPECT(throws([&] { subject_hide(::operator new(hidden(SIZE_MAX))); }));
    EXPECT(::operator new(size, std::nothrow) == nullptr);
    EXPECT(::operator new[](size, std::nothrow) == nullptr);
    EXPECT(::operator new(size, alignment, std::nothrow) == nullptr);
    EXPECT(::operator new[](size, alignment, std::nothrow) == nullptr);
}

int handler_calls;

void handler_that_tires()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void handler_that_throws()
{
    handler_calls++;
    throw std::bad_alloc();
}

void handlers_are_called()
{
    const std::align_val_t alignment = std::align_val_t(64);
    const std::size_t size = hidden(too_much);
    handler_calls = 0;
    std::set_new_handler(handler_that_tires);
    EXPECT(throws([&] { subject_hide(::operator new(size)); }));
    EXPECT_EQUAL(handler_calls, 3);
    handler_calls = 0;
    std::set_new_handler(handler_that_tires);
    EXPECT(::operator new(size, alignment, std::nothrow) == nullptr);
    EXPECT_EQUAL(handler_calls, 3);
    handler_calls = 0;
    std::set_new_handler(handler_that_throws);
    EXPECT(throws([&] { subject_hide(::operator new[](size)); }));
    EXPECT_EQUAL(handler_calls, 1);
    EXPECT(::operator new[](size, std::nothrow) == nullptr);
    EXPECT_EQUAL(handler_calls, 2);
    std::set_new_handler(nullptr);
}

struct alignas(128) wide {
    unsigned char bytes[200];
};

void containers()
{
    const int count = static_cast<int>(test_scaled(20000, 4));
    std::map<int, std::string> names;
    std::vector<std::unique_ptr<wide>> wides;
    for (int i = 0; i < count; i++) {
        names[i * 7919 % count] = std::string(static_cast<unsigned>(i % 300),
                                              static_cast<char>('a' + i % 26));
        if (i % 10 == 0) {
            wides.push_back(std::make_unique<wide>());
            EXPECT_ALIGNED(wides.back().get(), 128);
        }
    }
    std::thread other([&] {
        for (int i = 0; i < count; i++) {
            const std::string &name = names.at(i * 7919 % count);
            EXPECT_EQUAL(name.size(), i % 300);
            EXPECT(name.empty() || name.back() == 'a' + i % 26);
        }
        names.clear();
    });
    other.join();
    EXPECT(names.empty());
}

} // namespace

int main(int argc, char **argv)
{
    test_begin("new_test", argc, argv);
    if (subject_is_ashlar()) {
        EXPECT(subject_serves("_Znwm"));
        EXPECT(subject_serves("_ZdaPvmSt11align_val_t"));
    }
    const std::size_t sizes[] = {0, 1, 8, 40, 1000, 40000, 65537, 5 * MIB};
    for (std::size_t size : sizes) {
        plain_forms(size);
        for (std::size_t bytes = 1; bytes <= 8192; bytes *= 2)
            aligned_forms(size, bytes);
        aligned_forms(size, 2 * MIB);
    }
    null_is_accepted();
    too_much_throws();
    handlers_are_called();
    containers();
    return test_passed("20 operators");
}
