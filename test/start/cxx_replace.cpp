/* SPDX-License-Identifier: MIT */
/*
 * cxx_replace - a program that replaces new(size) and delete(ptr) only.
 *
 * Goal    the forms that the standard defines by those two arrive in the
 *         program's own: arrays, sized deletes and the nothrow ones.
 * Method  the program's new hides a mark in front of each block, so that a
 *         block that went to another delete, or came from another new, is
 *         seen at once; prints "ok" when every form arrived.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,         \
                         #condition);                                       \
            std::_Exit(1);                                                  \
        }                                                                   \
    } while (0)

struct mark {
    std::uint64_t value;
    std::uint64_t check;
};

static int taken;
static int given;
static volatile bool is_refusing;

void *operator new(std::size_t size)
{
    auto *mark = static_cast<struct mark *>(
        std::malloc(sizeof(struct mark) + size));
    if (mark == nullptr || is_refusing) {
        std::free(mark);
        throw std::bad_alloc();
    }
    mark->value = 0x6d61726b;
    mark->check = ~mark->value;
    taken++;
    return mark + 1;
}

#pragma GCC diagnostic ignored "-Wsized-deallocation"   /* as many forget */
void operator delete(void *ptr) noexcept
{
    if (ptr == nullptr)
        return;
    struct mark *mark = static_cast<struct mark *>(ptr) - 1;
    EXPECT(mark->value == 0x6d61726b && mark->check == ~mark->value);
    mark->value = 0;
    given++;
    std::free(mark);
}

int main()
{
    operator delete(operator new(40));
    operator delete(operator new(40), std::size_t{40});
    operator delete(operator new(40), std::nothrow);
    EXPECT(taken == 3 && given == 3);
    operator delete[](operator new[](40));
    operator delete[](operator new[](40), std::size_t{40});
    operator delete[](operator new[](40), std::nothrow);
    EXPECT(taken == 6 && given == 6);
    operator delete(operator new(40, std::nothrow));
    operator delete[](operator new[](40, std::nothrow));
    EXPECT(taken == 8 && given == 8);
    is_refusing = true;
    EXPECT(operator new(40, std::nothrow) == nullptr);
    EXPECT(operator new[](40, std::nothrow) == nullptr);
    is_refusing = false;
    EXPECT(taken == 8 && given == 8);
    /* Over-aligned forms are a family of their own, which was not replaced. */
    operator delete(operator new(40, std::align_val_t{64}),
                    std::align_val_t{64});
    EXPECT(taken == 8 && given == 8);
    std::puts("ok");
    return 0;
}
