/* SPDX-License-Identifier: MIT */
/*
 * cxx_plugin - C++ loaded late, by a C program that has no C++ runtime.
 *
 * Goal    operator new finds the runtime that came with the plug-in, though
 *         it was opened privately: handler called, bad_alloc caught here.
 */
#include <cstddef>
#include <cstdint>
#include <new>

static volatile std::size_t too_much = SIZE_MAX / 2 - 4096;
static int handler_calls;

static void gives_up()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

static void throws_at_once()
{
    handler_calls++;
    throw std::bad_alloc();
}

/* A bit for each thing that happened as it should; 31 is all of it. */
extern "C" int plugin_main()
{
    int happened = 0;
    void *ptr = operator new(100);
    happened |= ptr != nullptr ? 1 : 0;
    operator delete(ptr, std::size_t{100});
    std::set_new_handler(gives_up);
    try {
        operator delete(operator new(too_much));
    } catch (const std::bad_alloc &) {
        happened |= 2;
    }
    happened |= handler_calls == 1 ? 4 : 0;
    std::set_new_handler(throws_at_once);
    happened |= operator new(too_much, std::nothrow) == nullptr ? 8 : 0;
    std::set_new_handler(nullptr);
    happened |= handler_calls == 2 ? 16 : 0;
    return happened;
}
