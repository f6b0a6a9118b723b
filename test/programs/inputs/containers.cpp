// SPDX-License-Identifier: MIT
// Containers, shared ownership, exceptions and threads of libstdc++; prints
// checksums that do not depend on addresses or timing.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

std::uint64_t mix(std::uint64_t sum, const std::string &text)
{
    for (unsigned char c : text)
        sum = (sum ^ c) * 1099511628211u;
    return sum;
}

struct alignas(128) Wide {
    std::uint64_t value[16];
};

struct Tree {
    std::string text;
    std::vector<std::shared_ptr<Tree>> children;
};

std::shared_ptr<Tree> grow(std::mt19937 &random, int depth)
{
    auto tree = std::make_shared<Tree>();
    tree->text.assign(random() % 200, static_cast<char>('a' + depth));
    for (unsigned i = 0; depth > 0 && i < 4; i++)
        tree->children.push_back(grow(random, depth - 1));
    return tree;
}

std::uint64_t sum_of(const Tree &tree)
{
    std::uint64_t sum = mix(7, tree.text);
    for (const auto &child : tree.children)
        sum = sum * 31 + sum_of(*child);
    return sum;
}

std::uint64_t exercise(unsigned seed)
{
    std::mt19937 random(seed);
    std::unordered_map<std::string, std::list<std::string>> index;
    std::map<int, std::deque<std::string>> ordered;
    for (int i = 0; i < 20000; i++) {
        const std::string key = "key" + std::to_string(random() % 700);
        index[key].push_back(std::string(random() % 90, 'x'));
        ordered[static_cast<int>(random() % 300)].push_front(key);
        if (random() % 9 == 0)
            index.erase("key" + std::to_string(random() % 700));
    }
    std::uint64_t sum = seed;
    for (const auto &[number, keys] : ordered)
        for (const auto &key : keys)
            sum = mix(sum + static_cast<unsigned>(number), key);
    std::set<std::string> names;
    for (const auto &entry : index)
        names.insert(entry.first + std::to_string(entry.second.size()));
    for (const auto &name : names)
        sum = mix(sum, name);
    std::vector<std::unique_ptr<Wide>> wide;
    for (unsigned i = 0; i < 500; i++) {
        wide.push_back(std::make_unique<Wide>());
        if (reinterpret_cast<std::uintptr_t>(wide.back().get()) % 128)
            throw std::runtime_error("misaligned");
        wide.back()->value[i % 16] = i;
        sum += wide[i / 2]->value[i / 2 % 16];
    }
    int caught = 0;
    for (int i = 0; i < 2000; i++) {
        try {
            throw std::invalid_argument(std::string(100, 'e'));
        } catch (const std::exception &error) {
            caught += static_cast<int>(std::string(error.what()).size());
        }
    }
    return sum * 31 + static_cast<unsigned>(caught) + sum_of(*grow(random, 6));
}

bool refuses_the_impossible()
{
    volatile std::size_t huge = ~std::size_t{0} / 2;
    try {
        std::unique_ptr<char[]> never(new char[huge]);
        return !never;
    } catch (const std::bad_alloc &) {
        return new (std::nothrow) char[huge] == nullptr;
    }
}

} // namespace

int main()
{
    std::vector<std::future<std::uint64_t>> results;
    for (unsigned seed = 0; seed < 6; seed++)
        results.push_back(std::async(std::launch::async, exercise, seed));
    for (auto &result : results)
        std::printf("%016llx\n",
            static_cast<unsigned long long>(result.get()));

    // Blocks born in one thread die in another.
    std::vector<std::vector<std::string>> handed(4);
    std::vector<std::thread> makers;
    for (unsigned i = 0; i < handed.size(); i++)
        makers.emplace_back([&handed, i] {
            for (unsigned n = 0; n < 20000; n++)
                handed[i].push_back(std::string(n % 150, 'y'));
        });
    for (auto &maker : makers)
        maker.join();
    std::size_t total = 0;
    for (auto &strings : handed)
        for (const auto &text : strings)
            total += text.size();
    handed.clear();
    std::ostringstream out;
    out << total << ' ' << refuses_the_impossible();
    std::printf("%s\n", out.str().c_str());
    return refuses_the_impossible() ? 0 : 1;
}
