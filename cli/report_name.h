/* SPDX-License-Identifier: MIT */
/*
 * report_name - the names of functions, as people write them.
 *
 * Owns     the search for a demangler: libstdc++'s, if there is one.
 * Used by  report.c.
 *
 * Tests    test/programs/report.py
 */
#ifndef REPORT_NAME_H
#define REPORT_NAME_H

#include <stdbool.h>

/* The linker's name as in the source, of C++ and of Rust; what it makes nothing
   of comes back as it is. Stays until the tool ends. */
const char *name_read(const char *name);

/* Is this, as read, what programs call to allocate? */
bool name_is_allocator(const char *name);

#endif
