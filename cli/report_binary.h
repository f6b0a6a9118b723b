/* SPDX-License-Identifier: MIT */
/*
 * report_binary - an ELF file: a program, a library, or what was split off
 * from one for debuggers.
 *
 * Owns     the file, mapped; it stays until the tool ends.
 * Used by  report_symbol.h's implementations.
 * Never    trusts an offset that the file names.
 *
 * Tests    test/programs/report.py
 */
#ifndef REPORT_BINARY_H
#define REPORT_BINARY_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report_profile.h"

enum { BUILD_ID_DIGITS = 128 };

struct binary {
    const unsigned char *bytes;
    size_t length;
    Elf64_Ehdr head;
};

/* False: it cannot be read, or is no such file. */
bool binary_open(struct binary *binary, const char *path);

/* A part of the file; NULL: it does not lie in it. */
const void *binary_part(const struct binary *binary, uint64_t offset,
    uint64_t length);

bool binary_section(const struct binary *binary, unsigned index,
    Elf64_Shdr *section);

/* As digits; "": it has none. */
void binary_build_id(const struct binary *binary,
    char digits[BUILD_ID_DIGITS + 1]);

/* The file of a module, and what is added to the file's addresses to have the
   process's. False, after a warning where there should be such a file: it is
   not there, or no longer the one that was profiled. */
bool binary_open_module(struct binary *binary,
    const struct profile_module *module, uint64_t *bias);

#endif
