/* SPDX-License-Identifier: MIT */
/*
 * die - misuse(), panic(), sys_stop(): how this library stops a program.
 * See sys.h.
 */
#include "sys/sys.h"

#include <stdlib.h>

#include "table/option.h"
#include "util/units.h"

static const char *const misuse_messages[] = {
#define MISUSE(id, message) message,
#include "table/misuse.def"
};

static _Atomic int64_t misuse_policy = MISUSE_ABORT;

void sys_set_misuse_policy(int64_t policy)
{
    store_relaxed(&misuse_policy, policy);
}

static void (*_Atomic misuse_listener)(const char *line);

void sys_set_listener(void (*listener)(const char *line))
{
    store_relaxed(&misuse_listener, listener);
}

static void (*_Atomic misuse_stop)(const char *line);

void sys_set_stop(void (*stop)(const char *line))
{
    store_relaxed(&misuse_stop, stop);
}

static void misuse_say(struct text *text)
{
    sys_write_error(text->bytes, text->length);
    text->bytes[min_size(text->length, TEXT_BYTES - 1)] = '\0';
    void (*listener)(const char *line) = load_relaxed(&misuse_listener);
    if (listener != NULL)
        listener(text->bytes);
}

void misuse(struct misuse_report report)
{
    const int64_t policy = load_relaxed(&misuse_policy);
    if (policy == MISUSE_IGNORE)
        return;

    struct text text;
    text_clear(&text);
    text_string(&text, "<ashlar>: ");
    text_string(&text, report.call);
    text_string(&text, "(");
    text_hex(&text, (uintptr_t)report.pointer);
    text_string(&text, "): ");
    text_string(&text, misuse_messages[report.what]);
    if (report.kind != NULL) {
        text_string(&text, " (");
        text_string(&text, report.kind);
        text_string(&text, " of ");
        text_number(&text, report.bytes, 0);
        text_string(&text, " bytes ");
        text_string(&text, report.where);
        text_string(&text, ")");
    }
    text_string(&text, "\n");
    misuse_say(&text);
    void (*stop)(const char *line) = load_relaxed(&misuse_stop);
    if (policy == MISUSE_ABORT && stop != NULL)
        stop(text.bytes);
    else if (policy == MISUSE_ABORT)
        abort();
}

void panic(const char *what)
{
    struct text text;
    text_clear(&text);
    text_string(&text, "<ashlar>: ");
    text_string(&text, what);
    text_string(&text, "\n");
    sys_write_error(text.bytes, text.length);
    abort();
}

void sys_stop(void)
{
    abort();
}

/* glibc lets a handler of exit() call exit(): the rest of what is to be done
 * is done, and the status is the latest. */
void sys_exit(int status)
{
    exit(status);
}

bool sys_tell_stop(const char *line)
{
    void (*stop)(const char *line) = load_relaxed(&misuse_stop);
    if (stop != NULL)
        stop(line);
    return stop != NULL;
}
