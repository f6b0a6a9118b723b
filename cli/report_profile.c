/* SPDX-License-Identifier: MIT */
/*
 * report_profile - a heap profile, as read from a file of either format.
 */
#define _GNU_SOURCE
#include "report_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef ASHLAR_ZLIB
#include <zlib.h>
#endif

#include "tool.h"

enum { UNPACKED_BYTES_MAX = 1 << 30 };

void *need(void *memory)
{
    if (!memory)
        die(STATUS_TOOL_FAILED, "no memory");
    return memory;
}

/* Doubles where the count is a power of two, so that it need not know how much
   there is. */
void *array_grow(void *array, size_t count, size_t each_bytes)
{
    if (count & (count - 1))
        return array;
    return need(reallocarray(array, count ? 2 * count : 1, each_bytes));
}

void profile_refuse(const struct profile *profile, const char *why)
{
    die(STATUS_TOOL_FAILED, "%s: %s", profile->path, why);
}

struct profile_stack *profile_add_stack(struct profile *profile)
{
    profile->stack = array_grow(profile->stack, profile->stack_count,
        sizeof *profile->stack);
    struct profile_stack *const stack =
        &profile->stack[profile->stack_count++];
    memset(stack, 0, sizeof *stack);
    return stack;
}

struct profile_module *profile_add_module(struct profile *profile)
{
    profile->module = array_grow(profile->module, profile->module_count,
        sizeof *profile->module);
    struct profile_module *const module =
        &profile->module[profile->module_count++];
    memset(module, 0, sizeof *module);
    return module;
}

static struct profile_text read_whole(const struct profile *profile)
{
    struct profile_text text = { .bytes = need(malloc(1)) };
    struct stat status;
    const int file = open(profile->path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        profile_refuse(profile, strerror(errno));
    if (S_ISDIR(status.st_mode))
        profile_refuse(profile, strerror(EISDIR));
    ssize_t got = 1;
    for (size_t room = 0; got > 0; text.length += (size_t)got) {
        if (text.length == room) {
            room = room ? 2 * room : 1 << 16;
            text.bytes = need(realloc(text.bytes, room + 1));
        }
        got = read(file, text.bytes + text.length, room - text.length);
        if (got < 0)
            profile_refuse(profile, strerror(errno));
    }
    text.bytes[text.length] = '\0';
    close(file);
    return text;
}

/* -- packed files -- */

static bool is_packed(struct profile_text text)
{
    return text.length >= 2 && memcmp(text.bytes, "\x1f\x8b", 2) == 0;
}

#ifdef ASHLAR_ZLIB
static void unpack_some(const struct profile *profile, z_stream *stream)
{
    const int result = inflate(stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END)
        return;
    if (result == Z_MEM_ERROR)
        need(NULL);
    if (result == Z_BUF_ERROR || (result == Z_OK && stream->avail_out))
        profile_refuse(profile, "cut off: the packed file does not end");
    if (result != Z_OK)
        profile_refuse(profile, "damaged: it cannot be unpacked");
}

static struct profile_text unpack(const struct profile *profile,
    struct profile_text packed)
{
    enum { GZIP_ONLY = 16 };
    struct profile_text text = { .bytes = NULL };
    z_stream stream = {
        .next_in = (unsigned char *)packed.bytes,
        .avail_in = (unsigned)packed.length };
    if (packed.length > UNPACKED_BYTES_MAX)
        profile_refuse(profile, "too large for a profile");
    if (inflateInit2(&stream, GZIP_ONLY + MAX_WBITS) != Z_OK)
        need(NULL);
    for (size_t room = 1 << 16; !stream.avail_out; room *= 2) {
        if (room > UNPACKED_BYTES_MAX)
            profile_refuse(profile, "too large for a profile");
        text.bytes = need(realloc(text.bytes, room + 1));
        stream.next_out = (unsigned char *)text.bytes + text.length;
        stream.avail_out = (unsigned)(room - text.length);
        unpack_some(profile, &stream);
        text.length = room - stream.avail_out;
    }
    inflateEnd(&stream);
    text.bytes[text.length] = '\0';
    return text;
}
#else
static struct profile_text unpack(const struct profile *profile,
    struct profile_text packed)
{
    (void)packed;
    profile_refuse(profile, "packed, and this tool was built without zlib; "
        "unpack it with gunzip");
}
#endif

struct profile profile_read(const char *path)
{
    struct profile profile = { .path = path };
    struct profile_text text = read_whole(&profile);
    if (is_packed(text))
        text = unpack(&profile, text);
    if (strncmp(text.bytes, "heap_v2/", 8) == 0)
        profile_read_heap(&profile, text);
    else
        profile_read_pprof(&profile, text);
    return profile;
}
