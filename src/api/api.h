/* SPDX-License-Identifier: MIT */
/*
 * api - what the entry files share.
 *
 * Owns     the names under which the library is seen: API(name) is the public
 *          name, with the prefix of a prefix build.
 * Used by  malloc.c, new.c, start.c, report.c.
 */
#ifndef API_API_H
#define API_API_H

#include "table/option.h"
#include "util/compiler.h"

#include <ashlar/ashlar.h>

#define API(name) ASHLAR_NAME(name)

/*
 * Inside the library the entry points are called api_malloc and so on: the
 * public names may be another library's, where ours was loaded after it.
 */
#define EXPORT_C(name) __typeof__(API(name)) api_##name;
#define EXPORT_CXX(name)
#define EXPORT_DATA(name)
#include "table/export.def"

/* The settings, read at start. */
extern struct options api_options;

/* Write the statistics report to stderr. */
void report_print(void);

/* Assert every invariant of the whole heap; at a quiet point. */
void API(audit_all)(void);

#endif
