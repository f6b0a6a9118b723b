/* SPDX-License-Identifier: MIT */
/*
 * sites - what sites.c does, by operator new and containers.
 *
 * Usage: sites FILE...
 */
#include <dlfcn.h>
#include <malloc.h>

#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#define NOINLINE __attribute__((noinline))

namespace ship {

/* What is held is global, so that it is held to the end. */
std::vector<char *> barrels;
std::map<long, long> map;
std::list<std::pair<long, long>> list;
std::vector<std::vector<double>> tables;
std::vector<std::string> letters;
std::vector<std::shared_ptr<std::pair<long, long[5]>>> shared;
struct alignas(64) Cell {
    char bytes[192];
};
std::vector<Cell *> cells;

void say(const char *name, std::size_t bytes, std::size_t objects)
{
    void *one = ::operator new(bytes);
    std::printf("%s %zu %zu %zu\n", name, bytes, malloc_usable_size(one),
        objects);
    ::operator delete(one);
}

NOINLINE void new_array()
{
    say("new_array", 448, 20000);
    for (int i = 0; i < 20000; i++)
        barrels.push_back(new char[448]);
}

NOINLINE void map_nodes()
{
    say("map_nodes", 48, 100000);
    for (long i = 0; i < 100000; i++)
        map[i * 7919 % 100003] = i;
}

NOINLINE void list_nodes()
{
    say("list_nodes", 32, 220000);
    for (long i = 0; i < 220000; i++)
        list.emplace_back(i, i);
}

NOINLINE void vectors()
{
    say("vectors", 4096, 2000);
    for (int i = 0; i < 2000; i++) {
        tables.emplace_back();
        tables.back().reserve(512);
    }
}

NOINLINE void strings()
{
    say("strings", 128, 50000);
    for (int i = 0; i < 50000; i++)
        letters.emplace_back(127, 'x');
}

NOINLINE void shared_pointers()
{
    say("shared_pointers", 64, 80000);
    for (int i = 0; i < 80000; i++)
        shared.push_back(std::make_shared<std::pair<long, long[5]>>());
}

NOINLINE void aligned_cells()
{
    say("aligned_cells", 192, 30000);
    for (int i = 0; i < 30000; i++)
        cells.push_back(new (std::nothrow) Cell);
}

/* So that the containers need not grow. */
NOINLINE void make_room()
{
    say("make_room", 20000 * sizeof(barrels[0]), 1);
    say("make_room", 2000 * sizeof(tables[0]), 1);
    say("make_room", 50000 * sizeof(letters[0]), 1);
    say("make_room", 80000 * sizeof(shared[0]), 1);
    say("make_room", 30000 * sizeof(cells[0]), 1);
    barrels.reserve(20000);
    tables.reserve(2000);
    letters.reserve(50000);
    shared.reserve(80000);
    cells.reserve(30000);
}

int dump(const char *path)
{
    using Control = int (*)(const char *, void *, std::size_t *, void *,
        std::size_t);
    auto control = reinterpret_cast<Control>(dlsym(RTLD_DEFAULT, "mallctl"));
    if (control == nullptr)
        return 0;
    return control("prof.dump", nullptr, nullptr, &path, sizeof(path));
}

} // namespace ship

int main(int count, char **argument)
{
    /* Its own buffer is no part of what a function holds. */
    static char buffer[4096];
    std::setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    ship::make_room();
    ship::new_array();
    ship::map_nodes();
    ship::list_nodes();
    ship::vectors();
    ship::strings();
    ship::shared_pointers();
    ship::aligned_cells();
    for (int i = 1; i < count; i++)
        if (ship::dump(argument[i]) != 0)
            return 1;
    /* The containers are not taken apart. */
    std::fflush(stdout);
    std::quick_exit(0);
}
