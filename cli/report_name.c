/* SPDX-License-Identifier: MIT */
/*
 * report_name - the names of functions, as people write them.
 */
#include "report_name.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef char *demangler(const char *name, char *buffer, size_t *bytes,
    int *status);

/* Found when the first name needs it: no C++, no libstdc++. */
static demangler *find_demangler(void)
{
    static void *library;
    static demangler *found;
    if (!library) {
        library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
        if (library)
            found = (demangler *)dlsym(library, "__cxa_demangle");
    }
    return found;
}

/* -- Rust -- */

/* Rust's older names are C++'s with a hash behind, and what C++ has no letter
   for between dollars. */
static const struct {
    const char *code;
    const char *text;
} rust_codes[] = {
    { "$LT$", "<" }, { "$GT$", ">" }, { "$LP$", "(" }, { "$RP$", ")" },
    { "$C$", "," }, { "$RF$", "&" }, { "$BP$", "*" }, { "$SP$", "@" },
    { "$u20$", " " }, { "$u7b$", "{" }, { "$u7d$", "}" }, { "$u5b$", "[" },
    { "$u5d$", "]" }, { "$u3b$", ";" }, { "$u2b$", "+" }, { "$u22$", "\"" },
    { "$u27$", "'" }, { "$u7e$", "~" }, { "..", "::" },
};

/* Cuts "::h0123456789abcdef" off; false: there is none. */
static bool cut_hash(char *name)
{
    enum { HASH_DIGITS = 16 };
    const size_t length = strlen(name);
    if (length < HASH_DIGITS + 3)
        return false;
    char *const hash = name + length - HASH_DIGITS - 3;
    if (strncmp(hash, "::h", 3) != 0
        || strspn(hash + 3, "0123456789abcdef") != HASH_DIGITS)
        return false;
    *hash = '\0';
    return true;
}

/* In place: no text is longer than its code. */
static void read_codes(char *name)
{
    const size_t codes = sizeof rust_codes / sizeof *rust_codes;
    char *to = name;
    /* What begins with a code has a letter before it. */
    if (strncmp(name, "_$", 2) == 0)
        name++;
    while (*name) {
        size_t i = 0;
        while (i < codes && strncmp(name, rust_codes[i].code,
                strlen(rust_codes[i].code)) != 0)
            i++;
        if (i == codes) {
            *to++ = *name++;
            continue;
        }
        const size_t length = strlen(rust_codes[i].text);
        memcpy(to, rust_codes[i].text, length);
        to += length;
        name += strlen(rust_codes[i].code);
    }
    *to = '\0';
}

const char *name_read(const char *name)
{
    demangler *const demangle =
        strncmp(name, "_Z", 2) == 0 ? find_demangler() : NULL;
    int status;
    char *const read = demangle ? demangle(name, NULL, NULL, &status) : NULL;
    if (!read)
        return name;
    if (cut_hash(read))
        read_codes(read);
    return read;
}

/* -- the allocator -- */

/* Where the library is part of the program, functions that are not public are
   on the stacks too: api_malloc_slow and its like. */
static size_t cut_own(const char **name, size_t length)
{
    static const char *const ends[] = { "_slow", "_medium" };
    if (strncmp(*name, "api_", 4) != 0)
        return length;
    *name += 4;
    length -= 4;
    for (size_t i = 0; i < 2; i++) {
        const size_t end = strlen(ends[i]);
        if (length > end
            && strncmp(*name + length - end, ends[i], end) == 0)
            return length - end;
    }
    return length;
}

bool name_is_allocator(const char *name)
{
    static const char *const names[] = {
#define EXPORT_C(name) #name,
#define EXPORT_ALLOCX(name) #name,
#include "table/export.def"
        "operator new", "operator new[]", "cfree" };
    if (strncmp(name, "je_", 3) == 0)
        return true;
    const size_t length = cut_own(&name, strcspn(name, "(."));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == length
            && strncmp(name, names[i], length) == 0)
            return true;
    }
    return false;
}
