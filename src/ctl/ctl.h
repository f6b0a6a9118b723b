/* SPDX-License-Identifier: MIT */
/*
 * ctl - the face of the control layer: reading and writing by name.
 *
 * Owns     the protocol of mallctl(): who may read and write what, and what
 *          is answered if the sizes are wrong. docs/CTL.md lists the names.
 * Used by  api/jemalloc.c, which makes mallctl(), mallctlnametomib() and
 *          mallctlbymib() of it.
 * Never    allocates with malloc, sets errno, or follows a name that is none:
 *          any text and any numbers may be asked for.
 *
 * All return 0, or EINVAL (a size is wrong), EPERM (not to be read or not to be
 * written), ENOENT (no such name or number), EFAULT (refused by what was
 * asked), EAGAIN (no memory).
 *
 * Tests    test/unit/ctl/ctl_test.c  test/unit/ctl/tree_test.c
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "ctl/background.h"
#include "ctl/profile.h"

#include <stddef.h>

/*
 * Read what it was into old, if old and old_bytes are given: *old_bytes says
 * how much room there is, and if that is not the size of the type, as much as
 * fits is copied, *old_bytes says how much, and the answer is EINVAL. Write
 * what new has, if it is given.
 */
int ctl_by_name(const char *name, void *old, size_t *old_bytes,
    const void *new, size_t new_bytes);
int ctl_by_mib(const size_t *mib, size_t depth, void *old, size_t *old_bytes,
    const void *new, size_t new_bytes);

/* The numbers of a name, or of the first *depth parts of it; the numbers in a
 * name stand for themselves, and may be changed. */
int ctl_name_to_mib(const char *name, size_t *mib, size_t *depth);

#endif
