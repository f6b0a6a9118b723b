/* SPDX-License-Identifier: MIT */
/*
 * cxx_no_runtime - operator new in a process without any C++.
 *
 * Goal    the operators serve; nothrow answers NULL when memory runs out,
 *         and the throwing form, which has nothing to throw with, ends the
 *         process with a message. The last is the expected end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHUNK_BYTES ((size_t)8 << 20)

int main(void)
{
    void *(*new_one)(size_t);
    void *(*new_one_quiet)(size_t, const void *);
    void (*delete_one)(void *);
    *(void **)&new_one = dlsym(RTLD_DEFAULT, "_Znwm");
    *(void **)&new_one_quiet = dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    *(void **)&delete_one = dlsym(RTLD_DEFAULT, "_ZdlPv");
    if (new_one == NULL || new_one_quiet == NULL || delete_one == NULL) {
        puts("no operators");
        return 1;
    }
    void *const ptr = new_one(1000);
    memset(ptr, 1, 1000);
    delete_one(ptr);
    const struct rlimit small = { 200 << 20, 200 << 20 };
    if (setrlimit(RLIMIT_AS, &small) != 0)
        return 1;
    int count = 0;
    while (count < 1000 && new_one_quiet(CHUNK_BYTES, "") != NULL)
        count++;
    printf("quiet form gave up after %s\n", count < 1000 ? "some" : "none");
    fflush(stdout);
    new_one(CHUNK_BYTES);
    puts("the throwing form returned");
    return 1;
}
