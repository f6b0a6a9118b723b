/* SPDX-License-Identifier: MIT */
/*
 * empty - a library with code, constants and data but nothing to do: what it
 * costs the loader is the part of a preload that is not the allocator's.
 */
int empty_data = 1;
int empty_zero[2000];
const char *const empty_constant = "constant";

int empty_call(void)
{
    return empty_data + empty_zero[0];
}
