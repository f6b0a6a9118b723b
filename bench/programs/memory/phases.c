/* SPDX-License-Identifier: MIT */
/*
 * phases - a program that needs one size, then another, then a third.
 *
 * Each phase fills the same amount of memory with blocks of its own size and
 * frees nearly all of them, oldest first.  The few that stay are spread over
 * everything the phase had: what an allocator has bound to one size, it cannot
 * use for the next.
 */
#include "list.h"

static uint64_t mb = 60, keep = 4096;

int main(int argc, char **argv)
{
    const struct work_option options[] = {
        {"mb", &mb, 1, 4096, NULL},
        {"keep", &keep, 1, UINT32_MAX, NULL}, /* one in so many stays */
    };
    work_options(argc, argv, options, WORK_COUNT(options));
    static const size_t sizes[] = {40, 56, 1024};
    struct work_random random = work_random(0);
    struct work_sum sum = work_sum(0);
    struct valley valley = {0};
    struct list kept = {0};
    uint64_t kept_bytes = 0;
    for (size_t phase = 0; phase < WORK_COUNT(sizes); phase++) {
        const size_t size = sizes[phase];
        struct list list = {0};
        for (uint64_t left = (mb << 20) / size; left != 0; left--) {
            const bool stays = work_below(&random, (uint32_t)keep) == 0;
            list_push(stays ? &kept : &list, pages_malloc(&sum, size));
            kept_bytes += stays ? size : 0;
        }
        list_free(&list, &sum);
        valley_note(&valley, kept_bytes);
    }
    list_free(&kept, &sum);
    work_check(&sum);
    valley_say(&valley);
    return 0;
}
