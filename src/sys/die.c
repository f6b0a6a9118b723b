/* SPDX-License-Identifier: MIT */
/*
 * die - misuse() and panic(): the only way this library stops a program.
 * See sys.h.
 */
#include "sys/sys.h"

#include <stdlib.h>

#include "table/option.h"

static const char *const misuse_messages[] = {
#define MISUSE(id, message) message,
#include "table/misuse.def"
};

static _Atomic int64_t misuse_policy = MISUSE_ABORT;

void sys_set_misuse_policy(int64_t policy)
{
    store_relaxed(&misuse_policy, policy);
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
    if (report.block_bytes != 0) {
        text_string(&text, " (block of ");
        text_number(&text, report.block_bytes, 0);
        text_string(&text, " bytes)");
    }
    text_string(&text, "\n");
    sys_write_error(text.bytes, text.length);
    if (policy == MISUSE_ABORT)
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
