/* SPDX-License-Identifier: MIT */
/*
 * record - what the tool tells the recorder that it preloads.
 */
#ifndef RECORD_H
#define RECORD_H

/* The process that the tool becomes, whether others are to be recorded too (0
   or 1), the most calls in a file (0: all), and the first file's absolute
   name. */
#define RECORD_VARIABLE "ASHLAR_RECORD"
#define RECORD_FORMAT "%d:%d:%llu:"

#endif
