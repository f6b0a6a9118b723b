/* SPDX-License-Identifier: MIT */
/*
 * tls_user - a library with thread-local data of its own. The runner makes
 * forty copies; each is another library to the loader.
 */
static __thread char kept[64];

char *tls_user_kept(void)
{
    return kept;
}
