/* SPDX-License-Identifier: MIT */
/*
 * report_dwarf - report_symbol.h by libdw: lines and inlined functions from
 * debugging information, which may lie in files of its own.
 */
#include "report_symbol.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>

#include "report_binary.h"

static Dwfl *session;

static Dwfl_Module *open_module(const struct profile_module *module)
{
    static const Dwfl_Callbacks calls = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo };
    struct binary binary;
    uint64_t bias;
    if (!session)
        session = need(dwfl_begin(&calls));
    Dwfl_Module *known = dwfl_addrmodule(session, module->start);
    if (known || !binary_open_module(&binary, module, &bias))
        return known;
    dwfl_report_begin_add(session);
    known = dwfl_report_elf(session, module->file, module->file, -1, bias,
        true);
    dwfl_report_end(session, NULL, NULL);
    return known;
}

/* The linker's name tells functions of the same name apart. */
static const char *name_of(Dwarf_Die *function)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(function,
        DW_AT_linkage_name, &attribute));
    if (!name)
        name = dwarf_formstring(dwarf_attr_integrate(function,
            DW_AT_MIPS_linkage_name, &attribute));
    return name ? name : dwarf_diename(function);
}

/* Where an inlined function was called. */
static void find_call(Dwarf_Die *unit, Dwarf_Die *inlined,
    struct symbol_frame *frame)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute),
            &number) == 0
        && dwarf_getsrcfiles(unit, &files, NULL) == 0)
        frame->file = dwarf_filesrc(files, number, NULL, NULL);
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute),
            &number) == 0)
        frame->line = (int)number;
}

/* The scopes around the innermost one, outwards: blocks, functions inlined in
   each other, and the function that is really there. The first frame has its
   line already. */
static size_t find_inlined(Dwarf_Die *unit, Dwarf_Die *innermost,
    struct symbol_frame *frames)
{
    Dwarf_Die *scopes = NULL;
    const int count = dwarf_getscopes_die(innermost, &scopes);
    size_t used = 0;
    bool is_done = false;
    for (int i = 0; i < count && !is_done; i++) {
        const int tag = dwarf_tag(&scopes[i]);
        const bool is_inlined = tag == DW_TAG_inlined_subroutine;
        if (!is_inlined && tag != DW_TAG_subprogram)
            continue;
        frames[used++].function = name_of(&scopes[i]);
        is_done = !is_inlined || used == SYMBOL_FRAMES_MAX;
        if (!is_done)
            find_call(unit, &scopes[i], &frames[used]);
    }
    free(scopes);
    return used;
}

size_t symbols_find(struct profile_module *module, uint64_t address,
    struct symbol_frame frames[SYMBOL_FRAMES_MAX])
{
    if (!module->is_open)
        module->names = open_module(module);
    module->is_open = true;
    if (!module->names)
        return 0;
    Dwarf_Addr bias;
    Dwarf_Die *const unit =
        dwfl_module_addrdie(module->names, address, &bias);
    Dwarf_Die *scopes = NULL;
    size_t count = 0;
    /* Without a unit the line would be that of other code nearby. */
    Dwfl_Line *const line =
        unit ? dwfl_module_getsrc(module->names, address) : NULL;
    if (line)
        frames->file = dwfl_lineinfo(line, NULL, &frames->line, NULL, NULL,
            NULL);
    if (unit && dwarf_getscopes(unit, address - bias, &scopes) > 0)
        count = find_inlined(unit, scopes, frames);
    free(scopes);
    if (count)
        return count;
    frames->function = dwfl_module_addrname(module->names, address);
    return frames->function ? 1 : 0;
}
