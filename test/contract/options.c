/* SPDX-License-Identifier: MIT */
/*
 * options - what a text of options makes of the leaves below opt.
 *
 * Goal: every option text means to this library what it means to jemalloc.
 * Method: run.py runs this with MALLOC_CONF set to each line of options.txt;
 * the arguments are "NAME:TYPE" of the leaves that the text is about.  What the
 * library itself says goes to standard error, and is compared too.
 */
#include "contract.h"

static void say_leaf(const char *name, const char *type)
{
    unsigned char value[8] = {0};
    size_t bytes = sizeof value;
    if (strcmp(type, "bool") == 0)
        bytes = 1;
    if (strcmp(type, "unsigned") == 0 || strcmp(type, "uint32_t") == 0)
        bytes = 4;
    const int error = mallctl(name, value, &bytes, NULL, 0);
    const char *text;
    memcpy(&text, value, sizeof text);
    long long number;
    memcpy(&number, value, sizeof number);
    if (error != 0)
        say(name, "%s", error_name(error));
    else if (strcmp(type, "string") == 0)
        say(name, "\"%s\"", text);
    else
        say(name, "%lld", number);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *colon = strchr(argv[i], ':');
        *colon = '\0';
        say_leaf(argv[i], colon + 1);
    }
    void *ptr = malloc(1000);
    free(ptr);
    return 0;
}
