/* SPDX-License-Identifier: MIT */
/*
 * file - files, by their descriptors; and what names them apart.
 *
 * Owns     the calls that make, write and read files.
 * Used by  ledger/, through sys.h.
 * Never    raises a signal: neither a limit on the size of files nor a pipe
 *          without a reader ends the program; both are errors like others.
 *
 * Errors are the system's numbers. A call that a signal interrupted goes on.
 *
 * Tests    test/unit/sys/file_test.c
 */
#ifndef SYS_FILE_H
#define SYS_FILE_H

#include "util/compiler.h"

/* An empty file to write to, whatever was there before; or minus the error. */
MUST_USE int file_create(const char *path);

/* A file to read from; or minus the error. */
MUST_USE int file_open(const char *path);

/* Write all of it: 0, or the error. */
MUST_USE int file_write(int file, const void *bytes, size_t count);

/* Read some: how many bytes, 0 at the end; or minus the error. */
MUST_USE long file_read(int file, void *bytes, size_t count);

/* 0, or an error: what was written before may be lost. */
int file_close(int file);

/* What an error means, in English; NULL: that is not known. */
const char *file_error_text(int error);

/* The number of this process; of its namespace of such numbers, or 0. */
unsigned sys_process(void);
uint64_t sys_process_namespace(void);

#endif
