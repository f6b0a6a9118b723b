/* SPDX-License-Identifier: MIT */
/*
 * report_table - report_symbol.h by the symbol tables of ELF files: functions,
 * without lines and without what is inlined in them.
 */
#define _GNU_SOURCE
#include "report_symbol.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_binary.h"

struct function {
    uint64_t start;
    uint64_t end;
    const char *name;
};

struct names {
    struct function *function;
    size_t count;
};

static void add_functions(struct names *names, const struct binary *binary,
    const Elf64_Shdr *table, uint64_t bias)
{
    Elf64_Shdr texts;
    if (!binary_section(binary, table->sh_link, &texts))
        return;
    const char *const text =
        binary_part(binary, texts.sh_offset, texts.sh_size);
    if (!text || texts.sh_size == 0 || text[texts.sh_size - 1])
        return;
    for (uint64_t at = 0; at < table->sh_size; at += sizeof(Elf64_Sym)) {
        const void *const part = binary_part(binary, table->sh_offset + at,
            sizeof(Elf64_Sym));
        Elf64_Sym symbol;
        if (!part)
            return;
        memcpy(&symbol, part, sizeof symbol);
        const int type = ELF64_ST_TYPE(symbol.st_info);
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || !symbol.st_value
            || symbol.st_name >= texts.sh_size)
            continue;
        names->function = array_grow(names->function, names->count,
            sizeof *names->function);
        names->function[names->count++] = (struct function){
            .start = symbol.st_value + bias,
            .end = symbol.st_value + bias + symbol.st_size,
            .name = text + symbol.st_name };
    }
}

/* The tables of one type; false: there is none. */
static bool add_tables(struct names *names, const struct binary *binary,
    uint32_t type, uint64_t bias)
{
    Elf64_Shdr section;
    const size_t before = names->count;
    for (unsigned i = 0; binary_section(binary, i, &section); i++) {
        if (section.sh_type == type)
            add_functions(names, binary, &section, bias);
    }
    return names->count > before;
}

/* -- what was split off for debuggers -- */

static bool add_split(struct names *names, const char *path,
    const char *build_id, uint64_t bias)
{
    struct binary binary;
    char digits[BUILD_ID_DIGITS + 1];
    if (!binary_open(&binary, path))
        return false;
    binary_build_id(&binary, digits);
    return strcmp(digits, build_id) == 0
        && add_tables(names, &binary, SHT_SYMTAB, bias);
}

/* The name that a section of the file says; NULL: none does. */
static const char *split_name(const struct binary *binary)
{
    Elf64_Shdr names;
    Elf64_Shdr section;
    if (!binary_section(binary, binary->head.e_shstrndx, &names))
        return NULL;
    for (unsigned i = 0; binary_section(binary, i, &section); i++) {
        static const char wanted[] = ".gnu_debuglink";
        const char *const name = binary_part(binary,
            names.sh_offset + section.sh_name, sizeof wanted);
        const char *const text =
            binary_part(binary, section.sh_offset, section.sh_size);
        if (name && memcmp(name, wanted, sizeof wanted) == 0 && text
            && memchr(text, '\0', section.sh_size))
            return text;
    }
    return NULL;
}

/* Tries where distributions put such files. */
static bool find_split(struct names *names, const struct binary *binary,
    const char *file, uint64_t bias)
{
    char id[BUILD_ID_DIGITS + 1];
    char path[PATH_MAX];
    binary_build_id(binary, id);
    if (strlen(id) > 2) {
        snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%.2s/%s.debug",
            id, id + 2);
        if (add_split(names, path, id, bias))
            return true;
    }
    const char *const name = split_name(binary);
    static const char *const places[] = { "%s%.*s/%s", "%s%.*s/.debug/%s" };
    for (unsigned i = 0; name && i < 3; i++) {
        const char *const format = places[i == 1];
        snprintf(path, sizeof path, format, i == 2 ? "/usr/lib/debug" : "",
            (int)(strrchr(file, '/') - file), file, name);
        if (add_split(names, path, id, bias))
            return true;
    }
    return false;
}

/* -- by address -- */

static int compare_functions(const void *left, const void *right)
{
    const struct function *const a = left;
    const struct function *const b = right;
    return (a->start > b->start) - (a->start < b->start);
}

static struct names *open_module(const struct profile_module *module)
{
    struct names *const names = need(calloc(1, sizeof *names));
    struct binary binary;
    uint64_t bias;
    if (!binary_open_module(&binary, module, &bias))
        return names;
    if (!add_tables(names, &binary, SHT_SYMTAB, bias)
        && !find_split(names, &binary, module->file, bias))
        add_tables(names, &binary, SHT_DYNSYM, bias);
    if (names->count)
        qsort(names->function, names->count, sizeof *names->function,
            compare_functions);
    return names;
}

/* Is the key, one address, before, in or behind the function? */
static int compare_address(const void *key, const void *element)
{
    const struct function *const function = element;
    const uint64_t address = *(const uint64_t *)key;
    return address < function->start ? -1 : address >= function->end;
}

size_t symbols_find(struct profile_module *module, uint64_t address,
    struct symbol_frame frames[SYMBOL_FRAMES_MAX])
{
    if (!module->is_open)
        module->names = open_module(module);
    module->is_open = true;
    const struct names *const names = module->names;
    const struct function *const found = names->count ? bsearch(&address,
        names->function, names->count, sizeof *found, compare_address) : NULL;
    if (!found)
        return 0;
    frames->function = found->name;
    return 1;
}
