/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leases that go with a VM (docs/ownership.md): of the description of one that is at home,
 * and of its disks. The first of them in this order decides: it is given last, taken back and
 * accepted first. Results as those of the vdisks_ functions (vdev.h).
 *
 * Of a move to this host itself none goes: both instances have them by their common name.
 */
#ifndef MIG_OWNER_H
#define MIG_OWNER_H

#include "job.h"

/* Has it any? */
bool owner_leased(const struct mig_job *j);
MUST_CHECK int owner_give(const struct mig_job *j, const uint8_t host[16], char *why,
			  size_t why_len);
MUST_CHECK int owner_take_back(const struct mig_job *j);
MUST_CHECK int owner_accept(const struct mig_job *j);

#endif
