/* SPDX-License-Identifier: MIT */
/*
 * tape - the file that a trace is written to.
 *
 * Owns     the file, and the piece of it that is mapped.
 * Used by  recorder, under its lock.
 *
 * The file is mapped, so that no kind of ending loses what was written; its
 * head says how much that is. Between events it is not open, for programs
 * close and count their files; and it has its disk space before it is written
 * to, for a mapping that gets none is a SIGBUS.
 *
 * Holds    T1  an event is complete before the head's length covers it
 *
 * Never    calls malloc; changes errno.
 * Tests    test/programs/record.py
 */
#ifndef TAPE_H
#define TAPE_H

#include "format.h"

struct tape {
    struct trace_head *head;
    unsigned char *at;          /* where the next event goes */
};

extern struct tape tape;

/* Makes the file, or empties it. Returns an error number, or 0. */
int tape_open(const char *path);

/* Has room at tape.at for two events. Returns an error number, or 0. */
int tape_advance(const char *path);

/* Takes over what was written from tape.at to here. */
void tape_commit(unsigned char *end);

#endif
