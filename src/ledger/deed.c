/* SPDX-License-Identifier: MIT */
/*
 * deed - that a thread took an object or gave it back. See deed.h.
 */
#include "ledger/deed.h"

#include "table/option.h"

uint64_t deed_now_ns(void)
{
    return option_now.prof_time_resolution == CLOCK_HIGH ? sys_now_ns()
        : sys_now_ms() * 1000000;
}

struct deed deed_copy(const struct deed *deed)
{
    if (deed->trace != NULL)
        trace_keep(deed->trace);
    return *deed;
}

void deed_drop(const struct deed *deed)
{
    if (deed->trace != NULL)
        trace_drop(deed->trace);
}

void deed_put_stack(struct out *out, const struct deed *deed)
{
    const uint32_t count = deed->trace != NULL ? deed->trace->count : 0;
    out_text(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        out_text(out, i > 0 ? ",\"" : "\"");
        out_hex(out, (uintptr_t)deed->trace->pc[i]);
        out_text(out, "\"");
    }
    out_text(out, "]");
}
