/* SPDX-License-Identifier: MIT */
/*
 * secret - a number that other processes cannot guess. See secret.h.
 */
#include "sys/secret.h"

#include <string.h>
#include <sys/auxv.h>

uint64_t sys_secret(void)
{
    uint64_t secret = 0;
    const void *random = (const void *)getauxval(AT_RANDOM);
    if (random != NULL)
        memcpy(&secret, random, sizeof secret);
    return secret;
}
