/* SPDX-License-Identifier: MIT */
/*
 * Pointers that are no block: beside the start of one, or anywhere else.
 */
#include "misuse.h"

#include <sys/mman.h>

/* -- pointers that are no block -- */

static void off_by_one(void)
{
    commit(call_free, misused(victim() + 1));
}

static void off_by_four(void)
{
    commit(call_free, misused(victim() + 4));
}

static void before_by_one(void)
{
    commit(call_free, misused(victim() - 1));
}

static void off_by_eight(void)
{
    commit(call_free, misused(victim() + 8));
}

static void inside(void)
{
    commit(call_free, misused(victim() + 16));
}

static void in_the_middle(void)
{
    commit(call_free, misused(victim() + scene.bytes / 32 * 16));
}

static void at_the_end(void)
{
    commit(call_free, misused(victim() + (scene.bytes - 1) / 16 * 16));
}

static void realloc_inside(void)
{
    commit(call_realloc, misused(victim() + 16));
}

static void usable_size_inside(void)
{
    commit(call_usable_size, misused(victim() + 16));
}

/* The tail of the slab, where no block fits: 48 * 1365 + 16, for example. */
static void behind_the_last_block(void)
{
    const uintptr_t slab = slab_bytes();
    const uintptr_t offset = (uintptr_t)victim() % (64 * KIB);
    char *start = victim() - offset;
    insist(slab == 64 * KIB, "these slabs are longer than their alignment");
    const size_t bytes = malloc_usable_size(victim());
    commit(call_free, misused(start + slab / bytes * bytes));
}

/* A block of this slab that was not handed out yet. */
static void never_handed_out(void)
{
    const size_t bytes = malloc_usable_size(victim());
    const uintptr_t offset = (uintptr_t)victim() % (64 * KIB);
    insist(slab_bytes() == 64 * KIB, "the scene");
    const size_t last = slab_bytes() / bytes - 1;
    char *pointer = victim() - offset + last * bytes;
    for (size_t i = 0; i < scene.count; i++)
        insist(scene.block[i] != pointer, "the scene");
    commit(call_free, misused(pointer));
}

/* The same, but malloc has it in hand: of a page that it took at once, the
 * third block, after the first two. */
static void never_used_in_hand(void)
{
    const size_t bytes = malloc_usable_size(victim());
    char *first = malloc(bytes);
    char *second = malloc(bytes);
    for (size_t i = 0; i < 100000
         && ((uintptr_t)first % 4096 != 0 || second != first + bytes); i++) {
        first = second;
        second = malloc(bytes);
    }
    insist((uintptr_t)first % 4096 == 0 && second == first + bytes,
        "no two blocks begin a page");
    commit(call_free, misused(second + bytes));
    take_over();
}

/* -- foreign pointers -- */

static void of_the_stack(void)
{
    char local[64] = "";
    commit(call_free, misused(local + 16));
}

static void of_static_data(void)
{
    commit(call_free, misused(static_data + 64));
}

static void of_code(void)
{
    commit(call_free, misused((void *)(uintptr_t)of_code));
}

static void of_the_environment(void)
{
    commit(call_free, misused(getenv("PATH")));
}

static void of_a_small_number(void)
{
    commit(call_free, misused((void *)(uintptr_t)16));
}

static void of_one(void)
{
    commit(call_free, misused((void *)(uintptr_t)1));
}

static char *a_mapping(void)
{
    char *start = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    insist(start != MAP_FAILED, "no mapping");
    return start;
}

static void of_a_mapping(void)
{
    commit(call_free, misused(a_mapping()));
}

static void of_unmapped_memory(void)
{
    char *start = a_mapping();
    insist(munmap(start, 4 * MIB) == 0, "munmap failed");
    commit(call_free, misused(start + MIB));
}

static void of_the_kernel(void)
{
    commit(call_free, misused((void *)(UINTPTR_MAX - 4095)));
}

static void realloc_of_the_stack(void)
{
    char local[64] = "";
    commit(call_realloc, misused(local + 16));
}

static void usable_size_of_static_data(void)
{
    commit(call_usable_size, misused(static_data + 64));
}

static void sized_free_of_the_stack(void)
{
    char local[64] = "";
    commit(call_free_sized, misused(local + 16));
}

static void delete_of_static_data(void)
{
    commit(call_delete, misused(static_data + 64));
}

/* The block's address with one of the bits that no address has. */
static void with_bit(unsigned bit)
{
    const uintptr_t address = (uintptr_t)victim();
    commit(call_free, misused((void *)(address | (uintptr_t)1 << bit)));
}

static void with_bit_48(void) { with_bit(48); }
static void with_bit_62(void) { with_bit(62); }
static void with_bit_63(void) { with_bit(63); }

/* The one tag that the fast path takes for part of an offset: blocks of 1024
 * bytes count 2^54 + 1 a byte, so 8 bytes and this are 8 modulo 2^64. */
static void inside_with_tag(void)
{
    const uintptr_t address = (uintptr_t)victim() + 8;
    insist(scene.bytes == 1000, "the tag is for another class");
    commit(call_free, misused((void *)(address | (uintptr_t)0xfe00 << 48)));
}

/* A long way from anything of ours. */
static void far_away(void)
{
    commit(call_free, misused(victim() + ((uintptr_t)1 << 44)));
}

const struct named astray_mistakes[] = {
    NAMED(off_by_one),
    NAMED(off_by_four),
    NAMED(before_by_one),
    NAMED(off_by_eight),
    NAMED(inside),
    NAMED(in_the_middle),
    NAMED(at_the_end),
    NAMED(realloc_inside),
    NAMED(usable_size_inside),
    NAMED(behind_the_last_block),
    NAMED(never_handed_out),
    NAMED(never_used_in_hand),
    NAMED(of_the_stack),
    NAMED(of_static_data),
    NAMED(of_code),
    NAMED(of_the_environment),
    NAMED(of_a_small_number),
    NAMED(of_one),
    NAMED(of_a_mapping),
    NAMED(of_unmapped_memory),
    NAMED(of_the_kernel),
    NAMED(realloc_of_the_stack),
    NAMED(usable_size_of_static_data),
    NAMED(sized_free_of_the_stack),
    NAMED(delete_of_static_data),
    NAMED(with_bit_48),
    NAMED(with_bit_62),
    NAMED(with_bit_63),
    NAMED(inside_with_tag),
    NAMED(far_away),
    { NULL, NULL },
};
