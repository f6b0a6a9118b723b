/* SPDX-License-Identifier: MIT */
/*
 * step - one thread executes one instruction at a time.
 *
 * Owns     the trap flag of the thread between step_begin() and step_end(),
 *          and the SIGTRAP handler. Before each instruction of the library it
 *          calls step.look.
 * Used by  torture.c, in one thread of a process.
 * Never    steps through what the library calls in the C library: the return
 *          address of such a call is exchanged for one with a breakpoint, the
 *          flag goes off, and comes back on there.
 *
 * x86-64 only.
 */
#ifndef FORK_STEP_H
#define FORK_STEP_H

#include "../expect.h"

#include <link.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { STEP_TRAP_FLAG = 0x100 };

static struct {
    volatile bool on;
    uintptr_t text;             /* the library's code: [text, text_end) */
    uintptr_t text_end;
    uintptr_t base;             /* where its file is mapped */
    const char *file;
    uintptr_t last;             /* the last instruction in there; 0: outside */
    uintptr_t resume;           /* where the call that is skipped returns */
    bool changed;               /* memory may have, since the last look */
    /* Before the instruction at this place; whether memory may have changed
     * since the last time. */
    void (*look)(const ucontext_t *at, bool changed);
} step;

static inline bool step_is_inside(uintptr_t address)
{
    return address >= step.text && address < step.text_end;
}

/* -- does an instruction write memory that others see? -- */

struct step_form {
    unsigned mod;
    unsigned reg;
    bool stack;                 /* the operand is addressed by rsp */
};

static inline struct step_form step_form_of(const unsigned char *modrm,
                                            bool rex_b)
{
    const struct step_form form = {
        .mod = modrm[0] >> 6,
        .reg = modrm[0] >> 3 & 7,
        .stack = (modrm[0] & 7) == 4 && (modrm[1] & 7) == 4 && !rex_b,
    };
    return form;
}

/* Of the two-byte instructions, those that are known to write nothing. */
static inline bool step_two_byte_reads(unsigned char code,
                                       struct step_form form)
{
    if ((code >= 0x80 && code <= 0x8f) || (code >= 0x40 && code <= 0x4f))
        return true; /* jcc, cmovcc */
    switch (code) {
    case 0x1e: case 0x1f: case 0xaf: case 0xb6: case 0xb7: case 0xbe:
    case 0xbf: case 0xbc: case 0xbd: case 0xb8: case 0xa3: case 0x10:
    case 0x28: case 0x6f: case 0x57: case 0xef: case 0x6c: case 0x6e:
    case 0x16:
        return true;
    case 0xba:
        return form.reg == 4 || form.mod == 3 || form.stack;
    case 0x11: case 0x29: case 0x7f: case 0xd6: case 0x7e:
        return form.mod == 3 || form.stack;
    default: /* setcc; the rest is not worth knowing */
        return code >= 0x90 && code <= 0x9f && (form.mod == 3 || form.stack);
    }
}

/* Of the one-byte instructions with an operand in memory or a register,
 * whether this is one that writes it. */
static inline bool step_writes_operand(unsigned char code,
                                       struct step_form form)
{
    if (form.mod == 3 || form.stack)
        return false;
    if (code < 0x40)
        return code >> 3 != 7; /* cmp */
    if (code == 0x80 || code == 0x81 || code == 0x83)
        return form.reg != 7;
    if (code == 0xf6 || code == 0xf7)
        return form.reg == 2 || form.reg == 3; /* not, neg */
    if (code == 0xfe || code == 0xff)
        return form.reg < 2; /* inc, dec; else call, jmp, push */
    return true;
}

/*
 * Whether the instruction may write memory other than the stack. What is not
 * recognised may.
 */
static inline bool step_may_write(const unsigned char *at)
{
    bool rex_b = false;
    while ((*at >= 0x64 && *at <= 0x67) || *at == 0xf2 || *at == 0xf3)
        at++; /* prefixes */
    if (*at >> 4 == 4)
        rex_b = *at++ & 1;
    const unsigned char code = at[0];
    if (code == 0x0f)
        return !step_two_byte_reads(at[1], step_form_of(at + 2, rex_b));
    const struct step_form form = step_form_of(at + 1, rex_b);
    if (code < 0x40 && (code & 7) < 6)
        return (code & 7) < 2 && step_writes_operand(code, form);
    if ((code >= 0x50 && code <= 0x5f) || (code >= 0x70 && code <= 0x7f)
        || (code >= 0xb0 && code <= 0xbf) || (code >= 0x90 && code <= 0x99))
        return false; /* push, pop, jcc, mov of a constant, nop */
    switch (code) {
    case 0x63: case 0x68: case 0x69: case 0x6a: case 0x6b: case 0x84:
    case 0x85: case 0x8a: case 0x8b: case 0x8d: case 0xa8: case 0xa9:
    case 0xc2: case 0xc3: case 0xc9: case 0xe8: case 0xe9: case 0xeb:
        return false;
    case 0x80: case 0x81: case 0x83: case 0x86: case 0x87: case 0x88:
    case 0x89: case 0xc0: case 0xc1: case 0xc6: case 0xc7: case 0xd0:
    case 0xd1: case 0xd2: case 0xd3: case 0xf6: case 0xf7: case 0xfe:
    case 0xff:
        return step_writes_operand(code, form);
    default:
        return true;
    }
}

/* -- the trap -- */

extern const char step_return[];
__asm__(".pushsection .text\n"
        "step_return: int3\n"
        "ud2\n"
        ".popsection\n");

static inline bool step_is_return(const unsigned char *at)
{
    return *at == 0xc3 || *at == 0xc2 || (*at == 0xf3 && at[1] == 0xc3);
}

/* A system call that is about to block signals: a trap would be the end. */
static inline bool step_blocks_signals(const greg_t *registers)
{
    const unsigned char *at = (const unsigned char *)registers[REG_RIP];
    return at[0] == 0x0f && at[1] == 0x05
           && registers[REG_RAX] == SYS_rt_sigprocmask;
}

/* Outside: after a call, come back when it returns; after a return, go on. */
static inline void step_outside(greg_t *registers)
{
    const uintptr_t last = step.last;
    step.last = 0;
    if (last != 0 && !step_is_return((const unsigned char *)last)) {
        uintptr_t *top = (uintptr_t *)registers[REG_RSP];
        step.resume = *top;
        *top = (uintptr_t)step_return;
        step.changed = true;
        registers[REG_EFL] &= ~STEP_TRAP_FLAG;
    } else if (step_blocks_signals(registers)) {
        step.on = false;
        registers[REG_EFL] &= ~STEP_TRAP_FLAG;
    }
}

static inline void step_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = (ucontext_t *)context;
    greg_t *registers = at->uc_mcontext.gregs;
    const int saved = errno;
    (void)number;
    (void)info;
    if ((uintptr_t)registers[REG_RIP] == (uintptr_t)step_return + 1)
        registers[REG_RIP] = (greg_t)step.resume;
    if (!step.on) {
        registers[REG_EFL] &= ~STEP_TRAP_FLAG;
        return;
    }
    registers[REG_EFL] |= STEP_TRAP_FLAG;
    const uintptr_t rip = (uintptr_t)registers[REG_RIP];
    if (step_is_inside(rip)) {
        step.look(at, step.changed);
        step.changed = step_may_write((const unsigned char *)rip);
        step.last = rip;
    } else {
        step_outside(registers);
    }
    errno = saved;
}

static inline void step_begin(void)
{
    step.last = 0;
    step.changed = true;
    step.on = true;
    __asm__ volatile("int3" : : : "memory");
}

static inline void step_end(void)
{
    step.on = false;
    __asm__ volatile("nop" : : : "memory");
}

/* -- where the library's code is -- */

static inline int step_find_object(struct dl_phdr_info *info, size_t size,
                                   void *inside)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        const uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0
            && (uintptr_t)inside >= from
            && (uintptr_t)inside < from + part->p_memsz) {
            step.text = from;
            step.text_end = from + part->p_memsz;
            step.base = info->dlpi_addr;
            step.file = info->dlpi_name[0] != '\0' ? info->dlpi_name
                                                   : "/proc/self/exe";
            return 1;
        }
    }
    return 0;
}

/* The object that has this function; the handler is installed. */
static inline void step_prepare(void (*inside)(void *))
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = step_trap;
    sigemptyset(&action.sa_mask);
    EXPECT(dl_iterate_phdr(step_find_object, (void *)(uintptr_t)inside) == 1);
    EXPECT_EQUAL(sigaction(SIGTRAP, &action, NULL), 0);
}

#endif
