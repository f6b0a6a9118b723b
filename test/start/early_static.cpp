/* SPDX-License-Identifier: MIT */
/*
 * early_static - C++ objects of static duration that allocate before main
 * and give back after it. Prints "ok" from main.
 */
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "early.h"

namespace {

struct keeper {
    std::map<int, std::string> texts;
    keeper()
    {
        for (int i = 0; i < 1000; i++)
            texts[i] = std::string(static_cast<std::size_t>(i), 'x');
        early_workout("a static constructor");
    }
    ~keeper()
    {
        for (const auto &[length, text] : texts) {
            if (text.size() != static_cast<std::size_t>(length))
                early_fail("a static destructor");
        }
        early_workout("a static destructor");
    }
};

keeper before_main;
thread_local std::vector<int> of_thread(1000, 1);

}

int main()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([] {
            of_thread.push_back(2);
            early_workout("a thread");
        });
    for (auto &thread : threads)
        thread.join();
    of_thread.push_back(3);
    std::puts(before_main.texts[999].size() == 999 ? "ok" : "wrong");
    return 0;
}
