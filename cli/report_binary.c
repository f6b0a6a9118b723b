/* SPDX-License-Identifier: MIT */
/*
 * report_binary - an ELF file: a program, a library, or what was split off
 * from one for debuggers.
 */
#include "report_binary.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Mappings begin at whole pages: this much before a segment at most. */
enum { PAGE_BYTES_MAX = 1 << 16 };

bool binary_open(struct binary *binary, const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0)
        return false;
    void *bytes = MAP_FAILED;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)
        && (size_t)status.st_size >= sizeof binary->head)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE,
            file, 0);
    close(file);
    if (bytes == MAP_FAILED)
        return false;
    binary->bytes = bytes;
    binary->length = (size_t)status.st_size;
    memcpy(&binary->head, bytes, sizeof binary->head);
    return memcmp(binary->head.e_ident, ELFMAG, SELFMAG) == 0
        && binary->head.e_ident[EI_CLASS] == ELFCLASS64
        && binary->head.e_phentsize == sizeof(Elf64_Phdr)
        && binary->head.e_shentsize == sizeof(Elf64_Shdr);
}

const void *binary_part(const struct binary *binary, uint64_t offset,
    uint64_t length)
{
    if (offset > binary->length || length > binary->length - offset)
        return NULL;
    return binary->bytes + offset;
}

static bool copy_entry(const struct binary *binary, uint64_t offset,
    void *entry, size_t bytes)
{
    const void *const part = binary_part(binary, offset, bytes);
    if (part)
        memcpy(entry, part, bytes);
    return part;
}

bool binary_section(const struct binary *binary, unsigned index,
    Elf64_Shdr *section)
{
    return index < binary->head.e_shnum
        && copy_entry(binary, binary->head.e_shoff + index * sizeof *section,
            section, sizeof *section);
}

static bool binary_segment(const struct binary *binary, unsigned index,
    Elf64_Phdr *segment)
{
    return index < binary->head.e_phnum
        && copy_entry(binary, binary->head.e_phoff + index * sizeof *segment,
            segment, sizeof *segment);
}

/* The module's code begins at an offset of the file, in one of its segments. */
static bool find_bias(const struct binary *binary,
    const struct profile_module *module, uint64_t *bias)
{
    const uint64_t offset = module->offset;
    Elf64_Phdr segment;
    for (unsigned i = 0; binary_segment(binary, i, &segment); i++) {
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)
            || offset + PAGE_BYTES_MAX <= segment.p_offset
            || offset >= segment.p_offset + segment.p_filesz)
            continue;
        *bias = module->start - offset
            - (segment.p_vaddr - segment.p_offset);
        return true;
    }
    return false;
}

static bool find_id(const struct binary *binary, const Elf64_Phdr *segment,
    char *digits)
{
    uint64_t at = segment->p_offset;
    const uint64_t end = at + segment->p_filesz;
    Elf64_Nhdr note;
    while (at < end && copy_entry(binary, at, &note, sizeof note)) {
        const unsigned char *const id = binary_part(binary,
            at + sizeof note + sizeof ELF_NOTE_GNU, note.n_descsz);
        if (id && note.n_type == NT_GNU_BUILD_ID
            && note.n_namesz == sizeof ELF_NOTE_GNU
            && note.n_descsz <= BUILD_ID_DIGITS / 2) {
            for (unsigned i = 0; i < note.n_descsz; i++)
                sprintf(digits + 2 * i, "%02x", id[i]);
            return true;
        }
        at += sizeof note + ((note.n_namesz + 3ull) & ~3ull)
            + ((note.n_descsz + 3ull) & ~3ull);
    }
    return false;
}

void binary_build_id(const struct binary *binary,
    char digits[BUILD_ID_DIGITS + 1])
{
    Elf64_Phdr segment;
    *digits = '\0';
    for (unsigned i = 0; binary_segment(binary, i, &segment); i++) {
        if (segment.p_type == PT_NOTE && find_id(binary, &segment, digits))
            return;
    }
}

bool binary_open_module(struct binary *binary,
    const struct profile_module *module, uint64_t *bias)
{
    const char *why = NULL;
    char digits[BUILD_ID_DIGITS + 1];
    if (module->file[0] != '/')
        return false;           /* the kernel's, or no file's */
    if (!binary_open(binary, module->file))
        why = "cannot be read, or is no ELF file";
    else if (binary_build_id(binary, digits), *module->build_id
        && strcmp(digits, module->build_id) != 0)
        why = "is not the file that was profiled";
    else if (!find_bias(binary, module, bias))
        why = "has no code where the profile says";
    if (why)
        fprintf(stderr, "ashlar: %s %s: no names from there\n", module->file,
            why);
    return !why;
}
