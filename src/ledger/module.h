/* SPDX-License-Identifier: MIT */
/*
 * module - the files whose code the process runs.
 *
 * Owns     the list of executable mappings as it was at one time, in memory of
 *          its own.
 * Used by  pprof.c.
 * Never    trusts what the headers of a mapped file say: they are copied by
 *          the kernel, never touched.
 *
 * Tests    test/unit/ledger/pprof_test.c
 */
#ifndef LEDGER_MODULE_H
#define LEDGER_MODULE_H

#include "sys/sys.h"

enum { MODULE_BUILD_ID_BYTES = 64 };

struct module {
    uintptr_t start;
    uintptr_t end;
    uint64_t offset;            /* of start, in the file */
    const char *name;           /* "": memory without a file */
    uintptr_t header;           /* where the file's start is mapped; 0: not */
};

struct module_list {
    struct module *module;      /* in the order of addresses */
    size_t count;
    size_t module_bytes;        /* mapped for each */
    char *text;
    size_t text_bytes;
};

/* false: no memory, or the system does not tell. */
MUST_USE bool module_list_take(struct module_list *list);
void module_list_drop(struct module_list *list);

/* The module that holds the address; NULL: none does. */
const struct module *module_at(const struct module_list *list,
    uintptr_t address);

/* The build id as hexadecimal digits; false: it has none. */
MUST_USE bool module_build_id(const struct module *module,
    char hex[2 * MODULE_BUILD_ID_BYTES + 1]);

#endif
