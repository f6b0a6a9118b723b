/* SPDX-License-Identifier: MIT */
/*
 * report_site - the places in the source that a profile's stacks lead through.
 */
#define _GNU_SOURCE
#include "report_site.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_name.h"
#include "report_symbol.h"
#include "tool.h"

enum { BUCKETS = 1 << 14 };

/* An address, and which sites it is: where functions are inlined, several. */
struct place {
    uint64_t address;
    size_t first;
    size_t count;
};

struct finder {
    struct profile *profile;
    struct site_list sites;
    size_t bucket[BUCKETS];     /* a site, plus 1 */
    struct place *place;        /* in the order of addresses */
    size_t place_count;
    size_t *site;               /* of all places */
    size_t site_count;
};

/* -- sites -- */

static bool is_same(const char *left, const char *right)
{
    return left == right || (left && right && strcmp(left, right) == 0);
}

static unsigned long hash_text(const char *text, unsigned long hash)
{
    while (text && *text)
        hash = hash * 31 + (unsigned char)*text++;
    return hash;
}

/* The number of this site, which is a new one or known. */
static size_t note_site(struct finder *finder, struct site site)
{
    struct site_list *const sites = &finder->sites;
    size_t *const bucket = &finder->bucket[
        hash_text(site.function, hash_text(site.file, 0) + (unsigned)site.line)
        % BUCKETS];
    for (size_t i = *bucket; i; i = sites->site[i - 1].next) {
        const struct site *const known = &sites->site[i - 1];
        if (known->line == site.line && is_same(known->file, site.file)
            && is_same(known->function, site.function))
            return i - 1;
    }
    site.next = *bucket;
    sites->site = array_grow(sites->site, sites->count, sizeof site);
    sites->site[sites->count++] = site;
    *bucket = sites->count;
    return sites->count - 1;
}

static struct profile_module *module_of(const struct profile *profile,
    uint64_t address)
{
    for (size_t i = 0; i < profile->module_count; i++) {
        struct profile_module *const module = &profile->module[i];
        if (address >= module->start && address < module->end)
            return module;
    }
    return NULL;
}

/* For who has no name: "libc.so.6+0x1234", an offset in the file. */
static const char *place_text(const struct profile_module *module,
    uint64_t address)
{
    char *text;
    const char *const file = module ? module->file : "";
    const int length = *file ? asprintf(&text, "%s+%#" PRIx64, basename(file),
        address - module->start + module->offset)
        : asprintf(&text, "%#" PRIx64, address);
    return need(length < 0 ? NULL : text);
}

static bool is_allocators_file(const struct profile_module *module)
{
    const char *const file = module ? basename(module->file) : "";
    return strncmp(file, "libashlar", 9) == 0
        || strncmp(file, "libjemalloc", 11) == 0;
}

static void find_sites(struct finder *finder, struct place *place)
{
    struct symbol_frame frames[SYMBOL_FRAMES_MAX] = { { .function = NULL } };
    struct profile_module *const module =
        module_of(finder->profile, place->address);
    size_t count = module ? symbols_find(module, place->address, frames) : 0;
    if (count == 0)
        count = 1;
    place->first = finder->site_count;
    place->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *const name = frames[i].function;
        struct site site = {
            .function = name ? name_read(name)
                : place_text(module, place->address),
            .file = frames[i].file, .line = frames[i].line };
        site.is_allocator =
            name_is_allocator(site.function) || is_allocators_file(module);
        finder->site = array_grow(finder->site, finder->site_count,
            sizeof *finder->site);
        finder->site[finder->site_count++] = note_site(finder, site);
    }
}

/* -- addresses -- */

static int compare_places(const void *left, const void *right)
{
    const struct place *const a = left;
    const struct place *const b = right;
    return (a->address > b->address) - (a->address < b->address);
}

static void find_places(struct finder *finder)
{
    const struct profile *const profile = finder->profile;
    size_t count = 0;
    for (size_t i = 0; i < profile->stack_count; i++)
        count += profile->stack[i].count;
    finder->place = need(calloc(count + 1, sizeof *finder->place));
    count = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        for (size_t j = 0; j < profile->stack[i].count; j++)
            finder->place[count++].address = profile->stack[i].address[j];
    }
    qsort(finder->place, count, sizeof *finder->place, compare_places);
    for (size_t i = 0; i < count; i++) {
        if (i && finder->place[i].address == finder->place[i - 1].address)
            continue;
        finder->place[finder->place_count++] = finder->place[i];
    }
    for (size_t i = 0; i < finder->place_count; i++)
        find_sites(finder, &finder->place[i]);
}

/* -- stacks -- */

static void add_site(struct site_stack *stack, size_t site)
{
    stack->site = array_grow(stack->site, stack->count, sizeof *stack->site);
    stack->site[stack->count++] = site;
}

/* What the outermost function of the allocator calls is its own affair, unless
   the stack is nothing but that. */
static void cut_allocator(const struct site_list *sites,
    struct site_stack *stack)
{
    size_t first = stack->count;
    while (first && sites->site[stack->site[first - 1]].is_allocator)
        first--;
    while (first && !sites->site[stack->site[first - 1]].is_allocator)
        first--;
    stack->count -= first;
    memmove(stack->site, stack->site + first,
        stack->count * sizeof *stack->site);
}

static struct site_stack stack_of(const struct finder *finder,
    const struct profile_stack *from)
{
    struct site_stack stack = { .count = 0 };
    for (size_t i = 0; i < from->count; i++) {
        const struct place key = { .address = from->address[i] };
        const struct place *const place = bsearch(&key, finder->place,
            finder->place_count, sizeof key, compare_places);
        for (size_t j = 0; j < place->count; j++)
            add_site(&stack, finder->site[place->first + j]);
    }
    cut_allocator(&finder->sites, &stack);
    return stack;
}

static int compare_stacks(const void *left, const void *right)
{
    const struct site_stack *const a = left;
    const struct site_stack *const b = right;
    if (a->count != b->count)
        return a->count > b->count ? 1 : -1;
    return memcmp(a->site, b->site, a->count * sizeof *a->site);
}

static void add_values(struct profile_values *to, struct profile_values more)
{
    to->objects += more.objects;
    to->bytes += more.bytes;
}

/* Stacks that are the same become one. */
static void join_stacks(struct site_list *sites)
{
    size_t count = 0;
    qsort(sites->stack, sites->stack_count, sizeof *sites->stack,
        compare_stacks);
    for (size_t i = 0; i < sites->stack_count; i++) {
        struct site_stack *const stack = &sites->stack[i];
        if (count && compare_stacks(stack, &sites->stack[count - 1]) == 0)
            add_values(&sites->stack[count - 1].values, stack->values);
        else
            sites->stack[count++] = *stack;
    }
    sites->stack_count = count;
}

/* A site counts once in a stack, however often the stack comes through it. */
static void count_stack(struct site_list *sites, size_t index)
{
    const struct site_stack *const stack = &sites->stack[index];
    add_values(&sites->total, stack->values);
    for (size_t i = 0; i < stack->count; i++) {
        struct site *const site = &sites->site[stack->site[i]];
        if (i == 0)
            add_values(&site->flat, stack->values);
        if (site->last_stack != index + 1)
            add_values(&site->cumulative, stack->values);
        site->last_stack = index + 1;
    }
}

struct site_list sites_of(struct profile *profile, bool ever)
{
    struct finder *const finder = need(calloc(1, sizeof *finder));
    finder->profile = profile;
    find_places(finder);
    struct site_list sites = finder->sites;
    sites.stack = need(calloc(profile->stack_count + 1, sizeof *sites.stack));
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct profile_stack *const from = &profile->stack[i];
        struct site_stack stack = stack_of(finder, from);
        stack.values = ever ? from->ever : from->live;
        if (stack.values.bytes > 0)
            sites.stack[sites.stack_count++] = stack;
    }
    join_stacks(&sites);
    for (size_t i = 0; i < sites.stack_count; i++)
        count_stack(&sites, i);
    return sites;
}
