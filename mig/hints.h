/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free-page hints: before round 0 the guest is asked which pages it does not use, and those are
 * not sent (hints.c says why nothing is lost).
 */
#ifndef MIG_HINTS_H
#define MIG_HINTS_H

#include "source.h"

/* After dirty_start, with all pages in the order, and before the first harvest. 0, or as
 * source_pause. */
MUST_CHECK int source_hints(struct source *s);

#endif
