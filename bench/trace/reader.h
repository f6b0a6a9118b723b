/* SPDX-License-Identifier: MIT */
/*
 * reader - a trace, event by event, with what must be true of it checked.
 *
 * A file that is no trace, or a damaged one, ends the program with status 2
 * and a message that names the byte in the file.
 */
#ifndef TRACE_READER_H
#define TRACE_READER_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"

enum {
    READER_THREADS_MAX = 16384,
    READER_SHIFT_MAX = 40,
};

struct reader {
    const char *path;
    const unsigned char *file;
    size_t file_bytes;
    const unsigned char *at;
    const unsigned char *end;
    size_t offset;          /* of the event last read */
    uint64_t births;
    uint32_t threads;
    uint32_t thread;        /* whose event it is */
};

struct event {
    enum trace_kind kind;
    unsigned shift;         /* of an ALIGNED */
    uint64_t object;        /* its birth's number */
    uint64_t size;
};

__attribute__((noreturn, format(printf, 2, 3)))
static inline void reader_refuse(const struct reader *reader,
    const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "replay: %s: byte %zu: %s\n", reader->path,
        reader->offset, text);
    exit(2);
}

static inline const struct trace_head *reader_head(
    const struct reader *reader)
{
    return (const struct trace_head *)(const void *)reader->file;
}

static inline void reader_check_head(struct reader *reader)
{
    const struct trace_head *const head = reader_head(reader);
    const size_t name = sizeof TRACE_MAGIC - 3;     /* without the version */
    if (reader->file_bytes < sizeof *head
        || memcmp(head->magic, TRACE_MAGIC, name) != 0)
        reader_refuse(reader, "not a trace of 'ashlar record'");
    if (memcmp(head->magic, TRACE_MAGIC, sizeof head->magic) != 0)
        reader_refuse(reader, "a trace of another version than this reader");
    const size_t there = reader->file_bytes - sizeof *head;
    if (head->length_bytes > there) {
        reader->offset = reader->file_bytes;
        reader_refuse(reader, "the file ends here, %llu bytes too early",
            (unsigned long long)(head->length_bytes - there));
    }
}

static inline struct reader reader_open(const char *path)
{
    struct reader reader = {.path = path};
    struct stat status;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size == 0)
        reader_refuse(&reader, "%s",
            file < 0 ? strerror(errno) : "empty: no calls were recorded");
    reader.file_bytes = (size_t)status.st_size;
    void *const map = mmap(NULL, reader.file_bytes, PROT_READ,
        MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (map == MAP_FAILED)
        reader_refuse(&reader, "%s", strerror(errno));
    close(file);
    reader.file = map;
    reader_check_head(&reader);
    reader.at = reader.file + sizeof(struct trace_head);
    reader.end = reader.at + reader_head(&reader)->length_bytes;
    return reader;
}

static inline void reader_close(struct reader *reader)
{
    munmap((void *)(uintptr_t)reader->file, reader->file_bytes);
}

static inline uint64_t reader_number(struct reader *reader, unsigned low_bits)
{
    uint64_t value;
    reader->at = trace_get(reader->at, reader->end, low_bits, &value);
    if (!reader->at)
        reader_refuse(reader, "damaged: an event is cut off");
    return value;
}

static inline uint64_t reader_size(struct reader *reader, unsigned low_bits)
{
    const uint64_t size = reader_number(reader, low_bits);
    if (size > PTRDIFF_MAX)
        reader_refuse(reader, "damaged: a size of %llu",
            (unsigned long long)size);
    return size;
}

static inline uint64_t reader_object(struct reader *reader)
{
    const uint64_t age = reader_number(reader, TRACE_KIND_BITS);
    if (age >= reader->births)
        reader_refuse(reader, "damaged: object of age %llu after %llu births",
            (unsigned long long)age, (unsigned long long)reader->births);
    return reader->births - 1 - age;
}

static inline void reader_thread(struct reader *reader)
{
    const uint64_t number = reader_number(reader, TRACE_KIND_BITS);
    if (number > reader->threads)
        reader_refuse(reader, "damaged: thread %llu after %u threads",
            (unsigned long long)number, reader->threads);
    if (number == READER_THREADS_MAX)
        reader_refuse(reader, "more than %d threads", READER_THREADS_MAX);
    reader->thread = (uint32_t)number;
    reader->threads += number == reader->threads;
}

/* The event at the reader's place, which moves on. */
static inline void reader_read(struct reader *reader, struct event *event)
{
    event->kind = *reader->at & ((1U << TRACE_KIND_BITS) - 1);
    switch (event->kind) {
    case TRACE_MALLOC:
    case TRACE_CALLOC:
        event->size = reader_size(reader, TRACE_KIND_BITS);
        event->object = reader->births++;
        break;
    case TRACE_ALIGNED:
        event->shift = (unsigned)reader_number(reader, TRACE_KIND_BITS);
        event->size = reader_size(reader, 0);
        event->object = reader->births++;
        if (event->shift > READER_SHIFT_MAX)
            reader_refuse(reader, "damaged: aligned to 2^%u", event->shift);
        break;
    case TRACE_REALLOC:
        event->object = reader_object(reader);
        event->size = reader_size(reader, 0);
        break;
    case TRACE_FREE:
        event->object = reader_object(reader);
        break;
    case TRACE_THREAD:
        reader_thread(reader);
        break;
    case TRACE_END:
        reader_number(reader, TRACE_KIND_BITS);
        break;
    default:
        reader_refuse(reader, "damaged: event of unknown kind %u",
            event->kind);
    }
}

/* False at the end. Every event but THREAD is somebody's. */
static inline int reader_next(struct reader *reader, struct event *event)
{
    reader->offset = (size_t)(reader->at - reader->file);
    if (reader->at == reader->end)
        return 0;
    reader_read(reader, event);
    if (reader->threads == 0)
        reader_refuse(reader, "damaged: an event before the first thread");
    return 1;
}

#endif
