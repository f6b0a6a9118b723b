/* SPDX-License-Identifier: MIT */
/*
 * report_symbol - which functions an address of the profiled program is in.
 *
 * Owns     what was read of the mapped files for that.
 * Used by  report.c.
 *
 * There are two of these, and the build takes one: report_dwarf.c, with libdw,
 * knows lines and inlined functions; report_table.c only the functions that
 * files name in their symbol tables.
 *
 * Tests    test/programs/report.py
 */
#ifndef REPORT_SYMBOL_H
#define REPORT_SYMBOL_H

#include "report_profile.h"

enum { SYMBOL_FRAMES_MAX = 64 };

/* A function; where it is inlined, what it is inlined in comes next. */
struct symbol_frame {
    const char *function;       /* as the linker knows it; NULL: not known */
    const char *file;           /* NULL: not known */
    int line;
};

/* The functions that an address of the module is in, the innermost first; how
   many. Reads the module's file when that is first asked. */
size_t symbols_find(struct profile_module *module, uint64_t address,
    struct symbol_frame frames[SYMBOL_FRAMES_MAX]);

#endif
