/* SPDX-License-Identifier: MIT */
/*
 * unwind - return addresses by the tables that compilers write for exceptions.
 * See unwind.h.
 *
 * libgcc is not linked: most C programs do not have it, and all of them would
 * have to load it. A static program can load nothing; it has the unwinder if
 * something else in it does, as libc of today, and can use it if the linker has
 * listed its tables (--eh-frame-hdr, which gcc says for -static-pie only): if
 * not, they are not known before constructors run, and behind a lock then.
 */
#include "sys/unwind.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <unwind.h>

#include "util/atomic.h"

/* Absent from a program that does not use them itself. The other functions of
 * the loader come through dlsym: to name dlopen makes the linker warn of it in
 * every static program. */
extern WEAK __typeof__(dlsym) dlsym;
extern WEAK __typeof__(_Unwind_Backtrace) _Unwind_Backtrace;
extern WEAK __typeof__(_Unwind_GetCFA) _Unwind_GetCFA;
extern WEAK __typeof__(_Unwind_GetIP) _Unwind_GetIP;

/* The functions of one library, written before unwind_is_found. */
static struct unwind_calls {
    __typeof__(_Unwind_Backtrace) *backtrace;
    __typeof__(_Unwind_GetCFA) *cfa;
    __typeof__(_Unwind_GetIP) *pc;
} unwind_calls;
static _Atomic bool unwind_is_found;

/* -- our own code -- */

/* The linker knows where the file that we are in begins. */
extern WEAK HIDDEN const char __ehdr_start[];

/* Where the library's code ends, if it is a file of its own; else NULL. */
static const char *_Atomic unwind_own_end;

static void unwind_find_own_code(void)
{
    const ElfW(Ehdr) *file = (const ElfW(Ehdr) *)(const void *)__ehdr_start;
    if (file == NULL || (uintptr_t)file + file->e_phoff == getauxval(AT_PHDR))
        return;
    const ElfW(Phdr) *part =
        (const ElfW(Phdr) *)(const void *)(__ehdr_start + file->e_phoff);
    for (unsigned i = 0; i < file->e_phnum; i++) {
        if (part[i].p_type == PT_LOAD && (part[i].p_flags & PF_X))
            store_relaxed(&unwind_own_end,
                __ehdr_start + part[i].p_vaddr + part[i].p_memsz);
    }
}

bool sys_is_own_code(const void *pc)
{
    return (uintptr_t)pc >= (uintptr_t)__ehdr_start
        && (uintptr_t)pc < (uintptr_t)load_relaxed(&unwind_own_end);
}

/* -- finding it -- */

/* Has the program a part of this type? */
static bool unwind_program_has(uint32_t type)
{
    const ElfW(Phdr) *header = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    const unsigned long count = getauxval(AT_PHNUM);
    for (unsigned long i = 0; header != NULL && i < count; i++) {
        if (header[i].p_type == type)
            return true;
    }
    return false;
}

/*
 * libgcc asks the C library for a function's table: since version 12 by
 * _dl_find_object, which takes no lock; before, by dl_iterate_phdr, which
 * waits for whoever is loading a library, and that one may wait for us.
 */
static bool unwind_is_lock_free(const struct link_map *map)
{
    static const char name[] = "\0_dl_find_object";
    uintptr_t names = 0;
    size_t bytes = 0;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_STRTAB)
            names = entry->d_un.d_ptr;
        if (entry->d_tag == DT_STRSZ)
            bytes = entry->d_un.d_val;
    }
    /* Some loaders leave it relative. */
    if (names < map->l_addr)
        names += map->l_addr;
    return memmem((const void *)names, bytes, name, sizeof name) != NULL;
}

/* A pointer to a function, from one to data. */
#define UNWIND_FOUND(function, library, name)                    \
    do {                                                         \
        void *const unwind_address = dlsym(library, name);       \
        memcpy(&(function), &unwind_address, sizeof (function)); \
    } while (0)

static bool unwind_load(struct unwind_calls *calls)
{
    if (&dlsym == NULL)
        return false;
    __typeof__(dlopen) *open_library;
    __typeof__(dlinfo) *ask;
    UNWIND_FOUND(open_library, RTLD_DEFAULT, "dlopen");
    UNWIND_FOUND(ask, RTLD_DEFAULT, "dlinfo");
    if (open_library == NULL || ask == NULL)
        return false;
    struct link_map *map = NULL;
    void *library = open_library("libgcc_s.so.1", RTLD_NOW);
    if (library == NULL || ask(library, RTLD_DI_LINKMAP, &map) != 0
        || !unwind_is_lock_free(map))
        return false;
    UNWIND_FOUND(calls->backtrace, library, "_Unwind_Backtrace");
    UNWIND_FOUND(calls->cfa, library, "_Unwind_GetCFA");
    UNWIND_FOUND(calls->pc, library, "_Unwind_GetIP");
    return true;
}

static bool unwind_tell_nobody(void *to, void *pc, const char *stack)
{
    (void)to;
    (void)stack;
    return pc != NULL;
}

void sys_unwind_find(void)
{
    if (sys_unwind_is_found())
        return;
    unwind_find_own_code();
    struct unwind_calls calls =
        { _Unwind_Backtrace, _Unwind_GetCFA, _Unwind_GetIP };
    const int error = errno;
    const bool found = unwind_program_has(PT_INTERP) ? unwind_load(&calls)
        : unwind_program_has(PT_GNU_EH_FRAME);
    errno = error;
    if (!found || calls.backtrace == NULL || calls.cfa == NULL
        || calls.pc == NULL)
        return;
    unwind_calls = calls;
    /* pairs with sys_unwind_is_found() */
    store_release(&unwind_is_found, true);
    /* The first time it prepares itself, for which it may allocate. */
    (void)sys_unwind(NULL, unwind_tell_nobody, NULL);
}

bool sys_unwind_is_found(void)
{
    /* pairs with sys_unwind_find() */
    return load_acquire(&unwind_is_found);
}

/* -- using it -- */

struct unwind_walk {
    uintptr_t frame;
    sys_unwind_tell *tell;
    void *to;
    bool begun;
    bool ended;
};

/* What it knows as the frame's address is where the stack pointer is when the
 * function goes on: above the frames of what it called. */
static _Unwind_Reason_Code unwind_step(struct _Unwind_Context *context,
    void *argument)
{
    struct unwind_walk *walk = argument;
    const uintptr_t stack = unwind_calls.cfa(context);
    /* Not asked again: the stack may change to another one, for a signal. */
    if (!walk->begun && stack <= walk->frame)
        return _URC_NO_REASON;
    walk->begun = true;
    void *pc = (void *)unwind_calls.pc(context);
    /* Behind the last there may be one more, which is nowhere. */
    walk->ended = pc == NULL;
    const bool more =
        !walk->ended && walk->tell(walk->to, pc, (const char *)stack);
    return more ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

bool sys_unwind(const void *frame, sys_unwind_tell *tell, void *to)
{
    struct unwind_walk walk = { (uintptr_t)frame, tell, to, false, false };
    return sys_unwind_is_found()
        && (unwind_calls.backtrace(unwind_step, &walk) == _URC_END_OF_STACK
            || walk.ended);
}
