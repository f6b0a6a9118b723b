/* SPDX-License-Identifier: MIT */
/*
 * page - the face of the page layer: memory in slices and mappings.
 *
 * Owns     what upper layers may ask of a pool, and the page map.
 * Used by  heap/.
 *
 *   pool_take      a run of slices            pool_give     gives it back
 *   pool_map       a mapping of its own       pool_unmap    gives it back
 *   pool_purge     everything unused to the system, now
 *   due_ms         when that goes back     due_sleep      until then
 *   listing_set    marks an extent            listing_take  finds a mark
 *   census_take    what a pool consists of
 */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include "page/census.h"
#include "page/due.h"
#include "page/extent.h"
#include "page/listing.h"
#include "page/map.h"
#include "page/meta.h"
#include "page/pool.h"

#endif
