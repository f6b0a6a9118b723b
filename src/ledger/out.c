/* SPDX-License-Identifier: MIT */
/*
 * out - a file that is being written, through a buffer. See out.h.
 */
#include "ledger/out.h"

#include <string.h>

#include "util/units.h"

enum { OUT_DIGITS_MAX = 20 };

void out_open_to(struct out *out, void (*write)(void *to, const char *text),
    void *to)
{
    out->file = -1;
    out->write = write;
    out->to = to;
    out->error = 0;
    out->used = 0;
}

bool out_open(struct out *out, const char *path)
{
    out_open_to(out, NULL, NULL);
    out->file = file_create(path);
    if (out->file >= 0)
        return true;
    out->error = -out->file;
    return false;
}

static void out_flush(struct out *out)
{
    out->buffer[out->used] = 0;
    if (out->error == 0 && out->used > 0) {
        if (out->write != NULL)
            out->write(out->to, out->buffer);
        else
            out->error = file_write(out->file, out->buffer, out->used);
    }
    out->used = 0;
}

void out_bytes(struct out *out, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        if (out->used == OUT_BUFFER_BYTES)
            out_flush(out);
        const size_t some = min_size(count, OUT_BUFFER_BYTES - out->used);
        memcpy(out->buffer + out->used, at, some);
        out->used += some;
        at += some;
        count -= some;
    }
}

void out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

static void out_number(struct out *out, uint64_t value, unsigned base)
{
    char digits[OUT_DIGITS_MAX];
    unsigned count = 0;
    do {
        digits[OUT_DIGITS_MAX - ++count] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    out_bytes(out, digits + OUT_DIGITS_MAX - count, count);
}

void out_decimal(struct out *out, uint64_t value)
{
    out_number(out, value, 10);
}

void out_hex(struct out *out, uint64_t value)
{
    out_text(out, "0x");
    out_number(out, value, 16);
}

void out_json(struct out *out, const char *text)
{
    out_text(out, "\"");
    for (const char *at = text; *at != 0; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7f) {
            out_text(out, byte < 0x10 ? "\\u000" : "\\u00");
            out_number(out, byte, 16);
            continue;
        }
        if (byte == '"' || byte == '\\')
            out_text(out, "\\");
        out_bytes(out, at, 1);
    }
    out_text(out, "\"");
}

bool out_copy(struct out *out, const char *path)
{
    const int file = file_open(path);
    if (file < 0)
        return false;
    long bytes;
    do {
        if (out->used > OUT_BUFFER_BYTES / 2)
            out_flush(out);
        bytes = file_read(file, out->buffer + out->used,
            OUT_BUFFER_BYTES - out->used);
        out->used += bytes > 0 ? (size_t)bytes : 0;
    } while (bytes > 0);
    (void)file_close(file);
    return bytes == 0;
}

bool out_close(struct out *out)
{
    out_flush(out);
    if (out->write == NULL) {
        const int error = file_close(out->file);
        if (out->error == 0)
            out->error = error;
    }
    return out->error == 0;
}
