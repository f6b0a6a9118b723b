/* SPDX-License-Identifier: MIT */
/*
 * cxx_host - a C program that opens the plug-in named on its command line,
 * privately, and prints what plugin_main() answered.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *const plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (plugin == NULL) {
        fprintf(stderr, "cannot open the plug-in: %s\n", dlerror());
        return 1;
    }
    int (*plugin_main)(void);
    *(void **)&plugin_main = dlsym(plugin, "plugin_main");
    printf("%d\n", plugin_main());
    return 0;
}
