/* SPDX-License-Identifier: MIT */
/*
 * conf - a program with options and a message function of its own.
 *
 * Goal: malloc_conf and malloc_message of the program win over the library's,
 * are read before anything is allocated, and come before the environment in
 * order.  Method: both are defined here; run.py runs this with and without
 * MALLOC_CONF.
 */
#include "contract.h"

static void put(void *opaque, const char *text)
{
    (void)opaque;
    char line[512];
    snprintf(line, sizeof line, "message %s", text);
    line[strcspn(line, "\n")] = '\0';
    say(line, "said");
}

const char *malloc_conf = "confirm_conf:true,narenas:3,abort:true,"
                          "dirty_decay_ms:77,no_such_key:1";
void (*malloc_message)(void *, const char *) = put;

int main(void)
{
    say("opt.narenas", "%u", read_unsigned("opt.narenas"));
    say("opt.abort", "%s", yes_no(read_bool("opt.abort")));
    say("opt.dirty_decay_ms", "%zd", (ssize_t)read_size("opt.dirty_decay_ms"));
    say("opt.tcache", "%s", yes_no(read_bool("opt.tcache")));
    return 0;
}
