/* SPDX-License-Identifier: MIT */
/*
 * report - the command `ashlar report`: says of a heap profile where the
 * memory was allocated.
 *
 * Owns     the options, and what is printed.
 * Uses     report_profile.h, report_site.h.
 * Used by  main in ashlar.c.
 *
 * docs/REPORT.md is for who uses it.
 *
 * Tests    test/programs/report.py
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_site.h"
#include "tool.h"

const char usage_report[] =
    "Usage: ashlar report [OPTION]... FILE\n"
    "\n"
    "Prints where the memory of a heap profile was allocated: FILE is what\n"
    "prof.dump and the like wrote, in either format.\n"
    "\n"
    "  -n, --top N        N call sites or stacks, 0 for all (default: 20)\n"
    "  -b, --by WHAT      count bytes (the default) or objects\n"
    "  -c, --cumulative   first the sites through which most was allocated,\n"
    "                     not those that allocated most themselves\n"
    "  -s, --stacks       whole stacks instead of call sites\n"
    "  -e, --ever         all that was ever allocated, not what is live; the\n"
    "                     profile must have been made with prof_accum\n"
    "  -h, --help         show this text\n"
    "\n"
    "Functions are looked up in the files that the profile names.\n"
    "\n"
    "Exit status: 0, or 125 if FILE is no profile or not a whole one.\n"
    "\n"
    "Example: ashlar report --stacks --top 3 jeprof.4711.0.f.heap\n";

struct order {
    unsigned long top;          /* 0: all */
    bool by_objects;
    bool cumulative;
    bool stacks;
    bool ever;
};

static struct order order = { .top = 20 };

/* -- numbers -- */

static double value_of(struct profile_values values)
{
    return order.by_objects ? values.objects : values.bytes;
}

static double share_of(const struct site_list *sites,
    struct profile_values values)
{
    const double total = value_of(sites->total);
    return total > 0 ? 100 * value_of(values) / total : 0;
}

/* Bytes in the largest unit of which there is one. */
static void print_value(struct profile_values values)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = value_of(values);
    size_t unit = 0;
    if (order.by_objects) {
        printf("%10.0f", value);
        return;
    }
    for (; value >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    printf("%*.*f %-3s", 6, unit ? 1 : 0, value, units[unit]);
}

/* -- tables -- */

static int compare_values(struct profile_values left,
    struct profile_values right)
{
    const double a = value_of(left);
    const double b = value_of(right);
    return (a < b) - (a > b);
}

static int compare_sites(const void *left, const void *right)
{
    const struct site *const a = left;
    const struct site *const b = right;
    const int flat = compare_values(a->flat, b->flat);
    const int cumulative = compare_values(a->cumulative, b->cumulative);
    const int first = order.cumulative ? cumulative : flat;
    const int second = order.cumulative ? flat : cumulative;
    if (first || second)
        return first ? first : second;
    const int name = strcmp(a->function, b->function);
    return name ? name : a->line - b->line;
}

/* How many have something; those are first. */
static size_t sort_sites(struct site_list *sites)
{
    size_t count = sites->count;
    if (count)
        qsort(sites->site, count, sizeof *sites->site, compare_sites);
    while (count && value_of(sites->site[count - 1].cumulative) <= 0)
        count--;
    return count;
}

static int compare_stacks(const void *left, const void *right)
{
    const struct site_stack *const a = left;
    const struct site_stack *const b = right;
    return compare_values(a->values, b->values);
}

static void print_place(const struct site *site, const char *file)
{
    if (file)
        printf("  %s:%d", file, site->line);
    putchar('\n');
}

static void print_sites(const struct site_list *sites, size_t count)
{
    printf("\n      flat   flat%%  cumulative   cum%%  call site\n");
    for (size_t i = 0; i < count; i++) {
        const struct site *const site = &sites->site[i];
        print_value(site->flat);
        printf(" %6.1f%%  ", share_of(sites, site->flat));
        print_value(site->cumulative);
        printf(" %6.1f%%  %s", share_of(sites, site->cumulative),
            site->function);
        print_place(site, site->file ? basename(site->file) : NULL);
    }
}

/* Before the sites are put into another order, for stacks name them. */
static void print_stacks(const struct site_list *sites, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct site_stack *const stack = &sites->stack[i];
        putchar('\n');
        print_value(stack->values);
        printf(" %6.1f%%  %.0f %s\n", share_of(sites, stack->values),
            order.by_objects ? stack->values.bytes : stack->values.objects,
            order.by_objects ? "bytes" : "objects");
        for (size_t j = 0; j < stack->count; j++) {
            const struct site *const site = &sites->site[stack->site[j]];
            printf("    %s", site->function);
            print_place(site, site->file);
        }
    }
}

static void print_head(const struct profile *profile,
    const struct site_list *sites)
{
    printf("%s: %s", profile->path, profile->format);
    if (profile->rate_bytes)
        printf(", a sample every %" PRIu64 " bytes on average",
            profile->rate_bytes);
    printf("\n%s: %.0f bytes in %.0f objects, of %zu stacks\n",
        order.ever ? "ever allocated" : "live", sites->total.bytes,
        sites->total.objects, sites->stack_count);
}

static void print_report(const struct profile *profile,
    struct site_list *sites)
{
    size_t all = sites->stack_count;
    if (order.stacks)
        qsort(sites->stack, all, sizeof *sites->stack, compare_stacks);
    else
        all = sort_sites(sites);
    const size_t count = order.top && order.top < all ? order.top : all;
    print_head(profile, sites);
    if (order.stacks)
        print_stacks(sites, count);
    else if (all)
        print_sites(sites, count);
    if (count < all)
        printf("\n%zu more: --top 0 prints all.\n", all - count);
}

/* -- the command -- */

static unsigned long number_of(const char *text)
{
    char *end;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        die(STATUS_TOOL_FAILED, "--top '%s' is not a number", text);
    return number;
}

static bool is_objects(const char *text)
{
    if (strcmp(text, "objects") != 0 && strcmp(text, "bytes") != 0)
        die(STATUS_TOOL_FAILED, "--by '%s' is neither bytes nor objects",
            text);
    return *text == 'o';
}

int report(int count, char **arguments)
{
    static const struct option options[] = {
        {"top", required_argument, NULL, 'n'},
        {"by", required_argument, NULL, 'b'},
        {"cumulative", no_argument, NULL, 'c'},
        {"stacks", no_argument, NULL, 's'},
        {"ever", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;
    while ((letter = getopt_long(count, arguments, "n:b:cseh", options,
            NULL)) != -1) {
        switch (letter) {
        case 'n': order.top = number_of(optarg); break;
        case 'b': order.by_objects = is_objects(optarg); break;
        case 'c': order.cumulative = true; break;
        case 's': order.stacks = true; break;
        case 'e': order.ever = true; break;
        case 'h': return say(usage_report);
        default:
            fputs(TRY_HELP "\n", stderr);    /* getopt has complained */
            return STATUS_TOOL_FAILED;
        }
    }
    if (optind != count - 1)
        die(STATUS_TOOL_FAILED, "one profile is wanted" HINT);
    struct profile profile = profile_read(arguments[optind]);
    if (order.ever && !profile.has_ever)
        die(STATUS_TOOL_FAILED, "%s: only live objects were counted; "
            "prof_accum:true counts all", profile.path);
    struct site_list sites = sites_of(&profile, order.ever);
    print_report(&profile, &sites);
    return say("");
}
