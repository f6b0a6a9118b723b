/* SPDX-License-Identifier: MIT */
/*
 * api - what the entry files share.
 *
 * Owns     the names under which the library is seen: API(name) is the public
 *          name, with the prefix of a prefix build.
 * Used by  all files of api/.
 */
#ifndef API_API_H
#define API_API_H

#include "table/option.h"
#include "util/compiler.h"

#include <ashlar/ashlar.h>
#include <jemalloc/jemalloc.h>

#define API(name) ASHLAR_NAME(name)

/*
 * Inside the library the entry points are called api_malloc and so on: the
 * public names may be another library's, where ours was loaded after it.
 */
#define EXPORT_C(name) __typeof__(API(name)) api_##name;
#define EXPORT_ALLOCX(name) EXPORT_C(name)
#define EXPORT_CTL(name) EXPORT_C(name)
#include "table/export.def"

/* In the file that defines api_NAME: the name that the world sees. */
#define API_SHOW(name)                                    \
    PUBLIC extern __typeof__(api_##name) API(name)        \
        __attribute__((alias("api_" #name)));

/* Hand a line to malloc_message, or write it to stderr if that is NULL. */
void api_say(const char *line);

/* Say a line and end the process; or hand it to the program's callback
 * (experimental.hooks.safety_check_abort), and go on. */
COLD void api_stop(const char *line);

/* There is no memory for a call: option xmalloc ends the process here. */
COLD void api_no_memory(const char *call);

/* The usable bytes of a live object; NULL: 0. Misuse is reported. */
size_t api_usable_bytes(const char *call, const void *pointer);

/* Assert every invariant of the whole heap; at a quiet point. */
void API(audit_all)(void);

#endif
