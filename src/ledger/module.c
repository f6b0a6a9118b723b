/* SPDX-License-Identifier: MIT */
/*
 * module - the files whose code the process runs.
 */
#include "ledger/module.h"

#include <elf.h>
#include <string.h>

#include "util/units.h"

enum { MODULE_TEXT_BYTES = 256 * 1024 };     /* more than most processes need */

/* -- the kernel's list -- */

/* Reads the list as far as it fits; how long that was, 0: it cannot be read. */
static size_t module_read(char *text, size_t bytes)
{
    const int file = file_open("/proc/self/maps");
    size_t used = 0;
    ptrdiff_t count = file < 0 ? -1 : 1;
    while (count > 0 && used < bytes) {
        count = file_read(file, text + used, bytes - used);
        used += count > 0 ? (size_t)count : 0;
    }
    if (file >= 0)
        file_close(file);
    return count < 0 ? 0 : used;
}

/* The whole text, with a 0 behind it; what is not filled costs no memory. */
static bool module_take_text(struct module_list *list)
{
    for (size_t bytes = MODULE_TEXT_BYTES;; bytes *= 2) {
        char *const text = sys_map(bytes);
        if (text == NULL)
            return false;
        const size_t used = module_read(text, bytes);
        if (used != 0 && used < bytes) {
            list->text = text;
            list->text_bytes = bytes;
            return true;
        }
        if (!sys_release(text, bytes) || used == 0)
            return false;
    }
}

/* A hexadecimal number; *text is what stands behind it and one more. */
static uint64_t module_number(char **text)
{
    uint64_t number = 0;
    for (; **text != 0; ++*text) {
        const char digit = **text;
        if (digit >= '0' && digit <= '9')
            number = number << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            number = number << 4 | (uint64_t)(digit - 'a' + 10);
        else
            break;
    }
    *text += **text != 0;
    return number;
}

static char *module_skip_words(char *text, unsigned words)
{
    for (; words > 0; words--) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return text;
}

/* "55d0-55e0 r-xp 00002000 fe:00 1234   /usr/bin/name": ends the name with a
 * 0. Is it code? */
static bool module_parse(char *line, struct module *module)
{
    module->start = module_number(&line);
    module->end = module_number(&line);
    const bool is_code = strnlen(line, 4) == 4 && line[2] == 'x';
    line = module_skip_words(line, 1);
    module->offset = module_number(&line);
    module->name = module_skip_words(line, 2);
    return is_code;
}

/* Lists the modules; those of one file lie together, the first one has its
 * header. */
static void module_list_fill(struct module_list *list)
{
    struct module head = { .name = "" };
    char *line = list->text;
    while (*line != 0) {
        char *const end = line + strcspn(line, "\n");
        char *const next = end + (*end != 0);
        *end = 0;
        struct module module = { 0 };
        const bool is_code = module_parse(line, &module);
        if (module.offset == 0 && *module.name != 0)
            head = module;
        if (strcmp(head.name, module.name) == 0 && *module.name != 0)
            module.header = head.start;
        if (is_code)
            list->module[list->count++] = module;
        line = next;
    }
}

static size_t module_count_lines(const char *text)
{
    size_t lines = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        lines++;
    return lines;
}

bool module_list_take(struct module_list *list)
{
    *list = (struct module_list){ 0 };
    if (!module_take_text(list))
        return false;
    list->module_bytes = round_up(
        (module_count_lines(list->text) + 1) * sizeof *list->module,
        sys_page_bytes());
    list->module = sys_map(list->module_bytes);
    if (list->module == NULL) {
        module_list_drop(list);
        return false;
    }
    module_list_fill(list);
    return true;
}

void module_list_drop(struct module_list *list)
{
    bool done = list->text == NULL
        || sys_release(list->text, list->text_bytes);
    if (list->module != NULL)
        done = sys_release(list->module, list->module_bytes) && done;
    (void)done;     /* where the kernel cannot split a mapping, it stays */
    *list = (struct module_list){ 0 };
}

const struct module *module_at(const struct module_list *list,
    uintptr_t address)
{
    size_t first = 0;
    size_t last = list->count;
    while (first < last) {
        const size_t middle = first + (last - first) / 2;
        if (list->module[middle].end <= address)
            first = middle + 1;
        else
            last = middle;
    }
    if (first == list->count || address < list->module[first].start)
        return NULL;
    return &list->module[first];
}

/* -- build ids -- */

static bool module_peek(uintptr_t address, void *copy, size_t bytes)
{
    return sys_peek((const void *)address, copy, bytes);
}

/* The build id among the notes at an address; how long it is, 0: none. */
static size_t module_find_id(uintptr_t notes, size_t bytes, uint8_t *id)
{
    Elf64_Nhdr note;
    char name[4];
    for (size_t at = 0; at + sizeof note < bytes;) {
        if (!module_peek(notes + at, &note, sizeof note))
            return 0;
        at += sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof name
            && note.n_descsz <= MODULE_BUILD_ID_BYTES
            && module_peek(notes + at, name, sizeof name)
            && memcmp(name, "GNU", sizeof name) == 0)
            return module_peek(notes + at + sizeof name, id, note.n_descsz)
                ? note.n_descsz : 0;
        at += round_up(note.n_namesz, 4) + round_up(note.n_descsz, 4);
    }
    return 0;
}

/* What lies in a file's first pages is mapped behind its header. */
static size_t module_read_id(uintptr_t header, uint8_t *id)
{
    Elf64_Ehdr elf;
    Elf64_Phdr part;
    size_t count = 0;
    if (header == 0 || !module_peek(header, &elf, sizeof elf)
        || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0
        || elf.e_ident[EI_CLASS] != ELFCLASS64
        || elf.e_phentsize != sizeof part)
        return 0;
    for (unsigned i = 0; i < elf.e_phnum && count == 0; i++) {
        if (!module_peek(header + elf.e_phoff + i * sizeof part, &part,
                sizeof part))
            return 0;
        if (part.p_type == PT_NOTE)
            count = module_find_id(header + part.p_offset, part.p_filesz, id);
    }
    return count;
}

bool module_build_id(const struct module *module,
    char hex[2 * MODULE_BUILD_ID_BYTES + 1])
{
    static const char digit[] = "0123456789abcdef";
    uint8_t id[MODULE_BUILD_ID_BYTES];
    const size_t count = module_read_id(module->header, id);
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digit[id[i] >> 4];
        hex[2 * i + 1] = digit[id[i] & 15];
    }
    hex[2 * count] = 0;
    return count != 0;
}
